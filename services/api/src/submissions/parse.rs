//! Reads the body of a submission: into the domain's words, or into every fault at once.

use std::fmt::Display;
use std::sync::Arc;

use actix_web::web::Bytes;
use tokio::sync::Semaphore;
use tonghop_domain::{Catalogue, Draft, DraftCell, DraftFigure, FaultKind, Reported, Submission, check};

use crate::problem::Problem;
use crate::request::json::Json;
use crate::request::json_reader::{Reader, escaped, parsed};

/// A larger body than this is read beside the threads that serve everybody: it may take as long as hundreds of reports.
const READ_ASIDE_BYTES: usize = 64 << 10;

/// One large body is read at a time.
static LARGE_BODY: Semaphore = Semaphore::const_new(1);

/// As [`read_submission`], without holding up other requests.
pub(crate) async fn read_beside(body: Bytes, catalogue: &Arc<Catalogue>) -> Result<Submission, Problem> {
    if body.len() <= READ_ASIDE_BYTES {
        return read_submission(&body, catalogue);
    }
    let failed = |error: &dyn std::error::Error| Problem::Internal(format!("a body was not read: {error}"));
    let turn = LARGE_BODY.acquire().await.map_err(|error| failed(&error))?;
    let catalogue = catalogue.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let read = read_submission(&body, &catalogue);
        drop(turn);
        read
    });
    reading.await.map_err(|error| failed(&error))?
}

/// The submission that a body holds, checked against the catalogue.
pub(crate) fn read_submission(body: &[u8], catalogue: &Catalogue) -> Result<Submission, Problem> {
    let json = parsed(body)?;
    let mut reader = Reader::default();
    let draft = reader.draft(&json);
    match check(draft, catalogue) {
        Ok(submission) if reader.is_content() => Ok(submission),
        Ok(_) => Err(Problem::InvalidSubmission(reader.sorted(&json))),
        Err(found) => Err(Problem::InvalidSubmission(reader.merged(&json, found))),
    }
}

impl Reader {
    fn draft(&mut self, json: &Json<'_>) -> Draft {
        let names = ["form", "period", "unit", "figures", "note"];
        let Some([form, period, unit, figures, note]) = self.fields("", json, names) else {
            return Draft::default();
        };
        let required = [
            ("form", form),
            ("period", period),
            ("unit", unit),
            ("figures", figures),
        ];
        for (name, _) in required.iter().filter(|(_, value)| value.is_none()) {
            self.add(format_args!("/{name}"), FaultKind::MissingField(name));
        }
        let figures = figures
            .and_then(|list| self.list("/figures", list))
            .unwrap_or_default();
        Draft {
            form: form.and_then(|value| self.text("/form", value)),
            period: period.and_then(|value| self.text("/period", value)),
            unit: unit.and_then(|value| self.text("/unit", value)),
            figures: figures
                .iter()
                .enumerate()
                .map(|(at, value)| self.figure(format_args!("/figures/{at}"), value))
                .collect(),
            note: note.and_then(|value| self.text("/note", value)),
        }
    }

    fn figure(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> DraftFigure {
        let names = ["indicator", "value", "state", "items", "text", "breakdowns"];
        let Some([indicator, value, state, items, text, breakdowns]) = self.fields(pointer, json, names)
        else {
            return DraftFigure::default();
        };
        if indicator.is_none() {
            self.add(
                format_args!("{pointer}/indicator"),
                FaultKind::MissingField("indicator"),
            );
        }
        let value = value.map(|json| self.value(format_args!("{pointer}/value"), json));
        let state = state.map(|json| self.state(format_args!("{pointer}/state"), json));
        let items = items.map(|json| self.items(format_args!("{pointer}/items"), json));
        let text = text.map(|json| {
            self.text(format_args!("{pointer}/text"), json)
                .map(Reported::Text)
        });
        let mut said = [value, state, items, text].into_iter().flatten();
        let reported = said.next();
        if reported.is_none() {
            self.add(pointer, FaultKind::NothingSaid);
        }
        let twice = said.next().is_some();
        if twice {
            self.add(pointer, FaultKind::SaidTwice);
        }
        let all = format_args!("{pointer}/breakdowns");
        let cells = breakdowns
            .and_then(|json| self.list(all, json))
            .unwrap_or_default();
        DraftFigure {
            indicator: indicator.and_then(|json| self.text(format_args!("{pointer}/indicator"), json)),
            reported: reported.flatten().filter(|_| !twice),
            cells: cells
                .iter()
                .enumerate()
                .map(|(at, json)| self.cell(format_args!("{all}/{at}"), json))
                .collect(),
        }
    }

    fn cell(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> DraftCell {
        let mut cell = DraftCell::default();
        let Some(fields) = self.object(pointer, json) else {
            return cell;
        };
        let mut has_value = false;
        for (name, json) in fields {
            let place = format!("{pointer}/{}", escaped(name));
            if name == "value" {
                has_value = true;
                cell.value = self.integer(&place, json);
            } else if let Some(category) = self.text(&place, json) {
                cell.key.push((name.to_owned(), category));
            }
        }
        if !has_value {
            self.add(format_args!("{pointer}/value"), FaultKind::MissingField("value"));
        }
        cell
    }

    fn value(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<Reported> {
        match json {
            Json::Integer(value) => Some(Reported::Value(*value)),
            Json::Flag(flag) => Some(Reported::Flag(*flag)),
            _ => self.wrong(pointer, "integer, true or false"),
        }
    }

    fn state(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<Reported> {
        let word = self.text(pointer, json)?;
        let state = Reported::from_state(&word);
        if state.is_none() {
            self.add(pointer, FaultKind::UnknownState);
        }
        state
    }

    fn items(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<Reported> {
        let list = self.list(pointer, json)?;
        let before = self.count();
        let texts = list.iter().enumerate();
        let items: Vec<String> = texts
            .filter_map(|(at, json)| self.text(format_args!("{pointer}/{at}"), json))
            .collect();
        (self.count() == before).then_some(Reported::Items(items))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
