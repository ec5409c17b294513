//! Changes in responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_domain::Catalogue;
use tonghop_storage::{Changed, FeedChange};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::submissions::body::{StatusBody, code_of};

/// A change of a submission or of a total. It has no figures: read them at `link`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change, example = json!({
    "kind": "submission", "at": "2021-08-02T01:15:30.123456Z", "form": "ngay-30-7", "period": "2021-07", "unit": "866",
    "submission": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11", "revision": 1, "status": "accepted",
    "link": "/v1/submissions/019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11/revisions/1"
}))]
pub(crate) struct ChangeBody {
    kind: ChangeKind,
    /// The time at which the revision was recorded, or the total refreshed.
    at: DateTime<Utc>,
    form: String,
    period: String,
    unit: String,
    /// The submission's id; only of submissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<Uuid>,
    /// The number of the new revision; only of submissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
    /// Whether the report counts or was withdrawn; only of submissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusBody>,
    /// The number of refreshes of the total; only of totals. Refreshes that follow each other quickly are one change.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    /// The path of the revision, or of the total as it is now.
    link: String,
}

/// What has changed: `submission` is a new revision of a submission, `total` a total that was refreshed.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeKind {
    /// A submission has a new revision.
    Submission,
    /// A total was refreshed.
    Total,
}

impl ChangeKind {
    /// The word for it in responses and names of events.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Total => "total",
        }
    }
}

impl ChangeBody {
    /// The response body of a change.
    ///
    /// # Errors
    /// The catalogue has no such unit in the period.
    pub(crate) fn new(change: &FeedChange, catalogue: &Catalogue) -> Result<Self, Problem> {
        let (key, unit) = (&change.key, code_of(&change.key, catalogue)?);
        let body = Self {
            kind: ChangeKind::Total,
            at: change.at,
            form: key.form.to_string(),
            period: key.period.to_string(),
            link: format!("/v1/totals?form={}&period={}&unit={unit}", key.form, key.period),
            unit: unit.to_string(),
            submission: None,
            revision: None,
            status: None,
            version: None,
        };
        Ok(match change.of {
            Changed::Total { version } => Self {
                version: Some(version),
                ..body
            },
            Changed::Submission { id, revision, status } => Self {
                kind: ChangeKind::Submission,
                submission: Some(id.0),
                revision: Some(revision),
                status: Some(status.into()),
                link: format!("/v1/submissions/{id}/revisions/{revision}"),
                ..body
            },
        })
    }

    /// What has changed.
    pub(crate) fn kind(&self) -> ChangeKind {
        self.kind
    }
}
