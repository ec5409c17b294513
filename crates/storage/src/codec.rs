//! The encoding of figures, totals, announcements and audit entries in columns: compact JSON that only this crate
//! reads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tonghop_domain::{
    Announcement, Cell, CellKey, Completeness, Counts, Figure, Form, RecordedRevision, Reported,
    SubmissionId, Total, TotalRow,
};

use crate::error::StoreError;

/// One figure, of which exactly one of the fields v, b, l, t and s is present.
#[derive(Default, Serialize, Deserialize)]
struct FigureRow<'a> {
    #[serde(rename = "i", borrow)]
    indicator: Cow<'a, str>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    value: Option<i64>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    flag: Option<bool>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    items: Option<Cow<'a, [String]>>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    state: Option<Cow<'a, str>>,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    cells: Vec<(Vec<(String, String)>, i64)>,
}

impl<'a> FigureRow<'a> {
    fn new(figure: &'a Figure) -> Self {
        let row = Self {
            indicator: figure.indicator.as_str().into(),
            cells: figure
                .cells
                .iter()
                .map(|cell| (write_key(&cell.key), cell.value))
                .collect(),
            ..Self::default()
        };
        match &figure.reported {
            Reported::Value(value) => Self {
                value: Some(*value),
                ..row
            },
            Reported::Flag(flag) => Self {
                flag: Some(*flag),
                ..row
            },
            Reported::Items(items) => Self {
                items: Some(items.into()),
                ..row
            },
            Reported::Text(text) => Self {
                text: Some(text.into()),
                ..row
            },
            other => Self {
                state: other.state().map(Cow::from),
                ..row
            },
        }
    }

    fn read(self) -> Result<Figure, StoreError> {
        let reported = match (self.value, self.flag, self.items, self.text, self.state) {
            (Some(value), None, None, None, None) => Reported::Value(value),
            (None, Some(flag), None, None, None) => Reported::Flag(flag),
            (None, None, Some(items), None, None) => Reported::Items(items.into_owned()),
            (None, None, None, Some(text), None) => Reported::Text(text.into_owned()),
            (None, None, None, None, Some(word)) => {
                Reported::from_state(&word).ok_or_else(|| StoreError::corrupt(format!("the state {word}")))?
            }
            _ => {
                let indicator = self.indicator;
                return Err(StoreError::corrupt(format!(
                    "{indicator} has no value or several"
                )));
            }
        };
        let cell = |(key, value)| {
            Ok(Cell {
                key: read_key(key)?,
                value,
            })
        };
        Ok(Figure {
            indicator: self.indicator.parse().map_err(StoreError::corrupt)?,
            reported,
            cells: self
                .cells
                .into_iter()
                .map(cell)
                .collect::<Result<_, StoreError>>()?,
        })
    }
}

pub(crate) fn write_figures(figures: &[Figure]) -> Result<String, StoreError> {
    to_json(&figures.iter().map(FigureRow::new).collect::<Vec<_>>())
}

pub(crate) fn read_figures(text: &str) -> Result<Vec<Figure>, StoreError> {
    from_json::<Vec<FigureRow<'_>>>(text)?
        .into_iter()
        .map(FigureRow::read)
        .collect()
}

fn write_key(key: &CellKey) -> Vec<(String, String)> {
    key.iter()
        .map(|(dimension, category)| (dimension.to_string(), category.to_string()))
        .collect()
}

fn read_key(key: Vec<(String, String)>) -> Result<CellKey, StoreError> {
    key.into_iter()
        .map(|(dimension, category)| {
            let dimension = dimension.parse().map_err(StoreError::corrupt)?;
            Ok((dimension, category.parse().map_err(StoreError::corrupt)?))
        })
        .collect()
}

