//! Submissions that another session has locked for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonghop_domain::SubmissionKey;

/// The time for which changes of a contended submission are refused at once.
const LEFT_ALONE: Duration = Duration::from_secs(2);

/// The submissions found locked lately, so that they do not delay every worker again. Clones share the list.
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
