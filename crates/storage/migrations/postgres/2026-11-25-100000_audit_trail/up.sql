-- The audit trail: the entries of each transaction as a JSON array, with a digest of each entry and of all of them.
-- Contains no figures. Neither this table nor the next is ever updated or deleted from.
CREATE TABLE audit_batches (
    batch_id      TEXT      PRIMARY KEY,
    at            TIMESTAMP NOT NULL,
    digest        TEXT      NOT NULL,
    entry_digests TEXT      NOT NULL,
    entries       TEXT      NOT NULL
);
CREATE INDEX audit_batches_by_time ON audit_batches (at);

-- The hash chain: each seal lists batches with their digests, one per line; its head covers the head before.
CREATE TABLE audit_seals (
    number    BIGINT    PRIMARY KEY,
    sealed_at TIMESTAMP NOT NULL,
    batches   TEXT      NOT NULL,
    head      TEXT      NOT NULL
);
CREATE INDEX audit_seals_by_time ON audit_seals (sealed_at);

-- The key that made the revision.
ALTER TABLE revisions ADD COLUMN actor TEXT NOT NULL DEFAULT 'unknown';

-- Compresses long texts by lz4, which is faster than the default; keeps the default if the server was built without lz4.
DO $$ BEGIN
    ALTER TABLE revisions ALTER COLUMN figures SET COMPRESSION lz4;
    ALTER TABLE totals ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE audit_batches ALTER COLUMN entries SET COMPRESSION lz4;
    ALTER TABLE audit_seals ALTER COLUMN batches SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
