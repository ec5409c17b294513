//! `GET /v1/units`

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{NaiveDate, Utc};
use serde::Serialize;
use tonghop_domain::{Level, Names, Place, Tree, UnitCode, search_form};
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::UnitText;
use crate::problem::text::localized;
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery, ListEntry};
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{CodePage, PageQuery, page_response};
use crate::request::parameters::query_parameters;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;

/// A page of units of one day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitList {
    /// The day on which these units exist.
    date: NaiveDate,
    #[schema(value_type = Vec<UnitBody>)]
    units: Vec<Entry<UnitBody>>,
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
    /// Its place in the administration.
    level: LevelBody,
    /// The code of the unit above; null for the root.
    #[schema(required = true)]
    parent: Option<String>,
    /// The first day; null if the unit has always existed.
    #[schema(required = true)]
    valid_from: Option<NaiveDate>,
    /// The first day on which the unit no longer exists; null if it still exists.
    #[schema(required = true)]
    valid_to: Option<NaiveDate>,
    /// Whether there are units below it.
    has_children: bool,
}

impl ListEntry for UnitBody {}

/// The place of an office in the administration. `country`: the root; `province`: a province or a city under the central
/// government; `district`: a district, or a town or city of a province, abolished on 1 July 2025; `commune`: a commune, ward
/// or township; `agency`: a department or centre that reports beside the territorial units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Level)]
pub(crate) enum LevelBody {
    /// The root of the tree.
    Country,
    /// A province or a city under the central government.
    Province,
    /// A district, or a town or city of a province. Abolished on 1 July 2025.
    District,
    /// A commune, ward or township.
    Commune,
    /// A department or centre that reports beside the territorial units.
    Agency,
}

impl From<Level> for LevelBody {
    fn from(level: Level) -> Self {
        match level {
            Level::Country => Self::Country,
            Level::Province => Self::Province,
            Level::District => Self::District,
            Level::Commune => Self::Commune,
            Level::Agency => Self::Agency,
        }
    }
}

query_parameters! {
    /// The query parameters that select units.
    pub(crate) struct UnitListQuery {
        /// The day; today by default
        #[param(value_type = Option<String>, format = Date, example = "2021-07-31")]
        date: Option<NaiveDate> = Query::day,
        /// Only the units directly below this one
        #[param(value_type = Option<UnitText>, inline, example = "87")]
        parent: Option<UnitCode> = Query::code,
        /// Only the unit with this code
        #[param(value_type = Option<UnitText>, inline, example = "866")]
        code: Option<UnitCode> = Query::code,
        /// Only units of this level
        #[param(value_type = Option<LevelBody>, inline, example = "district")]
        level: Option<Level> = read_level,
        /// Only units whose Vietnamese or English name contains this text. Case, tones and marks do not count: `hoa` also
        /// finds *Hòa* and *Hoà*, and `dong thap` finds *Đồng Tháp*
        #[param(value_type = Option<String>, example = "cao lanh")]
        name: Option<String> = Query::text,
    }
}

fn read_level(query: &mut Query, name: &'static str) -> Option<Level> {
    let hint = || {
        localized(
            "Write country, province, district, commune or agency.",
            "Hãy viết country, province, district, commune hoặc agency.",
        )
    };
    query.optional(name, hint, |text| text.parse().ok())
}

/// List units
///
/// Lists the units of a day, each before those below it, and otherwise in the catalogue's order.
#[utoipa::path(
    tag = "catalogue",
    params(
        UnitListQuery, FieldsQuery<UnitBody>, PageQuery, IfNoneMatchHeader
    ),
    responses(
        (status = 200, description = "A page of units of that day", body = UnitList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/units")]
pub(crate) async fn list_units(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let parameters = UnitListQuery::read(&mut query);
    let fields = Fields::read::<UnitBody>(&mut query);
    let page = CodePage::read(&mut query);
    query.finish()?;
    let date = parameters.date;
    let date = date.unwrap_or_else(|| store.catalogue().today(Utc::now()));
    let tree = store.catalogue().tree(date);
    let places = matching_places(&tree, date, &parameters)?;
    let page = page.of(places, |place| place.code().to_string())?;
    let units = fields.of_all(page.entries.into_iter().map(UnitBody::from));
    page_response(&request, page.next_cursor, |next_cursor| UnitList {
        date,
        units,
        next_cursor,
    })
}

/// The units that a query selects, in the catalogue's order.
fn matching_places<'t>(
    tree: &'t Tree,
    day: NaiveDate,
    query: &UnitListQuery,
) -> Result<Vec<Place<'t>>, Problem> {
    let mut places: Vec<Place<'_>> = match &query.parent {
        Some(parent) => {
            let place = tree.get(parent.as_str());
            let missing = || {
                Problem::NotFound(Missing::Unit {
                    parameter: "parent",
                    code: parent.clone(),
                    day,
                })
            };
            place.ok_or_else(missing)?.children().collect()
        }
        None => {
            let roots = tree.places().filter(|place| place.parent().is_none());
            roots.flat_map(Place::at_or_below).collect()
        }
    };
    places.retain(|place| query.code.as_ref().is_none_or(|code| place.code() == code));
    places.retain(|place| query.level.is_none_or(|level| place.unit().level == level));
    if let Some(wanted) = query.name.as_deref().map(search_form) {
        places.retain(|place| {
            let Names { vi, en } = &place.unit().names;
            [vi, en].iter().any(|name| search_form(name).contains(&wanted))
        });
    }
    Ok(places)
}

impl From<Place<'_>> for UnitBody {
    fn from(place: Place<'_>) -> Self {
        let unit = place.unit();
        Self {
            code: unit.code.to_string(),
            name_vi: unit.names.vi.clone(),
            name_en: unit.names.en.clone(),
            level: unit.level.into(),
            parent: unit.parent.as_ref().map(ToString::to_string),
            valid_from: unit.valid_from,
            valid_to: unit.valid_to,
            has_children: place.has_children(),
        }
    }
}
