-- Since when the limit at wake_at runs: one that began in the future was set by a clock that was ahead.
ALTER TABLE run ADD COLUMN wake_from INTEGER;
-- How often the run was taken up since it got any further: a run that takes the server down must not do so for ever.
ALTER TABLE run ADD COLUMN takes INTEGER NOT NULL DEFAULT 0;
-- The run that began the tree of runs that this one belongs to; null: itself.
ALTER TABLE run ADD COLUMN root_id BLOB;
-- How many runs the tree has that this run began.
ALTER TABLE run ADD COLUMN tree_runs INTEGER NOT NULL DEFAULT 1;
DROP INDEX run_wake;
CREATE INDEX run_wake ON run (wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX run_takes ON run (takes) WHERE takes > 0;
