//! Totals in the store.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{IndicatorCode, Scope, TotalKey, UnitCode};

use crate::database::clock::clock;
use crate::database::connection::Purpose;
use crate::error::StoreError;
use crate::model::{Contribution, Refreshed, TotalRead, UnitCompleteness, Verification};
use crate::queries::{catalogue, catalogue_digest, marks};
use crate::reads::{self, verification};
use crate::store::{Store, run, within_deadline};
use crate::unit_of_work::refresh::refresh_totals;

/// The deadline of a verification, which reads everything below a unit.
const LONG_DEADLINE: Duration = Duration::from_secs(60);

/// How old the watermark of a total may be. Reads of totals are frequent, and share it.
const WATERMARK_AGE: Duration = Duration::from_millis(20);

impl Store {
    /// A total with its freshness, in one snapshot.
    ///
    /// # Errors
    /// See [`Store`]; also `Corrupt` when the unit is not in the scope's tree.
    pub async fn total(&self, scope: &Scope, unit: &UnitCode) -> Result<TotalRead, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        within_deadline(async {
            // The place first, so that a caller who is refused one has not waited for the watermark.
            let (place, acting_as) = (self.place(&self.inner.reads).await?, self.acting_as.clone());
            let watermark = self.watermark_within(WATERMARK_AGE).await?;
            self.run(Purpose::Lookup, acting_as, place, move |conn| {
                Box::pin(async move { reads::totals::total(conn, &scope, &unit, watermark).await })
            })
            .await
        })
        .await
    }

    /// The contributions to one indicator of a total: the unit's own first, if it reports the form, then those of its
    /// children in the catalogue's order.
    ///
    /// # Errors
    /// See [`Store`]; also `Corrupt` when the unit or indicator is not in the scope.
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

    /// The completeness of each expected unit at or below a unit, in the catalogue's order.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn completeness(
        &self,
        scope: &Scope,
        unit: &UnitCode,
    ) -> Result<Vec<UnitCompleteness>, StoreError> {
        let (scope, unit) = (scope.clone(), unit.clone());
        self.read(move |conn| Box::pin(async move { reads::totals::completeness(conn, &scope, &unit).await }))
            .await
    }

    /// Verifies every total at or below a unit against the submissions, in one snapshot.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn verify(&self, scope: &Scope, unit: &UnitCode) -> Result<Verification, StoreError> {
        let (scope, unit, inner) = (scope.clone(), unit.clone(), self.inner.clone());
        let (place, acting_as) = (self.place(&self.inner.reads).await?, self.acting_as.clone());
        let work = async move {
            let _place = place;
            let (of, at) = (scope.clone(), unit.clone());
            let evidence = run(
                &inner.pools,
                Purpose::Read,
                &acting_as,
                LONG_DEADLINE,
                move |conn| Box::pin(async move { verification::gather(conn, &of, &at).await }),
            )
            .await?;
            // After the transaction, since computing takes a while.
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

    /// Refreshes one total, if it has marks.
    ///
    /// # Errors
    /// See [`Store`]; also `Contention` when another refresh of it did not end in time; `Overflow`.
    pub async fn refresh(&self, key: &TotalKey) -> Result<Refreshed, StoreError> {
        let done = self.refresh_all(std::slice::from_ref(key)).await;
        done.into_iter()
            .next()
            .unwrap_or_else(|| Err(StoreError::corrupt("a refresh without a result")))
    }

    /// Refreshes those of the totals that have marks; `keys` are sorted. Returns a result for each, in their order,
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

    /// Totals with marks older than `before`, those with the oldest marks first.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn stale(&self, before: DateTime<Utc>, limit: usize) -> Result<Vec<TotalKey>, StoreError> {
        self.read_as_service(move |conn| Box::pin(marks::stale(conn, before, limit)))
            .await
    }

    /// Marks every total for a refresh by the aggregators. Returns the number of totals.
    ///
    /// # Errors
    /// See [`Store`].
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

    /// The number of marks.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn pending(&self) -> Result<i64, StoreError> {
        self.read_as_service(|conn| Box::pin(marks::pending(conn))).await
    }
}
