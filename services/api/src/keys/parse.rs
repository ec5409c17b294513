//! Reads the body of a request for a new key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{BodyPath, Catalogue, FieldErrorKind, UnitId, label_error};
use tonghop_storage::NewKey;

use crate::problem::Problem;
use crate::request::json::Json;
use crate::request::json_reader::{Reader, parsed};
use crate::request::spelling::time;

/// Reads a request for a key at `now` and reports all errors at once.
pub(crate) fn read_new_key(
    body: &[u8],
    catalogue: &Catalogue,
    max_age: Option<Duration>,
    now: DateTime<Utc>,
) -> Result<NewKey, Problem> {
    let json = parsed(body)?;
    let mut reader = Reader::default();
    let latest = max_age.map(|age| now + age);
    let new = reader.new_key(&json, catalogue, latest, now);
    match new {
        Some(new) if reader.has_no_errors() => Ok(new),
        _ => Err(Problem::InvalidKeyRequest(reader.sorted(&json))),
    }
}

impl Reader {
    fn new_key(
        &mut self,
        json: &Json<'_>,
        catalogue: &Catalogue,
        latest: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<NewKey> {
        let root = BodyPath::ROOT;
        let names = ["role", "unit", "label", "expires_at"];
        let [role, unit, label, expires_at] = self.fields(&root, json, names)?;
        for (name, value) in [("role", role), ("unit", unit)] {
            if value.is_none() {
                self.add(&root.field(name), FieldErrorKind::MissingField(name));
            }
        }
        let path = root.field("role");
        let role = role
            .and_then(|json| self.text(&path, json))
            .and_then(|text| self.parsed_or(&path, text.parse().ok(), FieldErrorKind::UnknownRole));
        let unit = unit.and_then(|json| self.unit(json, catalogue, now));
        let path = root.field("label");
        let label = label.and_then(|json| self.text(&path, json)).unwrap_or_default();
        if let Some(error) = label_error(&label) {
            self.add(&path, error);
        }
        let expires_at = match expires_at {
            Some(json) => self.expiry(json, latest, now),
            None => latest,
        };
        Some(NewKey {
            role: role?,
            unit: unit?,
            within: Vec::new(),
            label,
            expires_at,
        })
    }

    /// The unit that has a code today, otherwise the last unit that had it.
    fn unit(&mut self, json: &Json<'_>, catalogue: &Catalogue, now: DateTime<Utc>) -> Option<UnitId> {
        let path = BodyPath::ROOT.field("unit");
        let code = self.text(&path, json)?.parse().ok();
        let unit = code.and_then(|code| catalogue.unit_called(&code, catalogue.today(now)));
        self.parsed_or(&path, unit.map(|unit| unit.id), FieldErrorKind::UnknownUnitCode)
    }

    fn expiry(
        &mut self,
        json: &Json<'_>,
        latest: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let path = BodyPath::ROOT.field("expires_at");
        let text = self.text(&path, json)?;
        let time = self.parsed_or(&path, time(&text), FieldErrorKind::InvalidDateTime)?;
        let future = Some(time).filter(|time| *time > now);
        let time = self.parsed_or(&path, future, FieldErrorKind::ExpiryInPast)?;
        match latest {
            Some(latest) if time > latest => {
                self.parsed_or(&path, None, FieldErrorKind::ExpiryTooLate(latest))
            }
            _ => Some(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonghop_domain::{MAX_LABEL_CHARS, ValueType};

    use super::*;
    use crate::problem::json_pointer::json_pointer;

    proptest! {
        #[test]
        fn any_body_is_a_key_request_or_rejected(
            bytes: Vec<u8>,
            role in r#""(admin|chief)"|1|\{\}|"\PC{0,3}""#,
            unit in r#""(866|VN|1)"|null|\[\]"#,
            rest in r#"(,"(label|expires_at|x|role)":("\PC{0,5}"|"2199-01-01T00:00:00Z"|0)){0,3}"#,
        ) {
            let catalogue = tonghop_catalogue::built_in().unwrap();
            let body = format!(r#"{{"role":{role},"unit":{unit}{rest}}}"#);
            for body in [bytes, body.into_bytes()] {
                match read_new_key(&body, &catalogue, None, Utc::now()) {
                    Ok(new) => prop_assert!(label_error(&new.label).is_none() && new.expires_at.is_none_or(|end| end > Utc::now())),
                    Err(Problem::InvalidKeyRequest(errors)) => prop_assert!(!errors.is_empty()),
                    Err(problem) => prop_assert!(matches!(problem, Problem::InvalidJson { .. }), "{problem:?}"),
                }
            }
        }
    }

    fn errors(body: &str) -> Vec<(String, FieldErrorKind)> {
        let catalogue = tonghop_catalogue::built_in().unwrap();
        match read_new_key(body.as_bytes(), &catalogue, None, Utc::now()) {
            Ok(_) => Vec::new(),
            Err(Problem::InvalidKeyRequest(errors)) => errors
                .into_iter()
                .map(|error| (json_pointer(&error.path), error.kind))
                .collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_request_is_read_or_rejected_with_every_error() {
        assert_eq!(
            errors(r#"{"role":"reader","unit":"87","label":"Sở","expires_at":"2199-01-01T00:00:00+07:00"}"#),
            []
        );
        let wrong =
            r#"{"unit":"1","role":"chief","label":"a\u0000","expires_at":"2021-01-01T00:00:00Z","x":1}"#;
        let wanted = [
            ("/unit", FieldErrorKind::UnknownUnitCode),
            ("/role", FieldErrorKind::UnknownRole),
            ("/label", FieldErrorKind::ControlCharacter),
            ("/expires_at", FieldErrorKind::ExpiryInPast),
            ("/x", FieldErrorKind::UnknownField("x".into())),
        ];
        assert_eq!(
            errors(wrong),
            wanted.map(|(pointer, kind)| (pointer.to_owned(), kind))
        );
        let missing = [
            ("/role", FieldErrorKind::MissingField("role")),
            ("/unit", FieldErrorKind::MissingField("unit")),
        ];
        assert_eq!(
            errors("{}"),
            missing.map(|(pointer, kind)| (pointer.to_owned(), kind))
        );
        assert_eq!(
            errors("[]"),
            [(String::new(), FieldErrorKind::WrongType(ValueType::Object))]
        );
        let long = format!(
            r#"{{"role":"admin","unit":"VN","label":"{}"}}"#,
            "ệ".repeat(MAX_LABEL_CHARS + 1)
        );
        assert_eq!(
            errors(&long),
            [("/label".to_owned(), FieldErrorKind::TooLong(MAX_LABEL_CHARS))]
        );
    }

    #[test]
    fn an_expiry_is_a_date_and_time_in_the_future() {
        let kinds = |expires_at: &str| {
            let body = format!(r#"{{"role":"reader","unit":"87","expires_at":"{expires_at}"}}"#);
            errors(&body)
                .into_iter()
                .map(|(_, kind)| kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds("2199-01-01T00:00:00+07:00"), []);
        assert_eq!(kinds("2199-01-01"), [FieldErrorKind::InvalidDateTime]);
        assert_eq!(kinds("2021-01-01T00:00:00Z"), [FieldErrorKind::ExpiryInPast]);
    }

    /// On 1 July 2025 at 01:30 in Viet Nam it is still 30 June in UTC.
    #[test]
    fn a_key_is_for_the_unit_that_has_the_code_today_in_viet_nam() {
        let folder = tempfile::tempdir().unwrap();
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/catalogue/data");
        for file in ["dimensions.csv", "indicators.csv", "forms.toml"] {
            std::fs::copy(data.join(file), folder.path().join(file)).unwrap();
        }
        let units = std::fs::read_to_string(data.join("units.csv")).unwrap();
        let successor = "866,Phường Cao Lãnh,Cao Lanh Ward,commune,VN,2025-07-01,\n";
        std::fs::write(folder.path().join("units.csv"), units + successor).unwrap();
        let catalogue = tonghop_catalogue::load(folder.path()).unwrap();
        let unit_at = |now: &str| {
            let body = br#"{"role":"reader","unit":"866"}"#;
            let new = read_new_key(body, &catalogue, None, now.parse().unwrap()).unwrap();
            let unit = catalogue.units().iter().find(|unit| unit.id == new.unit);
            unit.unwrap().names.vi.clone()
        };
        assert_eq!(unit_at("2025-06-30T23:59:59+07:00"), "Thành phố Cao Lãnh");
        assert_eq!(unit_at("2025-07-01T01:30:00+07:00"), "Phường Cao Lãnh");
    }

    #[test]
    fn a_key_is_valid_for_no_longer_than_it_may() {
        let catalogue = tonghop_catalogue::built_in().unwrap();
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let read = |expires_at: &str| {
            let body = format!(r#"{{"role":"reader","unit":"87"{expires_at}}}"#);
            let new = read_new_key(body.as_bytes(), &catalogue, Some(90 * day), now);
            new.map(|new| new.expires_at.unwrap())
                .map_err(|problem| match problem {
                    Problem::InvalidKeyRequest(errors) => errors[0].kind.clone(),
                    other => panic!("{other:?}"),
                })
        };
        let latest = now + 90 * day;
        assert_eq!(read(""), Ok(latest));
        assert_eq!(
            read(r#","expires_at":"2026-02-01T00:00:00Z""#),
            Ok(now + 31 * day)
        );
        assert_eq!(read(r#","expires_at":"2026-04-01T00:00:00Z""#), Ok(latest));
        assert_eq!(
            read(r#","expires_at":"2026-04-01T00:00:01Z""#),
            Err(FieldErrorKind::ExpiryTooLate(latest))
        );
    }
}
