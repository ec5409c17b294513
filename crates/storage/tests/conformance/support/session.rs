//! A plain session with the database, for statements that the store does not offer.

use diesel::connection::SimpleConnection;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use tokio_postgres::{Client, NoTls};
use tonghop_storage::DatabaseUrl;

pub(crate) enum Session {
    Postgres(Client),
    Sqlite(SqliteConnection),
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

impl Session {
    pub(crate) async fn with(url: &DatabaseUrl) -> Self {
        match url {
            DatabaseUrl::Postgres(url) => {
                let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
                tokio::spawn(connection);
                Self::Postgres(client)
            }
            DatabaseUrl::Sqlite(path) => {
                let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
                connection.batch_execute("PRAGMA busy_timeout = 4000").unwrap();
                Self::Sqlite(connection)
            }
        }
    }

    pub(crate) async fn run(&mut self, statements: &str) {
        match self {
            Self::Postgres(client) => client.batch_execute(statements).await.unwrap(),
            Self::Sqlite(connection) => connection.batch_execute(statements).unwrap(),
        }
    }

    /// Makes the server report errors of later sessions with this database in German.
    pub(crate) async fn speak_german(&mut self) {
        const HINT: &str = "Install PostgreSQL's translations and the locale de_DE.UTF-8 where the server runs \
            (tests/servers/postgres makes the locale where localedef and its sources are), or set TEST_WITHOUT_GERMAN.";
        let Self::Postgres(client) = self else {
            panic!("SQLite has one language");
        };
        let statement = "DO $$ BEGIN EXECUTE format( \
            'ALTER DATABASE %I SET lc_messages = ''de_DE.UTF-8''', current_database()); END $$; \
            SET lc_messages = 'de_DE.UTF-8'";
        if let Err(error) = client.batch_execute(statement).await {
            panic!("the server has no German locale: {error:?}. {HINT}");
        }
        let error = client.batch_execute("SELECT 1 / 0").await.unwrap_err();
        let message = error.as_db_error().unwrap().message();
        assert!(
            message.contains("Division durch Null"),
            "{message} is no German. {HINT}"
        );
    }

    /// The number that a query returns.
    pub(crate) async fn number(&mut self, query: &str) -> i64 {
        match self {
            Self::Postgres(client) => client.query_one(query, &[]).await.unwrap().get(0),
            Self::Sqlite(connection) => {
                let named = diesel::sql_query(format!("SELECT ({query}) AS number"));
                named.get_result::<Number>(connection).unwrap().number
            }
        }
    }
}
