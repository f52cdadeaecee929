-- Runs side by side, and what people think of them.

-- Two or more runs: of one launch with several assignments, or put together by hand.
CREATE TABLE comparison (
    project_id BLOB NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    -- Their numbers, rising, with commas between.
    runs       TEXT NOT NULL,
    -- Of the first of them, for lists.
    template   TEXT NOT NULL,
    by_name    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, runs)
) STRICT, WITHOUT ROWID;
CREATE INDEX comparison_recent ON comparison (project_id, created_at DESC, runs DESC);

-- What a member thinks of a comparison, or of one step of it. Everybody has one verdict of their own on each.
CREATE TABLE verdict (
    project_id BLOB NOT NULL,
    runs       TEXT NOT NULL,
    -- Empty: on the whole.
    step       TEXT NOT NULL,
    user_id    BLOB NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    by_name    TEXT NOT NULL,
    -- The number of the better run; null: they are as good as each other.
    winner     INTEGER,
    note       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (project_id, runs, step, user_id),
    FOREIGN KEY (project_id, runs) REFERENCES comparison (project_id, runs) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_user ON verdict (user_id);

-- What a verdict means for each run in it, and for the roles that were at work: what totals are made of.
CREATE TABLE verdict_side (
    project_id       BLOB NOT NULL,
    runs             TEXT NOT NULL,
    step             TEXT NOT NULL,
    user_id          BLOB NOT NULL,
    run              INTEGER NOT NULL,
    -- Where the role was at work; empty: the run as a whole.
    at_step          TEXT NOT NULL,
    template_key     TEXT NOT NULL,
    template_version INTEGER NOT NULL,
    role_key         TEXT,
    model            TEXT,
    -- won, lost or same
    outcome          TEXT NOT NULL,
    PRIMARY KEY (project_id, runs, step, user_id, run, at_step),
    FOREIGN KEY (project_id, runs, step, user_id)
        REFERENCES verdict (project_id, runs, step, user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
