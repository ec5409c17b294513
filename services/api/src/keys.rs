//! Who calls: access keys in memory, and the check that every request passes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonghop_domain::{Caller, Key, KeyId, KeyState, Token, TokenDigest};
use tonghop_storage::{Store, StoreError};

use crate::limits::{Left, Limits};
use crate::problem::{KeyFault, Problem};
use crate::trace::{Trace, address};
use crate::trail::Trail;

/// How often keys are read from the database: a revoked one is refused by then.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// The same while the database does not answer.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Keys that were read longer ago than this are not relied upon.
const RELIED_UPON: Duration = Duration::from_secs(5);
/// A key that is not known may be new; but however many are tried, the database is not asked more often than this.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often it is noted which keys were used.
const NOTE_INTERVAL: Duration = Duration::from_secs(30);

/// What needs no key: health, documentation, and pages about problems.
pub(crate) fn is_public(path: &str) -> bool {
    matches!(
        path,
        "/" | "/docs" | "/openapi.json" | "/problems" | "/livez" | "/readyz"
    ) || path.starts_with("/docs/")
        || path.starts_with("/problems/")
}

/// The keys of the service. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    limits: Limits,
    trail: Trail,
    known: RwLock<Known>,
    /// Held while the keys are read: when the last reading began, and what came of it.
    reading: tokio::sync::Mutex<Option<(Instant, Result<(), StoreError>)>>,
    used: Mutex<HashMap<KeyId, DateTime<Utc>>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<KeyId, (Key, TokenDigest)>,
    /// When the reading of these keys began.
    read_at: Option<Instant>,
}

impl Keys {
    /// None are known until they are read.
    pub(crate) fn new(store: Store, limits: Limits, trail: Trail) -> Self {
        Self(Arc::new(Inner {
            store,
            limits,
            trail,
            known: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            used: Mutex::default(),
        }))
    }

