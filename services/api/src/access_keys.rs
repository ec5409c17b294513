//! Access keys over HTTP: an administrator gives them out for units at or below the own.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tonghop_domain::{Catalogue, FaultKind, Key, KeyId, label_fault};
use tonghop_storage::NewKey;
use utoipa::ToSchema;

use crate::access::Access;
use crate::body::{Reader, parsed};
use crate::cursor::{Cursor, Page, link};
use crate::document::{
    BadRequest, NotAcceptable, NotFound, TooLarge, TooSlow, Unavailable, UnprocessableKey, WrongMedia,
};
use crate::header::{JSON, accepted, check_content_type};
use crate::history::{PageQuery, listed};
use crate::payload::{Room, read_body};
use crate::problem::{Missing, Problem};
use crate::query::Query;

const DEFAULT_LIMIT: usize = 50;

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    keys: Vec<KeyBody>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessKey, example = json!({
    "id": "8kQ2vY1c", "role": "submitter", "unit": "866", "state": "valid", "label": "their own system",
    "created_at": "2021-07-01T02:00:00Z", "expires_at": null, "revoked_at": null, "last_used_at": null
}))]
pub(crate) struct KeyBody {
    /// The eight characters after `th_`.
    id: String,
    /// `submitter`, `reader` or `admin`.
    role: &'static str,
    /// The code of the unit on which, with all below it, the key acts.
    unit: String,
    /// `valid`, `expired` or `revoked`.
    state: &'static str,
    /// Whose it is, in words.
    label: String,
    created_at: DateTime<Utc>,
    /// From when on it is no longer taken.
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, give or take half a minute.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
    /// The key itself, in the answer that creates it and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccessKey, example = json!({"role": "submitter", "unit": "866", "label": "their own system"}))]
#[expect(dead_code, reason = "it describes the body for the OpenAPI document")]
pub(crate) struct NewKeyBody {
    /// `submitter`: report and read; `reader`: read; `admin`: also give out keys.
    #[schema(example = "submitter")]
    role: String,
    /// The code of the unit: the one that has it today, else the one that had it last.
    #[schema(example = "866")]
    unit: String,
    /// Whose it is, in words; at most 200 characters.
    label: Option<String>,
    /// A time to come, from when on it is no longer taken.
    expires_at: Option<DateTime<Utc>>,
}

/// Make a key
///
/// For a unit at or below the caller's. The answer has the key itself, once: the service keeps only a digest of it.
#[utoipa::path(
    tag = "keys",
    request_body(content = NewKeyBody, content_type = "application/json", description = "What it is for"),
    responses(
        (status = 201, description = "The key", body = KeyBody, headers(
            ("Location" = String, description = "The path of the key")
        )),
        BadRequest, NotAcceptable, TooSlow, TooLarge, WrongMedia, UnprocessableKey, Unavailable
    )
)]
#[post("/v1/keys")]
pub(crate) async fn create_key(
    request: HttpRequest,
    payload: Payload,
    room: Data<Room>,
    access: Access,
) -> Result<HttpResponse, Problem> {
    let body = read_body(&request, payload, &room).await?;
    access.check_administers()?;
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    check_content_type(request.headers(), JSON)?;
    let new = read_new_key(&body.bytes, access.catalogue())?;
    let (key, token) = access.create_key(new).await?;
    let mut answer = KeyBody::new(&key, access.catalogue());
    answer.token = Some(token.reveal().to_owned());
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((LOCATION, format!("/v1/keys/{}", key.id)))
        .json(answer))
}

/// List keys
///
/// Every key that ever was of units at or below the caller's, the oldest first, without its secret.
#[utoipa::path(
    tag = "keys",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of keys", body = KeyList, headers(
            ("Link" = String, description = "The next page, with `rel=\"next\"`; not on the last page")
        )),
        BadRequest, NotAcceptable, Unavailable
    )
)]
#[get("/v1/keys")]
pub(crate) async fn list_keys(request: HttpRequest, access: Access) -> Result<HttpResponse, Problem> {
    accepted(request.headers(), &[JSON])?;
    let mut query = Query::of(&request);
    let page = Page::read(&mut query, DEFAULT_LIMIT, |cursor| {
        matches!(cursor, Cursor::Code(_))
    });
    query.finish()?;
    let all = access.keys().await?;
    let start = match &page.after {
        Some(Cursor::Code(last)) => all
            .iter()
            .position(|key| key.id.as_str() == last)
            .map_or(all.len(), |at| at + 1),
        _ => 0,
    };
    let mut shown: Vec<Key> = all.into_iter().skip(start).take(page.limit + 1).collect();
    let next_cursor = page.cut(&mut shown, |last| Cursor::Code(last.id.to_string()));
    let next = link(&request, next_cursor.as_deref());
    let keys = shown
        .iter()
        .map(|key| KeyBody::new(key, access.catalogue()))
        .collect();
    Ok(listed(KeyList { keys, next_cursor }, next))
}

/// Revoke a key
///
/// Within 5 seconds no process takes it any more. A key that was revoked before stays so.
#[utoipa::path(
    tag = "keys",
    params(("id" = String, Path, description = "The key's id, the eight characters after `th_`", example = "8kQ2vY1c")),
    responses(
        (status = 200, description = "The key, revoked now or before", body = KeyBody),
        BadRequest, NotFound, NotAcceptable, Unavailable
    )
)]
#[delete("/v1/keys/{id}")]
pub(crate) async fn revoke_key(
    request: HttpRequest,
    id: Path<String>,
    access: Access,
) -> Result<HttpResponse, Problem> {
    Query::of(&request).finish()?;
    accepted(request.headers(), &[JSON])?;
    access.check_administers()?;
    let id: KeyId = id.parse().map_err(|_| Problem::NotFound(Missing::Key))?;
    let key = access.revoke_key(id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(KeyBody::new(&key, access.catalogue())))
}

impl KeyBody {
    fn new(key: &Key, catalogue: &Catalogue) -> Self {
        let unit = catalogue.units().iter().find(|unit| unit.id == key.unit);
        Self {
            id: key.id.to_string(),
            role: key.role.as_str(),
            unit: unit.map(|unit| unit.code.to_string()).unwrap_or_default(),
            state: key.state(Utc::now()).as_str(),
            label: key.label.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            token: None,
        }
    }
}

/// The key that a body asks for, or every fault of the body.
fn read_new_key(body: &[u8], catalogue: &Catalogue) -> Result<NewKey, Problem> {
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
