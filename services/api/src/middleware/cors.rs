//! Cross-origin resource sharing (CORS, in the Fetch standard): which web pages of other origins may read responses.
//!
//! This is not actix-cors, because that crate rejects other origins with responses of its own. Here, a service with a list
//! treats an origin that is not on it like a service without a list.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderValue, ORIGIN, VARY,
};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

/// The methods a page may use. Its key is sent in Authorization and never in a cookie, so credentials are not allowed.
const METHODS: &str = "GET, HEAD, POST, DELETE";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, Accept, Accept-Language, Idempotency-Key, If-Match, \
                               If-None-Match, Last-Event-ID, Prefer, X-Request-Id";
/// The response headers a page may read besides those that every page may.
const RESPONSE_HEADERS: &str = "ETag, Location, Link, X-Request-Id, Idempotency-Replayed, RateLimit, RateLimit-Policy, \
                              Retry-After";
/// The time in seconds for which a browser may cache the answer to a preflight request.
const MAX_AGE_S: &str = "600";

/// The origins whose pages may use the service; none by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    /// Parses origins as browsers send them.
    ///
    /// # Errors
    /// The first that no browser would send.
    pub(crate) fn read(texts: &[String]) -> Result<Self, String> {
        let given = texts
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty());
        let origins: Vec<String> = given.map(str::to_owned).collect();
        match origins.iter().find(|text| !is_origin(text)) {
            Some(other) => Err(other.clone()),
            None => Ok(Self(origins)),
        }
    }

    /// The origin of a request, if it is one of these.
    fn of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let is_listed = self.0.iter().any(|listed| listed.as_bytes() == origin.as_bytes());
        is_listed.then(|| origin.clone())
    }
}

/// Whether a text is scheme, host and non-default port exactly as browsers write them.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return false,
    };
    let Some(host) = uri.host().filter(|host| !host.is_empty() && !host.contains('*')) else {
        return false;
    };
    let port = uri.port_u16().filter(|port| *port != default_port);
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    text == format!("{scheme}://{}{port}", host.to_ascii_lowercase())
}

/// The middleware around authentication, because a preflight request has no key.
pub(crate) async fn cors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origins = request.app_data::<Data<Origins>>();
    let Some(origins) = origins.filter(|origins| !origins.0.is_empty()) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let origin = origins.of(request.headers());
    let mut response = if origin.is_some() && is_preflight(&request) {
        let allowed = HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE_S))
            .finish();
        request.into_response(allowed)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = response.headers_mut();
    // A cache must not serve the response for one origin to another.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(RESPONSE_HEADERS),
        );
    }
    Ok(response)
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_accepted_only_as_browsers_write_it() {
        let read = |text: &str| Origins::read(&[text.to_owned()]);
        for good in [
            "https://pages.example",
            "http://localhost:5173",
            "https://[::1]:8443",
            " https://a.b ",
        ] {
            assert_eq!(read(good).unwrap().0, [good.trim()]);
        }
        assert!(read("").unwrap().0.is_empty());
        for bad in [
            "*",
            "null",
            "pages.example",
            "https://*.example",
            "https://pages.example/",
            "https://pages.example/path",
            "https://pages.example:443",
            "http://pages.example:80",
            "https://Pages.example",
            "HTTPS://pages.example",
            "https://user@pages.example",
            "ftp://pages.example",
            "https://",
            "https://a.example https://b.example",
        ] {
            assert_eq!(read(bad).unwrap_err(), bad);
        }
    }
}
