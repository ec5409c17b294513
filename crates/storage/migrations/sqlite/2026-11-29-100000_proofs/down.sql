CREATE TABLE old_access_keys (
    key_id       TEXT      PRIMARY KEY,
    digest       TEXT      NOT NULL UNIQUE,
    role         TEXT      NOT NULL CHECK (role IN ('submitter', 'reader', 'admin')),
    unit_id      BIGINT    NOT NULL REFERENCES units,
    label        TEXT      NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP,
    revoked_at   TIMESTAMP,
    last_used_at TIMESTAMP
);
INSERT INTO old_access_keys SELECT key_id, digest, role, unit_id, label, created_at, expires_at, revoked_at, last_used_at FROM access_keys WHERE role <> 'metrics';
DROP TABLE access_keys;
ALTER TABLE old_access_keys RENAME TO access_keys;
DROP TABLE audit_head;
ALTER TABLE revisions DROP COLUMN salt;
