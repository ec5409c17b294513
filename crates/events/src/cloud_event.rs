//! Announcements as CloudEvents 1.0 in structured JSON.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tonghop_domain::{
    Announcement, Envelope, FormCode, InvalidCode, InvalidPeriod, Period, RecordedRevision, SubmissionId,
    UnitCode,
};
use uuid::Uuid;

/// The media type of an encoded announcement.
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The type of [`Announcement::SubmissionsRecorded`].
pub(crate) const SUBMISSION_RECORDED: &str = "vn.tonghop.submission.recorded.v1";
/// The type of [`Announcement::TotalChanged`].
pub(crate) const TOTAL_CHANGED: &str = "vn.tonghop.total.changed.v1";

const SPEC_VERSION: &str = "1.0";
const DATA_CONTENT_TYPE: &str = "application/json";

/// Why a message cannot be read as an announcement.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The message is not JSON, lacks an attribute, or has data that do not fit its type.
    #[error("not a CloudEvent of the expected shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// The CloudEvents version is not supported.
    #[error("CloudEvents version {0} is not supported, only {SPEC_VERSION}")]
    SpecVersion(String),
    /// The event type is foreign, or belongs to a later version.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The data are not JSON.
    #[error("data content type {0} is not supported, only {DATA_CONTENT_TYPE}")]
    DataContentType(String),
    /// A code is invalid.
    #[error(transparent)]
    Code(#[from] InvalidCode),
    /// The period is invalid.
    #[error(transparent)]
    Period(#[from] InvalidPeriod),
}

/// Encodes an announcement as a CloudEvent. The source names the installation, as in `/tonghop`.
pub fn encode(envelope: &Envelope, source: &str) -> Vec<u8> {
    let announcement = &envelope.announcement;
    let event = json!({
        "specversion": SPEC_VERSION,
        "id": envelope.id,
        "source": source,
        "type": event_type(announcement),
        "subject": subject(announcement),
        "time": envelope.at,
        "datacontenttype": DATA_CONTENT_TYPE,
        "data": data(announcement),
    });
    event.to_string().into_bytes()
}

/// Decodes the output of [`encode`]. Unknown attributes and data fields are ignored, so that a later version can add some
/// while this one still runs beside it.
pub fn decode(body: &[u8]) -> Result<Envelope, DecodeError> {
    let event: Event = serde_json::from_slice(body)?;
    if event.specversion != SPEC_VERSION {
        return Err(DecodeError::SpecVersion(event.specversion));
    }
    if let Some(other) = event.datacontenttype.filter(|given| given != DATA_CONTENT_TYPE) {
        return Err(DecodeError::DataContentType(other));
    }
    let announcement = match event.kind.as_str() {
        SUBMISSION_RECORDED => serde_json::from_value::<Recorded>(event.data)?.announcement()?,
        TOTAL_CHANGED => serde_json::from_value::<Changed>(event.data)?.announcement()?,
        _ => return Err(DecodeError::UnknownType(event.kind)),
    };
    Ok(Envelope {
        id: event.id,
        at: event.time,
        announcement,
    })
}

/// The routing key of an announcement: type, province, form.
pub(crate) fn routing_key(announcement: &Announcement) -> String {
    let (Announcement::SubmissionsRecorded { form, province, .. }
    | Announcement::TotalChanged { form, province, .. }) = announcement;
    format!("{}.{province}.{form}", event_type(announcement))
}

fn event_type(announcement: &Announcement) -> &'static str {
    match announcement {
        Announcement::SubmissionsRecorded { .. } => SUBMISSION_RECORDED,
        Announcement::TotalChanged { .. } => TOTAL_CHANGED,
    }
}

fn subject(announcement: &Announcement) -> String {
    match announcement {
        Announcement::SubmissionsRecorded {
            form,
            period,
            province,
            ..
        } => {
            format!("{form}/{period}/{province}")
        }
        Announcement::TotalChanged {
            form, period, unit, ..
        } => format!("{form}/{period}/{unit}"),
    }
}

fn data(announcement: &Announcement) -> Value {
    match announcement {
        Announcement::SubmissionsRecorded {
            form,
            period,
            province,
            submissions,
        } => {
            let submissions: Vec<Value> = submissions
                .iter()
                .map(|one| json!({"id": one.id.0, "unit": one.unit.as_str(), "revision": one.revision}))
                .collect();
            json!({
                "form": form.as_str(),
                "period": period.to_string(),
                "province": province.as_str(),
                "submissions": submissions,
            })
        }
        Announcement::TotalChanged {
            form,
            period,
            province,
            unit,
            version,
        } => json!({
            "form": form.as_str(),
            "period": period.to_string(),
            "province": province.as_str(),
            "unit": unit.as_str(),
            "version": version,
        }),
    }
}

#[derive(Deserialize)]
struct Event {
    specversion: String,
    id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    time: DateTime<Utc>,
    datacontenttype: Option<String>,
    data: Value,
}

#[derive(Deserialize)]
struct Recorded {
    form: String,
    period: String,
    province: String,
    submissions: Vec<RecordedOne>,
}

#[derive(Deserialize)]
struct RecordedOne {
    id: Uuid,
    unit: String,
    revision: i32,
}

#[derive(Deserialize)]
struct Changed {
    form: String,
    period: String,
    province: String,
    unit: String,
    version: i64,
}

