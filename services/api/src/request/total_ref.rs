//! The query parameters that name a total: form, period and unit.

use actix_web::HttpRequest;
use tonghop_access::{Refusal, TotalRef};
use tonghop_domain::{Catalogue, FormCode, IndicatorCode, Period, UnitCode};
use utoipa::IntoParams;

use crate::problem::text::localized;
use crate::problem::{Missing, Problem};
use crate::request::query::Query;

/// The three query parameters that name a total.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters for the OpenAPI document")]
pub(crate) struct TotalQuery {
    /// The form's code.
    #[param(example = "ngay-30-7")]
    form: String,
    /// The period: `2021`, `2021-H1`, `2021-Q3`, `2021-9M` or `2021-07`.
    #[param(example = "2021-07")]
    period: String,
    /// The unit's code on the last day of the period.
    #[param(example = "87")]
    unit: String,
}

/// The three parameters as given, of which some may be missing or malformed.
#[derive(Debug)]
pub(crate) struct TotalParameters {
    form: Option<FormCode>,
    period: Option<Period>,
    unit: Option<UnitCode>,
}

impl TotalParameters {
    /// Reads the three parameters.
    pub(crate) fn read(query: &mut Query) -> Self {
        Self {
            form: query.required_code("form"),
            period: required_period(query),
            unit: query.required_code("unit"),
        }
    }

    /// Ends the reading of the query, and resolves the parameters in the catalogue.
    pub(crate) fn resolve(self, query: Query, catalogue: &Catalogue) -> Result<TotalRef, Problem> {
        query.finish()?;
        let (Some(form), Some(period), Some(unit)) = (self.form, self.period, self.unit) else {
            return Err(Problem::Internal("a required parameter was not read".into()));
        };
        TotalRef::resolve(catalogue, &form, period, unit).map_err(|what| Refusal::NotFound(what).into())
    }
}

/// The total that a query without other parameters names.
pub(crate) fn read_total_ref(request: &HttpRequest, catalogue: &Catalogue) -> Result<TotalRef, Problem> {
    let mut query = Query::of(request);
    let parameters = TotalParameters::read(&mut query);
    parameters.resolve(query, catalogue)
}

/// Fails unless an indicator is on the form of a total.
pub(crate) fn require_indicator(total: &TotalRef, code: &IndicatorCode) -> Result<(), Problem> {
    match total.scope.form.indicator(code.as_str()) {
        Some(_) => Ok(()),
        None => Err(Problem::NotFound(Missing::Parameter("indicator"))),
    }
}

/// A period that may be left out.
pub(crate) fn period(query: &mut Query) -> Option<Period> {
    query.optional("period", period_hint, |text| text.parse().ok())
}

fn required_period(query: &mut Query) -> Option<Period> {
    query.required("period", period_hint, |text| text.parse().ok())
}

fn period_hint() -> crate::problem::text::Localized {
    localized(
        "Write the period as 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199.",
        "Hãy viết kỳ báo cáo theo dạng 2021, 2021-H1, 2021-Q3, 2021-9M hoặc 2021-07, năm từ 2000 đến 2199.",
    )
}
