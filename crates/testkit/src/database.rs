//! Empty databases, one per test.

use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::environment::{namespace, required};
use crate::url::{with_database, with_user};

/// An empty database, removed when this value is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    location: Location,
}

#[derive(Debug)]
enum Location {
    Server { administrator_url: String, name: String },
    Folder { _folder: TempDir },
}

/// Creates a database on the PostgreSQL server that all tests share.
///
/// # Panics
/// Panics if `TEST_POSTGRES_URL` is not set, or the server does not create the database.
pub async fn postgres_database() -> TestDatabase {
    postgres_database_at(&required("TEST_POSTGRES_URL")).await
}

/// Creates a database on another server. The user of the URL must be allowed to create databases.
///
/// # Panics
/// Panics if the server does not create the database.
pub async fn postgres_database_at(administrator_url: &str) -> TestDatabase {
    let administrator_url = administrator_url.to_owned();
    let name = namespace();
    // template0 never has sessions. template1 may, and could not be copied then.
    execute(
        &administrator_url,
        &format!("CREATE DATABASE {name} TEMPLATE template0"),
    )
    .await
    .unwrap_or_else(|error| panic!("cannot create a database on the PostgreSQL server: {error:?}"));
    TestDatabase {
        url: with_database(&administrator_url, &name),
        location: Location::Server {
            administrator_url,
            name,
        },
    }
}

/// Returns the URL of a SQLite file that does not exist yet, in a temporary folder.
///
/// # Panics
/// Panics if the folder cannot be created.
pub fn sqlite_database() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let url = format!("sqlite:{}", folder.path().join("tonghop.db").display());
    TestDatabase {
        url,
        location: Location::Folder { _folder: folder },
    }
}

/// Returns the URL of a database with a user that belongs to a role and has no other permissions. The user is created if
/// necessary, and removed with the [`TestDatabase`].
///
/// # Panics
/// Panics if the server does not create the user.
pub async fn postgres_member(url: &str, role: &str) -> String {
    let config: Config = url.parse().expect("a PostgreSQL URL");
    let user = member(config.get_dbname().unwrap_or("postgres"), role);
    let password = config
        .get_password()
        .map_or("", |password| std::str::from_utf8(password).unwrap_or_default());
    let statement = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{user}') THEN \
         CREATE ROLE {user} LOGIN PASSWORD '{password}' IN ROLE {role}; END IF; END $$"
    );
    execute(url, &statement)
        .await
        .unwrap_or_else(|error| panic!("cannot create the user {user}: {error:?}"));
    with_user(url, &user)
}

fn member(database: &str, role: &str) -> String {
    format!("{database}_{role}")
}

impl TestDatabase {
    /// The URL for `TONGHOP_DATABASE_URL`: `postgres://…` or `sqlite:PATH`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    /// Ignores errors: a test may have stopped the server, and the database is removed with the folder of the server.
    fn drop(&mut self) {
        let Location::Server {
            administrator_url,
            name,
        } = &self.location
        else {
            return;
        };
        let url = administrator_url.clone();
        let statements = [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!(
                "DROP ROLE IF EXISTS {}, {}",
                member(name, "tonghop_api"),
                member(name, "tonghop_aggregator")
            ),
        ];
        // A separate thread, since `drop` cannot await and the runtime of the test may be single-threaded or gone.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime?;
            for statement in statements {
                let _ = runtime.block_on(execute(&url, &statement));
            }
            Ok::<(), std::io::Error>(())
        });
        let _ = dropping.join();
    }
}

async fn execute(url: &str, statement: &str) -> Result<(), tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    config.connect_timeout(Duration::from_secs(5));
    // Private servers accept connections with and without TLS.
    config.ssl_mode(SslMode::Disable);
    let (client, connection): (Client, _) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let result = client.batch_execute(statement).await;
    drop(client);
    let _ = driver.await;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_database_is_removed_with_its_value() {
        let database = sqlite_database();
        let path = database.url().strip_prefix("sqlite:").unwrap().to_owned();
        std::fs::write(&path, b"").unwrap();
        drop(database);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[tokio::test]
    async fn a_postgres_database_is_removed_with_its_value_even_in_use() {
        let administrator_url = required("TEST_POSTGRES_URL");
        let database = postgres_database().await;
        let other = postgres_database().await;
        assert_ne!(database.url(), other.url());

        let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        client
            .batch_execute("CREATE TABLE report (id bigint)")
            .await
            .unwrap();
        let url = database.url().to_owned();
        drop(database);

        assert!(driver.await.unwrap().is_err(), "the open session was ended");
        assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
        execute(&administrator_url, "SELECT 1").await.unwrap();
    }
}
