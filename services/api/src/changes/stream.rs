//! `GET /v1/changes/stream`: the change feed as server-sent events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::future::ready;
use futures_util::stream::{Stream, StreamExt, once, unfold};
use tokio::time::{Instant, sleep, timeout_at};
use tonghop_access::{ChangePage, Listener};

use crate::changes::body::ChangeBody;
use crate::changes::cursor::{After, FeedPosition};
use crate::openapi::problem_responses::{BadRequest, Busy, NotAcceptable, Unavailable};
use crate::openapi::text_types::FeedCursorText;
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::media_type::accepted;
use crate::request::paging::read_number;
use crate::request::parameters::query_parameters;
use crate::request::query::Query;

/// The media type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// The longest time for which nothing is sent: less than proxies wait for a response to go on.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The milliseconds after which a client connects again.
const RETRY_MS: u32 = 1_000;
/// The longest time after which a client can have its stream ended.
const MAX_TIMEOUT_SECONDS: usize = 3_600;

query_parameters! {
    /// Where the stream begins.
    pub(crate) struct ChangeStreamQuery {
        /// The `next_after` of a page or the `id` of an event; or `latest`, to begin with the next change. Without it, the
        /// stream begins with the first change of all
        #[param(value_type = Option<FeedCursorText>, inline)]
        after: Option<After> = After::read,
        /// The seconds after which the service ends the stream; without it, the stream goes on
        #[param(value_type = Option<u32>, minimum = 1, maximum = 3600, example = 1)]
        timeout_seconds: Option<usize> = read_number::<MAX_TIMEOUT_SECONDS>,
    }
}

/// The header with which a client connects again.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by After::of_last_event")]
pub(crate) struct LastEventIdHeader {
    /// The `id` of the last event that you received; it takes precedence over `after`
    #[param(rename = "Last-Event-ID", value_type = Option<FeedCursorText>, inline)]
    value: (),
}

/// Follow changes
///
/// The changes of `/v1/changes` as server-sent events, each within a second, until the client leaves, its key becomes
/// invalid, `timeout_seconds` have passed, the service stops, or it cannot read changes for half a minute. An event is named `submission` or `total`, and its data is a `Change` in JSON. Changes of
/// the same moment follow each other, and the last of them has the `id` for all of them: a client that connects again with
/// `Last-Event-ID` receives every change after it, and perhaps some a second time. After 15 seconds without an event, the
/// service sends a comment; a client that receives nothing for a minute should connect again.
#[utoipa::path(
    tag = "changes",
    params(ChangeStreamQuery, LastEventIdHeader),
    responses(
        (status = 200, description = "The changes as server-sent events", content((String = "text/event-stream"))),
        BadRequest, NotAcceptable, Busy, Unavailable
    )
)]
#[get("/v1/changes/stream")]
pub(crate) async fn stream_changes(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[EVENT_STREAM])?;
    let mut query = Query::of(&request);
    let ChangeStreamQuery {
        after,
        timeout_seconds,
    } = ChangeStreamQuery::read(&mut query);
    query.finish()?;
    let timeout = timeout_seconds.map(|seconds| Duration::from_secs(seconds as u64));
    stream(&request, &store, after, timeout).await
}

/// The response with the changes after a position, or after the last event that the client names; it ends after the timeout.
pub(crate) async fn stream(
    request: &HttpRequest,
    store: &Authorized,
    after: Option<After>,
    timeout: Option<Duration>,
) -> Result<HttpResponse, Problem> {
    let after = match After::of_last_event(request.headers())?.or(after) {
        Some(after) => after.position(store).await?,
        None => FeedPosition::default(),
    };
    let listener = store.follow_changes(after.0).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        // Proxies must pass on each event at once and as it is.
        .insert_header((CACHE_CONTROL, "no-store, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(
            events(listener, after)
                .take_until(end_after(timeout))
                .map(Ok::<_, Infallible>),
        ))
}

/// Waits until the timeout, if there is one.
async fn end_after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => sleep(timeout).await,
        None => pending().await,
    }
}

fn events(listener: Listener, after: FeedPosition) -> impl Stream<Item = Bytes> {
    let beginning = format!("retry: {RETRY_MS}\nid: {}\n\n", after.cursor());
    let following = Following {
        listener,
        position: after,
    };
    let parts = unfold(following, async |mut following| {
        following.next().await.map(|part| (part, following))
    });
    once(ready(Bytes::from(beginning))).chain(parts)
}

/// A client that follows changes.
struct Following {
    listener: Listener,
    /// The position after the changes that were sent, and after those of others.
    position: FeedPosition,
}

impl Following {
    /// The next part of the stream: some events, or a comment after a time without any. None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = Instant::now() + HEARTBEAT_INTERVAL;
        loop {
            let Ok(page) = timeout_at(heartbeat, self.listener.next()).await else {
                // The position goes on with changes of others.
                return Some(format!(": heartbeat\nid: {}\n\n", self.position.cursor()).into());
            };
            let page = page?;
            self.position = page.up_to.map_or(self.position, FeedPosition);
            if !page.changes.is_empty() {
                return self.render(&page).map(Bytes::from);
            }
        }
    }

    /// The events of some changes; none if one of them cannot be shown, so that the client connects again.
    fn render(&self, page: &ChangePage) -> Option<String> {
        let mut text = String::new();
        let mut following = page.changes.iter().peekable();
        while let Some(change) = following.next() {
            let body = ChangeBody::new(change, self.listener.store().catalogue()).ok()?;
            let data = serde_json::to_string(&body).ok()?;
            let is_last_of_its_time = following.peek().is_none_or(|next| next.at != change.at);
            let id = match is_last_of_its_time {
                true => format!("id: {}\n", FeedPosition(change.at).cursor()),
                false => String::new(),
            };
            text.push_str(&format!("event: {}\n{id}data: {data}\n\n", body.kind().as_str()));
        }
        Some(text)
    }
}
