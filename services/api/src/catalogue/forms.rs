//! `GET /v1/forms`

use std::sync::Arc;

use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{FixedOffset, NaiveDate, Utc};
use serde::Serialize;
use tonghop_domain::{Calendar, Catalogue, Expectation, Form, FormCheck, Frequency, Period, Severity};
use utoipa::ToSchema;

use crate::catalogue::indicators::IndicatorBody;
use crate::catalogue::units::LevelBody;
use crate::openapi::problem_responses::{BadRequest, NotAcceptable, NotFound, Unavailable};
use crate::openapi::text_types::PeriodText;
use crate::problem::{Missing, Problem};
use crate::request::caller::Authorized;
use crate::request::fields::{Entry, Fields, FieldsQuery, ListEntry};
use crate::request::media_type::{JSON, accepted};
use crate::request::paging::{CodePage, PageQuery, page_response};
use crate::request::parameters::query_parameters;
use crate::request::preconditions::IfNoneMatchHeader;
use crate::request::query::Query;
use crate::request::tagged::{NotModified, tagged_response};

/// The offset of Vietnamese time from UTC, in seconds.
const VIET_NAM_OFFSET_S: i32 = 7 * 3600;

/// A page of versions of forms.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FormList {
    #[schema(value_type = Vec<FormSummary>)]
    forms: Vec<Entry<FormSummary>>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// One version of a form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FormSummary {
    code: String,
    /// The version, from 1. Each period has one version of its form.
    version: i32,
    name_vi: String,
    name_en: String,
    /// The first day on which this version is valid; null if it always was.
    #[schema(required = true)]
    valid_from: Option<NaiveDate>,
    /// The first day on which it is no longer valid; null if it still is.
    #[schema(required = true)]
    valid_to: Option<NaiveDate>,
    /// How often it is reported.
    frequency: FrequencyBody,
    /// The periods of a year for which it is reported, from 1; empty if for every one.
    periods: Vec<u8>,
    /// When its months begin and end.
    calendar: CalendarBody,
    /// The days before the first day of a period from which it can be reported.
    opens_days: u32,
    due: DueBody,
    /// Units of these levels report the form.
    reporting_levels: Vec<LevelBody>,
    /// Units with these codes report it, too.
    reporting_units: Vec<String>,
}

impl ListEntry for FormSummary {}

/// How often a form is reported. Periods are written so: `yearly`: `2021`; `half_yearly`: `2021-H1`; `quarterly`: `2021-Q3`;
/// `nine_monthly`: `2021-9M`, the first nine months; `monthly`: `2021-07`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Frequency)]
pub(crate) enum FrequencyBody {
    /// `2021`
    Yearly,
    /// `2021-H1`
    HalfYearly,
    /// `2021-Q3`
    Quarterly,
    /// `2021-9M`
    NineMonthly,
    /// `2021-07`
    Monthly,
}

/// When the months of a form begin and end: `civil`, or `decree-09-2019`, whose month runs from the 15th of the month
/// before to the 14th (Decree 09/2019/NĐ-CP, article 12).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calendar)]
pub(crate) enum CalendarBody {
    #[serde(rename = "civil")]
    Civil,
    #[serde(rename = "decree-09-2019")]
    Decree09,
}

/// The deadline of a form.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Due)]
pub(crate) struct DueBody {
    /// The days from the last day of the period to the day at whose end the report is due.
    days: u32,
    /// The offset from UTC of the deadline.
    #[schema(example = "+07:00")]
    utc_offset: String,
    /// The deadline in words, in Vietnamese.
    rule_vi: String,
    /// The deadline in words, in English.
    rule_en: String,
}

/// One version of a form with its indicators.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Form)]
pub(crate) struct FormBody {
    #[serde(flatten)]
    summary: FormSummary,
    /// Who is expected to report which indicators. Indicators that no rule names are expected of every unit that reports the
    /// form; several rules for one indicator add up.
    expect: Vec<ExpectationBody>,
    /// What must hold across the indicators of a report.
    checks: Vec<CheckBody>,
    /// The indicators in the form's order; ratios are computed, not reported.
    indicators: Vec<IndicatorBody>,
}