impl Recorded {
    fn announcement(self) -> Result<Announcement, DecodeError> {
        let submissions = self
            .submissions
            .into_iter()
            .map(|one| {
                let (id, unit) = (SubmissionId(one.id), one.unit.parse()?);
                Ok(RecordedRevision {
                    id,
                    unit,
                    revision: one.revision,
                })
            })
            .collect::<Result<_, DecodeError>>()?;
        Ok(Announcement::SubmissionsRecorded {
            form: self.form.parse::<FormCode>()?,
            period: self.period.parse::<Period>()?,
            province: self.province.parse::<UnitCode>()?,
            submissions,
        })
    }
}

impl Changed {
    fn announcement(self) -> Result<Announcement, DecodeError> {
        Ok(Announcement::TotalChanged {
            form: self.form.parse::<FormCode>()?,
            period: self.period.parse::<Period>()?,
            province: self.province.parse::<UnitCode>()?,
            unit: self.unit.parse::<UnitCode>()?,
            version: self.version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/tonghop";

    fn recorded() -> Envelope {
        let submission = SubmissionId(Uuid::now_v7());
        Envelope {
            id: Uuid::now_v7(),
            at: "2021-07-31T10:00:00.123456Z".parse().unwrap(),
            announcement: Announcement::SubmissionsRecorded {
                form: "ngay-30-7".parse().unwrap(),
                period: "2021-07".parse().unwrap(),
                province: "87".parse().unwrap(),
                submissions: vec![RecordedRevision {
                    id: submission,
                    unit: "866".parse().unwrap(),
                    revision: 2,
                }],
            },
        }
    }

    fn changed() -> Envelope {
        let announcement = Announcement::TotalChanged {
            form: "ngay-30-7".parse().unwrap(),
            period: "2021-07".parse().unwrap(),
            province: "VN".parse().unwrap(),
            unit: "VN".parse().unwrap(),
            version: 7,
        };
        Envelope {
            announcement,
            ..recorded()
        }
    }

    /// Encodes an event and replaces the value at a JSON Pointer.
    fn encode_with(envelope: &Envelope, pointer: &str, value: Value) -> Vec<u8> {
        let mut event: Value = serde_json::from_slice(&encode(envelope, SOURCE)).unwrap();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string().into_bytes()
    }

    #[test]
    fn decoding_reverses_encoding() {
        for envelope in [recorded(), changed()] {
            assert_eq!(decode(&encode(&envelope, SOURCE)).unwrap(), envelope);
        }
    }

    #[test]
    fn an_event_has_the_documented_attributes() {
        let envelope = recorded();
        let event: Value = serde_json::from_slice(&encode(&envelope, SOURCE)).unwrap();
        let Announcement::SubmissionsRecorded { submissions, .. } = &envelope.announcement else {
            unreachable!()
        };
        assert_eq!(
            event,
            json!({
                "specversion": "1.0",
                "id": envelope.id.to_string(),
                "source": "/tonghop",
                "type": "vn.tonghop.submission.recorded.v1",
                "subject": "ngay-30-7/2021-07/87",
                "time": "2021-07-31T10:00:00.123456Z",
                "datacontenttype": "application/json",
                "data": {
                    "form": "ngay-30-7",
                    "period": "2021-07",
                    "province": "87",
                    "submissions": [{"id": submissions[0].id.to_string(), "unit": "866", "revision": 2}],
                },
            })
        );
        assert_eq!(
            routing_key(&envelope.announcement),
            "vn.tonghop.submission.recorded.v1.87.ngay-30-7"
        );
        assert_eq!(
            routing_key(&changed().announcement),
            "vn.tonghop.total.changed.v1.VN.ngay-30-7"
        );
    }

    #[test]
    fn unknown_attributes_and_data_fields_are_ignored() {
        let mut event: Value = serde_json::from_slice(&encode(&recorded(), SOURCE)).unwrap();
        event["traceparent"] = json!("00-1-1-00");
        event["data"]["priority"] = json!(1);
        assert!(decode(event.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn a_message_that_is_not_an_announcement_is_rejected() {
        let error = |body: &[u8]| decode(body).unwrap_err();
        assert!(matches!(error(b"not json"), DecodeError::Shape(_)));
        assert!(matches!(error(b"{}"), DecodeError::Shape(_)));
        let with = |pointer, value| error(&encode_with(&recorded(), pointer, value));
        assert!(matches!(
            with("/specversion", json!("0.3")),
            DecodeError::SpecVersion(_)
        ));
        assert!(matches!(
            with("/type", json!("vn.tonghop.total.changed.v2")),
            DecodeError::UnknownType(_)
        ));
        assert!(matches!(
            with("/datacontenttype", json!("text/xml")),
            DecodeError::DataContentType(_)
        ));
        assert!(matches!(
            with("/data/province", json!("tỉnh")),
            DecodeError::Code(_)
        ));
        assert!(matches!(
            with("/data/period", json!("2021-13")),
            DecodeError::Period(_)
        ));
        assert!(matches!(
            with("/data/submissions/0/revision", json!("2")),
            DecodeError::Shape(_)
        ));
        assert!(matches!(
            with("/type", json!(TOTAL_CHANGED)),
            DecodeError::Shape(_)
        ));
    }

    proptest::proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200)) {
            drop(decode(&bytes));
        }

        #[test]
        fn a_damaged_event_is_rejected_or_decoded_consistently(
            which: bool,
            at: proptest::sample::Index,
            length in 0..9usize,
            put in "[\\PC]{0,5}",
        ) {
            let mut bytes = encode(&if which { recorded() } else { changed() }, SOURCE);
            let start = at.index(bytes.len());
            bytes.splice(start..(start + length).min(bytes.len()), put.into_bytes());
            if let Ok(read) = decode(&bytes) {
                proptest::prop_assert_eq!(decode(&encode(&read, SOURCE)).unwrap(), read);
            }
        }
    }
}
