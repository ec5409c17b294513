//! The query parameters that name a total: form, period and unit.

use actix_web::HttpRequest;
use tonghop_access::{Refusal, TotalRef, What};
use tonghop_domain::{Catalogue, FormCode, IndicatorCode, Period, UnitCode};

use crate::openapi::text_types::{FormText, PeriodText, UnitText};
use crate::problem::{Missing, Problem};
use crate::request::parameters::query_parameters;
use crate::request::query::Query;

query_parameters! {
    /// The query parameters that name a total.
    pub(crate) struct TotalQuery {
        /// The code of the form.
        #[param(value_type = FormText, inline, example = "ngay-30-7")]
        form: Option<FormCode> = Query::required_code,
        /// The period: `2021`, `2021-H1`, `2021-Q3`, `2021-9M` or `2021-07`.
        #[param(value_type = PeriodText, inline, example = "2021-07")]
        period: Option<Period> = Query::required_period,
        /// The unit's code on the last day of the period.
        #[param(value_type = UnitText, inline, example = "87")]
        unit: Option<UnitCode> = Query::required_code,
    }
}

impl TotalQuery {
    /// Ends the reading of the query, and resolves the parameters in the catalogue.
    pub(crate) fn resolve(self, query: Query, catalogue: &Catalogue) -> Result<TotalRef, Problem> {
        query.finish()?;
        let (Some(form), Some(period), Some(unit)) = (self.form, self.period, self.unit) else {
            return Err(Problem::Internal("a required parameter was not read".into()));
        };
        TotalRef::resolve(catalogue, &form, period, unit.clone()).map_err(|what| {
            let scope = catalogue
                .scope(form.as_str(), period)
                .filter(|_| what == What::Unit);
            scope.map_or_else(
                || Refusal::NotFound(what).into(),
                |scope| {
                    Problem::NotFound(Missing::Unit {
                        parameter: "unit",
                        code: unit,
                        day: period.last_day(scope.form.calendar),
                    })
                },
            )
        })
    }
}

/// The total that a query without other parameters names.
pub(crate) fn read_total_ref(request: &HttpRequest, catalogue: &Catalogue) -> Result<TotalRef, Problem> {
    let mut query = Query::of(request);
    let parameters = TotalQuery::read(&mut query);
    parameters.resolve(query, catalogue)
}

/// Fails unless an indicator is on the form of a total.
pub(crate) fn require_indicator(total: &TotalRef, code: &IndicatorCode) -> Result<(), Problem> {
    match total.scope.form.indicator(code.as_str()) {
        Some(_) => Ok(()),
        None => Err(Problem::NotFound(Missing::Parameter("indicator"))),
    }
}
