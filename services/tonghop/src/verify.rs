//! `tonghop verify`: recounts every total from the submissions.

use tonghop_process::{Failure, Settings};
use tonghop_storage::{Difference, StoreError, Verification};

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

/// Recounts every total; prints each difference, and a summary per form and period. A form that cannot be recounted does
/// not hide the others.
pub(crate) async fn verify(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    let (mut all, mut failed_scopes) = (Counts::default(), 0);
    for scope in store.scopes().await? {
        let name = format!("{} {}", scope.form.code, scope.period);
        let mut of_scope = Counts::default();
        let mut failure = None;
        for root in scope.tree.places().filter(|place| place.parent().is_none()) {
            match store.verify(&scope, root.code()).await {
                Ok(verification) => {
                    of_scope.add(&verification);
                    all.add(&verification);
                    for difference in &verification.differing {
                        print(&format!("{name}: {}\n", describe(difference)));
                    }
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            None => print(&format!("{name}: {of_scope}\n")),
            Some(error) => {
                failed_scopes += 1;
                print(&format!("{name}: could not be verified: {error}\n"));
            }
        }
    }
    print(&format!("altogether: {all}\n"));
    match (all.differing, failed_scopes) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::runtime(
            "the totals differ from the submissions; `tonghop rebuild` repairs them",
        )),
        _ => Err(Failure::runtime(
            "not everything could be verified: a submission or a unit cannot be read",
        )),
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
