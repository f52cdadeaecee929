-- How many runs a version has had, so that no page counts them. Kept by the launch, in its own transaction; apart from
-- the version, whose row is large and otherwise never written again.
CREATE TABLE template_use (
    template_id BLOB NOT NULL REFERENCES template (id) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    runs        INTEGER NOT NULL,
    PRIMARY KEY (template_id, version)
) STRICT, WITHOUT ROWID;

INSERT INTO template_use (template_id, version, runs)
SELECT r.template_id, r.template_version, count(*)
FROM run r JOIN template t ON t.id = r.template_id
GROUP BY r.template_id, r.template_version;
