CREATE TABLE IF NOT EXISTS meta (schema BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    parent BIGINT,
    status TEXT NOT NULL,
    state TEXT NOT NULL,
    percent SMALLINT NOT NULL,
    holds BOOLEAN NOT NULL,
    runnable BOOLEAN NOT NULL,
    holder TEXT,
    token BIGINT NOT NULL DEFAULT 0,
    lease_ms BIGINT NOT NULL DEFAULT 0,
    next_seq BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    broken TEXT
);
CREATE INDEX IF NOT EXISTS job_runnable ON job (id) WHERE runnable;
CREATE INDEX IF NOT EXISTS job_holds ON job (id) WHERE holds;
CREATE INDEX IF NOT EXISTS job_parent ON job (parent, id) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS job_device (
    device TEXT NOT NULL,
    job BIGINT NOT NULL REFERENCES job ON DELETE CASCADE,
    PRIMARY KEY (device, job)
);
CREATE INDEX IF NOT EXISTS job_device_job ON job_device (job);
-- One job a device at a time: the key says so.
CREATE TABLE IF NOT EXISTS held (
    device TEXT PRIMARY KEY,
    job BIGINT NOT NULL REFERENCES job ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS held_job ON held (job);
-- Positions are given before a transaction ends, so that a lower one may come to be seen later than a higher one. Readers
-- go by the transaction first, and look only at those that are older than every one still under way.
CREATE TABLE IF NOT EXISTS event (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job BIGINT NOT NULL REFERENCES job ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    text TEXT NOT NULL,
    written XID8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (job, seq)
);
CREATE INDEX IF NOT EXISTS event_written ON event (written, position);
CREATE TABLE IF NOT EXISTS artifact (
    job BIGINT NOT NULL REFERENCES job ON DELETE CASCADE,
    name TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (job, name)
);
CREATE OR REPLACE FUNCTION causeway_now_ms() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT $$;