/// A rule that says which units are expected to report some indicators. Other units may report them, too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Expectation)]
pub(crate) struct ExpectationBody {
    /// The codes of the indicators.
    indicators: Vec<String>,
    /// Units of these levels are expected to report them.
    levels: Vec<LevelBody>,
    /// Units with these codes are expected to report them, too. Empty, like `levels`, if no unit is.
    units: Vec<String>,
}

/// A check across the indicators of a report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckBody {
    /// What must hold, if the report has a number for each term.
    #[schema(example = "HT.YT <= HT.NG")]
    rule: String,
    severity: SeverityBody,
    /// The explanation in Vietnamese.
    text_vi: String,
    /// The explanation in English.
    text_en: String,
}

/// What happens to a report that fails a check.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Severity)]
pub(crate) enum SeverityBody {
    /// It is accepted, and the response contains a warning.
    Warning,
    /// It is rejected.
    Error,
}

query_parameters! {
    /// The query parameter that selects a version of a form.
    pub(crate) struct FormQuery {
        /// The version that is used for this period: `2021`, `2021-H1`, `2021-Q3`, `2021-9M` or `2021-07`
        #[param(value_type = Option<PeriodText>, inline, example = "2021-07")]
        period: Option<Period> = Query::period,
    }
}

/// List forms
///
/// Lists every version of every form.
#[utoipa::path(
    tag = "catalogue",
    params(FieldsQuery<FormSummary>, PageQuery, IfNoneMatchHeader),
    responses(
        (status = 200, description = "A page of versions of forms", body = FormList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page"),
            ("ETag" = String, description = "A weak tag of the page")
        )),
        NotModified, BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/forms")]
pub(crate) async fn list_forms(request: HttpRequest, store: Authorized) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let fields = Fields::read::<FormSummary>(&mut query);
    let page = CodePage::read(&mut query);
    query.finish()?;
    let all = store.catalogue().forms();
    let page = page.of(all, |form| format!("{}/{}", form.code, form.version))?;
    let forms = page.entries.into_iter();
    let forms = fields.of_all(forms.map(|form| FormSummary::from(form.as_ref())));
    page_response(&request, page.next_cursor, |next_cursor| FormList {
        forms,
        next_cursor,
    })
}

/// Read a form
///
/// Returns the version that is used for `period`, with its indicators. Without `period`, it is the version that is valid
/// today, otherwise the latest.
#[utoipa::path(
    tag = "catalogue",
    params(
        ("code" = String, Path, description = "The code of the form", example = "ngay-30-7"),
        FormQuery,
        IfNoneMatchHeader
    ),
    responses(
        (status = 200, description = "The form with its indicators", body = FormBody, headers(
            ("ETag" = String, description = "A weak tag of the form")
        )),
        NotModified, BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[get("/v1/forms/{code}")]
pub(crate) async fn get_form(
    request: HttpRequest,
    code: Path<String>,
    store: Authorized,
) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let FormQuery { period } = FormQuery::read(&mut query);
    query.finish()?;
    let catalogue = store.catalogue();
    let form = form_for(catalogue, &code, period)?;
    let body = FormBody::new(&form, catalogue);
    tagged_response(&request, &body)
}

/// The version of a form that is used for a period; without one, that of today, otherwise the latest.
fn form_for(catalogue: &Catalogue, code: &str, period: Option<Period>) -> Result<Arc<Form>, Problem> {
    let today = catalogue.today(Utc::now());
    let latest = catalogue.form_on(code, today);
    let latest = latest.ok_or(Problem::NotFound(Missing::Form))?;
    let Some(period) = period else {
        return Ok(latest.clone());
    };
    let scope = catalogue.scope(code, period);
    scope
        .map(|scope| scope.form)
        .ok_or(Problem::NotFound(Missing::Parameter("period")))
}

impl FormBody {
    fn new(form: &Form, catalogue: &Catalogue) -> Self {
        let indicators = form.indicators.iter();
        Self {
            summary: FormSummary::from(form),
            expect: form.expectations.iter().map(ExpectationBody::from).collect(),
            checks: form.checks.iter().map(CheckBody::from).collect(),
            indicators: indicators
                .map(|indicator| IndicatorBody::new(indicator, catalogue))
                .collect(),
        }
    }
}

