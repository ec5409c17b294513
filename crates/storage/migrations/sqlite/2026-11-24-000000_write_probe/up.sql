-- One row without meaning, written to test whether the database accepts writes again after a failed one.
CREATE TABLE write_probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    filler TEXT    NOT NULL
);
