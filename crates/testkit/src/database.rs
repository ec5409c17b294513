//! Empty databases, one a test.

use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use crate::{namespace, required};

/// An empty database that exists as long as this value.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Server { administrator_url: String, name: String },
    Folder { _folder: TempDir },
}

/// A fresh database on the PostgreSQL server that all tests share.
///
/// # Panics
/// When `TEST_POSTGRES_URL` is not set, or the server there makes no database.
pub async fn postgres_database() -> TestDatabase {
    postgres_database_at(&required("TEST_POSTGRES_URL")).await
}

/// A fresh database on another server, where the user of the URL may create databases.
///
/// # Panics
/// When the server makes no database.
pub async fn postgres_database_at(administrator_url: &str) -> TestDatabase {
    let administrator_url = administrator_url.to_owned();
    let name = namespace();
    // template0 has no sessions by definition; template1 may, and could then not be copied.
    execute(
        &administrator_url,
        &format!("CREATE DATABASE {name} TEMPLATE template0"),
    )
    .await
    .unwrap_or_else(|error| panic!("cannot create a database on the PostgreSQL server: {error:?}"));
    TestDatabase {
        url: with_database(&administrator_url, &name),
        place: Place::Server {
            administrator_url,
            name,
        },
    }
}

/// A fresh SQLite file, not yet created, in a folder of its own.
///
/// # Panics
/// When no temporary folder can be made.
pub fn sqlite_database() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let url = format!("sqlite:{}", folder.path().join("tonghop.db").display());
    TestDatabase {
        url,
        place: Place::Folder { _folder: folder },
    }
}

/// The same database for a new user that belongs to a role and has no rights of his own. He goes with a
/// [`TestDatabase`], if it is one.
///
/// # Panics
/// When the server makes no such user.
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
        .unwrap_or_else(|error| panic!("cannot make the user {user}: {error:?}"));
    with_user(url, &user)
}

fn member(database: &str, role: &str) -> String {
    format!("{database}_{role}")
}

impl TestDatabase {
    /// `postgres://…` or `sqlite:PATH`, as `TONGHOP_DATABASE_URL` wants it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    /// Best effort: a test may have stopped the server, and what is left goes with the server's folder.
    fn drop(&mut self) {
        let Place::Server {
            administrator_url,
            name,
        } = &self.place
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
        // A thread of its own, since `drop` cannot await and the test's runtime may be single-threaded or gone.
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
    // A server of a test's own takes both.
    config.ssl_mode(SslMode::Disable);
    let (client, connection): (Client, _) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let result = client.batch_execute(statement).await;
    drop(client);
    let _ = driver.await;
    result
}

/// The same server and options, another database.
fn with_database(url: &str, name: &str) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |end| authority + end);
    let options = url[path..]
        .find('?')
        .map_or("", |question| &url[path + question..]);
    format!("{}/{name}{options}", &url[..path])
}

/// The same server, database or virtual host, password and options, another user.
pub(crate) fn with_user(url: &str, user: &str) -> String {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let (scheme, rest) = url.split_at(start);
    let (before, host) = rest.split_once('@').unwrap_or(("", rest));
    let password = before.find(':').map_or("", |colon| &before[colon..]);
    format!("{scheme}{user}{password}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://postgres@127.0.0.1:5432/postgres",
                "postgres://postgres@127.0.0.1:5432/fresh",
            ),
            ("postgres://u:p@host", "postgres://u:p@host/fresh"),
            (
                "postgres://u@host:1/a?sslmode=disable",
                "postgres://u@host:1/fresh?sslmode=disable",
            ),
            ("postgres://u@host?a=b/c", "postgres://u@host/fresh?a=b/c"),
        ] {
            assert_eq!(with_database(url, "fresh"), expected);
        }
    }

    #[test]
    fn only_the_user_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://u:p@host:5432/a?x=1",
                "postgres://other:p@host:5432/a?x=1",
            ),
            ("postgres://u@host/a", "postgres://other@host/a"),
            ("postgres://host/a", "postgres://other@host/a"),
        ] {
            assert_eq!(with_user(url, "other"), expected);
        }
    }

    #[test]
    fn a_sqlite_database_goes_with_its_value() {
        let database = sqlite_database();
        let path = database.url().strip_prefix("sqlite:").unwrap().to_owned();
        std::fs::write(&path, b"").unwrap();
        drop(database);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[tokio::test]
    async fn a_postgres_database_is_fresh_and_goes_with_its_value_even_in_use() {
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

        assert!(
            driver.await.unwrap().is_err(),
            "the session that was still open was ended"
        );
        assert!(tokio_postgres::connect(&url, NoTls).await.is_err());
        execute(&administrator_url, "SELECT 1").await.unwrap();
    }
}