impl From<&Form> for FormSummary {
    fn from(form: &Form) -> Self {
        Self {
            code: form.code.to_string(),
            version: form.version,
            name_vi: form.names.vi.clone(),
            name_en: form.names.en.clone(),
            valid_from: form.valid_from,
            valid_to: form.valid_to,
            frequency: match form.frequency {
                Frequency::Yearly => FrequencyBody::Yearly,
                Frequency::HalfYearly => FrequencyBody::HalfYearly,
                Frequency::Quarterly => FrequencyBody::Quarterly,
                Frequency::NineMonthly => FrequencyBody::NineMonthly,
                Frequency::Monthly => FrequencyBody::Monthly,
            },
            periods: form.numbers.clone(),
            calendar: match form.calendar {
                Calendar::Civil => CalendarBody::Civil,
                Calendar::Decree09 => CalendarBody::Decree09,
            },
            opens_days: form.opens_days,
            due: DueBody::new(form),
            reporting_levels: form
                .reporting_levels
                .iter()
                .copied()
                .map(LevelBody::from)
                .collect(),
            reporting_units: form.reporting_units.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&Expectation> for ExpectationBody {
    fn from(rule: &Expectation) -> Self {
        Self {
            indicators: rule.indicators.iter().map(ToString::to_string).collect(),
            levels: rule.levels.iter().copied().map(LevelBody::from).collect(),
            units: rule.units.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&FormCheck> for CheckBody {
    fn from(check: &FormCheck) -> Self {
        Self {
            rule: check.rule.to_string(),
            severity: match check.severity {
                Severity::Warning => SeverityBody::Warning,
                Severity::Error => SeverityBody::Error,
            },
            text_vi: check.texts.vi.clone(),
            text_en: check.texts.en.clone(),
        }
    }
}

impl DueBody {
    fn new(form: &Form) -> Self {
        let (days, offset) = (form.due_days, form.offset);
        Self {
            days,
            utc_offset: offset.to_string(),
            rule_vi: rule_vi(days, offset),
            rule_en: rule_en(days, offset),
        }
    }
}

/// The deadline as Vietnamese offices state it. They mean Vietnamese time unless they say otherwise.
fn rule_vi(days: u32, offset: FixedOffset) -> String {
    let zone = if offset.local_minus_utc() == VIET_NAM_OFFSET_S {
        "giờ Việt Nam".to_owned()
    } else {
        format!("UTC{offset}")
    };
    match days {
        0 => format!("Chậm nhất 23 giờ 59 phút ngày kết thúc kỳ báo cáo ({zone})"),
        days => format!("Chậm nhất 23 giờ 59 phút ngày thứ {days} sau ngày kết thúc kỳ báo cáo ({zone})"),
    }
}

fn rule_en(days: u32, offset: FixedOffset) -> String {
    match days {
        0 => format!("By 23:59:59 (UTC{offset}) on the last day of the period"),
        1 => format!("By 23:59:59 (UTC{offset}) on the day after the last day of the period"),
        days => format!("By 23:59:59 (UTC{offset}), {days} days after the last day of the period"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_stated_as_offices_state_it() {
        let viet_nam = FixedOffset::east_opt(VIET_NAM_OFFSET_S).unwrap();
        assert_eq!(
            rule_vi(5, viet_nam),
            "Chậm nhất 23 giờ 59 phút ngày thứ 5 sau ngày kết thúc kỳ báo cáo (giờ Việt Nam)"
        );
        assert_eq!(
            rule_vi(0, FixedOffset::east_opt(0).unwrap()),
            "Chậm nhất 23 giờ 59 phút ngày kết thúc kỳ báo cáo (UTC+00:00)"
        );
        assert_eq!(
            rule_en(5, viet_nam),
            "By 23:59:59 (UTC+07:00), 5 days after the last day of the period"
        );
        assert_eq!(
            rule_en(1, viet_nam),
            "By 23:59:59 (UTC+07:00) on the day after the last day of the period"
        );
    }
}
