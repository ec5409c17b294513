//! Authentication: admits requests whose key is valid, and turns all others away.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use tonghop_access::{AuthorizedStore, Client, Credentials, Gate, Operation, Quota};

use crate::middleware::audit::record_refusal;
use crate::middleware::rate_limit_headers::add_rate_limit;
use crate::openapi::operations::Operations;
use crate::openapi::public_paths::{is_document, is_public};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::client_address::client_address;
use crate::request::request_id::RequestId;

/// The middleware around all routes: every path that is not public needs a key, whether or not it has a route.
pub(crate) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if is_document(request.path())
        && let Err(problem) = admit_document(&request).await
    {
        return Ok(request.error_response(problem));
    }
    if is_public(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let (store, quota) = match admit(&request).await {
        Ok(admitted) => admitted,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    request.extensions_mut().insert(Authorized(store.clone()));
    let mut response = next.call(request).await?.map_into_boxed_body();
    record_refusal(&store, &response);
    if let Some(quota) = quota {
        add_rate_limit(response.headers_mut(), quota);
    }
    Ok(response)
}

fn gate_of(request: &ServiceRequest) -> Result<&Gate, Problem> {
    let gate = request.app_data::<Data<Gate>>();
    gate.map(|gate| &***gate)
        .ok_or_else(|| Problem::Internal("the service has no gate".into()))
}

async fn admit_document(request: &ServiceRequest) -> Result<(), Problem> {
    let address = client_address(request.request());
    Ok(gate_of(request)?.admit_document(address).await?)
}

async fn admit(request: &ServiceRequest) -> Result<(AuthorizedStore, Option<Quota>), Problem> {
    let gate = gate_of(request)?;
    let id = request.extensions().get::<RequestId>().cloned();
    let client = Client {
        address: client_address(request.request()),
        request_id: id.map(|id| id.0),
    };
    let operations = request.app_data::<Data<Operations>>();
    let operation = Operation {
        id: operations.and_then(|operations| operations.id(request.method(), request.path())),
        writes: !request.method().is_safe(),
    };
    let credentials = credentials(request.headers());
    Ok(gate.admit(credentials, client, operation).await?)
}

/// The token of a request (RFC 6750, section 2.1). It is never read from the address, where it would be logged.
fn credentials(headers: &HeaderMap) -> Credentials {
    let mut given = headers.get_all(AUTHORIZATION);
    let Some(header) = given.next() else {
        return Credentials::Missing;
    };
    let bearer = header.to_str().ok().and_then(|text| text.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && given.next().is_none() => {
            Credentials::parse(token.trim())
        }
        _ => Credentials::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;
    use tonghop_access::Token;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    proptest! {
        #[test]
        fn any_authorization_is_read_as_written_or_malformed(value in "(Bearer )?(th_)?[0-9A-Za-z]{0,46}|[ -~\u{80}-\u{ff}]{0,60}") {
            match credentials(&headers(&[&value])) {
                Credentials::Token(token) => prop_assert!(value.ends_with(token.reveal())),
                other => prop_assert_eq!(other, Credentials::Malformed),
            }
        }
    }

    #[test]
    fn a_token_is_given_once_in_the_authorization_header() {
        let token = Token::generate();
        let bearer = format!("Bearer {}", token.reveal());
        let lower = format!("bearer  {}", token.reveal());
        let basic = format!("Basic {}", token.reveal());
        assert_eq!(
            credentials(&headers(&[&bearer])),
            Credentials::Token(token.clone())
        );
        assert_eq!(credentials(&headers(&[&lower])), Credentials::Token(token));
        assert_eq!(credentials(&headers(&[])), Credentials::Missing);
        for wrong in [
            &[bearer.as_str(), bearer.as_str()][..],
            &[basic.as_str()],
            &["Bearer"],
            &["Bearer x"],
        ] {
            assert_eq!(credentials(&headers(wrong)), Credentials::Malformed, "{wrong:?}");
        }
    }
}
