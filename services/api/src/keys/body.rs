//! Keys in requests and responses.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use tonghop_domain::{Catalogue, Key, KeyState, Role};
use utoipa::ToSchema;

use crate::request::fields::ListEntry;

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessKey, example = json!({
    "id": "8kQ2vY1c", "role": "submitter", "unit": "866", "unit_name_vi": "Thành phố Cao Lãnh",
    "unit_name_en": "Cao Lanh City", "unit_valid_from": "2007-01-16", "unit_valid_to": "2025-07-01",
    "state": "valid", "label": "reporting system of Cao Lanh",
    "created_at": "2021-07-01T02:00:00Z", "created_by": "local-operator", "expires_at": null, "revoked_at": null, "last_used_at": null
}))]
pub(crate) struct KeyBody {
    /// The eight characters after `th_`.
    id: String,
    /// What the holder may do.
    role: RoleBody,
    /// The code of the unit. The key has permissions for this unit and all units below it.
    unit: String,
    /// The Vietnamese name of the unit.
    unit_name_vi: String,
    /// The English name of the unit.
    unit_name_en: String,
    /// The unit's first day; null if it has always existed.
    #[schema(required = true)]
    unit_valid_from: Option<NaiveDate>,
    /// The first day on which the unit no longer exists; null if it still exists.
    #[schema(required = true)]
    unit_valid_to: Option<NaiveDate>,
    /// Whether the key is accepted.
    state: KeyStateBody,
    /// A description of the holder.
    label: String,
    created_at: DateTime<Utc>,
    /// The id of the administrator's key with which it was created, or `local-operator`.
    created_by: String,
    /// The time from which the key is rejected; null if it does not expire.
    #[schema(required = true)]
    expires_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    revoked_at: Option<DateTime<Utc>>,
    /// The time of the last use, accurate to half a minute.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
    /// The key itself. Only the response that creates the key contains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

impl ListEntry for KeyBody {
    const ELSEWHERE: &[&str] = &["token"];
}

/// What the holder of a key may do: `submitter`: submit, correct, withdraw and read; `reader`: read; `admin`: all of these, and
/// manage keys; `metrics`: read the metrics of the service, and nothing else.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(crate) enum RoleBody {
    /// Submit, correct, withdraw and read.
    Submitter,
    /// Read.
    Reader,
    /// All of these, and manage keys.
    Admin,
    /// Read the metrics of the service, and nothing else.
    Metrics,
}

/// Whether a key is accepted: `valid`: it is; `expired` and `revoked`: it is not any more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = KeyState)]
pub(crate) enum KeyStateBody {
    /// The key is accepted.
    Valid,
    /// The key has expired.
    Expired,
    /// The key was revoked.
    Revoked,
}

/// A request for a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAccessKey, example = json!({"role": "submitter", "unit": "866", "label": "reporting system of Cao Lanh"}))]
#[expect(dead_code, reason = "it describes the body for the OpenAPI document")]
pub(crate) struct NewKeyBody {
    /// What the holder may do.
    role: RoleBody,
    /// The code of the unit that has it today, otherwise of the last unit that had it.
    #[schema(example = "866")]
    unit: String,
    /// A description of the holder; at most 200 characters.
    label: Option<String>,
    /// The time from which the key is rejected. It must be in the future. Omit it for a key that does not expire.
    expires_at: Option<DateTime<Utc>>,
}

impl KeyBody {
    pub(crate) fn new(key: &Key, catalogue: &Catalogue) -> Self {
        let unit = catalogue.units().iter().find(|unit| unit.id == key.unit);
        Self {
            id: key.id.to_string(),
            role: RoleBody::from(key.role),
            unit: unit.map(|unit| unit.code.to_string()).unwrap_or_default(),
            unit_name_vi: unit.map(|unit| unit.names.vi.clone()).unwrap_or_default(),
            unit_name_en: unit.map(|unit| unit.names.en.clone()).unwrap_or_default(),
            unit_valid_from: unit.and_then(|unit| unit.valid_from),
            unit_valid_to: unit.and_then(|unit| unit.valid_to),
            state: KeyStateBody::from(key.state(Utc::now())),
            label: key.label.clone(),
            created_at: key.created_at,
            created_by: key.created_by.to_string(),
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            token: None,
        }
    }
}

impl From<Role> for RoleBody {
    fn from(role: Role) -> Self {
        match role {
            Role::Submitter => Self::Submitter,
            Role::Reader => Self::Reader,
            Role::Admin => Self::Admin,
            Role::Metrics => Self::Metrics,
        }
    }
}

impl From<KeyState> for KeyStateBody {
    fn from(state: KeyState) -> Self {
        match state {
            KeyState::Valid => Self::Valid,
            KeyState::Expired => Self::Expired,
            KeyState::Revoked => Self::Revoked,
        }
    }
}
