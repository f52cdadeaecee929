-- What pages and the start ask for is read in the order of an index, whatever the size of the tables.

-- The dashboard: live runs, the newest first, without those that have ended.
CREATE INDEX run_live_recent ON run (project_id, number DESC) WHERE status IN ('queued', 'running', 'waiting');
-- Outcomes of late: per status the runs since then lie beside each other.
DROP INDEX run_finished;
CREATE INDEX run_finished ON run (project_id, status, finished_at) WHERE finished_at IS NOT NULL;
-- Each sign-in ends the sessions that have expired.
CREATE INDEX session_expires ON session (expires_at);
-- Launches and lists read roles in the order of their creation.
CREATE INDEX role_order ON role (project_id, id) WHERE deleted_at IS NULL;

-- How many messages a conversation has, so that no list counts them.
ALTER TABLE task ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
UPDATE task SET messages = (SELECT count(*) FROM message m WHERE m.task_id = task.id);
CREATE TRIGGER message_counted AFTER INSERT ON message BEGIN
    UPDATE task SET messages = messages + 1 WHERE id = new.task_id;
END;
CREATE TRIGGER message_uncounted AFTER DELETE ON message BEGIN
    UPDATE task SET messages = messages - 1 WHERE id = old.task_id;
END;

-- When the newest version was saved: lists are in this order.
ALTER TABLE template ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE template SET updated_at = coalesce((SELECT v.created_at FROM template_version v
    WHERE v.template_id = template.id AND v.version = template.version), created_at);
CREATE INDEX template_recent ON template (project_id, updated_at DESC, id DESC) WHERE deleted_at IS NULL;

-- The documents stand last in their rows: what stood behind them could only be read through them.
CREATE TABLE template_version_new (
    template_id BLOB NOT NULL REFERENCES template (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    steps       INTEGER NOT NULL,
    created_by  BLOB REFERENCES user (id) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL,
    -- The parsed document (JSON), and the YAML as its author wrote it.
    document    TEXT NOT NULL,
    source      TEXT NOT NULL,
    PRIMARY KEY (template_id, version)
) STRICT;
INSERT INTO template_version_new
    SELECT template_id, version, name, description, steps, created_by, created_at, document, source
    FROM template_version;
DROP TABLE template_version;
ALTER TABLE template_version_new RENAME TO template_version;
CREATE TRIGGER template_saved AFTER INSERT ON template_version BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('template', new.template_id);
END;
