//! Completes every response: request id, rendered problems, security headers.

use std::time::{Duration, Instant};

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpResponse};

use crate::middleware::access_log::log_request;
use crate::middleware::compression::compress;
use crate::middleware::request_metrics::RequestMetrics;
use crate::problem::body::Context;
use crate::problem::{Missing, Problem};
use crate::request::request_id::{REQUEST_ID, RequestId};
use crate::server::read_ahead::Exchange;
use crate::server::state::Encryption;

/// The time for which a connection may be idle between requests: longer than common proxies keep theirs (60 s, as in nginx
/// and in load balancers of clouds), so that they close first.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const IDLE_TIMEOUT_TEXT: &str = "timeout=75";
const _: () = assert!(IDLE_TIMEOUT.as_secs() == 75);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The middleware around all others.
pub(crate) async fn complete_response(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let mut exchange = Exchange::begin(&mut request);
    let method = request.method().clone();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    if method == Method::HEAD {
        // HEAD is routed as GET. The server omits the body, because it knows the original method.
        request.head_mut().method = Method::GET;
    }
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = render_problem(response);
    if method == Method::HEAD && response.response().body().size() == BodySize::Stream {
        // The server would wait for its end, and it may have none.
        response = response.map_body(|_, _| body::None::new().boxed());
    }
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    add_security_headers(&mut response);
    let mut response = compress(response);
    let is_refused = response.status().is_client_error() || response.status().is_server_error();
    if is_refused && !exchange.drop_body().await {
        response
            .response_mut()
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    announce_keep_alive(&mut response, exchange.is_body_incomplete());
    let took = started.elapsed();
    if let Some(requests) = response.request().app_data::<Data<RequestMetrics>>() {
        let route = response.request().match_pattern();
        requests.observe(&method, route.as_deref(), response.status(), took);
    }
    log_request(&method, &response, &id, took);
    Ok(exchange.end_with(response))
}

/// Renders the problem of a response, if it is one.
fn render_problem(response: ServiceResponse) -> ServiceResponse {
    let request = response.request();
    let mut rendered = match response.response().error() {
        Some(error) => render_error(error, &Context::of(request)),
        // Swagger UI answers with a bare status where it has no file.
        None if response.status() == StatusCode::NOT_FOUND => {
            Context::of(request).response(&Problem::NotFound(Missing::Path))
        }
        None => return response,
    };
    let (request, bare) = response.into_parts();
    // Keep the headers that other middleware added: quota and CORS.
    for (name, value) in bare.headers() {
        if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name) {
            rendered.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, rendered)
}

fn render_error(error: &Error, context: &Context) -> HttpResponse {
    // Any other error comes from a part of the framework that fails only by a fault of ours.
    let internal = Problem::Internal(error.to_string());
    let problem = error.as_error::<Problem>().unwrap_or(&internal);
    problem.log(&context.request_id, None);
    context.response(problem)
}

/// Adds headers that keep browsers and caches from misusing a response, unless it has its own.
fn add_security_headers(response: &mut ServiceResponse) {
    set(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(response, X_FRAME_OPTIONS, "DENY");
    set(response, REFERRER_POLICY, "no-referrer");
    let encryption = response.request().app_data::<Data<Encryption>>();
    if encryption.is_some_and(|encryption| encryption.0) {
        // A browser that has been here uses HTTPS for a year, whatever a link says.
        set(response, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        if !response.headers().contains_key(&name) {
            set(response, name, value);
        }
    }
}

/// Tells clients and proxies of HTTP/1 how long a connection may be idle (RFC 2068, section 19.7.1.1), so that they close
/// it before the service does: a request that crosses the closing would be lost.
fn announce_keep_alive(response: &mut ServiceResponse, is_body_incomplete: bool) {
    let version = response.request().head().version;
    // The framework takes used heads for new responses and leaves their version: after HTTP/1.0, that means to close.
    response.response_mut().head_mut().version = version;
    let head = response.request().head();
    let is_kept = head.connection_type() == ConnectionType::KeepAlive
        && response.response().head().connection_type() != ConnectionType::Close;
    if is_kept && !is_body_incomplete && version <= Version::HTTP_11 {
        set(response, KEEP_ALIVE, IDLE_TIMEOUT_TEXT);
    }
}

fn set(response: &mut ServiceResponse, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
