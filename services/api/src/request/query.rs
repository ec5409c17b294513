//! Reads query parameters, and tells of all that are unknown, missing or malformed at once.

use std::str::FromStr;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, NaiveDate, Utc};

use crate::problem::text::{Words, words};
use crate::problem::{ParameterFault, ParameterFaultKind, Problem};

/// The parameters of a request, and what was wrong with those read so far.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<ParameterFault>,
}

impl Query {
    /// The parameters of a request.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    fn parse(text: &str) -> Self {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
        Self {
            pairs: pairs.map(web::Query::into_inner).unwrap_or_default(),
            faults: Vec::new(),
        }
    }

    /// A parameter that may be left out.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        wanted: impl FnOnce() -> Words,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let mut values = self.repeated(name);
        let value = values.pop()?;
        if !values.is_empty() {
            self.fault(name, ParameterFaultKind::Repeated);
            return None;
        }
        let parsed = parse(&value);
        if parsed.is_none() {
            self.fault(name, ParameterFaultKind::Malformed(wanted()));
        }
        parsed
    }

    /// A parameter that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        wanted: impl FnOnce() -> Words,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.pairs.iter().all(|(other, _)| other != name) {
            self.fault(name, ParameterFaultKind::Missing);
        }
        self.optional(name, wanted, parse)
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn repeated(&mut self, name: &'static str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(other, _)| other == name);
        taken.map(|(_, value)| value).collect()
    }

    /// A code, such as a form's or a unit's.
    pub(crate) fn code<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.optional(name, code_words, |text| text.parse().ok())
    }

    /// A code that must be there.
    pub(crate) fn required_code<T: FromStr>(&mut self, name: &'static str) -> Option<T> {
        self.required(name, code_words, |text| text.parse().ok())
    }

    /// A day.
    pub(crate) fn day(&mut self, name: &'static str) -> Option<NaiveDate> {
        let wanted = || words("A day is written 2021-07-31.", "Ngày viết theo dạng 2021-07-31.");
        self.optional(name, wanted, |text| text.parse().ok())
    }

    /// A point in time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let wanted = || {
            words(
                "A time is written 2021-08-05T16:59:59Z, or with an offset such as %2B07:00.",
                "Thời điểm viết theo dạng 2021-08-05T16:59:59Z, hoặc kèm múi giờ như %2B07:00.",
            )
        };
        self.optional(name, wanted, |text| {
            DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
        })
    }

    /// true or false; false when it is left out.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let wanted = || words("Write true or false.", "Hãy viết true hoặc false.");
        self.optional(name, wanted, |text| text.parse().ok())
            .unwrap_or(false)
    }

    /// Notes that a parameter that was read makes no sense.
    pub(crate) fn malformed(&mut self, name: &str, wanted: Words) {
        self.fault(name, ParameterFaultKind::Malformed(wanted));
    }

    /// Ends the reading: what was not asked for is unknown.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let mut names: Vec<String> = self.pairs.drain(..).map(|(name, _)| name).collect();
        names.dedup();
        for name in names {
            self.fault(&name, ParameterFaultKind::Unknown);
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::InvalidQuery(self.faults))
        }
    }

    fn fault(&mut self, name: &str, kind: ParameterFaultKind) {
        self.faults.push(ParameterFault {
            name: name.to_owned(),
            kind,
        });
    }
}

fn code_words() -> Words {
    words(
        "This is not a code; the documentation shows what codes look like.",
        "Đây không phải là một mã; tài liệu cho biết các mã được viết thế nào.",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonghop_domain::FormCode;

    use super::*;

    proptest! {
        #[test]
        fn any_query_string_is_read_or_refused_by_its_names(text in "((form|at|day|dry_run|x)?[=&%+0-9A-Fa-f\\PC]{0,6}){0,8}") {
            let mut query = Query::parse(&text);
            let _: Option<FormCode> = query.code("form");
            query.time("at");
            query.day("day");
            query.flag("dry_run");
            if let Err(refused) = query.finish() {
                let Problem::InvalidQuery(faults) = refused else { panic!("{refused:?}") };
                prop_assert!(!faults.is_empty());
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
        let Err(Problem::InvalidQuery(faults)) = query.finish() else {
            panic!("faults are expected");
        };
        let told: Vec<(&str, &str)> = faults
            .iter()
            .map(|fault| (fault.name.as_str(), fault.code()))
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
