-- Ids are UUIDv7 as 16-byte blobs, times are milliseconds since 1970 UTC, documents are JSON text.

CREATE TABLE user (
    id            BLOB PRIMARY KEY NOT NULL,
    email         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    admin         INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
) STRICT;

-- Tokens of sessions, API clients and sign-in links are stored as SHA-256 digests only.
CREATE TABLE session (
    digest     BLOB PRIMARY KEY NOT NULL,
    user_id    BLOB NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_user ON session (user_id);

CREATE TABLE api_token (
    id           BLOB PRIMARY KEY NOT NULL,
    user_id      BLOB NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    digest       BLOB NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX api_token_name ON api_token (user_id, name) WHERE revoked_at IS NULL;

-- The first-run link: at most one row, gone once an admin exists.
CREATE TABLE first_run (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    digest     BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE project (
    id         BLOB PRIMARY KEY NOT NULL,
    key        TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    -- The number of the newest run.
    last_run   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
    project_id BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    user_id    BLOB NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    permission TEXT NOT NULL CHECK (permission IN ('viewer', 'editor', 'admin')),
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_user ON member (user_id);

CREATE TABLE provider (
    id                  BLOB PRIMARY KEY NOT NULL,
    key                 TEXT NOT NULL UNIQUE,
    kind                TEXT NOT NULL,
    base_url            TEXT,
    -- XChaCha20-Poly1305: nonce, then ciphertext. The installation's key lies in the data folder.
    sealed_key          BLOB,
    max_concurrent      INTEGER,
    requests_per_minute INTEGER,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
) STRICT;

CREATE TABLE role (
    id         BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    -- The newest version.
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
-- A key is free again once its role is deleted; runs keep the versions they used.
CREATE UNIQUE INDEX role_key ON role (project_id, key) WHERE deleted_at IS NULL;

CREATE TABLE role_version (
    role_id     BLOB NOT NULL REFERENCES role (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    base_prompt TEXT NOT NULL,
    model       TEXT NOT NULL,
    temperature REAL,
    max_tokens  INTEGER,
    tools       TEXT NOT NULL,
    created_by  BLOB REFERENCES user (id) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (role_id, version)
) STRICT;

CREATE TABLE template (
    id         BLOB PRIMARY KEY NOT NULL,
    project_id BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX template_key ON template (project_id, key) WHERE deleted_at IS NULL;

CREATE TABLE template_version (
    template_id BLOB NOT NULL REFERENCES template (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    steps       INTEGER NOT NULL,
    -- The parsed document (JSON), and the YAML as its author wrote it.
    document    TEXT NOT NULL,
    source      TEXT NOT NULL,
    created_by  BLOB REFERENCES user (id) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (template_id, version)
) STRICT;

CREATE TABLE task (
    id          BLOB PRIMARY KEY NOT NULL,
    project_id  BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    parent_id   BLOB REFERENCES task (id) ON DELETE CASCADE,
    title       TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    status      TEXT NOT NULL DEFAULT 'active',
    mode        TEXT NOT NULL DEFAULT 'interactive',
    created_at  INTEGER NOT NULL,
    -- When its conversation last moved: lists are in this order.
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX task_recent ON task (project_id, updated_at DESC, id DESC);

CREATE TABLE message (
    id         BLOB PRIMARY KEY NOT NULL,
    task_id    BLOB NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    author     TEXT NOT NULL CHECK (author IN ('user', 'assistant', 'system')),
    user_id    BLOB REFERENCES user (id) ON DELETE SET NULL,
    content    TEXT NOT NULL,
    metadata   TEXT,
    run_id     BLOB,
    created_at INTEGER NOT NULL
) STRICT;
-- UUIDv7 ids rise with time, so they order a conversation.
CREATE INDEX message_task ON message (task_id, id DESC);

CREATE TABLE run (
    id               BLOB PRIMARY KEY NOT NULL,
    project_id       BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    number           INTEGER NOT NULL,
    -- Null for the built-in template.
    template_id      BLOB,
    template_key     TEXT NOT NULL,
    template_version INTEGER NOT NULL,
    template_name    TEXT NOT NULL,
    task_id          BLOB NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    message_id       BLOB NOT NULL,
    started_by       BLOB REFERENCES user (id) ON DELETE SET NULL,
    started_by_name  TEXT NOT NULL,
    -- JSON: what was given and what was settled at launch (role versions by id).
    snapshot         TEXT NOT NULL,
    -- Derived from the log, for lists.
    status           TEXT NOT NULL,
    warnings         INTEGER NOT NULL DEFAULT 0,
    error            TEXT,
    input_tokens     INTEGER NOT NULL DEFAULT 0,
    output_tokens    INTEGER NOT NULL DEFAULT 0,
    -- The fence: every append is conditional on it.
    last_seq         INTEGER NOT NULL,
    idempotency_key  TEXT,
    -- Digest of the launch's body, to tell a repeat from a clash.
    request_digest   BLOB,
    created_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    UNIQUE (project_id, number)
) STRICT;
CREATE UNIQUE INDEX run_idempotency ON run (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX run_live ON run (project_id) WHERE status IN ('queued', 'running', 'waiting');
CREATE INDEX run_template ON run (project_id, template_key, number DESC);
CREATE INDEX run_status ON run (project_id, status, number DESC);
CREATE INDEX run_task ON run (task_id);

CREATE TABLE event (
    run_id BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    -- The event's kind and fields, as JSON.
    body   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- Prompts, inputs and outputs: stored once, referred to by events.
CREATE TABLE content (
    id     BLOB PRIMARY KEY NOT NULL,
    run_id BLOB NOT NULL,
    body   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened in a project, for lists that keep themselves current. Pruned; nothing depends on its past.
CREATE TABLE change (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id BLOB NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE INDEX change_project ON change (project_id, seq);
