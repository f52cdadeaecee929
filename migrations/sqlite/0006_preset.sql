-- Assignments of roles with a name, such as 'Quick draft', which the team shares per template.
CREATE TABLE preset (
    template_id BLOB NOT NULL REFERENCES template (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    -- Step name to role key, as JSON.
    roles       TEXT NOT NULL,
    by_name     TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (template_id, name)
) STRICT, WITHOUT ROWID;
