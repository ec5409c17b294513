//! The refresh of one total, and the snapshots in which totals are read.

use std::collections::HashMap;

use tonghop_domain::{Announcement, Catalogue, Place, Scope, Total, TotalKey, UnitCode, UnitId};

use crate::books::{Books, FiledReport, Ledger, NewTotal, StoredTotal, Transaction};
use crate::conn::DEADLINE;
use crate::{Refreshed, StoreError};

/// Refreshes a total, if it is marked, in a transaction of its own.
///
/// # Errors
/// `Unavailable`, `OtherCatalogue`, `Corrupt`, `Overflow`; `Contention` when another refresh of it did not end in time.
pub async fn refresh_total(
    ledger: &impl Ledger,
    catalogue: &Catalogue,
    key: &TotalKey,
) -> Result<Refreshed, StoreError> {
    let refreshing = async {
        let mut tx = ledger.begin(false).await?;
        match refresh(tx.books()?, catalogue, key).await {
            Ok(written @ Refreshed::Written { .. }) => {
                tx.commit().await?;
                tracing::trace!(target: "tonghop::step", step = "refresh_committed");
                Ok(written)
            }
            other => {
                // When this fails too, the connection is dropped, and the database rolls back by itself.
                tx.rollback().await.ok();
                other
            }
        }
    };
    ledger.within(DEADLINE, refreshing).await
}

/// Refreshes a total; the caller commits when something was written and rolls back when nothing was marked.
///
/// The order is the point: the total is locked first, then its marks are read, then its parts, each in a statement
/// of its own, whose snapshot is younger than the lock. Exactly the marks that were read are deleted.
pub async fn refresh(
    books: &mut impl Books,
    catalogue: &Catalogue,
    key: &TotalKey,
) -> Result<Refreshed, StoreError> {
    books.share_catalogue(catalogue.digest()).await?;
    let scope = catalogue.scope(key.form.as_str(), key.period);
    let scope =
        scope.ok_or_else(|| StoreError::corrupt(format!("a mark on {} for {}", key.form, key.period)))?;
    let place = scope.tree.by_id(key.unit).filter(|place| place.has_children());
    let place = place.ok_or_else(|| StoreError::corrupt(format!("a mark on unit id {}", key.unit.0)))?;
    let version = books.lock_total(key).await?;
    tracing::trace!(target: "tonghop::step", step = "total_locked");
    let Some(marks) = books.marks_of(key).await? else {
        return Ok(Refreshed::Clean);
    };
    tracing::trace!(target: "tonghop::step", step = "marks_read");
    let parts = Parts::read(books, &scope, place).await?;
    tracing::trace!(target: "tonghop::step", step = "parts_read");
    let total = parts.total(&scope, place)?;
    let parent = place.parent().map(|parent| TotalKey {
        unit: parent.id(),
        ..key.clone()
    });
    let new = NewTotal {
        key: key.clone(),
        total,
        version: version + 1,
        marks: marks.ids,
        parent: parent.clone().map(|parent| (parent, marks.since)),
        news: Announcement::TotalChanged {
            form: key.form.clone(),
            period: key.period,
            province: place.province().code().clone(),
            unit: place.code().clone(),
            version: version + 1,
        },
    };
    books.refresh(&scope.form, &new).await?;
    tracing::trace!(target: "tonghop::step", step = "total_written");
    Ok(Refreshed::Written { parent })
}

/// What a total is made of: the unit's own report, its children's reports and its children's totals.
pub(crate) struct Parts {
    pub(crate) reports: HashMap<UnitId, FiledReport>,
    pub(crate) totals: HashMap<UnitId, StoredTotal>,
}

impl Parts {
    pub(crate) async fn read(
        books: &mut impl Books,
        scope: &Scope,
        place: Place<'_>,
    ) -> Result<Self, StoreError> {
        let reporting = std::iter::once(place)
            .chain(place.children().filter(|child| !child.has_children()))
            .filter(|unit| scope.form.is_reported_by(unit.unit()));
        let reporting: Vec<UnitId> = reporting.map(Place::id).collect();
        let with_totals: Vec<UnitId> = place
            .children()
            .filter(|child| child.has_children())
            .map(Place::id)
            .collect();
        Ok(Self {
            reports: books.reports(&scope.form.code, scope.period, &reporting).await?,
            totals: books.totals(&scope.form, scope.period, &with_totals).await?,
        })
    }

    /// The parts of the children, and the unit's own, each as a total.
    pub(crate) fn own(&self, scope: &Scope, place: Place<'_>) -> Total {
        Total::of_unit(
            scope,
            place,
            self.reports.get(&place.id()).map(|filed| &filed.report),
        )
    }

    pub(crate) fn children(&self, scope: &Scope, place: Place<'_>) -> Vec<(UnitCode, Total)> {
        let part = |child: Place<'_>| {
            let total = match self.totals.get(&child.id()) {
                Some(stored) => stored.total.clone(),
                None if child.has_children() => empty(scope, child),
                None => self.own(scope, child),
            };
            (child.code().clone(), total)
        };
        place.children().map(part).collect()
    }

    fn total(&self, scope: &Scope, place: Place<'_>) -> Result<Total, StoreError> {
        Ok(Total::roll_up(
            &scope.form,
            self.own(scope, place),
            self.children(scope, place),
        )?)
    }
}

/// The total of a unit that was never refreshed: nobody at or below it has reported.
pub(crate) fn empty(scope: &Scope, place: Place<'_>) -> Total {
    let mut total = Total::of_unit(scope, place, None);
    let below = place
        .at_or_below()
        .skip(1)
        .filter(|unit| scope.form.is_reported_by(unit.unit()));
    for unit in below {
        total.coverage.expected += 1;
        total.coverage.missing.push(unit.code().clone());
    }
    total.coverage.missing.sort();
    total.coverage.missing.truncate(tonghop_domain::MAX_NAMED_UNITS);
    total
}
