//! `GET /v1/keys`

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::keys::body::KeyBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, Unavailable};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery};
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{KeyPage, LongPageQuery, page_response};
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;

/// A page of access keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    #[schema(value_type = Vec<KeyBody>)]
    keys: Vec<Entry<KeyBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// List keys
///
/// Lists all keys of units at or below the caller's, valid or not, the oldest first, without their secrets.
#[utoipa::path(
    tag = "keys",
    params(FieldsQuery<KeyBody>, LongPageQuery, IfNoneMatchHeader),
    responses(
        (status = 200, description = "A page of access keys", body = KeyList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/keys")]
pub(crate) async fn list_keys(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let fields = Fields::read::<KeyBody>(&mut query);
    let page = KeyPage::read_long(&mut query);
    query.finish()?;
    let found = store.keys(page.after, page.limit).await?;
    let page = KeyPage::entries(found.keys, found.more, |key| (key.created_at, key.id.clone()));
    let keys = page.entries.iter();
    let keys = fields.of_all(keys.map(|key| KeyBody::new(key, store.catalogue())));
    page_response(&request, page.next_cursor, |next_cursor| KeyList {
        keys,
        next_cursor,
    })
}
