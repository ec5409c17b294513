//! `GET /v1/totals/contributions`: the contributions to one number of a total.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tonghop_access::TotalRef;
use tonghop_domain::{IndicatorCode, Kind, Reported, UnitCode, sum_of_contributions};
use tonghop_storage::{Contribution, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::IndicatorText;
use crate::problem::text::Language;
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery, ListEntry};
use crate::request::media_type::{JSON, accepted};
use crate::request::names::{NamesQuery, name_in};
use crate::request::paging::{CodePage, Entries, PageQuery, page_response};
use crate::request::parameters::query_parameters;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::NotModified;
use crate::request::total_ref::TotalQuery;
use crate::submissions::figure::StateBody;

/// The contributions to an indicator of a total.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "indicator": "TT.PT", "value": 756,
    "contributions": [
        {"unit": "866", "value": 63, "submission": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11", "revision": 1},
        {"unit": "867", "value": null, "state": "done_no_number", "submission": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f12", "revision": 2}
    ],
    "next_cursor": null
}))]
pub(crate) struct ContributionList {
    /// The indicator's code.
    indicator: String,
    /// The indicator's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The sum of all contributions, including those of other pages; null if none is a number.
    #[schema(required = true)]
    value: Option<i64>,
    #[schema(value_type = Vec<ContributionBody>)]
    contributions: Vec<Entry<ContributionBody>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// The contribution of the unit itself, or of one unit directly below it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contribution)]
pub(crate) struct ContributionBody {
    /// The unit's code.
    unit: String,
    /// The unit's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_name: Option<String>,
    /// The number that it contributes; for a flag 1 or 0, or the number of units that answered yes. Null if it contributes
    /// none.
    #[schema(required = true)]
    value: Option<i64>,
    /// The state that it reported instead of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<StateBody>,
    /// The items that it contributes to a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<String>>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The submission that it comes from; none for a unit with units below it, which has contributions of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<Uuid>,
    /// The revision of the submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
}

impl ListEntry for ContributionBody {}

query_parameters! {
    /// The query parameter that names an indicator of a total.
    pub(crate) struct ContributionQuery {
        /// The indicator's code
        #[param(value_type = IndicatorText, inline, example = "TT.PT")]
        indicator: Option<IndicatorCode> = Query::required_code,
    }
}

/// List the contributions to a number
///
/// Lists the contribution of the unit itself first, and then those of the units directly below it, in the catalogue's
/// order. It lists units that are expected to report the indicator, that reported it, or that have such units below
/// them. The values add up to the total. A unit without `submission` that has units below it has contributions of its
/// own.
#[utoipa::path(
    tag = "totals",
    params(
        TotalQuery, ContributionQuery, NamesQuery, FieldsQuery<ContributionBody>, PageQuery, IfNoneMatchHeader
    ),
    responses(
        (status = 200, description = "A page of contributions", body = ContributionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/totals/contributions")]
pub(crate) async fn list_contributions(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let parameters = TotalQuery::read(&mut query);
    let ContributionQuery { indicator } = ContributionQuery::read(&mut query);
    let NamesQuery { names } = NamesQuery::read(&mut query);
    let fields = Fields::read::<ContributionBody>(&mut query);
    let page = CodePage::read(&mut query);
    let total = parameters.resolve(query, store.catalogue())?;
    let unknown = || Problem::NotFound(Missing::Parameter("indicator"));
    let code = indicator.ok_or_else(unknown)?;
    let mut reportable = total.scope.form.reportable();
    let indicator = reportable.find(|indicator| indicator.code == code);
    let indicator = indicator.ok_or_else(unknown)?;
    let all = store.contributions(&total, &code).await?;
    let value = sum_of_contributions(&code, all.iter().map(|part| part.value)).map_err(StoreError::from)?;
    let page = page_of(all, &page, &total)?;
    let contributions = fields.of_all(bodies(page.entries, &indicator.kind, &total, names));
    page_response(&request, page.next_cursor, |next_cursor| ContributionList {
        indicator: code.to_string(),
        name: names.map(|language| name_in(&indicator.names, language)),
        value,
        contributions,
        next_cursor,
    })
}

/// A page of the contributions to a total. A unit that is not expected to report the indicator leaves the list when it
/// withdraws its report, so the pages follow the order of the units.
fn page_of(
    all: Vec<Contribution>,
    page: &CodePage,
    total: &TotalRef,
) -> Result<Entries<Contribution>, Problem> {
    let order = |code: &str| {
        let place = total.scope.tree.get(code)?;
        Some((place.code() != &total.unit, place.order()))
    };
    page.of_ordered(all, |part| part.unit.to_string(), order)
}

/// The bodies of contributions to an indicator of this kind, with the names of units if they are wanted.
fn bodies(
    parts: Vec<Contribution>,
    kind: &Kind,
    total: &TotalRef,
    names: Option<Language>,
) -> Vec<ContributionBody> {
    let name_of = |unit: &UnitCode| {
        let place = total.scope.tree.get(unit.as_str())?;
        Some(name_in(&place.unit().names, names?))
    };
    let body = |part: Contribution| ContributionBody {
        unit_name: name_of(&part.unit),
        ..ContributionBody::new(part, kind)
    };
    parts.into_iter().map(body).collect()
}

impl ContributionBody {
    fn new(part: Contribution, kind: &Kind) -> Self {
        let text = match &part.reported {
            Some(Reported::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Self {
            unit: part.unit.to_string(),
            unit_name: None,
            value: part.value,
            state: part.reported.as_ref().and_then(StateBody::of),
            items: (*kind == Kind::List && !part.items.is_empty()).then_some(part.items),
            text,
            submission: part.submission.map(|(id, _)| id.0),
            revision: part.submission.map(|(_, revision)| revision),
        }
    }
}