    /// Reads the keys again and again until `stop`, and notes now and then which were used.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let reading = async {
            let mut noted = Instant::now();
            loop {
                let wait = match self.read_since(Instant::now()).await {
                    Ok(()) => READ_INTERVAL,
                    Err(error) => {
                        tracing::warn!(%error, "access keys were not read");
                        RETRY_INTERVAL
                    }
                };
                if noted.elapsed() > NOTE_INTERVAL {
                    noted = Instant::now();
                    self.note_uses().await;
                    self.0.limits.forget_the_idle();
                }
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = reading => {}
        }
    }

    /// The audit trail, into which callers' doings are noted.
    pub(crate) fn trail(&self) -> &Trail {
        &self.0.trail
    }

    /// Notes which keys were used since the last time.
    pub(crate) async fn note_uses(&self) {
        let used = std::mem::take(&mut *self.0.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.note_key_uses(used.into_iter().collect()).await {
            tracing::warn!(%error, "the last uses of access keys were not noted");
        }
    }

    /// Whose token it is, which came from an address.
    async fn caller(&self, token: &Token, address: Option<IpAddr>) -> Result<Caller, Problem> {
        let came = Instant::now();
        let is_fresh = self.with(|known| known.read_at.is_some_and(|at| at.elapsed() < RELIED_UPON));
        if !is_fresh {
            self.read_since(came).await?;
        }
        if !self.with(|known| known.keys.contains_key(&token.id())) {
            address.map_or(Ok(()), |address| self.0.limits.admit_stranger(address))?;
            self.read_since(came).await?;
        }
        let now = Utc::now();
        let caller = self.with(|known| {
            let known = known.keys.get(&token.id());
            known
                .filter(|(_, digest)| digest.is_of(token))
                .map(|(key, _)| Caller::from(key))
        });
        let Some(caller) = caller else {
            address.inspect(|address| self.0.limits.note_stranger(*address));
            return Err(Problem::InvalidKey(KeyFault::Unknown));
        };
        self.check(&caller.key)?;
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(caller.key.clone(), now);
        Ok(caller)
    }

    /// That a key, which was valid, still is.
    pub(crate) fn check(&self, id: &KeyId) -> Result<(), Problem> {
        let state = self.with(|known| known.keys.get(id).map(|(key, _)| key.state(Utc::now())));
        match state {
            Some(KeyState::Valid) => Ok(()),
            Some(KeyState::Expired) => Err(Problem::InvalidKey(KeyFault::Expired)),
            Some(KeyState::Revoked) => Err(Problem::InvalidKey(KeyFault::Revoked)),
            None => Err(Problem::InvalidKey(KeyFault::Unknown)),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys, unless somebody began to after `time`.
    async fn read_since(&self, time: Instant) -> Result<(), StoreError> {
        let mut last = self.0.reading.lock().await;
        if let Some((began, outcome)) = &*last {
            if *began >= time {
                return outcome.clone();
            }
            tokio::time::sleep_until(*began + LOOK_INTERVAL).await;
        }
        let began = Instant::now();
        let outcome = self.read(began).await;
        *last = Some((began, outcome.clone()));
        outcome
    }

    async fn read(&self, began: Instant) -> Result<(), StoreError> {
        let keys = self.0.store.keys().await?;
        if keys.is_empty() && self.with(|known| known.read_at.is_none()) {
            tracing::warn!("nobody has an access key yet: make one with `tonghop key create --role admin`");
        }
        let keys = keys
            .into_iter()
            .map(|(key, digest)| (key.id.clone(), (key, digest)))
            .collect();
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Known {
            keys,
            read_at: Some(began),
        };
        Ok(())
    }
}

/// The token of a request (RFC 6750, section 2.1): never in the address, where it would be logged.
fn token(headers: &HeaderMap) -> Result<Token, Problem> {
    let mut given = headers.get_all(AUTHORIZATION);
    let header = given.next().ok_or(Problem::MissingKey)?;
    let malformed = || Problem::InvalidKey(KeyFault::Malformed);
    if given.next().is_some() {
        return Err(malformed());
    }
    let text = header.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    token.trim().parse().map_err(|_| malformed())
}

/// The middleware around all routes: whatever is not public needs a key, whether or not there is such a route.
pub(crate) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if is_public(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let keys = match keys_of(&request) {
        Ok(keys) => keys,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let (caller, left) = match keys.admit(&request).await {
        Ok(admitted) => admitted,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let trace = Trace::new(&request, caller.key.clone());
    request.extensions_mut().insert((caller, trace.clone()));
    let mut response = next.call(request).await?.map_into_boxed_body();
    trace.note_answer(keys.trail(), &response);
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    Ok(response)
}

fn keys_of(request: &ServiceRequest) -> Result<Keys, Problem> {
    let keys = request.app_data::<Data<Keys>>();
    let keys = keys.ok_or_else(|| Problem::Internal("the service has no keys".into()))?;
    Ok(keys.get_ref().clone())
}

impl Keys {
    /// Who calls, if he may now. That a change was refused here is counted, under the key if somebody was given it.
    async fn admit(&self, request: &ServiceRequest) -> Result<(Caller, Option<Left>), Problem> {
        let (token, caller) = match token(request.headers()) {
            Ok(token) => {
                let caller = self.caller(&token, address(request.request())).await;
                (Some(token), caller)
            }
            Err(problem) => (None, Err(problem)),
        };
        let left = match &caller {
            Ok(caller) => self.0.limits.take(&caller.key),
            Err(_) => Ok(None),
        };
        let refused = caller.as_ref().err().or(left.as_ref().err());
        match (refused, token) {
            (Some(Problem::MissingKey | Problem::InvalidKey(KeyFault::Malformed | KeyFault::Unknown)), _) => {
                self.trail().count_stranger();
            }
            (Some(problem @ (Problem::InvalidKey(_) | Problem::RateLimited { .. })), Some(token))
                if self.with(|known| known.keys.contains_key(&token.id())) =>
            {
                let trace = Trace::new(request, token.id());
                trace.count_refusal(self.trail(), request.method().clone(), problem);
            }
            _ => {}
        }
        Ok((caller?, left?))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_authorization_is_a_token_as_it_is_written_or_refused(value in "(Bearer )?(th_)?[0-9A-Za-z]{0,46}|[ -~\u{80}-\u{ff}]{0,60}") {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            match token(&headers) {
                Ok(token) => prop_assert!(value.ends_with(token.reveal())),
                Err(problem) => prop_assert!(matches!(problem, Problem::InvalidKey(KeyFault::Malformed)), "{problem:?}"),
            }
        }
    }

    #[test]
    fn only_health_documentation_and_problem_pages_need_no_key() {
        for path in [
            "/",
            "/docs",
            "/docs/index.html",
            "/openapi.json",
            "/problems/not-found",
            "/livez",
            "/readyz",
        ] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/v1/totals",
            "/metrics",
            "/nothing",
            "/docs.txt",
            "//docs/",
            "/livez/",
            "/v1/../docs/",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }

    #[test]
    fn a_token_comes_once_in_the_authorization_header() {
        let made = Token::generate();
        let read = |values: &[String]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            token(&headers)
        };
        let bearer = format!("Bearer {}", made.reveal());
        assert_eq!(read(std::slice::from_ref(&bearer)).unwrap(), made);
        assert_eq!(read(&[format!("bearer  {}", made.reveal())]).unwrap(), made);
        assert!(matches!(read(&[]), Err(Problem::MissingKey)));
        let basic = format!("Basic {}", made.reveal());
        for wrong in [
            vec![bearer.clone(), bearer],
            vec![basic],
            vec!["Bearer".into()],
            vec!["Bearer x".into()],
        ] {
            assert!(
                matches!(read(&wrong), Err(Problem::InvalidKey(KeyFault::Malformed))),
                "{wrong:?}"
            );
        }
    }
}
