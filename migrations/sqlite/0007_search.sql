-- Full-text search. Indexing costs more than the writing of what is indexed, so it is done beside runs and people: what
-- changed is noted here by triggers, in its own transaction, and taken up by the engine soon after.

CREATE TABLE search_due (
    id      INTEGER PRIMARY KEY NOT NULL,
    kind    TEXT NOT NULL,
    subject BLOB NOT NULL
) STRICT;

-- What is in the index. A subject keeps its number, by which the index knows it; later ones are newer.
CREATE TABLE search_entry (
    id      INTEGER PRIMARY KEY NOT NULL,
    subject BLOB NOT NULL UNIQUE
) STRICT;

-- `scope` is one word of the kind's letter and the project's id, so that a search never reads another project's entries.
CREATE VIRTUAL TABLE search USING fts5 (
    scope, text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);

CREATE TRIGGER message_made AFTER INSERT ON message WHEN new.content <> '' BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('message', new.id);
END;
CREATE TRIGGER message_written AFTER UPDATE OF content ON message WHEN new.content <> old.content BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('message', new.id);
END;
CREATE TRIGGER message_gone AFTER DELETE ON message BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('message', old.id);
END;
CREATE TRIGGER task_made AFTER INSERT ON task BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('conversation', new.id);
END;
CREATE TRIGGER task_renamed AFTER UPDATE OF title ON task WHEN new.title <> old.title BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('conversation', new.id);
END;
CREATE TRIGGER task_gone AFTER DELETE ON task BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('conversation', old.id);
END;
CREATE TRIGGER template_saved AFTER INSERT ON template_version BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('template', new.template_id);
END;
CREATE TRIGGER template_deleted AFTER UPDATE OF deleted_at ON template BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('template', new.id);
END;
CREATE TRIGGER role_saved AFTER INSERT ON role_version BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('role', new.role_id);
END;
CREATE TRIGGER role_deleted AFTER UPDATE OF deleted_at ON role BEGIN
    INSERT INTO search_due (kind, subject) VALUES ('role', new.id);
END;

-- What is there already, oldest first.
INSERT INTO search_due (kind, subject) SELECT 'template', id FROM template WHERE deleted_at IS NULL;
INSERT INTO search_due (kind, subject) SELECT 'role', id FROM role WHERE deleted_at IS NULL;
INSERT INTO search_due (kind, subject) SELECT 'conversation', id FROM task ORDER BY id;
INSERT INTO search_due (kind, subject) SELECT 'message', id FROM message WHERE content <> '' ORDER BY id;
