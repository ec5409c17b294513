//! A plain session with the database: for what nobody can do through the store.

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

    /// The one number that a query answers.
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
