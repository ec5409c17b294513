//! `GET /v1/keys`

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tonghop_domain::Key;
use utoipa::ToSchema;

use crate::keys::body::KeyBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, Unavailable};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, Page, PageQuery, link, listed};
use crate::request::query::Query;

const DEFAULT_LIMIT: usize = 50;

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    keys: Vec<KeyBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// List keys
///
/// Every key that ever was of units at or below the caller's, the oldest first, without its secret.
#[utoipa::path(
    tag = "keys",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of keys", body = KeyList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/keys")]
pub(crate) async fn list_keys(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let page = Page::read(&mut query, DEFAULT_LIMIT, |cursor| {
        matches!(cursor, Cursor::Code(_))
    });
    query.finish()?;
    let all = store.keys().await?;
    let start = match &page.after {
        Some(Cursor::Code(last)) => all
            .iter()
            .position(|key| key.id.as_str() == last)
            .map_or(all.len(), |at| at + 1),
        _ => 0,
    };
    let mut shown: Vec<Key> = all.into_iter().skip(start).take(page.limit + 1).collect();
    let next_cursor = page.cut(&mut shown, |last| Cursor::Code(last.id.to_string()));
    let next = link(&request, next_cursor.as_deref());
    let keys = shown
        .iter()
        .map(|key| KeyBody::new(key, store.catalogue()))
        .collect();
    Ok(listed(KeyList { keys, next_cursor }, next))
}
