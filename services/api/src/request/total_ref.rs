//! Which total a read is about: form, period and unit.

use actix_web::HttpRequest;
use tonghop_domain::{Catalogue, FormCode, IndicatorCode, Period, Scope, SubmissionKey, UnitCode, UnitId};
use utoipa::IntoParams;

use crate::problem::text::words;
use crate::problem::{Missing, Problem};
use crate::request::query::Query;

/// The three query parameters that name a total.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters for the OpenAPI document")]
pub(crate) struct AboutQuery {
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

/// What a read is about, found in the catalogue.
#[derive(Debug)]
pub(crate) struct About {
    /// The form, period and tree.
    pub(crate) scope: Scope,
    /// A unit of the tree.
    pub(crate) unit: UnitCode,
    unit_id: UnitId,
}

/// What a read is about, as it was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    form: Option<FormCode>,
    period: Option<Period>,
    unit: Option<UnitCode>,
}

impl Asked {
    /// Reads the three parameters.
    pub(crate) fn read(query: &mut Query) -> Self {
        Self {
            form: query.required_code("form"),
            period: required_period(query),
            unit: query.required_code("unit"),
        }
    }

    /// Ends the reading of the query and looks up what it names.
    pub(crate) fn resolve(self, query: Query, catalogue: &Catalogue) -> Result<About, Problem> {
        query.finish()?;
        let (Some(form), Some(period), Some(unit)) = (self.form, self.period, self.unit) else {
            return Err(Problem::Internal("a required parameter was not read".into()));
        };
        let missing = |name| Problem::NotFound(Missing::Parameter(name));
        if !catalogue.has_form(form.as_str()) {
            return Err(missing("form"));
        }
        let scope = catalogue
            .scope(form.as_str(), period)
            .ok_or_else(|| missing("period"))?;
        let place = scope.tree.get(unit.as_str());
        let unit_id = place.ok_or_else(|| missing("unit"))?.id();
        Ok(About { scope, unit, unit_id })
    }
}

impl About {
    /// Of a read with no other parameters.
    pub(crate) fn of(request: &HttpRequest, catalogue: &Catalogue) -> Result<Self, Problem> {
        let mut query = Query::of(request);
        let asked = Asked::read(&mut query);
        asked.resolve(query, catalogue)
    }

    /// The form, period and unit.
    pub(crate) fn key(&self) -> SubmissionKey {
        SubmissionKey {
            form: self.scope.form.code.clone(),
            period: self.scope.period,
            unit: self.unit_id,
        }
    }

    /// That an indicator is on the form.
    pub(crate) fn check_indicator(&self, code: &IndicatorCode) -> Result<(), Problem> {
        match self.scope.form.indicator(code.as_str()) {
            Some(_) => Ok(()),
            None => Err(Problem::NotFound(Missing::Parameter("indicator"))),
        }
    }
}

/// A period that may be left out.
pub(crate) fn period(query: &mut Query) -> Option<Period> {
    query.optional("period", period_words, |text| text.parse().ok())
}

fn required_period(query: &mut Query) -> Option<Period> {
    query.required("period", period_words, |text| text.parse().ok())
}

fn period_words() -> crate::problem::text::Words {
    words(
        "A period is written 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199.",
        "Kỳ báo cáo viết theo dạng 2021, 2021-H1, 2021-Q3, 2021-9M hoặc 2021-07, năm từ 2000 đến 2199.",
    )
}
