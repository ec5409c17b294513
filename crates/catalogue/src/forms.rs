//! `forms.toml`: which indicators are reported together, by whom, how often and by when.

use std::sync::Arc;

use chrono::FixedOffset;
use toml::de::{DeTable, DeValue};
use tonghop_domain::{
    Calendar, Expectation, Form, FormCheck, Frequency, Indicator, IndicatorCode, InvalidCheckRule, Kind,
    Names, Severity,
};

use crate::digest::{calendar_word, frequency_word};
use crate::error::{FileErrors, line_at};
use crate::table::{Entry, day, parsed};
use crate::toml_table::TomlTable;
use crate::units::level;

pub(crate) const FILE: &str = "forms.toml";

/// The longest deadline, and the earliest opening, in days. It exceeds any real one and keeps date calculations within range.
const MAX_DUE_DAYS: i64 = 366;

/// A form as read, the lines of the tables below it, and whether its time zone was valid.
struct ReadForm {
    entry: Entry<Form>,
    lines: FormLines,
    has_offset: bool,
}

/// The lines of the tables below a form.
#[derive(Clone, Default)]
pub(crate) struct FormLines {
    pub(crate) expectations: Vec<u64>,
    pub(crate) checks: Vec<u64>,
}

/// The forms of the file, and for each form the lines of the tables below it.
#[derive(Default)]
pub(crate) struct Forms {
    pub(crate) entries: Vec<Entry<Form>>,
    pub(crate) lines: Vec<FormLines>,
}

/// Reads the forms, each with the line of its table. If `indicators` is none, the forms' indicators are not looked up.
pub(crate) fn read(
    text: &str,
    indicators: Option<&[Entry<Indicator>]>,
    errors: &mut FileErrors,
) -> Option<Forms> {
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        for error in syntax_errors {
            let line = error.span().map(|span| line_at(text.as_bytes(), span.start));
            errors.add(line, error.message().trim().replace('\n', ", "));
        }
        return None;
    }
    let mut forms: Vec<ReadForm> = Vec::new();
    for (key, value) in document.get_ref() {
        let line = line_at(text.as_bytes(), key.span().start);
        match value.get_ref() {
            DeValue::Array(tables) if key.get_ref() == "form" => {
                for table in tables {
                    let line = line_at(text.as_bytes(), table.span().start);
                    match table.get_ref() {
                        DeValue::Table(entries) => {
                            let form = TomlTable::new(text, line, entries, errors);
                            forms.extend(read_form(form, indicators));
                        }
                        _ => errors.add(line, "a form is a table: write [[form]] above its keys"),
                    }
                }
            }
            _ if key.get_ref() == "form" => {
                errors.add(line, "write [[form]], in double brackets, above each form")
            }
            _ => errors.add(line, format!("the key {:?} is not part of a form", key.get_ref())),
        }
    }
    if document.get_ref().is_empty() {
        errors.add(None, "the file defines no form");
    }
    let lines = forms.iter().map(|form| form.lines.clone()).collect();
    let entries = with_offsets(forms);
    reject_equal_versions(&entries, errors);
    Some(Forms { entries, lines })
}

/// Gives forms with an invalid time zone that of another form. Otherwise the mismatch would be a second error.
fn with_offsets(forms: Vec<ReadForm>) -> Vec<Entry<Form>> {
    let valid = forms.iter().find(|form| form.has_offset);
    let offset = valid.map(|form| form.entry.value.offset);
    let with_offset = |mut form: ReadForm| {
        if let Some(offset) = offset.filter(|_| !form.has_offset) {
            form.entry.value.offset = offset;
        }
        form.entry
    };
    forms.into_iter().map(with_offset).collect()
}

fn reject_equal_versions(forms: &[Entry<Form>], errors: &mut FileErrors) {
    for (at, form) in forms.iter().enumerate() {
        let same = |other: &Entry<Form>| {
            other.value.code == form.value.code && other.value.version == form.value.version
        };
        if forms[..at].iter().any(same) {
            let Form { code, version, .. } = &form.value;
            errors.add(
                form.line,
                format!("version {version} of the form {code} is defined twice"),
            );
        }
    }
}

