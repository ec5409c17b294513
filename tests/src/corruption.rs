//! Changing a stored total behind the service's back.

use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};

/// Replaces a text in every stored total.
///
/// # Panics
/// When nothing was changed.
pub async fn corrupt_total(database_url: &str, from: &str, to: &str) {
    let sql = format!("UPDATE totals SET body = replace(body, '{from}', '{to}') WHERE body LIKE '%{from}%'");
    let changed = match database_url.strip_prefix("sqlite:") {
        Some(path) => {
            let mut connection = SqliteConnection::establish(path).expect("the file opens");
            // The service may be writing: the change waits for its turn, as the service's own writers do.
            connection
                .batch_execute("PRAGMA busy_timeout = 4000")
                .expect("the setting is taken");
            diesel::sql_query(sql)
                .execute(&mut connection)
                .expect("the update runs") as u64
        }
        None => {
            let (client, connection) = tokio_postgres::connect(database_url, tokio_postgres::NoTls)
                .await
                .expect("the server answers");
            let connection = tokio::spawn(connection);
            let changed = client.execute(&sql, &[]).await.expect("the update runs");
            connection.abort();
            changed
        }
    };
    assert!(changed > 0, "no total holds {from}");
}
