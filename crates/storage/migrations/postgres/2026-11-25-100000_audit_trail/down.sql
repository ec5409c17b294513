ALTER TABLE revisions DROP COLUMN actor;
DROP TABLE audit_seals;
DROP TABLE audit_batches;