fn read_form(mut table: TomlTable<'_>, indicators: Option<&[Entry<Indicator>]>) -> Option<ReadForm> {
    let code = table.text("code", parsed);
    let version = table.integer("version", 1, i64::from(i32::MAX)).unwrap_or(1);
    let names = Names {
        vi: table.text("name_vi", not_empty).unwrap_or_default(),
        en: table.text("name_en", not_empty).unwrap_or_default(),
    };
    let opens_days = table.optional_integer("opens_days", 0, MAX_DUE_DAYS).unwrap_or(0);
    let due_days = table.integer("due_days", 0, MAX_DUE_DAYS).unwrap_or(0);
    let offset = table.text("utc_offset", offset);
    let calendar = table.text("calendar", calendar).unwrap_or(Calendar::Civil);
    let form_indicators: Vec<Arc<Indicator>> = read_indicators(&mut table, indicators);
    let (lines, expectations, checks) = read_rules(&mut table, &form_indicators);
    let before = table.error_count();
    let valid_from = table.day("valid_from", day);
    let valid_to = table.day("valid_to", day);
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && from >= to
    {
        table.error(format!("valid_to {to} is not after valid_from {from}"));
    }
    let frequency = table.text("frequency", frequency).unwrap_or(Frequency::Monthly);
    let numbers = table.numbers("periods").unwrap_or_default();
    let reporting_levels = table.texts("reporting_levels", level).unwrap_or_default();
    let reporting_units = table.texts("reporting_units", parsed).unwrap_or_default();
    let sound = table.error_count() == before;
    let line = table.finish();
    let form = Form {
        code: code?,
        version: i32::try_from(version).unwrap_or(i32::MAX),
        names,
        valid_from,
        valid_to,
        frequency,
        numbers,
        calendar,
        opens_days: u32::try_from(opens_days).unwrap_or_default(),
        due_days: u32::try_from(due_days).unwrap_or_default(),
        offset: offset.unwrap_or(FixedOffset::east_opt(0)?),
        reporting_levels,
        reporting_units,
        indicators: form_indicators.into_iter().collect(),
        expectations,
        checks,
    };
    Some(ReadForm {
        entry: Entry {
            value: form,
            line,
            sound,
        },
        lines,
        has_offset: offset.is_some(),
    })
}

/// All indicators in file order, or the listed ones in list order.
fn read_indicators(
    table: &mut TomlTable<'_>,
    indicators: Option<&[Entry<Indicator>]>,
) -> Vec<Arc<Indicator>> {
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
    match table.all_or_texts("indicators", known) {
        Some(named) => named.into_iter().flatten().collect(),
        None => every(),
    }
}

/// The tables below a form, with their lines.
fn read_rules(
    table: &mut TomlTable<'_>,
    indicators: &[Arc<Indicator>],
) -> (FormLines, Vec<Expectation>, Vec<FormCheck>) {
    let expectations = table.tables("expect", |rule| read_expectation(rule, indicators));
    let (expectation_lines, expectations) = expectations.into_iter().unzip();
    let checks = table.tables("check", read_check);
    let (check_lines, checks) = checks.into_iter().flatten().unzip();
    let lines = FormLines {
        expectations: expectation_lines,
        checks: check_lines,
    };
    (lines, expectations, checks)
}

/// A rule about expected reporters, with its line. A code that ends with `*` names every indicator of the form whose code
/// begins so, except ratios.
fn read_expectation(mut table: TomlTable<'_>, indicators: &[Arc<Indicator>]) -> (u64, Expectation) {
    let named = |pattern: &str| -> Result<Vec<IndicatorCode>, String> {
        let Some(beginning) = pattern.strip_suffix('*') else {
            return Ok(vec![parsed(pattern)?]);
        };
        let begins_so = |indicator: &&Arc<Indicator>| {
            indicator.code.as_str().starts_with(beginning) && !matches!(indicator.kind, Kind::Ratio(_))
        };
        let codes: Vec<IndicatorCode> = indicators
            .iter()
            .filter(begins_so)
            .map(|indicator| indicator.code.clone())
            .collect();
        if codes.is_empty() && !indicators.is_empty() {
            return Err(format!("no indicator of the form begins with {beginning:?}"));
        }
        Ok(codes)
    };
    let codes = table.required_texts("indicators", named).unwrap_or_default();
    let levels = table.texts("levels", level);
    let units = table.texts("units", parsed);
    if levels.is_none() && units.is_none() && !table.has("levels") && !table.has("units") {
        table.error("state levels or units; units = [] expects the indicators of no unit");
    }
    let rule = Expectation {
        indicators: codes.into_iter().flatten().collect(),
        levels: levels.unwrap_or_default(),
        units: units.unwrap_or_default(),
    };
    (table.finish(), rule)
}

/// A check across indicators, with its line.
fn read_check(mut table: TomlTable<'_>) -> Option<(u64, FormCheck)> {
    let rule = table.text("rule", |text| {
        text.parse().map_err(|error: InvalidCheckRule| error.to_string())
    });
    let severity = table.text("severity", severity);
    let texts = Names {
        vi: table.text("text_vi", not_empty).unwrap_or_default(),
        en: table.text("text_en", not_empty).unwrap_or_default(),
    };
    let line = table.finish();
    let check = FormCheck {
        rule: rule?,
        severity: severity?,
        texts,
    };
    Some((line, check))
}

fn severity(word: &str) -> Result<Severity, String> {
    let all = Severity::ALL;
    let found = all.into_iter().find(|severity| severity.as_str() == word);
    found.ok_or_else(|| format!("{word:?} is none of {}", all.map(Severity::as_str).join(", ")))
}

fn not_empty(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("the text is empty".to_owned()),
        _ if text.contains(char::is_control) => Err("the text contains a control character".to_owned()),
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

/// Parses a sign, hours up to 14, and minutes: `+07:00`.
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
    offset.ok_or_else(|| format!("{text:?} is not an offset from UTC: write +07:00"))
}
