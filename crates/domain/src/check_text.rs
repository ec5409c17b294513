//! Checks texts.

use crate::field_error::{BodyPath, Errors, FieldErrorKind};
use crate::text::{has_control, has_reordering_control, without_invisible};

/// The maximum length of texts and notes, in characters.
pub const MAX_TEXT_CHARS: usize = 10_000;

/// Checks a text and returns it in NFC, without invisible characters.
pub(crate) fn checked_text(path: &BodyPath<'_>, text: String, max: usize, errors: &mut Errors) -> String {
    check_characters(path, &text, errors);
    checked_length(path, without_invisible(&text), max, errors)
}

pub(crate) fn check_characters(path: &BodyPath<'_>, text: &str, errors: &mut Errors) {
    if has_control(text) {
        errors.add(path, FieldErrorKind::ControlCharacter);
    }
    if has_reordering_control(text) {
        errors.add(path, FieldErrorKind::ReorderingControl);
    }
}

pub(crate) fn checked_length(path: &BodyPath<'_>, text: String, max: usize, errors: &mut Errors) -> String {
    if text.trim().is_empty() {
        errors.add(path, FieldErrorKind::Empty);
    }
    if text.chars().count() > max {
        errors.add(path, FieldErrorKind::TooLong(max));
    }
    text
}
