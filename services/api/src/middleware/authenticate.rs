//! The check that every request passes.

use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use tonghop_domain::{Caller, Token};

use crate::access::audit_context::{Trace, address};
use crate::access::key_cache::Keys;
use crate::access::rate_limit::Left;
use crate::openapi::public_paths::is_public;
use crate::problem::{KeyFault, Problem};

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
            Ok(caller) => self.limits().take(&caller.key),
            Err(_) => Ok(None),
        };
        let refused = caller.as_ref().err().or(left.as_ref().err());
        match (refused, token) {
            (Some(Problem::MissingKey | Problem::InvalidKey(KeyFault::Malformed | KeyFault::Unknown)), _) => {
                self.trail().count_stranger();
            }
            (Some(problem @ (Problem::InvalidKey(_) | Problem::RateLimited { .. })), Some(token))
                if self.knows(&token.id()) =>
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
