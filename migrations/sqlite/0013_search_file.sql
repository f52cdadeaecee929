-- The full-text index has a file of its own, so that writing it holds up no commit here. It is made again from what is
-- there when it is lost: then it has taken in fewer batches than were crossed off here. The one that was here goes.
DROP TABLE search;
DROP TABLE search_entry;
CREATE TABLE search_taken (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    batches INTEGER NOT NULL
) STRICT;
INSERT INTO search_taken (id, batches) VALUES (1, 1);
