//! `GET /v1/changes`

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::changes::body::ChangeBody;
use crate::changes::cursor::{After, FeedPosition};
use crate::changes::stream::{EVENT_STREAM, stream};
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, Unavailable};
use crate::openapi::text_types::FeedCursorText;
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::read_number;
use crate::request::parameters::query_parameters;
use crate::request::query::Query;

/// The most changes of a page, except that those of one moment stay together.
const MAX_LIMIT: usize = 1_000;
const DEFAULT_LIMIT: usize = 200;

/// A page of the change feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeList {
    /// The changes, in the order in which they were recorded.
    changes: Vec<ChangeBody>,
    /// The `after` of the next page, also when there are no more changes yet.
    next_after: String,
    /// Whether there are more changes already. A page can have few changes or none although there are more.
    more: bool,
}

query_parameters! {
    /// The part of the feed that the caller wants.
    pub(crate) struct ChangeListQuery {
        /// The `next_after` of the previous page or the `id` of an event; or `latest`, to begin with the next change. Without
        /// it, the page begins with the first change of all
        #[param(value_type = Option<FeedCursorText>, inline)]
        after: Option<After> = After::read,
        /// About how many changes the page has at most: changes of the same moment are never separated
        #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 200, example = 1)]
        limit: Option<usize> = read_number::<MAX_LIMIT>,
    }
}

/// List changes
///
/// What has changed at or below the caller's unit, in the order of recording: each revision of a submission once, and each
/// total once or more after its last refresh. A correction never comes before what it corrects. A change appears when
/// nothing can still be recorded before it, within a second.
///
/// To follow all data, ask with `after=latest` first, then read what you need, then ask again and again with the
/// `next_after` of the previous page. A cursor never expires. With `Accept: text/event-stream`, the response is that of
/// `/v1/changes/stream`, and `limit` is ignored.
#[utoipa::path(
    tag = "changes",
    params(ChangeListQuery),
    responses(
        (status = 200, description = "A page of the change feed", body = ChangeList),
        BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/changes")]
pub(crate) async fn list_changes(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    let media = accepted(request.headers(), &[JSON, EVENT_STREAM])?;
    let mut query = Query::of(&request);
    let ChangeListQuery { after, limit } = ChangeListQuery::read(&mut query);
    query.finish()?;
    if media == EVENT_STREAM {
        return stream(&request, &store, after, None).await;
    }
    let after = match after {
        Some(after) => after.position(&store).await?,
        None => FeedPosition::default(),
    };
    let page = store.changes(after.0, limit.unwrap_or(DEFAULT_LIMIT)).await?;
    let changes = page.changes.iter();
    let changes: Result<_, Problem> = changes
        .map(|change| ChangeBody::new(change, store.catalogue()))
        .collect();
    let next_after = page.up_to.map_or(after, FeedPosition).cursor();
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(ChangeList {
            changes: changes?,
            next_after,
            more: page.more,
        }))
}
