//! Submissions in requests and responses.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_access::{AuthorizedStore, WantedParts};
use tonghop_domain::{
    Catalogue, FieldError, FieldErrorKind, Revision, Severity, Status, SubmissionKey, UnitCode,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;
use crate::problem::json_pointer::json_pointer;
use crate::problem::text::Language;
use crate::request::fields::{Fields, ListEntry};
use crate::request::names::name_in;
use crate::submissions::figure::FigureBody;

/// A report of one unit on one form for one period.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "form": "ngay-30-7", "period": "2021-07", "unit": "866",
    "figures": [
        {"indicator": "TT.PT", "value": 63},
        {"indicator": "TT.PANO", "state": "done_no_number"},
        {"indicator": "NN.TN", "value": 1, "breakdowns": [{"by": {"sex": "nu", "age": "16_17"}, "value": 1}]},
        {"indicator": "TT.HOTLINE", "value": true},
        {"indicator": "TT.KHAUHIEU", "items": ["Chung tay phòng, chống nạn mua bán người"]},
        {"indicator": "DG.KQ", "text": "Các xã, phường đều tổ chức tuyên truyền trên hệ thống truyền thanh."}
    ],
    "note": "bổ sung số lượt phát thanh của phường 6"
}))]
#[expect(
    dead_code,
    reason = "it describes the body for the OpenAPI document; crate::submissions::parse reads it"
)]
pub(crate) struct NewSubmission {
    /// The form's code.
    form: String,
    /// The period.
    period: String,
    /// The code of the reporting unit on the last day of the period.
    unit: String,
    /// The figures, at most one per indicator. An indicator without a figure is not reported, which differs from 0.
    figures: Vec<FigureBody>,
    /// The reason for a correction; at most 10,000 characters.
    note: Option<String>,
}

/// One revision of a submission.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Submission, example = json!({
    "id": "019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11", "form": "ngay-30-7", "period": "2021-07", "unit": "866",
    "revision": 1, "status": "accepted", "received_at": "2021-08-02T01:15:30.123456Z", "aggregated_at": null,
    "figures": [{"indicator": "TT.PT", "value": 63}, {"indicator": "TT.PANO", "state": "done_no_number"}],
    "warnings": [],
    "links": {
        "self": "/v1/submissions/019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11",
        "revisions": "/v1/submissions/019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11/revisions",
        "totals": "/v1/totals?form=ngay-30-7&period=2021-07&unit=87"
    }
}))]
pub(crate) struct SubmissionBody {
    /// The submission's id; the same for all its revisions.
    pub(crate) id: Uuid,
    form: String,
    period: String,
    unit: String,
    /// The unit's name, with `names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_name: Option<String>,
    /// The number of this revision, from 1.
    pub(crate) revision: i32,
    /// Whether the report counts or was withdrawn.
    status: StatusBody,
    /// The time at which this revision was recorded.
    received_at: DateTime<Utc>,
    /// The time at which the total of the province (above a province: of the country) that contains this revision was
    /// refreshed; null while the total may not contain it.
    #[schema(required = true)]
    pub(crate) aggregated_at: Option<DateTime<Utc>>,
    /// The figures as submitted, with texts in Unicode Normalization Form C; none in a withdrawal.
    figures: Vec<FigureBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// What is unusual about the figures, by the checks of the form. The report counts nevertheless.
    warnings: Vec<WarningBody>,
    /// True in the response to a dry run: nothing was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dry_run: Option<bool>,
    links: SubmissionLinks,
}

impl ListEntry for SubmissionBody {
    const ELSEWHERE: &[&str] = &["dry_run"];
}

/// A check of the form that the figures of a report fail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub(crate) struct WarningBody {
    /// The figure of the first indicator in `rule` that the report contains, as a JSON Pointer (RFC 6901); `/figures` if it
    /// contains none.
    pointer: String,
    /// What should hold.
    #[schema(example = "HT.YT <= HT.NG")]
    rule: String,
    /// The explanation in Vietnamese.
    text_vi: String,
    /// The explanation in English.
    text_en: String,
}

impl WarningBody {
    fn of(found: FieldError) -> Option<Self> {
        let FieldErrorKind::CheckFailed { rule, texts } = found.kind else {
            return None;
        };
        Some(Self {
            pointer: json_pointer(&found.path),
            rule,
            text_vi: texts.vi,
            text_en: texts.en,
        })
    }
}

/// Whether a report counts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Status)]
pub(crate) enum StatusBody {
    /// The report counts.
    Accepted,
    /// The report was withdrawn.
    Withdrawn,
}

