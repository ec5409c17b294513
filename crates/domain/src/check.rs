//! Checks a submission against the catalogue and finds all errors at once.

use chrono::{DateTime, Utc};

use crate::catalogue::{Catalogue, Scope};
use crate::check_figures::check_figures;
use crate::check_text::{MAX_TEXT_CHARS, checked_text};
use crate::code::UnitCode;
use crate::draft::Draft;
use crate::field_error::{BodyPath, Errors, FieldError, FieldErrorKind};
use crate::figure::Content;
use crate::period::Period;
use crate::submission::SubmissionKey;

/// A submission without errors.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The form, period and tree.
    pub scope: Scope,
    /// The form, period and unit.
    pub key: SubmissionKey,
    /// The unit's code.
    pub unit: UnitCode,
    /// The content.
    pub content: Content,
}

/// Checks a submission that is sent at `now` against the catalogue.
///
/// # Errors
/// Every error, in the order of the body.
pub fn check(draft: Draft, catalogue: &Catalogue, now: DateTime<Utc>) -> Result<Submission, Vec<FieldError>> {
    let root = BodyPath::ROOT;
    let mut errors = Errors::default();
    let scope = check_scope(&draft, catalogue, &mut errors);
    if let Some(scope) = &scope {
        // A year that is mistyped, such as 2062, would otherwise wait unnoticed until it begins.
        let opens_on = scope.form.opens_on(scope.period);
        if opens_on > catalogue.today(now) {
            errors.add(&root.field("period"), FieldErrorKind::PeriodNotBegun(opens_on));
        }
    }
    let place = scope
        .as_ref()
        .zip(draft.unit.as_deref())
        .and_then(|(scope, unit)| {
            let place = scope.tree.get(unit);
            match place {
                None => errors.add(&root.field("unit"), FieldErrorKind::UnknownUnit),
                Some(place) if !scope.form.is_reported_by(place.unit()) => {
                    errors.add(&root.field("unit"), FieldErrorKind::UnitDoesNotReport);
                }
                Some(_) => {}
            }
            place
        });
    let note = draft
        .note
        .map(|note| checked_text(&root.field("note"), note, MAX_TEXT_CHARS, &mut errors));
    let figures = check_figures(draft.figures, scope.as_ref(), catalogue, &mut errors);
    let content = Content { figures, note };
    match (scope.as_ref(), place) {
        (Some(scope), Some(place)) if errors.count() == 0 => Ok(Submission {
            key: SubmissionKey {
                form: scope.form.code.clone(),
                period: scope.period,
                unit: place.id(),
            },
            unit: place.code().clone(),
            scope: scope.clone(),
            content,
        }),
        _ => Err(errors.into_inner()),
    }
}

fn check_scope(draft: &Draft, catalogue: &Catalogue, errors: &mut Errors) -> Option<Scope> {
    let form = draft.form.as_deref();
    let known = form.is_some_and(|form| catalogue.has_form(form));
    if form.is_some() && !known {
        errors.add(&BodyPath::ROOT.field("form"), FieldErrorKind::UnknownForm);
    }
    let period = draft.period.as_deref().and_then(|text| {
        let period = text.parse::<Period>();
        if period.is_err() {
            errors.add(&BodyPath::ROOT.field("period"), FieldErrorKind::InvalidPeriod);
        }
        period.ok()
    });
    let (form, period) = (form.filter(|_| known)?, period?);
    let scope = catalogue.scope(form, period);
    if scope.is_none() {
        errors.add(&BodyPath::ROOT.field("period"), FieldErrorKind::PeriodNotExpected);
    }
    scope
}
