//! Totals: reading, proving and refreshing them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{IndicatorCode, Scope, TotalKey, UnitCode};

use crate::database::clock::clock;
use crate::database::pool::Purpose;
use crate::error::StoreError;
use crate::model::{Contribution, Refreshed, TotalRead, UnitCompleteness, Verification};
use crate::queries::{catalogue, catalogue_digest, marks};
use crate::reads::{self, verification};
use crate::store::{Store, run};
use crate::unit_of_work::refresh::refresh_totals;

/// The deadline of a proof, which reads everything below a unit.
const LONG_DEADLINE: Duration = Duration::from_secs(60);
impl Store {
    /// A total, in one snapshot with its marks.
    ///
    /// # Errors
    /// As for every call; `Corrupt` when the unit is not in the scope's tree.
    pub async fn total(&self, scope: &Scope, unit: &UnitCode) -> Result<TotalRead, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        self.lookup(move |conn| Box::pin(async move { reads::totals::total(conn, &scope, &unit).await }))
            .await
    }

    /// What one indicator of a total is made of: the unit's own part first, if it reports the form, then each
    /// child's in byte order of their codes.
    ///
    /// # Errors
    /// As for every call; `Corrupt` when the unit or indicator is not in the scope.
    pub async fn contributions(
        &self,
        scope: &Scope,
        unit: &UnitCode,
        indicator: &IndicatorCode,
    ) -> Result<Vec<Contribution>, StoreError> {
        let (scope, unit, indicator) = (scope.clone(), unit.clone(), indicator.clone());
        self.lookup(move |conn| {
            Box::pin(async move { reads::totals::contributions(conn, &scope, &unit, &indicator).await })
        })
        .await
    }

    /// How each expected unit at or below stands, in byte order of their codes.
    ///
    /// # Errors
    /// As for every call.
    pub async fn completeness(
        &self,
        scope: &Scope,
        unit: &UnitCode,
    ) -> Result<Vec<UnitCompleteness>, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        self.read(move |conn| Box::pin(async move { reads::totals::completeness(conn, &scope, &unit).await }))
            .await
    }

    /// Recounts every total at or below a unit from the submissions, in one snapshot.
    ///
    /// # Errors
    /// As for every call.
    pub async fn verify(&self, scope: &Scope, unit: &UnitCode) -> Result<Verification, StoreError> {
        let (scope, unit, inner) = (scope.clone(), unit.clone(), self.inner.clone());
        let (permit, acting_as) = (self.permit()?, self.acting_as.clone());
        let work = async move {
            let _permit = permit;
            let (of, at) = (scope.clone(), unit.clone());
            let evidence = run(
                &inner.pools,
                Purpose::Read,
                &acting_as,
                LONG_DEADLINE,
                move |conn| Box::pin(async move { verification::gather(conn, &of, &at).await }),
            )
            .await?;
            // The transaction is over: counting takes a while.
            let count = move || verification::compare(&scope, &unit, &evidence);
            tokio::task::spawn_blocking(count)
                .await
                .map_err(StoreError::unavailable)?
        };
        self.inner
            .runtime
            .spawn(work)
            .await
            .map_err(StoreError::unavailable)?
    }

    /// Refreshes one total, if it is marked.
    ///
    /// # Errors
    /// As for every call; `Contention` when another refresh of it did not end in time; `Overflow`.
    pub async fn refresh(&self, key: &TotalKey) -> Result<Refreshed, StoreError> {
        let done = self.refresh_all(std::slice::from_ref(key)).await;
        done.into_iter()
            .next()
            .unwrap_or_else(|| Err(StoreError::corrupt("nothing was said of a total")))
    }

    /// Refreshes totals, which are sorted, as far as they are marked. Answers for each, in their order, what became of it,
    /// with the errors of [`Store::refresh`].
    pub async fn refresh_all(&self, keys: &[TotalKey]) -> Vec<Result<Refreshed, StoreError>> {
        let (keys, inner) = (keys.to_vec(), self.inner.clone());
        let count = keys.len();
        let work = async move {
            let done = refresh_totals(&inner.pools, &inner.catalogue, &keys).await;
            for refreshed in &done {
                inner.write_health.note(refreshed);
            }
            if done.iter().flatten().any(|one| *one != Refreshed::Clean) {
                inner.news.notify_one();
            }
            done
        };
        let done = self
            .inner
            .runtime
            .spawn(work)
            .await
            .map_err(StoreError::unavailable);
        done.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Totals with marks from before `before`, those that wait longest first.
    ///
    /// # Errors
    /// As for every call.
    pub async fn stale(&self, before: DateTime<Utc>, limit: usize) -> Result<Vec<TotalKey>, StoreError> {
        self.read_as_service(move |conn| Box::pin(marks::stale(conn, before, limit)))
            .await
    }

    /// Marks every total for a refresh and answers how many; the aggregators do the rest.
    ///
    /// # Errors
    /// As for every call.
    pub async fn mark_all(&self) -> Result<usize, StoreError> {
        let catalogue = self.inner.catalogue.clone();
        self.write(move |conn| {
            Box::pin(async move {
                catalogue_digest::share_lock(conn, catalogue.digest()).await?;
                let now = clock(conn).await?;
                catalogue::mark_all(conn, &catalogue, now).await
            })
        })
        .await
    }

    /// How many marks there are.
    ///
    /// # Errors
    /// As for every call.
    pub async fn pending(&self) -> Result<i64, StoreError> {
        self.read_as_service(|conn| Box::pin(marks::pending(conn))).await
    }
}
