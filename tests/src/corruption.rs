//! Changes to the database that bypass the service.

use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};

/// Runs a statement that the service does not know about.
///
/// # Panics
/// When it changes nothing.
pub async fn corrupt(database_url: &str, sql: &str) {
    let changed = match database_url.strip_prefix("sqlite:") {
        Some(path) => {
            let mut connection = SqliteConnection::establish(path).expect("the file opens");
            // The service may hold the write lock.
            connection
                .batch_execute("PRAGMA busy_timeout = 4000")
                .expect("the setting is accepted");
            diesel::sql_query(sql)
                .execute(&mut connection)
                .expect("the statement runs") as u64
        }
        None => {
            let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls)
                .await
                .expect("the server answers");
            let connection = tokio::spawn(connection);
            let changed = client.execute(sql, &[]).await.expect("the statement runs");
            connection.abort();
            changed
        }
    };
    assert!(changed > 0, "it changes nothing: {sql}");
}

/// Runs statements as the owner of the database, without its constraints.
///
/// # Panics
/// Panics if a statement fails.
pub async fn tamper(database_url: &str, statements: &str) {
    if database_url.starts_with("sqlite:") {
        return corrupt(database_url, statements).await;
    }
    let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls)
        .await
        .expect("the server answers");
    let connection = tokio::spawn(connection);
    let unbound = format!("SET session_replication_role = replica; {statements}");
    client.batch_execute(&unbound).await.expect("the statements run");
    connection.abort();
}
