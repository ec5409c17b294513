//! Indicators, as agreed before anyone reports.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tonghop_domain::{Catalogue, Indicator, Kind};
use utoipa::ToSchema;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, Unavailable};
use crate::problem::Problem;
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery, ListEntry};
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{CodePage, PageQuery, page_response};
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;

/// A page of indicators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndicatorList {
    #[schema(value_type = Vec<IndicatorBody>)]
    indicators: Vec<Entry<IndicatorBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What is counted or described.
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
    /// It decides how figures add up across units.
    kind: KindBody,
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
    /// Whether it concerns persons who must not be identified. The audit trail records who reads its figures.
    confidential: bool,
    /// How a ratio is computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "100*HT.NG/NN.XD")]
    formula: Option<String>,
    /// The dimensions by which it can be broken down, alone or combined.
    breakdowns: Vec<DimensionBody>,
}

impl ListEntry for IndicatorBody {}

/// The kind of an indicator. `flow`: events during the period, summed across units and across time; `stock`: a state at the
/// end of the period, summed across units; `flag`: yes or no, of which a total counts the units that answered yes; `list`:
/// short texts, of which a total contains each distinct one; `text`: one text per unit, of which a total counts the units;
/// `ratio`: computed from the totals of other indicators, never reported.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IndicatorKind)]
pub(crate) enum KindBody {
    /// Events during the period, summed across units and across time.
    Flow,
    /// A state at the end of the period, summed across units.
    Stock,
    /// Yes or no; a total counts the units that answered yes.
    Flag,
    /// Short texts; a total contains each distinct text once.
    List,
    /// One text per unit; a total counts the units that wrote one.
    Text,
    /// Computed from the totals of other indicators, never reported.
    Ratio,
}

/// A dimension by which a figure can be broken down.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dimension)]
pub(crate) struct DimensionBody {
    code: String,
    name_vi: String,
    name_en: String,
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

/// List indicators
///
/// Lists the indicators in the order of the catalogue, with the dimensions by which they can be broken down.
#[utoipa::path(
    tag = "catalogue",
    params(FieldsQuery<IndicatorBody>, PageQuery, IfNoneMatchHeader),
    responses(
        (status = 200, description = "A page of indicators", body = IndicatorList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/indicators")]
pub(crate) async fn list_indicators(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let fields = Fields::read::<IndicatorBody>(&mut query);
    let page = CodePage::read(&mut query);
    query.finish()?;
    let catalogue = store.catalogue();
    let page = page.of(catalogue.indicators(), |indicator| indicator.code.to_string())?;
    let indicators = page.entries.into_iter();
    let indicators = indicators.map(|indicator| IndicatorBody::new(indicator, catalogue));
    let indicators = fields.of_all(indicators);
    page_response(&request, page.next_cursor, |next_cursor| IndicatorList {
        indicators,
        next_cursor,
    })
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
                name_vi: known.names.vi.clone(),
                name_en: known.names.en.clone(),
                categories: categories.collect(),
            })
        };
        Self {
            code: indicator.code.to_string(),
            name_vi: indicator.names.vi.clone(),
            name_en: indicator.names.en.clone(),
            measure_vi: indicator.measure.vi.clone(),
            measure_en: indicator.measure.en.clone(),
            kind: KindBody::from(&indicator.kind),
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

impl From<&Kind> for KindBody {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Flow => Self::Flow,
            Kind::Stock => Self::Stock,
            Kind::Flag => Self::Flag,
            Kind::List => Self::List,
            Kind::Text => Self::Text,
            Kind::Ratio(_) => Self::Ratio,
        }
    }
}
