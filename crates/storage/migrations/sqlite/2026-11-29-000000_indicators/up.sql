-- What the code of each indicator means, so that a catalogue that changes the meaning of a code in use is rejected.
CREATE TABLE indicators (
    code        TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    value_type  TEXT NOT NULL,
    measure_vi  TEXT NOT NULL,
    measure_en  TEXT NOT NULL,
    across_time TEXT NOT NULL
);
