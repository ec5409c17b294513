//! A transaction on a connection of a pool.

use std::sync::Arc;

use deadpool::managed;
use diesel_async::SimpleAsyncConnection;
use diesel_async::pooled_connection::deadpool::Object;

use crate::database::announcement::Announced;
use crate::database::connection::{Conn, on};
use crate::database::sqlite_file::DatabaseFile;
use crate::error::StoreError;

/// An open transaction. If dropped without `commit` or `rollback`, its connection is closed.
pub(crate) struct Tx {
    conn: Option<Conn>,
    file: Option<Arc<DatabaseFile>>,
    /// Present if it is announced on SQLite. If it is dropped, its commit may still be in progress, so it stays announced
    /// until the next writer begins.
    announced: Option<Announced>,
}

impl Tx {
    pub(crate) fn new(conn: Conn, file: Option<Arc<DatabaseFile>>, announced: Option<Announced>) -> Self {
        Self {
            conn: Some(conn),
            file,
            announced,
        }
    }

    pub(crate) fn conn(&mut self) -> Result<&mut Conn, StoreError> {
        self.conn
            .as_mut()
            .ok_or_else(|| StoreError::unavailable("the transaction has ended"))
    }

    /// Commits. Fails if the SQLite file was moved or deleted in the meantime, since then nothing is stored.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let file = self.file.clone();
        self.end("COMMIT").await?;
        file.map_or(Ok(()), |file| file.check())
    }

    pub(crate) async fn rollback(self) -> Result<(), StoreError> {
        self.end("ROLLBACK").await
    }

    /// Rolls back after an error, and returns the classified error.
    pub(crate) async fn abort(self, error: StoreError) -> StoreError {
        let error = match &self.conn {
            Some(conn) => conn.classify(error),
            None => error,
        };
        // If this fails as well, the connection is closed, which rolls back.
        self.rollback().await.ok();
        error
    }

    async fn end(mut self, statement: &str) -> Result<(), StoreError> {
        let conn = self.conn()?;
        if let Err(error) = on!(conn, c => c.batch_execute(statement).await) {
            return Err(conn.classify(error.into()));
        }
        // Before the next writer gets the connection.
        if let Some(announced) = self.announced.take() {
            announced.end();
        }
        // Only now can the connection return to the pool.
        drop(self.conn.take());
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        match self.conn.take() {
            Some(Conn::Pg(object)) => drop(managed::Object::take(object.0)),
            Some(Conn::Lite(object)) => drop(Object::take(object)),
            None => {}
        }
    }
}
