//! The key that a body asks for.

use chrono::{DateTime, Utc};
use tonghop_domain::{Catalogue, FaultKind, label_fault};
use tonghop_storage::NewKey;

use crate::problem::Problem;
use crate::request::json_reader::{Reader, parsed};

/// The key that a body asks for, or every fault of the body.
pub(crate) fn read_new_key(body: &[u8], catalogue: &Catalogue) -> Result<NewKey, Problem> {
    let json = parsed(body)?;
    let mut reader = Reader::default();
    let names = ["role", "unit", "label", "expires_at"];
    let Some([role, unit, label, expires_at]) = reader.fields("", &json, names) else {
        return Err(Problem::InvalidKeyRequest(reader.sorted(&json)));
    };
    for (name, value) in [("role", role), ("unit", unit)] {
        if value.is_none() {
            reader.add(format!("/{name}"), FaultKind::MissingField(name));
        }
    }
    let role = role
        .and_then(|json| reader.text("/role", json))
        .and_then(|text| reader.understood("/role", text.parse().ok(), FaultKind::UnknownRole));
    let unit = unit.and_then(|json| reader.text("/unit", json)).and_then(|text| {
        let code = text.parse().ok();
        let unit = code.and_then(|code| catalogue.unit_called(&code, Utc::now().date_naive()));
        reader.understood("/unit", unit.map(|unit| unit.id), FaultKind::NoUnitEver)
    });
    let label = label
        .and_then(|json| reader.text("/label", json))
        .unwrap_or_default();
    if let Some(fault) = label_fault(&label) {
        reader.add("/label", fault);
    }
    let expires_at = expires_at
        .and_then(|json| reader.text("/expires_at", json))
        .and_then(|text| {
            let time = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc());
            let to_come = time.filter(|time| *time > Utc::now());
            reader.understood("/expires_at", to_come, FaultKind::NoTimeToCome)
        });
    match (role, unit) {
        (Some(role), Some(unit)) if reader.is_content() => Ok(NewKey {
            role,
            unit,
            label,
            expires_at,
        }),
        _ => Err(Problem::InvalidKeyRequest(reader.sorted(&json))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonghop_domain::MAX_LABEL_CHARS;

    use super::*;

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(
            bytes: Vec<u8>,
            role in r#""(admin|chief)"|1|\{\}|"\PC{0,3}""#,
            unit in r#""(866|VN|1)"|null|\[\]"#,
            rest in r#"(,"(label|expires_at|x|role)":("\PC{0,5}"|"2199-01-01T00:00:00Z"|0)){0,3}"#,
        ) {
            let catalogue = tonghop_catalogue::built_in().unwrap();
            let body = format!(r#"{{"role":{role},"unit":{unit}{rest}}}"#);
            for body in [bytes, body.into_bytes()] {
                match read_new_key(&body, &catalogue) {
                    Ok(new) => prop_assert!(label_fault(&new.label).is_none() && new.expires_at.is_none_or(|end| end > Utc::now())),
                    Err(Problem::InvalidKeyRequest(faults)) => prop_assert!(!faults.is_empty()),
                    Err(problem) => prop_assert!(matches!(problem, Problem::InvalidJson { .. }), "{problem:?}"),
                }
            }
        }
    }

    fn faults(body: &str) -> Vec<(String, FaultKind)> {
        let catalogue = tonghop_catalogue::built_in().unwrap();
        match read_new_key(body.as_bytes(), &catalogue) {
            Ok(_) => Vec::new(),
            Err(Problem::InvalidKeyRequest(faults)) => faults
                .into_iter()
                .map(|fault| (fault.pointer, fault.kind))
                .collect(),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_is_read_or_refused_with_every_fault() {
        assert_eq!(
            faults(r#"{"role":"reader","unit":"87","label":"Sở","expires_at":"2199-01-01T00:00:00+07:00"}"#),
            []
        );
        let wrong =
            r#"{"unit":"1","role":"chief","label":"a\u0000","expires_at":"2021-01-01T00:00:00Z","x":1}"#;
        let wanted = [
            ("/unit", FaultKind::NoUnitEver),
            ("/role", FaultKind::UnknownRole),
            ("/label", FaultKind::ControlCharacter),
            ("/expires_at", FaultKind::NoTimeToCome),
            ("/x", FaultKind::UnknownField("x".into())),
        ];
        assert_eq!(
            faults(wrong),
            wanted.map(|(pointer, kind)| (pointer.to_owned(), kind))
        );
        let missing = [
            ("/role", FaultKind::MissingField("role")),
            ("/unit", FaultKind::MissingField("unit")),
        ];
        assert_eq!(
            faults("{}"),
            missing.map(|(pointer, kind)| (pointer.to_owned(), kind))
        );
        assert_eq!(faults("[]"), [(String::new(), FaultKind::WrongType("object"))]);
        let long = format!(
            r#"{{"role":"admin","unit":"VN","label":"{}"}}"#,
            "ệ".repeat(MAX_LABEL_CHARS + 1)
        );
        assert_eq!(
            faults(&long),
            [("/label".to_owned(), FaultKind::TooLong(MAX_LABEL_CHARS))]
        );
    }
}
