//! What the audit trail says of one request.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tonghop_domain::{Actor, AuditEntry, KeyId, Origin, SubmissionKey, UnitId};

use crate::audit_log::AuditLog;

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The address of the caller, or of a proxy in front of the service that is not trusted.
    pub address: Option<IpAddr>,
    /// The id by which the request is found in the log.
    pub request_id: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The id of the operation, which is the action of its audit entries; none when there is no such operation.
    pub id: Option<String>,
    /// Whether the operation changes something.
    pub writes: bool,
}

/// Why a request, or a line of a batch, was refused, as far as the audit trail cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCause {
    /// The caller has no right to the unit or to the operation.
    Rights,
    /// Something else was wrong with the request, or with the service.
    Other,
    /// A transaction decided it, and recorded it in the trail itself.
    Transaction,
}

/// Who asked for which operation and, once that is known, on what. Clones share what is known.
#[derive(Clone, Debug)]
pub struct AuditContext {
    origin: Origin,
    operation: Operation,
    subject: Arc<Mutex<Subject>>,
}

/// What an operation is on.
#[derive(Debug, Default)]
struct Subject {
    submission: Option<SubmissionKey>,
    unit: Option<UnitId>,
}

impl AuditContext {
    /// The context of a request with a key.
    pub(crate) fn new(client: Client, operation: Operation, key: KeyId) -> Self {
        Self {
            origin: Origin {
                actor: Actor::Key(key),
                address: client.address,
                request_id: client.request_id,
            },
            operation,
            subject: Arc::default(),
        }
    }

    /// The caller: key, address and request.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The id of the operation; empty when there is no such operation.
    pub fn action(&self) -> &str {
        self.operation.id.as_deref().unwrap_or_default()
    }

    /// Remembers which submission the operation is on.
    pub(crate) fn set_submission(&self, key: &SubmissionKey) {
        self.with_subject(|subject| subject.submission = Some(key.clone()));
    }

    /// Remembers which unit the operation is on.
    pub(crate) fn set_unit(&self, unit: UnitId) {
        self.with_subject(|subject| subject.unit = Some(unit));
    }

    /// The context of one line of the request's batch.
    pub(crate) fn for_line(&self, submission: Option<&SubmissionKey>) -> Self {
        let subject = Subject {
            submission: submission.cloned(),
            unit: None,
        };
        Self {
            subject: Arc::new(Mutex::new(subject)),
            ..self.clone()
        }
    }

    /// The audit entry of an outcome.
    pub(crate) fn entry(&self, outcome: &str) -> AuditEntry {
        let entry = AuditEntry::new(self.origin.clone(), self.action(), outcome);
        self.with_subject(|subject| match &subject.submission {
            Some(key) => entry.on(key),
            None => AuditEntry {
                unit: subject.unit,
                ..entry
            },
        })
    }

    /// Records that the request was refused, if the trail cares.
    pub(crate) fn record_refusal(&self, log: &AuditLog, outcome: &str, cause: RefusalCause) {
        if self.records(cause) {
            log.record_refusal(self.entry(outcome));
        }
    }

    /// Whether the trail records a refusal: always when the caller lacks the right, and whenever the operation would have
    /// changed something.
    pub(crate) fn records(&self, cause: RefusalCause) -> bool {
        let cares = match cause {
            RefusalCause::Rights => true,
            RefusalCause::Other => self.operation.writes,
            RefusalCause::Transaction => false,
        };
        cares && self.operation.id.is_some()
    }

    /// Counts that a change was refused before it was looked at, for instance because the key made too many requests.
    pub(crate) fn count_refusal(&self, log: &AuditLog, outcome: &str) {
        if self.operation.writes && self.operation.id.is_some() {
            log.count(self.entry(outcome));
        }
    }

    fn with_subject<T>(&self, act: impl FnOnce(&mut Subject) -> T) -> T {
        act(&mut self.subject.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
