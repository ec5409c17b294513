//! What a number of a total is made of.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use tonghop_domain::{IndicatorCode, Kind, Reported, sum_of_contributions};
use tonghop_storage::{Contribution, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::media_type::{JSON, accepted};
use crate::request::page::{Cursor, MAX_LIMIT, Page, PageQuery, link, listed};
use crate::request::query::Query;
use crate::request::total_ref::{TotalParameters, TotalQuery};

/// What an indicator's total is made of.
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
    /// What all contributions add up to, those of other pages too; null when none is a number.
    #[schema(required = true)]
    value: Option<i64>,
    contributions: Vec<ContributionBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// What the unit itself, or one unit directly below it, brings to a total.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contribution)]
pub(crate) struct ContributionBody {
    /// The unit's code.
    unit: String,
    /// The number it brings; for a flag 1 or 0, or how many said yes. Null when it brings none.
    #[schema(required = true)]
    value: Option<i64>,
    /// What it said instead of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// The items it brings to a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<String>>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The submission behind it; none for a unit with units below it, whose contributions can be asked for in turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<Uuid>,
    /// The revision of the submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
}

/// Read what a number is made of
///
/// The unit's own part first, if it reports the form, then that of each unit directly below it, by code. The values
/// add up to the total. A unit without `submission` that has units below it can be asked about in turn.
#[utoipa::path(
    tag = "totals",
    params(
        TotalQuery,
        ("indicator" = String, Query, description = "The indicator's code", example = "TT.PT"),
        PageQuery
    ),
    responses(
        (status = 200, description = "A page of contributions", body = ContributionList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/totals/contributions")]
pub(crate) async fn list_contributions(
    request: HttpRequest,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let asked = TotalParameters::read(&mut query);
    let indicator: Option<IndicatorCode> = query.required_code("indicator");
    let page = Page::read(&mut query, MAX_LIMIT, |cursor| matches!(cursor, Cursor::Code(_)));
    let about = asked.resolve(query, store.catalogue())?;
    let unknown = || Problem::NotFound(Missing::Parameter("indicator"));
    let code = indicator.ok_or_else(unknown)?;
    let mut reportable = about.scope.form.reportable();
    let kind = reportable
        .find(|indicator| indicator.code == code)
        .map(|found| &found.kind)
        .ok_or_else(unknown)?;
    let all = store.contributions(&about, &code).await?;
    let value = sum_of_contributions(&code, all.iter().map(|part| part.value)).map_err(StoreError::from)?;
    let mut shown: Vec<Contribution> = after(all, page.after.as_ref(), page.limit + 1);
    let next_cursor = page.cut(&mut shown, |last| Cursor::Code(last.unit.to_string()));
    let next = link(&request, next_cursor.as_deref());
    let body = ContributionList {
        indicator: code.to_string(),
        value,
        contributions: shown
            .into_iter()
            .map(|part| ContributionBody::new(part, kind))
            .collect(),
        next_cursor,
    };
    Ok(listed(body, next))
}

/// The part of the list behind the unit of the cursor. The order is that of the tree, which does not change.
fn after(all: Vec<Contribution>, cursor: Option<&Cursor>, limit: usize) -> Vec<Contribution> {
    let start = match cursor {
        Some(Cursor::Code(code)) => {
            let last = all.iter().position(|part| part.unit.as_str() == code);
            last.map_or(all.len(), |last| last + 1)
        }
        _ => 0,
    };
    all.into_iter().skip(start).take(limit).collect()
}

impl ContributionBody {
    fn new(part: Contribution, kind: &Kind) -> Self {
        let text = match &part.reported {
            Some(Reported::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Self {
            unit: part.unit.to_string(),
            value: part.value,
            state: part.reported.as_ref().and_then(Reported::state),
            items: (*kind == Kind::List && !part.items.is_empty()).then_some(part.items),
            text,
            submission: part.submission.map(|(id, _)| id.0),
            revision: part.submission.map(|(_, revision)| revision),
        }
    }
}
