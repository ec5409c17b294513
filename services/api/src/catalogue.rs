//! Units and indicators, as agreed before anyone reports.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::NaiveDate;
use serde::Serialize;
use tonghop_domain::{Catalogue, Indicator, IndicatorCode, Kind, Place, UnitCode};
use utoipa::ToSchema;

use crate::access::Access;
use crate::cursor::{Cursor, MAX_LIMIT, Page, link};
use crate::document::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::header::{JSON, accepted};
use crate::history::{PageQuery, listed, today};
use crate::problem::{Missing, Problem};
use crate::query::Query;

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

/// A page of indicators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndicatorList {
    indicators: Vec<IndicatorBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What is counted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Indicator)]
pub(crate) struct IndicatorBody {
    code: String,
    name_vi: String,
    name_en: String,
    /// The unit of measure in Vietnamese; empty for texts.
    measure_vi: String,
    /// The unit of measure in English; empty for texts.
    measure_en: String,
    /// `flow`, `stock`, `flag`, `list`, `text` or `ratio`.
    kind: &'static str,
    /// `count`, `money`, `minutes` …
    value_type: String,
    /// The rule across time: `sum`, `last`, `max`, `any` …
    across_time: String,
    /// The smallest value allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<i64>,
    /// The largest value allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
    /// Whether it tells of persons who must not be known: who reads its figures is noted in the audit trail.
    confidential: bool,
    /// How a ratio is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "100*HT.NG/NN.XD")]
    formula: Option<String>,
    /// The dimensions by which it may be broken down, alone or crossed.
    breakdowns: Vec<DimensionBody>,
}

/// A way to break a figure down.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dimension)]
pub(crate) struct DimensionBody {
    code: String,
    categories: Vec<CategoryBody>,
}

/// One category of a dimension.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Category)]
pub(crate) struct CategoryBody {
    code: String,
    name_vi: String,
    name_en: String,
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
pub(crate) async fn list_units(request: HttpRequest, access: Access) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let date = query.day("date").unwrap_or_else(today);
    let parent: Option<UnitCode> = query.code("parent");
    let code: Option<UnitCode> = query.code("code");
    let page = Page::read(&mut query, MAX_LIMIT, |cursor| matches!(cursor, Cursor::Code(_)));
    query.finish()?;
    let tree = access.catalogue().tree(date);
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

/// List indicators
///
/// What is counted, in the catalogue's order, with the categories by which it may be broken down.
#[utoipa::path(
    tag = "catalogue",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of indicators", body = IndicatorList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/indicators")]
pub(crate) async fn list_indicators(request: HttpRequest, access: Access) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let page = Page::read(&mut query, MAX_LIMIT, |cursor| matches!(cursor, Cursor::Code(_)));
    query.finish()?;
    let catalogue = access.catalogue();
    let last: Option<IndicatorCode> = match &page.after {
        Some(Cursor::Code(code)) => code.parse().ok(),
        _ => None,
    };
    let all = catalogue.indicators();
    let start = last.map_or(0, |last| {
        let at = all.iter().position(|indicator| indicator.code == last);
        at.map_or(all.len(), |at| at + 1)
    });
    let mut shown: Vec<_> = all.iter().skip(start).take(page.limit + 1).collect();
    let next_cursor = page.cut(&mut shown, |last| Cursor::Code(last.code.to_string()));
    let next = link(&request, next_cursor.as_deref());
    let indicators = shown
        .into_iter()
        .map(|shown| IndicatorBody::new(shown, catalogue))
        .collect();
    Ok(listed(
        IndicatorList {
            indicators,
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

impl IndicatorBody {
    /// An indicator with the categories of its dimensions.
    pub(crate) fn new(indicator: &Indicator, catalogue: &Catalogue) -> Self {
        let dimension = |code: &tonghop_domain::DimensionCode| {
            let known = catalogue.dimension(code.as_str())?;
            let categories = known.categories.iter().map(|category| CategoryBody {
                code: category.code.to_string(),
                name_vi: category.names.vi.clone(),
                name_en: category.names.en.clone(),
            });
            Some(DimensionBody {
                code: code.to_string(),
                categories: categories.collect(),
            })
        };
        Self {
            code: indicator.code.to_string(),
            name_vi: indicator.names.vi.clone(),
            name_en: indicator.names.en.clone(),
            measure_vi: indicator.measure.vi.clone(),
            measure_en: indicator.measure.en.clone(),
            kind: indicator.kind.as_str(),
            value_type: indicator.value_type.clone(),
            across_time: indicator.across_time.clone(),
            min: indicator.min,
            max: indicator.max,
            confidential: indicator.confidential,
            formula: match &indicator.kind {
                Kind::Ratio(formula) => Some(formula.to_string()),
                _ => None,
            },
            breakdowns: indicator.breakdowns.iter().filter_map(dimension).collect(),
        }
    }
}
