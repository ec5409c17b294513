//! The state of the database, and its pending work.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;

use crate::database::clock::clock;
use crate::database::connection::{Conn, Purpose};
use crate::database::pool::PoolState;
use crate::database::write_probe;
use crate::error::StoreError;
use crate::group_commit::metrics::Commits;
use crate::model::Backlog;
use crate::queries::{catalogue_digest, marks, outbox};
use crate::store::{Store, run};

/// The deadline of a check of the whole file, which is read once.
const CHECK_DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

impl Store {
    /// Whether the database responds, contains this process's catalogue and accepts writes. The last is tested by a
    /// probe write, but only after a write has failed.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.read_as_service(move |conn| {
            Box::pin(async move { catalogue_digest::check(conn, catalogue.digest()).await })
        })
        .await?;
        self.inner
            .write_health
            .settle(async || self.try_to_write().await)
            .await
    }

    /// Checks that the file of an embedded database is not damaged (`PRAGMA quick_check`), which reads all of it. PostgreSQL
    /// checks its own files.
    ///
    /// # Errors
    /// `Unavailable`, also when it is damaged.
    pub async fn check_file(&self) -> Result<(), StoreError> {
        #[derive(QueryableByName)]
        struct Found {
            #[diesel(sql_type = Text)]
            quick_check: String,
        }
        let check = run(
            &self.inner.pools,
            Purpose::Read,
            &self.acting_as,
            CHECK_DEADLINE,
            |conn| {
                Box::pin(async move {
                    let Conn::Lite(object) = conn else { return Ok(()) };
                    let query = diesel::sql_query("PRAGMA quick_check(1)");
                    let Found { quick_check } = query.get_result(&mut **object).await?;
                    match quick_check.as_str() {
                        "ok" => Ok(()),
                        fault => Err(StoreError::unavailable(format!(
                            "the file is damaged; restore a backup: {}",
                            fault.replace('\n', " ")
                        ))),
                    }
                })
            },
        );
        check.await
    }

    async fn try_to_write(&self) -> Result<(), StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.write(move |conn| {
            Box::pin(async move {
                catalogue_digest::share_lock(conn, catalogue.digest()).await?;
                write_probe::write(conn).await
            })
        })
        .await
    }

    /// The pending work.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read_as_service(|conn| {
            Box::pin(async move {
                let (marks, oldest_mark) = marks::backlog(conn).await?;
                let (announcements, oldest_announcement) = outbox::backlog(conn).await?;
                Ok(Backlog {
                    marks,
                    oldest_mark,
                    announcements,
                    oldest_announcement,
                    at: clock(conn).await?,
                })
            })
        })
        .await
    }

    /// The metrics of this process's commits.
    pub fn commits(&self) -> &Commits {
        &self.inner.commits
    }

    /// The state of the connection pools.
    pub fn pools(&self) -> Vec<PoolState> {
        self.inner.pools.states()
    }

    /// The time of the database.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn now(&self) -> Result<DateTime<Utc>, StoreError> {
        self.read_as_service(|conn| Box::pin(clock(conn))).await
    }

    /// Whether row-level security restricts this process's reads to the units of the key it works for. It does not for
    /// the owner of the tables, for superusers, and in SQLite.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn has_row_security(&self) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Active {
            #[diesel(sql_type = Bool)]
            active: bool,
        }
        self.read_as_service(|conn| {
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
