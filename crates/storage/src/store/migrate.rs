//! Brings a database to this version.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::{Connection, QueryableByName, SqliteConnection};
use diesel_async::{AsyncMigrationHarness, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tonghop_domain::Catalogue;

use crate::database::acting_as::ActingAs;
use crate::database::clock::clock;
use crate::database::pool::{Pools, Purpose};
use crate::database::postgres::PgConnection;
use crate::database::roles;
use crate::database::sqlite_settings::SQLITE_SETTINGS;
use crate::database::url::DatabaseUrl;
use crate::error::StoreError;
use crate::queries::catalogue;
use crate::store::Store;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// For how long a migration tries to get its turn beside services that record. Nobody waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Contended by the one process that migrates a PostgreSQL database.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7405318890)";

impl Store {
    /// Brings a database to this version and makes the catalogue its own. Can be repeated.
    ///
    /// # Errors
    /// `Unavailable`, or `CatalogueInUse` when submissions use what the catalogue lacks.
    pub async fn migrate(url: &DatabaseUrl, catalogue: &Catalogue) -> Result<(), StoreError> {
        run(url).await?;
        adopt(url, catalogue).await
    }

    /// Gives the roles of api and aggregator processes, [`API_ROLE`](crate::API_ROLE) and
    /// [`AGGREGATOR_ROLE`](crate::AGGREGATOR_ROLE), their rights in a PostgreSQL database, and makes the roles if this
    /// session may. Answers whether there are such roles.
    ///
    /// # Errors
    /// `Unavailable`, also when the session does not own the tables.
    pub async fn grant(url: &DatabaseUrl) -> Result<bool, StoreError> {
        grant(url).await
    }

    /// # Errors
    /// `NotMigrated` when a migration of this version has not run there.
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

/// Makes a catalogue the database's own. The services that record meanwhile come first.
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
        let now = clock(conn).await?;
        catalogue::adopt(conn, catalogue, now).await
    };
    match adopting.await {
        Ok(()) => tx.commit().await,
        Err(error) => Err(tx.abort(error).await),
    }
}

/// Makes the file, if there is none, so that nobody but its owner can read it. SQLite gives the files beside it the same
/// permissions.
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

/// Gives the service's roles their rights in a PostgreSQL database. Answers whether there are such roles.
async fn grant(url: &DatabaseUrl) -> Result<bool, StoreError> {
    let DatabaseUrl::Postgres(url) = url.clone() else {
        return Ok(false);
    };
    let mut conn = PgConnection::establish(&url, MIGRATION_LOCK)
        .await
        .map_err(StoreError::unavailable)?;
    roles::grant(&mut conn).await
}

/// # Errors
/// `NotMigrated` when a migration of this version has not run there.
async fn check(url: &DatabaseUrl) -> Result<(), StoreError> {
    let DatabaseUrl::Postgres(url) = url.clone() else {
        return Ok(());
    };
    let mut conn = PgConnection::establish(&url, "SELECT 1")
        .await
        .map_err(StoreError::unavailable)?;
    // Not with diesel's own harness, which creates the table if it is missing: only its owner may.
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

/// A migration that ran.
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

/// Migrations block: they run on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(StoreError::unavailable)?
}
