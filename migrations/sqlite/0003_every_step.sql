-- Child runs, waits and files.

-- The step run and attempt that launched it. One attempt has one child, however often its launch is delivered.
ALTER TABLE run ADD COLUMN caller_id BLOB REFERENCES run (id) ON DELETE CASCADE;
ALTER TABLE run ADD COLUMN caller_step TEXT;
ALTER TABLE run ADD COLUMN caller_attempt INTEGER;
-- The caller's number, for lists.
ALTER TABLE run ADD COLUMN caller_number INTEGER;
CREATE UNIQUE INDEX run_caller ON run (caller_id, caller_step, caller_attempt) WHERE caller_id IS NOT NULL;

-- When the next time limit of a waiting step decides. Nothing of the run is in memory until then.
ALTER TABLE run ADD COLUMN wake_at INTEGER;
CREATE INDEX run_wake ON run (wake_at) WHERE wake_at IS NOT NULL;

-- Child runs have conversations of their own below their caller's; lists of conversations show the roots.
CREATE INDEX task_root ON task (project_id, updated_at DESC, id DESC) WHERE parent_id IS NULL;
DROP INDEX task_recent;
CREATE INDEX task_parent ON task (parent_id) WHERE parent_id IS NOT NULL;

-- Each writing of a file in a conversation. The newest is the file; none is ever changed.
CREATE TABLE file (
    task_id    BLOB NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    path       TEXT NOT NULL,
    -- From 1, gap-free per path, in commit order.
    version    INTEGER NOT NULL,
    run_id     BLOB NOT NULL,
    -- The event that says so.
    seq        INTEGER NOT NULL,
    content_id BLOB NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (task_id, path, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_run ON file (run_id, path, version);

-- The fold of a long log up to an event, so that opening a run need not read all of it. Only a cache: the log is the
-- truth, and one of another version is not read.
CREATE TABLE snapshot (
    run_id  BLOB PRIMARY KEY NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    version INTEGER NOT NULL,
    -- The run's state as JSON.
    body    TEXT NOT NULL
) STRICT;
