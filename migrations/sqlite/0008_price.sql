-- What models cost, and what runs have cost.

-- As an admin of the installation has said. Models without a row have no price: their runs show no cost.
CREATE TABLE price (
    -- provider/model
    model      TEXT PRIMARY KEY NOT NULL,
    -- Millionths of a US dollar per million tokens.
    input      INTEGER NOT NULL,
    output     INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Billionths of a US dollar, at the prices that the run began with; null: not all of it is known.
ALTER TABLE run ADD COLUMN cost INTEGER;
