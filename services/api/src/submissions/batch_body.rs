//! The body of a batch in JSON: a list of submissions, each of which is read on its own.

use std::borrow::Cow;
use std::fmt;

use actix_web::web::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tonghop_domain::{BodyPath, FieldErrorKind, ValueType};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::request::body::MAX_BODY_BYTES;
use crate::request::json::{BYTE_ORDER_MARK, Json};
use crate::request::json_reader::Reader;
use crate::request::ndjson::{LineError, NdjsonLine};
use crate::submissions::body::NewSubmission;

/// Several submissions.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubmissionBatch, example = json!({"submissions": [
    {"form": "ngay-30-7", "period": "2021-07", "unit": "866", "figures": [{"indicator": "TT.PT", "value": 63}]},
    {"form": "ngay-30-7", "period": "2021-07", "unit": "867", "figures": [{"indicator": "TT.PANO", "state": "done_no_number"}]}
]}))]
#[expect(
    dead_code,
    reason = "it describes the body for the OpenAPI document; submission_texts reads it"
)]
pub(crate) struct NewBatch {
    /// The submissions, at most 1,000.
    #[schema(max_items = 1000)]
    submissions: Vec<NewSubmission>,
}

/// The largest body of a batch in JSON, in bytes.
pub(crate) const MAX_BATCH_BYTES: usize = 8 << 20;

/// The largest number of submissions of a batch in JSON.
pub(crate) const MAX_SUBMISSIONS: usize = 1_000;

/// Submissions as if they were the lines of a batch in NDJSON.
pub(crate) fn numbered(texts: Vec<Bytes>) -> impl Iterator<Item = NdjsonLine> {
    (1..).zip(texts).map(|(number, text)| NdjsonLine {
        number,
        content: match text.len() {
            ..=MAX_BODY_BYTES => Ok(text),
            _ => Err(LineError::TooLong),
        },
    })
}

/// The texts of the submissions of a body such as `{"submissions": […]}`.
///
/// # Errors
/// The body is not JSON, or not such an object.
pub(crate) fn submission_texts(body: &Bytes) -> Result<Vec<Bytes>, Problem> {
    const NAME: &str = "submissions";
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let shape: Shape<'_> = serde_json::from_slice(text).map_err(|error| Problem::InvalidJson {
        line: error.line().max(1),
        column: error.column().max(1),
    })?;
    let (mut reader, root) = (Reader::default(), BodyPath::ROOT);
    // The values do not matter yet.
    let outline = match &shape {
        Shape::Object(fields) => Json::Object(
            fields
                .iter()
                .map(|(name, _)| (name.clone(), Json::Null))
                .collect(),
        ),
        Shape::List(_) | Shape::Other => Json::Null,
    };
    let named = reader.fields(&root, &outline, [NAME]);
    let list = match &shape {
        Shape::Object(fields) => fields
            .iter()
            .find(|(name, _)| name == NAME)
            .map(|(_, value)| *value),
        Shape::List(_) | Shape::Other => None,
    };
    if named.is_some() && list.is_none() {
        reader.add(&root.field(NAME), FieldErrorKind::MissingField(NAME));
    }
    let mut texts = Vec::new();
    match list.map(|list| serde_json::from_str(list.get())) {
        Some(Ok(Shape::List(found))) if found.len() > MAX_SUBMISSIONS => {
            reader.add(&root.field(NAME), FieldErrorKind::TooMany(MAX_SUBMISSIONS));
        }
        Some(Ok(Shape::List(found))) => {
            texts = found
                .iter()
                .map(|one| body.slice_ref(one.get().as_bytes()))
                .collect();
        }
        Some(_) => {
            reader.wrong_type::<()>(&root.field(NAME), ValueType::List);
        }
        None => {}
    }
    if reader.has_no_errors() {
        Ok(texts)
    } else {
        Err(Problem::InvalidSubmission(reader.merged(&outline, Vec::new())))
    }
}

/// A value whose parts are not read. Of more parts than a valid one has, the later ones are left out: a body of many short
/// ones must not take many times its size.
enum Shape<'a> {
    Object(Vec<(Cow<'a, str>, &'a RawValue)>),
    List(Vec<&'a RawValue>),
    Other,
}

impl<'de> Deserialize<'de> for Shape<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            if fields.len() <= MAX_SUBMISSIONS {
                fields.push(field);
            }
        }
        Ok(Shape::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            if list.len() <= MAX_SUBMISSIONS {
                list.push(value);
            }
        }
        Ok(Shape::List(list))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Result<Vec<String>, String> {
        match submission_texts(&Bytes::from(body.to_owned())) {
            Ok(texts) => Ok(texts
                .iter()
                .map(|text| String::from_utf8(text.to_vec()).unwrap())
                .collect()),
            Err(Problem::InvalidSubmission(errors)) => {
                let described = errors
                    .iter()
                    .map(|error| format!("{:?} {:?}", error.path, error.kind));
                Err(described.collect::<Vec<_>>().join("; "))
            }
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn each_submission_is_passed_on_as_it_was_written() {
        let written = ["{\"a\" : [1e999, {}]}", "0.10", "null", "\"\\u0041\""];
        let body = format!("\u{feff} {{ \"submissions\" :\n[ {} ] }} ", written.join(" , "));
        assert_eq!(texts(&body).unwrap(), written);
        assert_eq!(texts("{\"submissions\":[]}").unwrap(), Vec::<String>::new());
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(texts(&format!("{{\"submissions\":[{deep}]}}")).unwrap(), [deep]);
    }

    #[test]
    fn other_bodies_are_rejected_with_every_error() {
        for (body, expected) in [
            ("", "InvalidJson { line: 1, column: 1 }"),
            ("{\"submissions\":[1,]}", "InvalidJson { line: 1, column: 19 }"),
            (
                "{\"submissions\":[\"\u{1}\"]}",
                "InvalidJson { line: 1, column: 17 }",
            ),
            ("[]", "[] WrongType(Object)"),
            ("null", "[] WrongType(Object)"),
            ("{}", "[Field(\"submissions\")] MissingField(\"submissions\")"),
            ("{\"submissions\":7}", "[Field(\"submissions\")] WrongType(List)"),
            (
                "{\"reports\":[],\"submissions\":[],\"submissions\":[]}",
                "[Field(\"reports\")] UnknownField(\"reports\"); [Field(\"submissions\")] RepeatedField(\"submissions\")",
            ),
        ] {
            assert_eq!(texts(body).unwrap_err(), expected, "{body}");
        }
        let many = |number: usize| format!("{{\"submissions\":[{}]}}", vec!["0"; number].join(","));
        assert_eq!(texts(&many(MAX_SUBMISSIONS)).unwrap().len(), MAX_SUBMISSIONS);
        for number in [MAX_SUBMISSIONS + 1, 100_000] {
            assert_eq!(
                texts(&many(number)).unwrap_err(),
                "[Field(\"submissions\")] TooMany(1000)"
            );
        }
    }
}
