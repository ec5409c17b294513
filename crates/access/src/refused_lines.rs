//! The refused lines of a batch: counted by the code of the refusal, and recorded once per code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tonghop_domain::{AuditEntry, SubmissionKey};

use crate::audit_context::{AuditContext, RefusalCause};
use crate::audit_log::AuditLog;

/// The time after which counts are recorded although the batch goes on.
const INTERVAL: Duration = Duration::from_secs(60);

/// The refused lines of a batch. They are recorded when the last clone is dropped, and once a minute until then.
#[derive(Clone, Debug)]
pub struct RefusedLines(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: AuditLog,
    context: AuditContext,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    /// For each code, the entry of its first line, with the number of lines.
    by_code: HashMap<String, AuditEntry>,
}

impl RefusedLines {
    pub(crate) fn new(log: AuditLog, context: AuditContext) -> Self {
        let counted = Counted {
            since: Instant::now(),
            by_code: HashMap::new(),
        };
        Self(Arc::new(Inner {
            log,
            context,
            counted: Mutex::new(counted),
        }))
    }

    /// Counts a line. `code` is the code of the refusal that the caller receives; the trail names the submission of the
    /// first line with each code.
    pub fn count(&self, submission: Option<&SubmissionKey>, code: &str, cause: RefusalCause) {
        if !self.0.context.records(cause) {
            return;
        }
        let mut counted = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match counted.by_code.get_mut(code) {
            Some(entry) => entry.count += 1,
            None => {
                let entry = self.0.context.for_line(submission).entry(code);
                counted.by_code.insert(code.to_owned(), entry);
            }
        }
        if counted.since.elapsed() > INTERVAL {
            self.0.record(&mut counted);
        }
    }
}

impl Inner {
    fn record(&self, counted: &mut Counted) {
        counted.since = Instant::now();
        for (_, entry) in counted.by_code.drain() {
            self.log.record_refusal(entry);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut counted = std::mem::replace(
            self.counted.get_mut().unwrap_or_else(PoisonError::into_inner),
            Counted {
                since: Instant::now(),
                by_code: HashMap::new(),
            },
        );
        self.record(&mut counted);
    }
}
