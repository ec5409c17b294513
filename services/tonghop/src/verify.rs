//! `tonghop verify`: recounts every total from the submissions.

use std::time::{Duration, Instant};

use tonghop_domain::Scope;
use tonghop_process::{Failure, Settings};
use tonghop_storage::{Difference, LaggingHead, Store, StoreError, Verification};

use crate::database::open_existing;
use crate::output::print;

/// Counts of what was compared, for one form and period or for all.
#[derive(Default)]
struct Counts {
    totals: u64,
    numbers: u64,
    skipped: u64,
    differing: usize,
}

impl Counts {
    fn add(&mut self, verification: &Verification) {
        self.totals += verification.totals;
        self.numbers += verification.checked;
        self.skipped += verification.skipped;
        self.differing += verification.differing.len();
    }
}

impl std::fmt::Display for Counts {
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

/// The pause before totals with pending changes are verified again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Recounts every total; prints each difference, and a summary per form and period. A form that cannot be recounted does
/// not hide the others. Totals with pending changes are retried for `wait`, while a service applies the changes.
pub(crate) async fn verify(settings: &Settings, wait: Duration) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    store.check_file().await?;
    let deadline = Instant::now() + wait;
    let (mut all, mut failed_scopes) = (Counts::default(), 0);
    for scope in store.scopes().await? {
        let name = format!("{} {}", scope.form.code, scope.period);
        match verify_scope(&store, &scope, deadline).await {
            Ok(verified) => {
                for difference in &verified.differing {
                    print(&format!("{name}: {}\n", describe(difference)));
                }
                let mut of_scope = Counts::default();
                of_scope.add(&verified);
                all.add(&verified);
                print(&format!("{name}: {of_scope}\n"));
            }
            Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
            Err(error) => {
                failed_scopes += 1;
                print(&format!("{name}: could not be verified: {error}\n"));
            }
        }
    }
    print(&format!("altogether: {all}\n"));
    let lagging = store.lagging_heads().await?;
    for LaggingHead { id, current, last } in &lagging {
        print(&if current == last {
            format!("the current state of submission {id} differs from its last revision\n")
        } else {
            format!("submission {id} shows revision {current}, and {last} is its last one\n")
        });
    }
    if !lagging.is_empty() {
        return Err(Failure::runtime(format!(
            "{} submissions do not show their last revision; `tonghop rebuild` repairs them",
            lagging.len()
        )));
    }
    match (all.differing, failed_scopes, all.skipped) {
        (0, 0, 0) if all.numbers == 0 => Err(Failure::NothingChecked(
            "nothing was verified: the database contains no submissions".to_owned(),
        )),
        (0, 0, 0) => Ok(()),
        (0, 0, skipped) => Err(Failure::runtime(format!(
            "{skipped} totals were not verified because changes are pending: repeat the command with --wait 60 while a \
             service runs"
        ))),
        (_, 0, _) => Err(Failure::runtime(
            "the totals differ from the submissions; `tonghop rebuild` repairs them",
        )),
        _ => Err(Failure::runtime(
            "not everything could be verified: a submission or a unit cannot be read",
        )),
    }
}

/// Verifies a form and period, until no total is skipped or the deadline has passed.
async fn verify_scope(store: &Store, scope: &Scope, deadline: Instant) -> Result<Verification, StoreError> {
    loop {
        let mut verified = Verification::default();
        for root in scope.tree.places().filter(|place| place.parent().is_none()) {
            let of_root = store.verify(scope, root.code()).await?;
            verified.totals += of_root.totals;
            verified.checked += of_root.checked;
            verified.skipped += of_root.skipped;
            verified.differing.extend(of_root.differing);
        }
        if verified.skipped == 0 || Instant::now() >= deadline {
            return Ok(verified);
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

fn describe(difference: &Difference) -> String {
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
