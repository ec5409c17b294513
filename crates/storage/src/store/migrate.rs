//! Migrations and adoption of a catalogue.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::{Connection, QueryableByName, SqliteConnection};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tonghop_domain::Catalogue;

use crate::database::acting_as::ActingAs;
use crate::database::clock::clock;
use crate::database::connection::{Conn, Purpose};
use crate::database::pool::Pools;
use crate::database::postgres::PgConnection;
use crate::database::roles;
use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::database::url::DatabaseUrl;
use crate::error::StoreError;
use crate::queries::catalogue;
use crate::store::Store;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How long a migration waits for services that write to the database.
const PATIENCE: Duration = Duration::from_secs(30);

/// Taken by the one process that migrates a PostgreSQL database.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7405318890)";

/// A statement of an adoption may read every report or write every unit, and no caller waits for it.
const NO_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";

impl Store {
    /// Migrates a database to this version and adopts the catalogue. Can be repeated.
    ///
    /// # Errors
    /// `Unavailable`, or `CatalogueInUse` when reports use what the catalogue lacks or changes.
    pub async fn migrate(url: &DatabaseUrl, catalogue: &Catalogue) -> Result<(), StoreError> {
        run(url).await?;
        adopt(url, catalogue).await
    }

    /// Grants the roles of api and aggregator processes, [`API_ROLE`](crate::API_ROLE) and
    /// [`AGGREGATOR_ROLE`](crate::AGGREGATOR_ROLE), their rights in a PostgreSQL database; creates the roles if this
    /// session is allowed to. Returns whether the roles exist.
    ///
    /// # Errors
    /// `Unavailable`, also when the session does not own the tables.
    pub async fn grant(url: &DatabaseUrl) -> Result<bool, StoreError> {
        grant(url).await
    }

    /// Checks that all migrations of this version have run.
    ///
    /// # Errors
    /// `NotMigrated` if one has not.
    pub(super) async fn check_migrated(url: &DatabaseUrl) -> Result<(), StoreError> {
        check(url).await
    }
}

async fn run(url: &DatabaseUrl) -> Result<(), StoreError> {
    match url.clone() {
        DatabaseUrl::Postgres(url) => {
            let conn = PgConnection::establish(&url, MIGRATION_LOCK)
                .await
                .map_err(StoreError::unavailable)?;
            blocking(move || migrate(&mut AsyncMigrationHarness::new(conn.into_inner()), POSTGRES)).await
        }
        DatabaseUrl::Sqlite(path) => {
            blocking(move || {
                create_for_owner_only(&path)?;
                let mut conn =
                    SqliteConnection::establish(&path.to_string_lossy()).map_err(StoreError::unavailable)?;
                let patience = format!("PRAGMA busy_timeout = {}", PATIENCE.as_millis());
                conn.batch_execute(&format!("{SQLITE_SETTINGS}; {patience}"))
                    .map_err(StoreError::unavailable)?;
                migrate(&mut conn, SQLITE)
            })
            .await
        }
    }
}

/// Adopts a catalogue. Services that write at the same time go first.
async fn adopt(url: &DatabaseUrl, catalogue: &Catalogue) -> Result<(), StoreError> {
    let (pools, started) = (Pools::new(url)?, Instant::now());
    loop {
        match try_to_adopt(&pools, catalogue).await {
            Err(StoreError::Contention(_)) if started.elapsed() < PATIENCE => {}
            done => return done,
        }
    }
}

async fn try_to_adopt(pools: &Pools, catalogue: &Catalogue) -> Result<(), StoreError> {
    let mut tx = pools.begin(Purpose::Write, &ActingAs::Service).await?;
    let conn = tx.conn()?;
    let adopting = async {
        if let Conn::Pg(object) = conn {
            object.batch_execute(NO_TIMEOUT).await?;
        }
        let now = clock(conn).await?;
        catalogue::adopt(conn, catalogue, now).await
    };
    match adopting.await {
        Ok(()) => tx.commit().await,
        Err(error) => Err(tx.abort(error).await),
    }
}

/// Creates the file if it is missing, readable by its owner only. SQLite gives its other files the same permissions.
fn create_for_owner_only(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path);
    opened
        .map(drop)
        .map_err(|error| StoreError::unavailable(format!("{}: {error}", path.display())))
}

/// Grants the service's roles their rights in a PostgreSQL database. Returns whether the roles exist.
async fn grant(url: &DatabaseUrl) -> Result<bool, StoreError> {
    let DatabaseUrl::Postgres(url) = url.clone() else {
        return Ok(false);
    };
    let mut conn = PgConnection::establish(&url, MIGRATION_LOCK)
        .await
        .map_err(StoreError::unavailable)?;
    roles::grant(&mut conn).await
}

/// Checks that all migrations of this version have run.
///
/// # Errors
/// `NotMigrated` if one has not.
async fn check(url: &DatabaseUrl) -> Result<(), StoreError> {
    let DatabaseUrl::Postgres(url) = url.clone() else {
        return Ok(());
    };
    let mut conn = PgConnection::establish(&url, "SELECT 1")
        .await
        .map_err(StoreError::unavailable)?;
    // diesel's own harness would create the table if it is missing, which only its owner can.
    let query = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS exists";
    let Table { exists } = diesel::sql_query(query).get_result(&mut *conn).await?;
    if !exists {
        return Err(StoreError::NotMigrated);
    }
    let query = diesel::sql_query("SELECT version FROM __diesel_schema_migrations");
    let ran: Vec<Version> = query.load(&mut *conn).await?;
    let migrations =
        MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).map_err(StoreError::unavailable)?;
    let has_run = |migration: &dyn Migration<diesel::pg::Pg>| {
        let version = migration.name().version().to_string();
        ran.iter().any(|ran| ran.version == version)
    };
    if migrations.iter().all(|migration| has_run(migration.as_ref())) {
        Ok(())
    } else {
        Err(StoreError::NotMigrated)
    }
}

/// Whether a table exists.
#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    exists: bool,
}

/// The version of a migration that has run.
#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn migrate<Db: diesel::backend::Backend>(
    harness: &mut impl MigrationHarness<Db>,
    migrations: EmbeddedMigrations,
) -> Result<(), StoreError>
where
    EmbeddedMigrations: diesel::migration::MigrationSource<Db>,
{
    harness
        .run_pending_migrations(migrations)
        .map_err(StoreError::unavailable)?;
    Ok(())
}

/// Runs migrations, which block, on a thread for blocking work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(StoreError::unavailable)?
}
