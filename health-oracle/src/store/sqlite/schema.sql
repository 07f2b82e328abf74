CREATE TABLE meta (
    schema INTEGER NOT NULL,
    bucket_ms INTEGER NOT NULL
);
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    last_sequence INTEGER NOT NULL,
    chain BLOB NOT NULL,
    lost_samples INTEGER NOT NULL,
    -- The latest word about the configuration; write.rs says how.
    config BLOB
);
-- Kind: 1 interface, 2 adjacency, 10 + n probes of kind n.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    first_ms INTEGER NOT NULL
);
-- Signed batches as they came, of one commit together: what an auditor verifies again. The bytes are compressed with
-- zstd; see batches.rs for what is inside.
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    received_ms INTEGER NOT NULL,
    bytes BLOB NOT NULL
);
-- Samples. The id is (milliseconds since 2024-01-01) * 2^24 + series, so that rows lie in the order of time and new ones
-- are added at the end.
CREATE TABLE interface_sample (
    id INTEGER PRIMARY KEY,
    up INTEGER NOT NULL,
    in_octets INTEGER NOT NULL,
    out_octets INTEGER NOT NULL,
    in_errors INTEGER NOT NULL,
    out_errors INTEGER NOT NULL,
    in_discards INTEGER NOT NULL,
    out_discards INTEGER NOT NULL,
    carrier_transitions INTEGER NOT NULL
);
CREATE TABLE adjacency_sample (
    id INTEGER PRIMARY KEY,
    up INTEGER NOT NULL
);
CREATE TABLE probe_sample (
    id INTEGER PRIMARY KEY,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    rtt_max_ns INTEGER NOT NULL
);
-- Sums of 64 buckets that have ended: one bit a bucket. The id is block * 2^24 + series. What is not just good is in
-- detail, as JSON.
CREATE TABLE rollup (
    id INTEGER PRIMARY KEY,
    present INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    busy INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    counters BLOB,
    detail TEXT
);
