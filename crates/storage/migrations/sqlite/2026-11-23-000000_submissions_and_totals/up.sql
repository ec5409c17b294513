-- The digest of the catalogue, without which no other table can be read. Every writing transaction share-locks the row.
CREATE TABLE catalogue (
    id         INTEGER   PRIMARY KEY CHECK (id = 1),
    digest     TEXT      NOT NULL,
    adopted_at TIMESTAMP NOT NULL
);

-- Stable ids for units, whose codes are reused over the years. Dates are ISO 8601; NULL is open.
CREATE TABLE units (
    unit_id    BIGINT PRIMARY KEY,
    code       TEXT   NOT NULL,
    valid_from TEXT,
    valid_to   TEXT
);

-- The heads: one row per submission with its current state.
CREATE TABLE submissions (
    submission_id     TEXT      PRIMARY KEY,
    form              TEXT      NOT NULL,
    period            TEXT      NOT NULL,
    unit_id           BIGINT    NOT NULL REFERENCES units,
    revision          INTEGER   NOT NULL,
    status            TEXT      NOT NULL CHECK (status IN ('accepted', 'withdrawn')),
    digest            TEXT      NOT NULL,
    first_received_at TIMESTAMP NOT NULL,
    received_at       TIMESTAMP NOT NULL,
    UNIQUE (form, period, unit_id)
);
CREATE INDEX submissions_by_time ON submissions (received_at, submission_id);

-- Never updated, never deleted.
CREATE TABLE revisions (
    submission_id TEXT      NOT NULL REFERENCES submissions,
    revision      INTEGER   NOT NULL CHECK (revision > 0),
    status        TEXT      NOT NULL CHECK (status IN ('accepted', 'withdrawn')),
    received_at   TIMESTAMP NOT NULL,
    figures       TEXT      NOT NULL,
    note          TEXT,
    PRIMARY KEY (submission_id, revision)
);

-- One row per form, period and unit with units below it.
CREATE TABLE totals (
    form         TEXT      NOT NULL,
    period       TEXT      NOT NULL,
    unit_id      BIGINT    NOT NULL REFERENCES units,
    version      BIGINT    NOT NULL,
    refreshed_at TIMESTAMP NOT NULL,
    body         TEXT      NOT NULL,
    PRIMARY KEY (form, period, unit_id)
);

-- Totals that may be stale, and since when. Insert-only; a refresh deletes exactly the marks that it has read.
CREATE TABLE marks (
    mark_id INTEGER   PRIMARY KEY AUTOINCREMENT,
    form    TEXT      NOT NULL,
    period  TEXT      NOT NULL,
    unit_id BIGINT    NOT NULL,
    since   TIMESTAMP NOT NULL
);
CREATE INDEX marks_by_total ON marks (form, period, unit_id);
CREATE INDEX marks_by_time ON marks (since);

-- The request and the response of each caller's idempotency keys.
CREATE TABLE idempotency_keys (
    caller        TEXT      NOT NULL,
    key           TEXT      NOT NULL,
    request       TEXT      NOT NULL,
    created       BOOLEAN   NOT NULL,
    submission_id TEXT      NOT NULL,
    revision      INTEGER   NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Announcements to be published.
CREATE TABLE outbox (
    outbox_id     TEXT      PRIMARY KEY,
    announcement  TEXT      NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    claimed_until TIMESTAMP
);