#[derive(Serialize, Deserialize)]
struct TotalJson {
    expected: u32,
    reported: u32,
    missing: Vec<String>,
    late: Vec<String>,
    late_count: u32,
    /// The number of units of which most indicators are expected; none if it is that of the form.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none", default)]
    most_expected: Option<u32>,
    /// The indicators of which another number of units is expected.
    #[serde(rename = "e", skip_serializing_if = "BTreeMap::is_empty", default)]
    otherwise_expected: BTreeMap<u32, Vec<String>>,
    rows: BTreeMap<String, RowJson>,
}

#[derive(Serialize, Deserialize)]
struct RowJson {
    #[serde(rename = "v", skip_serializing_if = "Option::is_none", default)]
    value: Option<i64>,
    #[serde(rename = "n")]
    counts: [u32; 4],
    #[serde(rename = "l", skip_serializing_if = "Vec::is_empty", default)]
    items: Vec<String>,
    #[serde(rename = "m", skip_serializing_if = "std::ops::Not::not", default)]
    items_truncated: bool,
    #[serde(rename = "c", skip_serializing_if = "Vec::is_empty", default)]
    cells: Vec<(Vec<(String, String)>, i64)>,
}

/// Omits rows that have no figures.
pub(crate) fn write_total(total: &Total, form: &Form) -> Result<String, StoreError> {
    let completeness = &total.completeness;
    let codes = |codes: &[tonghop_domain::UnitCode]| codes.iter().map(ToString::to_string).collect();
    let said = form
        .reportable()
        .zip(&total.rows)
        .filter(|(_, row)| !row.is_silent());
    let most_expected = most_frequent(total.rows.iter().map(|row| row.counts.expected));
    let most_expected = most_expected.unwrap_or(completeness.expected);
    let mut otherwise_expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (indicator, row) in form.reportable().zip(&total.rows) {
        if row.counts.expected != most_expected {
            let indicators = otherwise_expected.entry(row.counts.expected).or_default();
            indicators.push(indicator.code.to_string());
        }
    }
    let stored_row = |row: &TotalRow| {
        let Counts {
            expected: _,
            reporting,
            done_no_number,
            not_done,
            not_applicable,
        } = row.counts;
        RowJson {
            value: row.value,
            counts: [reporting, done_no_number, not_done, not_applicable],
            items: row.items.clone(),
            items_truncated: row.items_truncated,
            cells: row
                .cells
                .iter()
                .map(|(key, value)| (write_key(key), *value))
                .collect(),
        }
    };
    to_json(&TotalJson {
        expected: completeness.expected,
        reported: completeness.reported,
        missing: codes(&completeness.missing),
        late: codes(&completeness.late),
        late_count: completeness.late_count,
        most_expected: Some(most_expected).filter(|expected| *expected != completeness.expected),
        otherwise_expected,
        rows: said
            .map(|(indicator, row)| (indicator.code.to_string(), stored_row(row)))
            .collect(),
    })
}

pub(crate) fn read_total(text: &str, form: &Form) -> Result<Total, StoreError> {
    let mut stored: TotalJson = from_json(text)?;
    let codes = |codes: Vec<String>| {
        codes
            .into_iter()
            .map(|code| code.parse().map_err(StoreError::corrupt))
            .collect::<Result<Vec<_>, _>>()
    };
    let most_expected = stored.most_expected.unwrap_or(stored.expected);
    let rows = form.reportable().map(|indicator| {
        let mut row = match stored.rows.remove(indicator.code.as_str()) {
            Some(row) => read_row(row)?,
            None => TotalRow::default(),
        };
        row.counts.expected = most_expected;
        Ok(row)
    });
    let mut rows = rows.collect::<Result<Vec<TotalRow>, StoreError>>()?;
    for (expected, indicators) in &stored.otherwise_expected {
        for at in indicators.iter().filter_map(|code| form.row_index(code)) {
            if let Some(row) = rows.get_mut(at) {
                row.counts.expected = *expected;
            }
        }
    }
    Ok(Total {
        rows,
        completeness: Completeness {
            expected: stored.expected,
            reported: stored.reported,
            missing: codes(stored.missing)?,
            late: codes(stored.late)?,
            late_count: stored.late_count,
        },
    })
}

