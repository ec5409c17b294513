//! What the audit trail will say of one request.

use actix_web::HttpMessage;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::web::Data;
use tonghop_domain::{Actor, AuditEntry, KeyId, Origin, SubmissionKey, UnitId};

use crate::access::audit_log::Trail;
use crate::openapi::operations::Methods;
use crate::problem::Problem;
use crate::request::request_id::RequestId;

/// Who asked for which operation, and, once that is known, on what. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    origin: Origin,
    /// The id of the operation; none where no route is.
    action: Option<String>,
    on: Arc<Mutex<On>>,
}

/// What an operation is on, as far as it is known.
#[derive(Debug, Default)]
struct On {
    key: Option<SubmissionKey>,
    unit: Option<UnitId>,
}

impl Trace {
    /// Of a request with a key.
    pub(crate) fn new(request: &ServiceRequest, key: KeyId) -> Self {
        let id = request.extensions().get::<RequestId>().cloned();
        Self {
            origin: Origin {
                actor: Actor::Key(key),
                address: address(request.request()),
                request_id: id.map(|id| id.0),
            },
            action: operation(request),
            on: Arc::default(),
        }
    }

    /// Who asks.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// For what.
    pub(crate) fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    /// Keeps what the operation is on.
    pub(crate) fn is_on(&self, key: &SubmissionKey) {
        self.with(|on| on.key = Some(key.clone()));
    }

    /// Keeps which unit the operation is on.
    pub(crate) fn is_on_unit(&self, unit: UnitId) {
        self.with(|on| on.unit = Some(unit));
    }

    /// Of one line of the request's batch.
    pub(crate) fn of_line(&self, key: Option<&SubmissionKey>) -> Self {
        let on = On {
            key: key.cloned(),
            unit: None,
        };
        Self {
            on: Arc::new(Mutex::new(on)),
            ..self.clone()
        }
    }

    /// What the trail says when it came to this.
    pub(crate) fn entry(&self, outcome: &str) -> AuditEntry {
        let entry = AuditEntry::new(self.origin.clone(), self.action(), outcome);
        self.with(|on| match &on.key {
            Some(key) => entry.on(key),
            None => AuditEntry {
                unit: on.unit,
                ..entry
            },
        })
    }

    /// Notes that the request, or a line of its batch, was refused. What was decided in a transaction is noted there.
    pub(crate) fn note_refusal(&self, trail: &Trail, problem: &Problem) {
        let is_noted = matches!(
            problem,
            Problem::RevisionConflict { .. } | Problem::IdempotencyKeyReused
        );
        if !is_noted && self.action.is_some() {
            trail.note_soon(self.entry(problem.code().slug()));
        }
    }

    /// Notes it when a change was refused, or anything on another's unit.
    pub(crate) fn note_answer(&self, trail: &Trail, response: &ServiceResponse<impl Sized>) {
        let Some(problem) = response.response().error().and_then(|error| error.as_error()) else {
            return;
        };
        let changes = changes_something(response.request().head().method.clone());
        if changes || matches!(problem, Problem::Forbidden(_)) {
            self.note_refusal(trail, problem);
        }
    }

    /// Counts that a change was refused before it was looked at, as when a key asks for too much.
    pub(crate) fn count_refusal(&self, trail: &Trail, method: Method, problem: &Problem) {
        if self.action.is_some() && changes_something(method) {
            trail.count(self.entry(problem.code().slug()));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut On) -> T) -> T {
        act(&mut self.on.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn changes_something(method: Method) -> bool {
    !method.is_safe()
}

/// Where a request comes from: the caller, or the proxy before the service.
pub(crate) fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}

fn operation(request: &ServiceRequest) -> Option<String> {
    let methods = request.app_data::<Data<Methods>>()?;
    methods.operation(request.method(), request.path())
}
