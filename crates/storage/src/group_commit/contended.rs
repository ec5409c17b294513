//! Submissions that another session was found to hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonghop_domain::SubmissionKey;

/// For how long a submission that was held is not waited for again.
const LEFT_ALONE: Duration = Duration::from_secs(2);

/// What was found held lately, so that it does not hold up every worker again and again. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contended(Arc<Mutex<HashMap<SubmissionKey, Instant>>>);

impl Contended {
    pub(crate) fn note(&self, key: &SubmissionKey) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|_, since| since.elapsed() < LEFT_ALONE);
        found.insert(key.clone(), Instant::now());
    }

    pub(crate) fn is_contended(&self, key: &SubmissionKey) -> bool {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(key).is_some_and(|since| since.elapsed() < LEFT_ALONE)
    }
}
