-- What each transaction wrote into the audit trail, with a digest of each entry and of all of them. Never updated,
-- never deleted, like the two tables below.
CREATE TABLE audit_batches (
    batch_id      TEXT      PRIMARY KEY,
    at            TIMESTAMP NOT NULL,
    digest        TEXT      NOT NULL,
    entry_digests TEXT      NOT NULL
);
CREATE INDEX audit_batches_by_time ON audit_batches (at);

-- Who did what. Holds no figures. Its batch is written by the same statement, and its digest is of these entries.
CREATE TABLE audit_entries (
    batch_id   TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    form       TEXT,
    period     TEXT,
    unit_id    BIGINT,
    about      TEXT,
    address    TEXT,
    request_id TEXT,
    count      BIGINT  NOT NULL,
    PRIMARY KEY (batch_id, number)
);

-- The chain: each seal names batches with their digests, a line each; its head holds the head before.
CREATE TABLE audit_seals (
    number    BIGINT    PRIMARY KEY,
    sealed_at TIMESTAMP NOT NULL,
    batches   TEXT      NOT NULL,
    head      TEXT      NOT NULL
);
CREATE INDEX audit_seals_by_time ON audit_seals (sealed_at);

-- Whose key made the revision.
ALTER TABLE revisions ADD COLUMN actor TEXT NOT NULL DEFAULT 'unknown';
