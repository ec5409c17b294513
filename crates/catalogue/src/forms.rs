//! `forms.toml`: which indicators are reported together, by whom, how often and until when.

use std::sync::Arc;

use chrono::FixedOffset;
use toml::de::{DeTable, DeValue};
use tonghop_domain::{Calendar, Form, Frequency, Indicator, Names};

use crate::digest::{calendar_word, frequency_word};
use crate::fault::{Faults, line_at};
use crate::keys::Keys;
use crate::table::{Entry, day, parsed};
use crate::units::level;

pub(crate) const FILE: &str = "forms.toml";

/// Longer than any office would wait, and short enough for every calculation with days.
const MAX_DUE_DAYS: i64 = 366;

/// The forms, each with the line of its table. Without `indicators`, those of the forms are not looked up.
pub(crate) fn read(
    text: &str,
    indicators: Option<&[Entry<Indicator>]>,
    faults: &mut Faults,
) -> Option<Vec<Entry<Form>>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let line = error.span().map(|span| line_at(text.as_bytes(), span.start));
            faults.add(line, error.message().trim().replace('\n', ", "));
        }
        return None;
    }
    let mut forms: Vec<Entry<Form>> = Vec::new();
    for (key, value) in document.get_ref() {
        let line = line_at(text.as_bytes(), key.span().start);
        match value.get_ref() {
            DeValue::Array(tables) if key.get_ref() == "form" => {
                for table in tables {
                    let line = line_at(text.as_bytes(), table.span().start);
                    match table.get_ref() {
                        DeValue::Table(entries) => {
                            let keys = Keys::new(text, line, entries, faults);
                            forms.extend(read_form(keys, indicators));
                        }
                        _ => faults.add(line, "a form is a table: write [[form]] above its keys"),
                    }
                }
            }
            _ if key.get_ref() == "form" => {
                faults.add(line, "write [[form]], in doubled brackets, above each form")
            }
            _ => faults.add(
                line,
                format!("there is no key {:?} outside a form", key.get_ref()),
            ),
        }
    }
    if document.get_ref().is_empty() {
        faults.add(None, "the file names no form");
    }
    refuse_equal_versions(&forms, faults);
    Some(forms)
}

fn refuse_equal_versions(forms: &[Entry<Form>], faults: &mut Faults) {
    for (at, form) in forms.iter().enumerate() {
        let same = |other: &Entry<Form>| {
            other.value.code == form.value.code && other.value.version == form.value.version
        };
        if forms[..at].iter().any(same) {
            let Form { code, version, .. } = &form.value;
            faults.add(
                form.line,
                format!("version {version} of the form {code} is given twice"),
            );
        }
    }
}

fn read_form(mut keys: Keys<'_>, indicators: Option<&[Entry<Indicator>]>) -> Option<Entry<Form>> {
    let code = keys.text("code", parsed);
    let version = keys.integer("version", 1, i64::from(i32::MAX)).unwrap_or(1);
    let names = Names {
        vi: keys.text("name_vi", not_empty).unwrap_or_default(),
        en: keys.text("name_en", not_empty).unwrap_or_default(),
    };
    let due_days = keys.integer("due_days", 0, MAX_DUE_DAYS).unwrap_or(0);
    let offset = keys.text("utc_offset", offset);
    let calendar = keys.text("calendar", calendar).unwrap_or(Calendar::Civil);
    let form_indicators = read_indicators(&mut keys, indicators);
    let before = keys.fault_count();
    let valid_from = keys.day("valid_from", day);
    let valid_to = keys.day("valid_to", day);
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && from >= to
    {
        keys.fault(format!("valid_to {to} is not after valid_from {from}"));
    }
    let frequency = keys.text("frequency", frequency).unwrap_or(Frequency::Monthly);
    let numbers = keys.numbers("periods").unwrap_or_default();
    let reporting_levels = keys.texts("reporting_levels", level).unwrap_or_default();
    let reporting_units = keys.texts("reporting_units", parsed).unwrap_or_default();
    let sound = keys.fault_count() == before;
    let line = keys.finish();
    let form = Form {
        code: code?,
        version: i32::try_from(version).unwrap_or(i32::MAX),
        names,
        valid_from,
        valid_to,
        frequency,
        numbers,
        calendar,
        due_days: u32::try_from(due_days).unwrap_or_default(),
        offset: offset.unwrap_or(FixedOffset::east_opt(0)?),
        reporting_levels,
        reporting_units,
        indicators: form_indicators.into_iter().collect(),
    };
    Some(Entry {
        value: form,
        line,
        sound,
    })
}

/// All indicators in the order of their file, or those that a list names, in its order.
fn read_indicators(keys: &mut Keys<'_>, indicators: Option<&[Entry<Indicator>]>) -> Vec<Arc<Indicator>> {
    let all = indicators.unwrap_or_default();
    let known = |code: &str| {
        let found = all.iter().find(|indicator| indicator.value.code.as_str() == code);
        match found {
            Some(indicator) => Ok(Some(Arc::new(indicator.value.clone()))),
            None if indicators.is_none() => Ok(None),
            None => Err(format!("the indicator {code:?} does not exist")),
        }
    };
    let every = || all.iter().map(|entry| Arc::new(entry.value.clone())).collect();
    match keys.all_or_texts("indicators", known) {
        Some(named) => named.into_iter().flatten().collect(),
        None => every(),
    }
}

fn not_empty(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the text is empty".to_owned()),
        _ if text.contains(char::is_control) => Err("the text holds a control character".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn frequency(word: &str) -> Result<Frequency, String> {
    let all = [
        Frequency::Monthly,
        Frequency::Quarterly,
        Frequency::HalfYearly,
        Frequency::NineMonthly,
        Frequency::Yearly,
    ];
    let found = all
        .into_iter()
        .find(|frequency| frequency_word(*frequency) == word);
    found.ok_or_else(|| format!("{word:?} is none of {}", all.map(frequency_word).join(", ")))
}

fn calendar(word: &str) -> Result<Calendar, String> {
    let all = [Calendar::Civil, Calendar::Decree09];
    let found = all.into_iter().find(|calendar| calendar_word(*calendar) == word);
    found.ok_or_else(|| format!("{word:?} is none of {}", all.map(calendar_word).join(", ")))
}

/// A sign, hours up to 14, and minutes: `+07:00`.
fn offset(text: &str) -> Result<FixedOffset, String> {
    let seconds = || {
        let (sign, rest) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !two_digits(hours) || !two_digits(minutes) {
            return None;
        }
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    };
    let offset = seconds().and_then(FixedOffset::east_opt);
    offset.ok_or_else(|| format!("{text:?} is no offset from UTC: write +07:00"))
}
