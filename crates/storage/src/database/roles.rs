//! The roles of the service on PostgreSQL and their rights. An embedded database has one process and one file, whose
//! owner may do everything.

use diesel::QueryableByName;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::error::StoreError;

/// The role of api processes.
pub const API_ROLE: &str = "tonghop_api";
/// The role of aggregator processes.
pub const AGGREGATOR_ROLE: &str = "tonghop_aggregator";

/// Creates the roles if they are missing and this session is allowed to.
const CREATE_ROLES: &str = "DO $$
DECLARE wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['tonghop_api', 'tonghop_aggregator'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                -- Another migration on the same server made it.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN NULL;
            END;
        END IF;
    END LOOP;
END $$";

/// The rights of each role, and no others. Neither can change or delete revisions or audit entries. UPDATE of a single
/// column is granted for the row locks that it permits.
const GRANTS: &str = "
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM tonghop_api, tonghop_aggregator;
GRANT SELECT ON catalogue, units, unit_ancestry, form_periods, submissions, revisions, totals, marks, access_keys,
    idempotency_keys, outbox, write_probe, __diesel_schema_migrations TO tonghop_api;
GRANT UPDATE (id) ON catalogue TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE (revision, status, digest, first_received_at, received_at) ON submissions TO tonghop_api;
GRANT INSERT ON revisions, marks TO tonghop_api;
GRANT INSERT, UPDATE, DELETE ON idempotency_keys TO tonghop_api;
GRANT INSERT, UPDATE, DELETE ON outbox TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE ON write_probe TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE (revoked_at, last_used_at) ON access_keys TO tonghop_api;
GRANT SELECT, INSERT ON audit_batches, audit_seals TO tonghop_api;
GRANT SELECT, INSERT, UPDATE ON audit_head TO tonghop_api;
GRANT SELECT ON catalogue, units, unit_ancestry, form_periods, submissions, revisions, totals, marks, outbox, write_probe,
    __diesel_schema_migrations TO tonghop_aggregator;
GRANT SELECT (key_id, unit_id, role, within) ON access_keys TO tonghop_aggregator;
GRANT INSERT, UPDATE ON totals TO tonghop_aggregator;
GRANT INSERT, DELETE ON marks TO tonghop_aggregator;
GRANT SELECT (caller, key, created_at), DELETE ON idempotency_keys TO tonghop_aggregator;
";

/// Grants the roles their rights. Returns whether the roles exist.
pub(crate) async fn grant(conn: &mut AsyncPgConnection) -> Result<bool, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    conn.batch_execute(CREATE_ROLES).await?;
    let query =
        "SELECT count(*) = 2 AS found FROM pg_roles WHERE rolname IN ('tonghop_api', 'tonghop_aggregator')";
    let Found { found } = diesel::sql_query(query).get_result(conn).await?;
    if found {
        conn.batch_execute(&format!("BEGIN; {GRANTS} COMMIT")).await?;
    }
    Ok(found)
}
