//! The handler of announcements: refreshes the totals that they name.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tonghop_domain::{Announcement, Catalogue, TotalKey};
use tonghop_events::{Disposition, Handler};
use tonghop_storage::{StoreError, groups};

use crate::schedule::Cause;
use crate::worker::{PARALLEL, Totals, Worker};

/// Returns the totals in which the announced changes appear first, or `None` if the catalogue does not know their form,
/// period or unit.
fn stale_totals(catalogue: &Catalogue, announcement: &Announcement) -> Option<BTreeSet<TotalKey>> {
    let Announcement::SubmissionsRecorded {
        form,
        period,
        submissions,
        ..
    } = announcement
    else {
        // A changed total has already marked its parent, which its refresher or the sweep will refresh.
        return Some(BTreeSet::new());
    };
    let scope = catalogue.scope(form.as_str(), *period)?;
    let total = |unit: &str| {
        let place = scope.tree.get(unit)?;
        Some(TotalKey {
            form: form.clone(),
            period: *period,
            unit: place.first_total().id(),
        })
    };
    submissions
        .iter()
        .map(|submission| total(submission.unit.as_str()))
        .collect()
}

impl<T: Totals> Handler for Worker<T> {
    async fn handle(&self, announcements: &[Announcement]) -> Disposition {
        let catalogue = self.totals.catalogue();
        let mut stale = BTreeSet::new();
        for announcement in announcements {
            match stale_totals(catalogue, announcement) {
                Some(totals) => stale.extend(totals),
                // Nothing is lost with the message: the marks are in the database.
                None => tracing::warn!(
                    ?announcement,
                    "announcement of a form, period or unit that the catalogue lacks"
                ),
            }
        }
        // The schedule retries these soon. Waiting for a lock here would delay the other totals.
        stale.retain(|key| !self.schedule.waits_for_the_database(key));
        let (failing, healthy): (Vec<TotalKey>, Vec<TotalKey>) =
            stale.into_iter().partition(|key| self.schedule.is_failing(key));
        let together: Vec<Vec<TotalKey>> = groups(&healthy).map(<[_]>::to_vec).collect();
        let alone = failing.into_iter().map(|key| vec![key]);
        let refreshes = stream::iter(together.into_iter().chain(alone)).map(|group| {
            let worker = self.clone();
            async move { worker.refresh(&group).await }
        });
        let errors: Vec<Vec<StoreError>> = refreshes.buffer_unordered(PARALLEL).collect().await;
        // A total that cannot be refreshed at all is retried by the schedule alone and needs no redelivery.
        if errors
            .iter()
            .flatten()
            .any(|error| Cause::of(error) == Cause::Database)
        {
            Disposition::Requeue
        } else {
            Disposition::Ack
        }
    }
}
