//! Reads query parameters, and reports all that are unknown, missing or malformed at once.

use std::str::FromStr;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, NaiveDate, Utc};
use tonghop_domain::{IndicatorCode, Period};

use crate::problem::Problem;
use crate::problem::parameter_error::{ParameterError, ParameterErrorKind};
use crate::problem::text::{Localized, localized};
use crate::request::spelling::{day, time};

/// The parameters of a request, and what was wrong with those read so far.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<ParameterError>,
}

impl Query {
    /// The parameters of a request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    /// The parameters of a query string.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        Self {
            pairs: pairs.map(web::Query::into_inner).unwrap_or_default(),
            errors: Vec::new(),
        }
    }

    /// An optional parameter.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        hint: impl FnOnce() -> Localized,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let mut values = self.repeated(name);
        let value = values.pop()?;
        if !values.is_empty() {
            self.add_error(name, ParameterErrorKind::Repeated);
            return None;
        }
        let parsed = parse(&value);
        if parsed.is_none() {
            self.add_error(name, ParameterErrorKind::Malformed(hint()));
        }
        parsed
    }

    /// A required parameter.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        hint: impl FnOnce() -> Localized,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.pairs.iter().all(|(other, _)| other != name) {
            self.add_error(name, ParameterErrorKind::Missing);
        }
        self.optional(name, hint, parse)
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn repeated(&mut self, name: &'static str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(other, _)| other == name);
        taken.map(|(_, value)| value).collect()
    }

    /// An optional text, which the caller of this function checks.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let never_malformed = || localized("Write a text.", "Hãy viết một chuỗi ký tự.");
        self.optional(name, never_malformed, |text| Some(text.to_owned()))
    }

    /// An optional code, such as a form's or a unit's.
    pub(crate) fn code<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.optional(name, code_hint, |text| text.parse().ok())
    }

    /// A required code.
    pub(crate) fn required_code<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.required(name, code_hint, |text| text.parse().ok())
    }

    /// An optional period.
    pub(crate) fn period(&mut self, name: &'static str) -> Option<Period> {
        self.optional(name, period_hint, |text| text.parse().ok())
    }

    /// A required period.
    pub(crate) fn required_period(&mut self, name: &'static str) -> Option<Period> {
        self.required(name, period_hint, |text| text.parse().ok())
    }

    /// Codes of indicators in a parameter that may be repeated.
    pub(crate) fn indicators(&mut self, name: &'static str) -> Vec<IndicatorCode> {
        let mut codes = Vec::new();
        for text in self.repeated(name) {
            match text.parse() {
                Ok(code) => codes.push(code),
                Err(_) => self.malformed(
                    name,
                    localized(
                        format!("{text:.40} is not the code of an indicator."),
                        format!("{text:.40} không phải là mã chỉ tiêu."),
                    ),
                ),
            }
        }
        codes
    }

    /// An optional day.
    pub(crate) fn day(&mut self, name: &'static str) -> Option<NaiveDate> {
        let hint = || {
            localized(
                "Write the day as in 2021-07-31.",
                "Hãy viết ngày theo dạng 2021-07-31.",
            )
        };
        self.optional(name, hint, day)
    }

    /// An optional point in time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let hint = || {
            localized(
                "Write the time as in 2021-08-05T16:59:59Z, or with an offset such as %2B07:00.",
                "Hãy viết thời điểm theo dạng 2021-08-05T16:59:59Z, hoặc kèm múi giờ như %2B07:00.",
            )
        };
        self.optional(name, hint, time)
    }

    /// An optional flag; false by default.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let hint = || localized("Write true or false.", "Hãy viết true hoặc false.");
        self.optional(name, hint, |text| text.parse().ok())
            .unwrap_or(false)
    }

    /// Adds an error for a parameter that was read.
    pub(crate) fn malformed(&mut self, name: &str, hint: Localized) {
        self.add_error(name, ParameterErrorKind::Malformed(hint));
    }

    /// Ends the reading. Parameters that were not read are unknown.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let mut names: Vec<String> = self.pairs.drain(..).map(|(name, _)| name).collect();
        names.dedup();
        for name in names {
            self.add_error(&name, ParameterErrorKind::Unknown);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::InvalidQuery(self.errors))
        }
    }

    fn add_error(&mut self, name: &str, kind: ParameterErrorKind) {
        self.errors.push(ParameterError {
            name: name.to_owned(),
            kind,
        });
    }
}

fn period_hint() -> Localized {
    localized(
        "Write the period as 2021, 2021-H1, 2021-Q3, 2021-9M or 2021-07, with a year from 2000 to 2199.",
        "Hãy viết kỳ báo cáo theo dạng 2021, 2021-H1, 2021-Q3, 2021-9M hoặc 2021-07, năm từ 2000 đến 2199.",
    )
}

fn code_hint() -> Localized {
    localized(
        "Invalid code. The documentation describes the format of codes.",
        "Mã không hợp lệ. Tài liệu nêu cách viết các mã.",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonghop_domain::FormCode;

    use super::*;

    proptest! {
        #[test]
        fn any_query_string_is_read_or_rejected_by_name(text in "((form|at|day|dry_run|x)?[=&%+0-9A-Fa-f\\PC]{0,6}){0,8}") {
            let mut query = Query::parse(&text);
            let _: Option<FormCode> = query.code("form");
            query.time("at");
            query.day("day");
            query.flag("dry_run");
            if let Err(refused) = query.finish() {
                let Problem::InvalidQuery(errors) = refused else { panic!("{refused:?}") };
                prop_assert!(!errors.is_empty());
            }
        }
    }

    #[test]
    fn all_faulty_parameters_are_named_at_once() {
        let mut query = Query::parse("form=Form&limit=1&surprise=1&dry_run=ja&dry_run=no&at=x&at=y");
        assert_eq!(query.required_code::<FormCode>("form"), None);
        assert_eq!(query.required_code::<FormCode>("unit"), None);
        assert!(!query.flag("dry_run"));
        assert_eq!(query.repeated("at"), ["x", "y"]);
        let Err(Problem::InvalidQuery(errors)) = query.finish() else {
            panic!("errors are expected");
        };
        let told: Vec<(&str, &str)> = errors
            .iter()
            .map(|fault| (fault.name.as_str(), fault.code().as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("form", "malformed-parameter"),
                ("unit", "missing-parameter"),
                ("dry_run", "repeated-parameter"),
                ("limit", "unknown-parameter"),
                ("surprise", "unknown-parameter"),
            ]
        );
    }

    #[test]
    fn values_are_decoded() {
        let mut query = Query::parse("time=2021-08-05T23%3A59%3A59%2B07%3A00&day=2021-07-31");
        assert_eq!(
            query.time("time").unwrap().to_rfc3339(),
            "2021-08-05T16:59:59+00:00"
        );
        assert_eq!(query.day("day").unwrap().to_string(), "2021-07-31");
        assert!(query.finish().is_ok());
    }
}
