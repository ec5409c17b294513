//! Units, as agreed before anyone reports.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{NaiveDate, Utc};
use serde::Serialize;
use tonghop_domain::{Place, UnitCode};
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, MAX_LIMIT, Page, PageQuery, link, listed};
use crate::request::query::Query;

/// A page of units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitList {
    /// The day whose units these are.
    date: NaiveDate,
    units: Vec<UnitBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// An office in the reporting tree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unit, example = json!({
    "code": "866", "name_vi": "Thành phố Cao Lãnh", "name_en": "Cao Lanh City", "level": "district", "parent": "87",
    "valid_from": "2007-01-16", "valid_to": "2025-07-01", "has_children": false
}))]
pub(crate) struct UnitBody {
    /// The code, unique on any one day. Codes are reused over the years.
    code: String,
    name_vi: String,
    name_en: String,
    /// `country`, `province`, `district`, `commune` or `agency`.
    level: &'static str,
    /// The code of the unit above; null for the root.
    #[schema(required = true)]
    parent: Option<String>,
    /// The first day; null for always before.
    #[schema(required = true)]
    valid_from: Option<NaiveDate>,
    /// The first day on which it is no longer valid; null for still valid.
    #[schema(required = true)]
    valid_to: Option<NaiveDate>,
    /// Whether units are below it.
    has_children: bool,
}

/// List units
///
/// The units of a day, by code.
#[utoipa::path(
    tag = "catalogue",
    params(
        ("date" = Option<String>, Query, format = Date, description = "The day; today when left out", example = "2021-07-31"),
        ("parent" = Option<String>, Query, description = "Only the units directly below this one", example = "87"),
        ("code" = Option<String>, Query, description = "Only the unit with this code", example = "866"),
        PageQuery
    ),
    responses(
        (status = 200, description = "A page of units", body = UnitList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/units")]
pub(crate) async fn list_units(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let date = query
        .day("date")
        .unwrap_or_else(|| store.catalogue().today(Utc::now()));
    let parent: Option<UnitCode> = query.code("parent");
    let code: Option<UnitCode> = query.code("code");
    let page = Page::read(&mut query, MAX_LIMIT, |cursor| matches!(cursor, Cursor::Code(_)));
    query.finish()?;
    let tree = store.catalogue().tree(date);
    let mut places: Vec<Place<'_>> = match &parent {
        Some(parent) => {
            let place = tree.get(parent.as_str());
            place
                .ok_or(Problem::NotFound(Missing::Parameter("parent")))?
                .children()
                .collect()
        }
        None => tree.places().collect(),
    };
    places.retain(|place| code.as_ref().is_none_or(|code| place.code() == code));
    if let Some(Cursor::Code(last)) = &page.after {
        places.retain(|place| place.code().as_str() > last.as_str());
    }
    places.sort_by_key(|place| place.code());
    let next_cursor = page.cut(&mut places, |last| Cursor::Code(last.code().to_string()));
    let next = link(&request, next_cursor.as_deref());
    let units = places.into_iter().map(UnitBody::from).collect();
    Ok(listed(
        UnitList {
            date,
            units,
            next_cursor,
        },
        next,
    ))
}

impl From<Place<'_>> for UnitBody {
    fn from(place: Place<'_>) -> Self {
        let unit = place.unit();
        Self {
            code: unit.code.to_string(),
            name_vi: unit.names.vi.clone(),
            name_en: unit.names.en.clone(),
            level: unit.level.as_str(),
            parent: unit.parent.as_ref().map(ToString::to_string),
            valid_from: unit.valid_from,
            valid_to: unit.valid_to,
            has_children: place.has_children(),
        }
    }
}
