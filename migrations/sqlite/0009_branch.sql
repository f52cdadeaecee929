-- Branches of conversations, what each member has seen of them, and searching within one.

-- A message that was edited and sent again begins a branch beside the message it `replaces`, and shares what stands
-- before that one. `branch` is the branch a message stands on, by the id of its first message; null: the trunk. A
-- conversation where nothing was edited has nulls alone.
ALTER TABLE message ADD COLUMN branch BLOB;
ALTER TABLE message ADD COLUMN replaces BLOB;
CREATE INDEX message_branch ON message (task_id, branch, id DESC);
CREATE INDEX message_replaces ON message (replaces, id) WHERE replaces IS NOT NULL;

-- The newest runs of a conversation, and its live ones, without looking through the others.
DROP INDEX run_task;
CREATE INDEX run_task ON run (task_id, number DESC);
DROP INDEX run_live;
CREATE INDEX run_live ON run (project_id, task_id) WHERE status IN ('queued', 'running', 'waiting');

-- When a member last looked at a conversation.
CREATE TABLE seen (
    user_id BLOB NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    task_id BLOB NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, task_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_task ON seen (task_id);

-- The index now also knows which conversation a message belongs to; it takes up what is there anew.
INSERT INTO search_due (kind, subject) SELECT 'message', id FROM message WHERE content <> '' ORDER BY id;
