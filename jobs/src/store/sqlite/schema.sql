CREATE TABLE meta (schema INTEGER NOT NULL) STRICT;
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    parent INTEGER,
    status TEXT NOT NULL,
    state TEXT NOT NULL,
    percent INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    runnable INTEGER NOT NULL,
    holder TEXT,
    token INTEGER NOT NULL DEFAULT 0,
    lease_ms INTEGER NOT NULL DEFAULT 0,
    next_seq INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    broken TEXT
) STRICT;
CREATE INDEX job_runnable ON job (id) WHERE runnable = 1;
CREATE INDEX job_holds ON job (id) WHERE holds = 1;
CREATE INDEX job_parent ON job (parent, id) WHERE parent IS NOT NULL;
CREATE TABLE job_device (device TEXT NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (device, job)) STRICT, WITHOUT ROWID;
CREATE INDEX job_device_job ON job_device (job);
-- One job a device at a time: the key says so.
CREATE TABLE held (device TEXT NOT NULL PRIMARY KEY, job INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX held_job ON held (job);
CREATE TABLE event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (job, seq)
) STRICT;
CREATE TABLE artifact (
    job INTEGER NOT NULL,
    name TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (job, name)
) STRICT;
