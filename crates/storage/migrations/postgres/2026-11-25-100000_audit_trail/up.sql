-- Who did what: the entries that each transaction wrote, as a JSON array, with a digest of each entry and of all of them.
-- Holds no figures. Never updated, never deleted, like the table below.
CREATE TABLE audit_batches (
    batch_id      TEXT      PRIMARY KEY,
    at            TIMESTAMP NOT NULL,
    digest        TEXT      NOT NULL,
    entry_digests TEXT      NOT NULL,
    entries       TEXT      NOT NULL
);
CREATE INDEX audit_batches_by_time ON audit_batches (at);

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

-- Long texts are compressed by lz4, in less time than the default takes; by that where a server was built without lz4.
DO $$ BEGIN
    ALTER TABLE revisions ALTER COLUMN figures SET COMPRESSION lz4;
    ALTER TABLE totals ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE audit_batches ALTER COLUMN entries SET COMPRESSION lz4;
    ALTER TABLE audit_seals ALTER COLUMN batches SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
