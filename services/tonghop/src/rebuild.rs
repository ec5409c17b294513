//! `tonghop rebuild`: refreshes every total from the submissions.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::Duration;
use tonghop_domain::TotalKey;
use tonghop_process::{Failure, Settings};
use tonghop_storage::{LaggingHead, Store, StoreError};

use crate::database::open_existing;
use crate::output::print;

/// How often a rebuild tries a total that cannot be refreshed.
const TRIES: usize = 3;

/// Marks every total and refreshes until none is marked. Readers see each total as it was or as its parts add up, and
/// nothing else. A total that cannot be refreshed does not block the others.
pub(crate) async fn rebuild(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    repair_heads(&store).await?;
    let marked = store.mark_all().await?;
    let failures = refresh_marked(&store).await?;
    for (key, errors) in &failures {
        let error = errors.last().map(ToString::to_string).unwrap_or_default();
        print(&format!("{}: was not refreshed: {error}\n", name(&store, key)));
    }
    if !failures.is_empty() {
        return Err(Failure::runtime(format!(
            "{} totals were not refreshed; the others were",
            failures.len()
        )));
    }
    print(&format!(
        "{marked} totals were refreshed from the submissions, and those above them.\n"
    ));
    Ok(())
}

/// Lets submissions show their last revisions again, unless the audit trail does not prove all of their revisions: then
/// somebody has to look at them first.
async fn repair_heads(store: &Store) -> Result<(), Failure> {
    let lagging = store.lagging_heads().await?;
    if lagging.is_empty() {
        return Ok(());
    }
    let faults = store.verify_audit(Vec::new()).await?.faults;
    let mut refused = 0;
    for LaggingHead { id, current, last } in lagging {
        if let Some(fault) = faults.iter().find(|fault| fault.is_of_revision(id)) {
            refused += 1;
            print(&format!("submission {id} is left as it is: {fault}\n"));
            continue;
        }
        store.repair_head(id).await?;
        print(&format!(
            "submission {id} shows revision {last} again, instead of {current}\n"
        ));
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failure::runtime(format!(
            "{refused} submissions were not repaired, because their revisions were changed: restore a backup, or correct \
             the submissions"
        ))),
    }
}

/// Refreshes what is marked by now, and what that marks above. Returns the totals that failed, with their errors.
async fn refresh_marked(store: &Store) -> Result<BTreeMap<TotalKey, Vec<StoreError>>, Failure> {
    // Changes that arrive from now on are left to the service.
    let until = store.now().await? + Duration::microseconds(1);
    let mut failures: BTreeMap<TotalKey, Vec<StoreError>> = BTreeMap::new();
    loop {
        let mut stale = store.stale(until, usize::MAX >> 1).await?;
        stale.retain(|key| failures.get(key).is_none_or(|errors| errors.len() < TRIES));
        if stale.is_empty() {
            return Ok(failures);
        }
        // From the bottom up, so that each total is computed from refreshed parts.
        stale.sort_by_key(|key| Reverse(depth(store, key)));
        for key in stale {
            match store.refresh(&key).await {
                Ok(_) => drop(failures.remove(&key)),
                Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
                Err(error) => failures.entry(key).or_default().push(error),
            }
        }
    }
}

/// The number of units above the total's unit.
fn depth(store: &Store, key: &TotalKey) -> usize {
    let scope = store.catalogue().scope(key.form.as_str(), key.period);
    let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
    place.map_or(0, |place| place.ancestry().count())
}

fn name(store: &Store, key: &TotalKey) -> String {
    let scope = store.catalogue().scope(key.form.as_str(), key.period);
    let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
    let unit = place.map_or_else(|| format!("id {}", key.unit.0), |place| place.code().to_string());
    format!("{} {}: unit {unit}", key.form, key.period)
}
