CREATE TABLE meta (
    schema INTEGER NOT NULL,
    bucket_ms INTEGER NOT NULL
);
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    last_sequence INTEGER NOT NULL,
    chain BLOB NOT NULL,
    first_interface_ms INTEGER,
    first_probe_ms INTEGER,
    lost_samples INTEGER NOT NULL DEFAULT 0,
    config_at_ms INTEGER,
    config_polled_ms INTEGER,
    config_offered_generation INTEGER,
    config_offered_sha256 BLOB,
    config_applied_generation INTEGER,
    config_applied_sha256 BLOB,
    config_evaluated_slot INTEGER
);
-- Signed batches as they came: the raw samples, and what an auditor verifies again.
CREATE TABLE batch (
    device INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    chain BLOB NOT NULL,
    signature BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (device, sequence)
) WITHOUT ROWID;
CREATE INDEX batch_received ON batch (received_ms);
-- Kind: 1 interface, 2 adjacency, 10 + n probes of kind n. The last counters are what the next sample is compared with.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    counters BLOB NOT NULL,
    UNIQUE (device, kind, name)
);
CREATE TABLE presence (
    device INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    interfaces INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    PRIMARY KEY (device, bucket)
) WITHOUT ROWID;
-- What a..e hold depends on the kind of the series. Interface: compared, octets, errors, discards, flaps. Adjacency:
-- none. Probes: sent, received, longest round trip in ns.
CREATE TABLE rollup (
    series INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    down INTEGER NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    c INTEGER NOT NULL,
    d INTEGER NOT NULL,
    e INTEGER NOT NULL,
    PRIMARY KEY (series, bucket)
) WITHOUT ROWID;