/// The most frequent number; of several the greatest.
fn most_frequent(numbers: impl Iterator<Item = u32>) -> Option<u32> {
    let mut frequencies: BTreeMap<u32, usize> = BTreeMap::new();
    for number in numbers {
        *frequencies.entry(number).or_default() += 1;
    }
    let most = frequencies.into_iter().max_by_key(|(_, frequency)| *frequency);
    most.map(|(number, _)| number)
}

fn read_row(row: RowJson) -> Result<TotalRow, StoreError> {
    let [reporting, done_no_number, not_done, not_applicable] = row.counts;
    Ok(TotalRow {
        value: row.value,
        items: row.items,
        items_truncated: row.items_truncated,
        cells: row
            .cells
            .into_iter()
            .map(|(key, value)| Ok((read_key(key)?, value)))
            .collect::<Result<_, StoreError>>()?,
        counts: Counts {
            expected: 0,
            reporting,
            done_no_number,
            not_done,
            not_applicable,
        },
    })
}

#[derive(Serialize, Deserialize)]
enum AnnouncementRow {
    Recorded {
        form: String,
        period: String,
        province: String,
        submissions: Vec<(uuid::Uuid, String, i32)>,
    },
    Changed {
        form: String,
        period: String,
        province: String,
        unit: String,
        version: i64,
    },
}

pub(crate) fn write_announcement(announcement: &Announcement) -> Result<String, StoreError> {
    to_json(&match announcement {
        Announcement::SubmissionsRecorded {
            form,
            period,
            province,
            submissions,
        } => AnnouncementRow::Recorded {
            form: form.to_string(),
            period: period.to_string(),
            province: province.to_string(),
            submissions: submissions
                .iter()
                .map(|one| (one.id.0, one.unit.to_string(), one.revision))
                .collect(),
        },
        Announcement::TotalChanged {
            form,
            period,
            province,
            unit,
            version,
        } => AnnouncementRow::Changed {
            form: form.to_string(),
            period: period.to_string(),
            province: province.to_string(),
            unit: unit.to_string(),
            version: *version,
        },
    })
}

pub(crate) fn read_announcement(text: &str) -> Result<Announcement, StoreError> {
    Ok(match from_json(text)? {
        AnnouncementRow::Recorded {
            form,
            period,
            province,
            submissions,
        } => Announcement::SubmissionsRecorded {
            form: form.parse().map_err(StoreError::corrupt)?,
            period: period.parse().map_err(StoreError::corrupt)?,
            province: province.parse().map_err(StoreError::corrupt)?,
            submissions: submissions
                .into_iter()
                .map(|(id, unit, revision)| {
                    let unit = unit.parse().map_err(StoreError::corrupt)?;
                    Ok(RecordedRevision {
                        id: SubmissionId(id),
                        unit,
                        revision,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
        },
        AnnouncementRow::Changed {
            form,
            period,
            province,
            unit,
            version,
        } => Announcement::TotalChanged {
            form: form.parse().map_err(StoreError::corrupt)?,
            period: period.parse().map_err(StoreError::corrupt)?,
            province: province.parse().map_err(StoreError::corrupt)?,
            unit: unit.parse().map_err(StoreError::corrupt)?,
            version,
        },
    })
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::corrupt)
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(StoreError::corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_exactly_one_value() {
        assert!(read_figures(r#"[{"i":"TT.PT","v":7},{"i":"TT.PT","s":"not_done"}]"#).is_ok());
        for wrong in [
            "",
            r#","v":7,"t":"7""#,
            r#","b":true,"s":"not_done""#,
            r#","s":"perhaps""#,
        ] {
            let text = format!(r#"[{{"i":"TT.PT"{wrong}}}]"#);
            assert!(
                matches!(read_figures(&text), Err(StoreError::Corrupt(_))),
                "{text}"
            );
        }
    }
}
