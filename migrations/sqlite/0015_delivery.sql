-- What is asked of a live run: to stop, to take a person's answer, to look again. It is stored before it is done, and the
-- run's next batch does it and takes it away.
CREATE TABLE run_request (
    id         BLOB PRIMARY KEY NOT NULL,
    run_id     BLOB NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    -- The server where somebody waits for the outcome; null: nobody does.
    asker      BLOB,
    body       TEXT NOT NULL,
    -- What became of it, for an asker on another server; null: nothing yet.
    outcome    TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX run_request_run ON run_request (run_id, created_at, id) WHERE outcome IS NULL;
CREATE INDEX run_request_any ON run_request (run_id);

-- The servers that execute runs of this database, and until when they are known to be alive.
CREATE TABLE server (
    id           BLOB PRIMARY KEY NOT NULL,
    leased_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The server that works on a live run, for as long as its lease lasts; null: any may.
ALTER TABLE run ADD COLUMN owner BLOB;
