//! Who may do what on PostgreSQL: for whom a transaction works, what the policies on rows need to know, and the rights of
//! the service's roles. An embedded database has one process and one file, whose owner may do everything.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tonghop_domain::{Catalogue, KeyId};

use crate::conn::Conn;
use crate::schema::{form_periods, reach};
use crate::{Store, StoreError};

/// For whom a transaction works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Beneficiary {
    /// For the service itself, which must see all submissions to add them up.
    Service,
    /// For the holder of a key, who sees what it reaches.
    Key(KeyId),
}

impl Beneficiary {
    /// The statement by which a transaction says so. Where none did, it would see nothing.
    pub(crate) fn statement(&self) -> String {
        match self {
            Self::Service => "SET LOCAL tonghop.key = '*'".to_owned(),
            // Letters and digits.
            Self::Key(id) => format!("SET LOCAL tonghop.key = '{id}'"),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = reach)]
struct ReachRow {
    ancestor_id: i64,
    unit_id: i64,
    from_day: String,
    to_day: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = form_periods)]
struct FormPeriodRow {
    form: String,
    period: String,
    last_day: String,
}

/// How many rows are inserted together.
const TOGETHER: usize = 5000;

/// Writes down who is at or below whom, for the policies.
pub(crate) async fn write_reach(conn: &mut Conn, catalogue: &Catalogue) -> Result<(), StoreError> {
    let Conn::Pg(object) = conn else {
        return Ok(());
    };
    let conn: &mut AsyncPgConnection = &mut *object;
    let day = |day: NaiveDate| day.to_string();
    let rows: Vec<ReachRow> = catalogue
        .reach()
        .into_iter()
        .map(|reach| ReachRow {
            ancestor_id: reach.ancestor.0,
            unit_id: reach.unit.0,
            from_day: reach.from.map(day).unwrap_or_default(),
            to_day: reach.to.map(day),
        })
        .collect();
    diesel::delete(reach::table).execute(conn).await?;
    for rows in rows.chunks(TOGETHER) {
        diesel::insert_into(reach::table)
            .values(rows)
            .execute(conn)
            .await?;
    }
    let rows: Vec<FormPeriodRow> = catalogue
        .form_periods()
        .map(|(form, period, last_day)| FormPeriodRow {
            form: form.to_string(),
            period: period.to_string(),
            last_day: day(last_day),
        })
        .collect();
    diesel::delete(form_periods::table).execute(conn).await?;
    for rows in rows.chunks(TOGETHER) {
        diesel::insert_into(form_periods::table)
            .values(rows)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The role of api processes.
pub const API_ROLE: &str = "tonghop_api";
/// The role of aggregator processes.
pub const AGGREGATOR_ROLE: &str = "tonghop_aggregator";

/// Makes the roles, if there are none and this session may.
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

/// What each role may do, and nothing else. What neither may: change or delete revisions and entries of the audit trail.
/// UPDATE of a single column is there for the row lock that it allows.
const GRANTS: &str = "
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM tonghop_api, tonghop_aggregator;
GRANT SELECT ON catalogue, units, reach, form_periods, submissions, revisions, totals, marks, access_keys,
    idempotency_keys, outbox, write_probe, __diesel_schema_migrations TO tonghop_api;
GRANT UPDATE (id) ON catalogue TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE ON submissions TO tonghop_api;
GRANT INSERT ON revisions, marks TO tonghop_api;
GRANT INSERT, UPDATE, DELETE ON idempotency_keys TO tonghop_api;
GRANT INSERT, UPDATE, DELETE ON outbox TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE ON write_probe TO tonghop_api, tonghop_aggregator;
GRANT INSERT, UPDATE (revoked_at, last_used_at) ON access_keys TO tonghop_api;
GRANT SELECT, INSERT ON audit_batches, audit_seals TO tonghop_api;
GRANT SELECT ON catalogue, units, reach, form_periods, submissions, revisions, totals, marks, outbox, write_probe,
    __diesel_schema_migrations TO tonghop_aggregator;
GRANT SELECT (key_id, unit_id) ON access_keys TO tonghop_aggregator;
GRANT INSERT, UPDATE ON totals TO tonghop_aggregator;
GRANT INSERT, DELETE ON marks TO tonghop_aggregator;
GRANT SELECT (caller, key, created_at), DELETE ON idempotency_keys TO tonghop_aggregator;
";

/// Gives the service's roles their rights. Answers whether there are such roles.
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

impl Store {
    /// Whether the database itself keeps this process from rows that the key it works for does not reach. It does not
    /// for the tables' owner, for superusers, and in SQLite.
    ///
    /// # Errors
    /// As for every call.
    pub async fn has_row_security(&self) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Active {
            #[diesel(sql_type = Bool)]
            active: bool,
        }
        self.look(|conn| {
            Box::pin(async move {
                let Conn::Pg(object) = conn else {
                    return Ok(false);
                };
                let query = diesel::sql_query("SELECT row_security_active('submissions') AS active");
                let Active { active } = query.get_result(&mut **object).await?;
                Ok(active)
            })
        })
        .await
    }
}
