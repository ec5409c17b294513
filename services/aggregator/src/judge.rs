//! From an announcement to the totals that it says may be stale.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use tonghop_domain::{Announcement, Catalogue, TotalKey};
use tonghop_events::{Judge, Verdict};
use tonghop_storage::{StoreError, groups};

use crate::schedule::Blame;
use crate::worker::{PARALLEL, Totals, Worker};

/// The totals in which the announced changes show first; none when the catalogue does not know what it names.
fn stale_totals(catalogue: &Catalogue, announcement: &Announcement) -> Option<BTreeSet<TotalKey>> {
    let Announcement::SubmissionsRecorded {
        form,
        period,
        submissions,
        ..
    } = announcement
    else {
        // A changed total has marked its parent already; its refresher sees to it, or the sweep.
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

/// Refreshes what announcements say may be stale.
impl<T: Totals> Judge for Worker<T> {
    async fn judge(&self, news: &[Announcement]) -> Verdict {
        let catalogue = self.totals.catalogue();
        let mut stale = BTreeSet::new();
        for announcement in news {
            match stale_totals(catalogue, announcement) {
                Some(totals) => stale.extend(totals),
                // Its marks stand in the database whatever becomes of the message.
                None => tracing::warn!(
                    ?announcement,
                    "news of a form, period or unit that the catalogue lacks"
                ),
            }
        }
        // They are due again soon by themselves; waiting for a lock here would hold up the news of the others.
        stale.retain(|key| !self.schedule.waits_for_the_database(key));
        let (failed, well): (Vec<TotalKey>, Vec<TotalKey>) =
            stale.into_iter().partition(|key| self.schedule.has_failed(key));
        let together: Vec<Vec<TotalKey>> = groups(&well).map(<[_]>::to_vec).collect();
        let alone = failed.into_iter().map(|key| vec![key]);
        let refreshes = stream::iter(together.into_iter().chain(alone)).map(|group| {
            let worker = self.clone();
            async move { worker.refresh(&group).await }
        });
        let errors: Vec<Vec<StoreError>> = refreshes.buffer_unordered(PARALLEL).collect().await;
        let must_wait = |error: &StoreError| Blame::of(error) == Blame::Database;
        // A total that cannot be refreshed at all backs off alone; the news of the others is done.
        if errors.iter().flatten().any(must_wait) {
            Verdict::Retry
        } else {
            Verdict::Done
        }
    }
}
