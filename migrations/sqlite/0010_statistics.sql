-- Statistics of tables as they were when a small database was closed: by them the planner scanned tables that have grown
-- since. Every query is written for an index, and without statistics it is used.
DROP TABLE IF EXISTS sqlite_stat1;
DROP TABLE IF EXISTS sqlite_stat4;
