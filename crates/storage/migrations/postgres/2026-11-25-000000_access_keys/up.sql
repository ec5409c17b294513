-- Access keys with the digests of their tokens. Never deleted: the audit trail names revoked keys, too.
CREATE TABLE access_keys (
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