impl From<Status> for StatusBody {
    fn from(status: Status) -> Self {
        match status {
            Status::Accepted => Self::Accepted,
            Status::Withdrawn => Self::Withdrawn,
        }
    }
}

/// The paths of related resources.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionLinks {
    /// The submission with its current revision.
    #[serde(rename = "self")]
    itself: String,
    /// All its revisions.
    revisions: String,
    /// The total of the province that contains it.
    totals: String,
}

impl SubmissionBody {
    /// The response body of a revision.
    pub(crate) fn new(
        revision: &Revision,
        aggregated_at: Option<DateTime<Utc>>,
        catalogue: &Catalogue,
    ) -> Result<Self, Problem> {
        let (unit, province) = codes(&revision.key, catalogue)?;
        let scope = catalogue.scope(revision.key.form.as_str(), revision.key.period);
        let failed = scope
            .filter(|_| revision.status == Status::Accepted)
            .map(|scope| scope.form.failed_checks(Severity::Warning, &revision.content));
        let (form, period) = (&revision.key.form, revision.key.period);
        let itself = path_of(revision);
        Ok(Self {
            id: revision.id.0,
            form: form.to_string(),
            period: period.to_string(),
            unit: unit.to_string(),
            unit_name: None,
            revision: revision.revision,
            status: revision.status.into(),
            received_at: revision.received_at,
            aggregated_at,
            figures: revision.content.figures.iter().map(FigureBody::from).collect(),
            note: revision.content.note.clone(),
            warnings: failed.into_iter().flatten().filter_map(WarningBody::of).collect(),
            dry_run: None,
            links: SubmissionLinks {
                revisions: format!("{itself}/revisions"),
                totals: format!("/v1/totals?form={form}&period={period}&unit={province}"),
                itself,
            },
        })
    }

    /// The same with names, in a language.
    pub(crate) fn named(
        revision: &Revision,
        aggregated_at: Option<DateTime<Utc>>,
        catalogue: &Catalogue,
        names: Option<Language>,
    ) -> Result<Self, Problem> {
        let mut body = Self::new(revision, aggregated_at, catalogue)?;
        if let Some(language) = names {
            let key = &revision.key;
            let scope = catalogue.scope(key.form.as_str(), key.period);
            let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
            body.unit_name = place.map(|place| name_in(&place.unit().names, language));
        }
        Ok(body)
    }

    /// The response bodies of revisions, each with the time since which totals contain it.
    pub(crate) async fn of_all(
        store: &AuthorizedStore,
        revisions: &[Revision],
        names: Option<Language>,
    ) -> Result<Vec<Self>, Problem> {
        let aggregated = store.aggregated_at(revisions).await?;
        let aggregated = revisions.iter().zip(aggregated);
        aggregated
            .map(|(revision, at)| Self::named(revision, at, store.catalogue(), names))
            .collect()
    }
}

/// The parts of revisions that entries with these fields show.
pub(crate) fn wanted_parts(fields: &Fields) -> WantedParts {
    match fields.include_any(&["figures", "note", "warnings"]) {
        true => WantedParts::All,
        false => WantedParts::WithoutContent,
    }
}

/// The path of a submission.
pub(crate) fn path_of(revision: &Revision) -> String {
    format!("/v1/submissions/{}", revision.id)
}

/// The entity tag of a revision as it is sent: its number and, once totals contain it, `aggregated_at` in microseconds,
/// because the rest of a revision never changes.
pub(crate) fn tag_of(revision: &Revision, aggregated_at: Option<DateTime<Utc>>) -> String {
    match aggregated_at {
        None => format!("\"{}\"", revision.revision),
        Some(at) => format!("\"{}.{}\"", revision.revision, at.timestamp_micros()),
    }
}

/// The code of the unit, in the tree of the period.
///
/// # Errors
/// The catalogue has no such unit in the period.
pub(crate) fn code_of(key: &SubmissionKey, catalogue: &Catalogue) -> Result<UnitCode, Problem> {
    codes(key, catalogue).map(|(unit, _)| unit)
}

/// The codes of the unit and of its province, in the tree of the period.
fn codes(key: &SubmissionKey, catalogue: &Catalogue) -> Result<(UnitCode, UnitCode), Problem> {
    let scope = catalogue.scope(key.form.as_str(), key.period);
    let place = scope.as_ref().and_then(|scope| scope.tree.by_id(key.unit));
    let place = place.ok_or_else(|| {
        let (form, period, unit) = (&key.form, key.period, key.unit.0);
        Problem::Internal(format!("unit {unit} is not in the tree of {form} {period}"))
    })?;
    Ok((place.code().clone(), place.province().code().clone()))
}
