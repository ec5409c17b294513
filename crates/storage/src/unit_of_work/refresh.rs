//! Refreshing: totals are computed anew from their parts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tonghop_domain::{Announcement, Catalogue, Place, Scope, TotalKey, UnitId};

use crate::error::StoreError;
use crate::model::Refreshed;
use crate::unit_of_work::parts::Parts;
use crate::unit_of_work::{DEADLINE, RefreshWrites, Transaction, Transactions, UnitOfWork};

/// The most totals that share a transaction.
pub const MAX_TOGETHER: usize = 32;
/// The number of concurrent transactions when each total of a failed group is retried alone.
const CONCURRENT_RETRIES: usize = 4;

/// Refreshes those totals that have marks. Totals of one form and period share a transaction. If one of them makes it
/// fail or is locked by another session, each total gets a separate transaction, so that the others still succeed. A
/// shared transaction waits only briefly for locks.
///
/// `keys` are sorted. Returns a result for each, in their order: `Unavailable`, `CatalogueMismatch`, `Corrupt`,
/// `Overflow`, or `Contention` if another refresh of the total did not end in time.
pub async fn refresh_totals(
    transactions: &impl Transactions,
    catalogue: &Catalogue,
    keys: &[TotalKey],
) -> Vec<Result<Refreshed, StoreError>> {
    let mut done = Vec::with_capacity(keys.len());
    for group in groups(keys) {
        match transact(transactions, catalogue, group).await {
            Ok(refreshed) => done.extend(refreshed.into_iter().map(Ok)),
            Err(error) if group.len() > 1 && may_be_caused_by_one(&error) => {
                let alone = |key: TotalKey| async move {
                    let refreshed = transact(transactions, catalogue, std::slice::from_ref(&key)).await?;
                    let only = refreshed.into_iter().next();
                    only.ok_or_else(|| StoreError::corrupt("a refresh without a result"))
                };
                let each = stream::iter(group.to_vec())
                    .map(alone)
                    .buffered(CONCURRENT_RETRIES);
                done.extend(each.collect::<Vec<_>>().await);
            }
            Err(error) => done.extend(group.iter().map(|_| Err(error.clone()))),
        }
    }
    done
}

/// Sorted totals, split into the groups that share a transaction.
pub fn groups(keys: &[TotalKey]) -> impl Iterator<Item = &[TotalKey]> {
    let scopes = keys.chunk_by(|a, b| (&a.form, a.period) == (&b.form, b.period));
    scopes.flat_map(|scope| scope.chunks(MAX_TOGETHER))
}

/// Whether a single total of a group may have caused the error.
fn may_be_caused_by_one(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Contention(_)
            | StoreError::Corrupt(_)
            | StoreError::ConstraintViolated(_)
            | StoreError::Overflow(_)
    )
}

async fn transact(
    transactions: &impl Transactions,
    catalogue: &Catalogue,
    group: &[TotalKey],
) -> Result<Vec<Refreshed>, StoreError> {
    let refreshing = async {
        let mut tx = transactions.begin(group.len() > 1).await?;
        match refresh(tx.unit_of_work()?, catalogue, group).await {
            Ok(done) if done.iter().any(|one| *one != Refreshed::Clean) => {
                tx.commit().await?;
                tracing::trace!(target: "tonghop::step", step = "refresh_committed");
                Ok(done)
            }
            Ok(clean) => {
                tx.rollback().await.ok();
                Ok(clean)
            }
            Err(error) => Err(tx.abort(error).await),
        }
    };
    transactions.within(DEADLINE, refreshing).await
}

/// Refreshes totals of one form and period, which are sorted. The caller commits if something was written and rolls
/// back if nothing was marked.
///
/// The order matters: first the totals are locked, then their marks are read, then their parts, each in its own
/// statement, whose snapshot is younger than the locks. Exactly the marks that were read are deleted.
pub async fn refresh(
    work: &mut impl UnitOfWork,
    catalogue: &Catalogue,
    keys: &[TotalKey],
) -> Result<Vec<Refreshed>, StoreError> {
    let Some(TotalKey { form, period, .. }) = keys.first() else {
        return Ok(Vec::new());
    };
    work.share_catalogue(catalogue.digest()).await?;
    let scope = catalogue.scope(form.as_str(), *period);
    let scope = scope.ok_or_else(|| StoreError::corrupt(format!("a mark on {form} for {period}")))?;
    let units: Vec<UnitId> = keys.iter().map(|key| key.unit).collect();
    let places = places_of(&scope, &units)?;
    let versions = work.lock_totals(form, *period, &units).await?;
    tracing::trace!(target: "tonghop::step", step = "total_locked");
    let marks = work.marks_of(form, *period, &units).await?;
    let marked: Vec<Place<'_>> = places
        .iter()
        .copied()
        .filter(|place| marks.contains_key(&place.id()))
        .collect();
    if marked.is_empty() {
        return Ok(vec![Refreshed::Clean; keys.len()]);
    }
    tracing::trace!(target: "tonghop::step", step = "marks_read");
    let parts = Parts::read(work, &scope, &marked).await?;
    tracing::trace!(target: "tonghop::step", step = "parts_read");
    let total_of = |unit| TotalKey {
        form: form.clone(),
        period: *period,
        unit,
    };
    let mut new = RefreshWrites::default();
    let mut stale: BTreeMap<TotalKey, DateTime<Utc>> = BTreeMap::new();
    for place in marked {
        let read = &marks[&place.id()];
        let version = versions.get(&place.id());
        let version = version.ok_or_else(|| StoreError::corrupt("a locked total without a version"))? + 1;
        let total = parts.total(&scope, place)?;
        new.totals.push((total_of(place.id()), total, version));
        new.read.extend(&read.ids);
        if let Some(parent) = place.parent() {
            let since = stale.entry(total_of(parent.id())).or_insert(read.since);
            *since = read.since.min(*since);
        }
        new.news.push(announcement(&scope, place, version));
    }
    new.marks = stale.into_iter().collect();
    work.refresh(&scope.form, &new).await?;
    tracing::trace!(target: "tonghop::step", step = "total_written");
    let become_of = |place: Place<'_>| match marks.contains_key(&place.id()) {
        true => Refreshed::Written {
            parent: place.parent().map(|parent| total_of(parent.id())),
        },
        false => Refreshed::Clean,
    };
    Ok(places.into_iter().map(become_of).collect())
}

fn places_of<'a>(scope: &'a Scope, units: &[UnitId]) -> Result<Vec<Place<'a>>, StoreError> {
    let place = |unit: &UnitId| {
        let place = scope.tree.by_id(*unit).filter(|place| place.has_children());
        place.ok_or_else(|| StoreError::corrupt(format!("a mark on unit id {}", unit.0)))
    };
    units.iter().map(place).collect()
}

fn announcement(scope: &Scope, place: Place<'_>, version: i64) -> Announcement {
    Announcement::TotalChanged {
        form: scope.form.code.clone(),
        period: scope.period,
        province: place.province().code().clone(),
        unit: place.code().clone(),
        version,
    }
}
