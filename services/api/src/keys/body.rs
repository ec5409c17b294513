//! Keys as they stand in requests and answers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tonghop_domain::{Catalogue, Key};
use utoipa::ToSchema;

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
    pub(crate) token: Option<String>,
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

impl KeyBody {
    pub(crate) fn new(key: &Key, catalogue: &Catalogue) -> Self {
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
