//! Commands on the database: migrate, verify, rebuild. All but the first work beside a running service.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::Duration;
use tonghop_domain::TotalKey;
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE, DatabaseUrl, Difference, Store, StoreError, Verification};

use crate::arguments::{Settings, store_failure};
use crate::failure::{Failure, failed, print, wrong_setting};

/// How often a rebuild tries a total that cannot be refreshed.
const TRIES: usize = 3;

/// Brings the database to this version and makes the catalogue its own.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let url = settings.database()?;
    let catalogue = settings.catalogue()?;
    Store::migrate(&url, &catalogue)
        .await
        .map_err(|error| store_failure(&url, &error))?;
    print(&format!("{url} is migrated and has the catalogue.\n"));
    if matches!(url, DatabaseUrl::Postgres(_)) {
        let granted = Store::grant(&url)
            .await
            .map_err(|error| store_failure(&url, &error))?;
        print(&told(granted));
    }
    Ok(())
}

fn told(granted: bool) -> String {
    if granted {
        format!("The roles {API_ROLE} and {AGGREGATOR_ROLE} have their rights in it.\n")
    } else {
        format!(
            "There are no roles {API_ROLE} and {AGGREGATOR_ROLE}, and this user may not make them: a superuser makes them \
             by CREATE ROLE, then migrate again. Until then the service's processes need the owner's rights.\n"
        )
    }
}

/// What was compared, of one form and period or altogether.
#[derive(Default)]
struct Compared {
    totals: u64,
    numbers: u64,
    skipped: u64,
    differing: usize,
}

impl Compared {
    fn add(&mut self, verification: &Verification) {
        self.totals += verification.totals;
        self.numbers += verification.checked;
        self.skipped += verification.skipped;
        self.differing += verification.differing.len();
    }
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            totals,
            numbers,
            skipped,
            differing,
        } = self;
        write!(
            f,
            "{numbers} numbers in {totals} totals checked, {skipped} totals skipped (changes pending), {differing} differ"
        )
    }
}

/// Recounts every total, prints each difference, and what was compared of each form and period. What cannot be
/// recounted does not hide the rest.
pub(crate) async fn verify(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    let (mut all, mut failed_scopes) = (Compared::default(), 0);
    for scope in store.scopes().await.map_err(failed)? {
        let about = format!("{} {}", scope.form.code, scope.period);
        let mut of_scope = Compared::default();
        let mut failure = None;
        for root in scope.tree.places().filter(|place| place.parent().is_none()) {
            match store.verify(&scope, root.code()).await {
                Ok(verification) => {
                    of_scope.add(&verification);
                    all.add(&verification);
                    for difference in &verification.differing {
                        print(&format!("{about}: {}\n", described(difference)));
                    }
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(failed(error)),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => print(&format!("{about}: {of_scope}\n")),
            Some(error) => {
                failed_scopes += 1;
                print(&format!("{about}: could not be verified: {error}\n"));
            }
        }
    }
    print(&format!("altogether: {all}\n"));
    match (all.differing, failed_scopes) {
        (0, 0) => Ok(()),
        (_, 0) => Err(failed(
            "the totals differ from the submissions; `tonghop rebuild` mends them",
        )),
        _ => Err(failed(
            "not everything could be verified: a submission or a unit cannot be read",
        )),
    }
}

/// A database that is there: a mistyped path shall not be answered by an empty one.
pub(crate) fn existing(settings: &Settings) -> Result<DatabaseUrl, Failure> {
    let url = settings.database()?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        return Err(wrong_setting(format!(
            "there is no database at {}",
            path.display()
        )));
    }
    Ok(url)
}

pub(crate) async fn open_existing(settings: &Settings) -> Result<Store, Failure> {
    settings.open(&existing(settings)?).await
}

fn described(difference: &Difference) -> String {
    if difference.number == "total" {
        return format!("unit {}: the stored total cannot be read", difference.unit);
    }
    let indicator = difference
        .indicator
        .as_ref()
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let cell: String = difference
        .breakdown
        .iter()
        .map(|(dimension, code)| format!(" {dimension}={code}"))
        .collect();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    let (served, recomputed) = (text(&difference.served), text(&difference.recomputed));
    format!(
        "unit {}{indicator}{cell} {}: served {served}, recomputed {recomputed}",
        difference.unit, difference.number
    )
}

/// Marks every total and refreshes until nothing is marked. Readers see each total as it was or as its parts add up,
/// never another, and one that cannot be refreshed holds up no other.
pub(crate) async fn rebuild(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    let marked = store.mark_all().await.map_err(failed)?;
    // Marks of this rebuild, and those they leave on the totals above; not what comes in meanwhile.
    let until = store.now().await.map_err(failed)? + Duration::microseconds(1);
    let mut failures: BTreeMap<TotalKey, Vec<StoreError>> = BTreeMap::new();
    loop {
        let mut stale = store.stale(until, usize::MAX >> 1).await.map_err(failed)?;
        stale.retain(|key| failures.get(key).is_none_or(|errors| errors.len() < TRIES));
        if stale.is_empty() {
            break;
        }
        // From the bottom up: no total is made of parts that are still to be mended, or that cannot even be read.
        stale.sort_by_key(|key| Reverse(depth(&store, key)));
        for key in stale {
            match store.refresh(&key).await {
                Ok(_) => drop(failures.remove(&key)),
                Err(error @ StoreError::Unavailable(_)) => return Err(failed(error)),
                Err(error) => failures.entry(key).or_default().push(error),
            }
        }
    }
    for (key, errors) in &failures {
        let error = errors.last().map(ToString::to_string).unwrap_or_default();
        print(&format!("{}: was not refreshed: {error}\n", named(&store, key)));
    }
    if !failures.is_empty() {
        return Err(failed(format!(
            "{} totals were not refreshed; the others were",
            failures.len()
        )));
    }
    print(&format!(
        "{marked} totals were refreshed from the submissions, and those above them.\n"
    ));
    Ok(())
}

/// How many units stand above the total's.
fn depth(store: &Store, key: &TotalKey) -> usize {
    let scope = store.catalogue().scope(key.form.as_str(), key.period);
    let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
    place.map_or(0, |place| place.ancestry().count())
}

fn named(store: &Store, key: &TotalKey) -> String {
    let scope = store.catalogue().scope(key.form.as_str(), key.period);
    let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
    let unit = place.map_or_else(|| format!("id {}", key.unit.0), |place| place.code().to_string());
    format!("{} {}: unit {unit}", key.form, key.period)
}
