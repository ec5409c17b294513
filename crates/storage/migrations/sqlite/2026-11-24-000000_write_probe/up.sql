-- One row without meaning, written to find out whether the database takes changes again after it refused one.
CREATE TABLE write_probe (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    filler TEXT    NOT NULL
);
