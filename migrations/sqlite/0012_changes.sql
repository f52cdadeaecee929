-- Changes are thrown away project by project: the newest one that was. Who stands before it has missed some, and is told.
ALTER TABLE project ADD COLUMN changes_from INTEGER NOT NULL DEFAULT 0;
UPDATE project SET changes_from = coalesce((SELECT min(seq) FROM change), 1) - 1;
