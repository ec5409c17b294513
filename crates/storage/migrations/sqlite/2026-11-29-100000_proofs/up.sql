-- The salt of each revision's proof, which the audit trail contains.
ALTER TABLE revisions ADD COLUMN salt TEXT NOT NULL DEFAULT '';

-- A copy of the last seal: if the last seals are removed, the chain goes on after them, and the gap shows.
CREATE TABLE audit_head (
    id        INTEGER   PRIMARY KEY CHECK (id = 1),
    number    BIGINT    NOT NULL,
    digest    TEXT      NOT NULL,
    sealed_at TIMESTAMP NOT NULL
);
INSERT INTO audit_head SELECT 1, number, head, sealed_at FROM audit_seals ORDER BY number DESC LIMIT 1;

-- Who created a key; the units within which alone it acts, as ids with spaces between them; and the role of monitoring.
CREATE TABLE new_access_keys (
    key_id       TEXT      PRIMARY KEY,
    digest       TEXT      NOT NULL UNIQUE,
    role         TEXT      NOT NULL CHECK (role IN ('submitter', 'reader', 'admin', 'metrics')),
    unit_id      BIGINT    NOT NULL REFERENCES units,
    label        TEXT      NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP,
    revoked_at   TIMESTAMP,
    last_used_at TIMESTAMP,
    created_by   TEXT      NOT NULL DEFAULT 'local-operator',
    within       TEXT      NOT NULL DEFAULT ''
);
INSERT INTO new_access_keys (key_id, digest, role, unit_id, label, created_at, expires_at, revoked_at, last_used_at) SELECT key_id, digest, role, unit_id, label, created_at, expires_at, revoked_at, last_used_at FROM access_keys;
DROP TABLE access_keys;
ALTER TABLE new_access_keys RENAME TO access_keys;
CREATE INDEX access_keys_by_time ON access_keys (created_at, key_id);
CREATE INDEX access_keys_by_revocation ON access_keys (revoked_at);
CREATE INDEX access_keys_by_unit ON access_keys (unit_id);
