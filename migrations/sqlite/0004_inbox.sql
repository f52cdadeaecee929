-- What waits for people, found without looking through runs.

-- When the newest open question of the run was asked; none: it asks nothing. A run may ask while others of its steps
-- still work, so its status does not tell. Derived from the log.
ALTER TABLE run ADD COLUMN asked_at INTEGER;
CREATE INDEX run_asked ON run (project_id, asked_at DESC, number DESC) WHERE asked_at IS NOT NULL;

-- Who started a run that failed, until they have looked at it or dismissed it. Runs that others called are told of by
-- their callers.
ALTER TABLE run ADD COLUMN failed_for BLOB REFERENCES user (id) ON DELETE SET NULL;
CREATE INDEX run_failed_for ON run (failed_for, project_id, finished_at DESC, number DESC) WHERE failed_for IS NOT NULL;

-- What has ended of late, by its outcome.
CREATE INDEX run_finished ON run (project_id, finished_at, status) WHERE finished_at IS NOT NULL;

-- Runs that ask now; the next turn of each says it again.
UPDATE run SET asked_at = (
    SELECT max(e.at) FROM event e WHERE e.run_id = run.id AND e.body ->> '$.kind' = 'waiting'
) WHERE status IN ('running', 'waiting') AND (
    SELECT sum(CASE e.body ->> '$.kind' WHEN 'waiting' THEN 1 WHEN 'answered' THEN -1 ELSE 0 END)
    FROM event e WHERE e.run_id = run.id
) > 0;
