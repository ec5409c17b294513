//! Reads the body of a submission and reports all errors at once.

use std::sync::Arc;

use actix_web::web::Bytes;
use chrono::Utc;
use tokio::sync::Semaphore;
use tonghop_domain::{
    BodyPath, Catalogue, Draft, DraftCell, DraftFigure, FieldErrorKind, Reported, Submission, ValueType,
    check,
};

use crate::problem::Problem;
use crate::request::json::Json;
use crate::request::json_reader::{Reader, parsed};

/// The size above which a body is read on a separate thread: it may take as long as hundreds of reports.
const LARGE_BODY_BYTES: usize = 64 << 10;

/// Limits reading to one large body at a time.
static LARGE_BODY: Semaphore = Semaphore::const_new(1);

/// Reads a submission like [`read_submission`], without blocking other requests.
pub(crate) async fn read_beside(body: Bytes, catalogue: &Arc<Catalogue>) -> Result<Submission, Problem> {
    if body.len() <= LARGE_BODY_BYTES {
        return read_submission(&body, catalogue);
    }
    let failed =
        |error: &dyn std::error::Error| Problem::Internal(format!("a body could not be read: {error}"));
    let permit = LARGE_BODY.acquire().await.map_err(|error| failed(&error))?;
    let catalogue = catalogue.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let read = read_submission(&body, &catalogue);
        drop(permit);
        read
    });
    reading.await.map_err(|error| failed(&error))?
}

/// Reads a submission that arrives now and checks it against the catalogue.
pub(crate) fn read_submission(body: &[u8], catalogue: &Catalogue) -> Result<Submission, Problem> {
    let json = parsed(body)?;
    let mut reader = Reader::default();
    let draft = reader.draft(&json);
    match check(draft, catalogue, Utc::now()) {
        Ok(submission) if reader.has_no_errors() => Ok(submission),
        Ok(_) => Err(Problem::InvalidSubmission(reader.sorted(&json))),
        Err(found) => Err(Problem::InvalidSubmission(reader.merged(&json, found))),
    }
}

impl Reader {
    fn draft(&mut self, json: &Json<'_>) -> Draft {
        let root = BodyPath::ROOT;
        let names = ["form", "period", "unit", "figures", "note"];
        let Some([form, period, unit, figures, note]) = self.fields(&root, json, names) else {
            return Draft::default();
        };
        let required = [
            ("form", form),
            ("period", period),
            ("unit", unit),
            ("figures", figures),
        ];
        for (name, _) in required.iter().filter(|(_, value)| value.is_none()) {
            self.add(&root.field(name), FieldErrorKind::MissingField(name));
        }
        let all = root.field("figures");
        let figures = figures.and_then(|list| self.list(&all, list)).unwrap_or_default();
        Draft {
            form: form.and_then(|value| self.text(&root.field("form"), value)),
            period: period.and_then(|value| self.text(&root.field("period"), value)),
            unit: unit.and_then(|value| self.text(&root.field("unit"), value)),
            figures: figures
                .iter()
                .enumerate()
                .map(|(at, value)| self.figure(&all.index(at), value))
                .collect(),
            note: note.and_then(|value| self.text(&root.field("note"), value)),
        }
    }

    fn figure(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> DraftFigure {
        let names = ["indicator", "value", "state", "items", "text", "breakdowns"];
        let Some([indicator, value, state, items, text, breakdowns]) = self.fields(path, json, names) else {
            return DraftFigure::default();
        };
        if indicator.is_none() {
            let kind = FieldErrorKind::MissingField("indicator");
            self.add(&path.field("indicator"), kind);
        }
        // Clients with typed lists, such as those that openapi-generator writes in Java, send empty ones.
        let is_empty = |json: &&Json<'_>| matches!(json, Json::List(list) if list.is_empty());
        let has_other = value.or(state).or(text).is_some();
        let items = items.filter(|json| !(has_other && is_empty(json)));
        let value = value.map(|json| self.value(&path.field("value"), json));
        let state = state.map(|json| self.state(&path.field("state"), json));
        let items = items.map(|json| self.items(&path.field("items"), json));
        let text = text.map(|json| self.text(&path.field("text"), json).map(Reported::Text));
        let mut contents = [value, state, items, text].into_iter().flatten();
        let reported = contents.next();
        if reported.is_none() {
            self.add(path, FieldErrorKind::ValueMissing);
        }
        let is_ambiguous = contents.next().is_some();
        if is_ambiguous {
            self.add(path, FieldErrorKind::ValueAmbiguous);
        }
        let all = path.field("breakdowns");
        let cells = breakdowns
            .and_then(|json| self.list(&all, json))
            .unwrap_or_default();
        DraftFigure {
            indicator: indicator.and_then(|json| self.text(&path.field("indicator"), json)),
            reported: reported.flatten().filter(|_| !is_ambiguous),
            cells: cells
                .iter()
                .enumerate()
                .map(|(at, json)| self.cell(&all.index(at), json))
                .collect(),
        }
    }

    fn cell(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> DraftCell {
        let Some([by, value]) = self.fields(path, json, ["by", "value"]) else {
            return DraftCell::default();
        };
        for (name, _) in [("by", by), ("value", value)]
            .iter()
            .filter(|(_, json)| json.is_none())
        {
            self.add(&path.field(name), FieldErrorKind::MissingField(name));
        }
        let place = path.field("by");
        let categories = by.and_then(|json| self.object(&place, json));
        DraftCell {
            key: categories.map(|categories| self.categories(&place, categories)),
            value: value.and_then(|json| self.integer(&path.field("value"), json)),
        }
    }

    /// The codes of dimensions and categories; without those of categories that cannot be read.
    fn categories(&mut self, path: &BodyPath<'_>, given: Vec<(&str, &Json<'_>)>) -> Vec<(String, String)> {
        let pairs = given.into_iter().filter_map(|(dimension, json)| {
            let category = self.text(&path.named_field(dimension), json)?;
            Some((dimension.to_owned(), category))
        });
        pairs.collect()
    }

    fn value(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> Option<Reported> {
        match json {
            Json::Integer(value) => Some(Reported::Value(*value)),
            Json::Flag(flag) => Some(Reported::Flag(*flag)),
            _ => self.wrong_type(path, ValueType::IntegerOrFlag),
        }
    }

    fn state(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> Option<Reported> {
        let word = self.text(path, json)?;
        self.parsed_or(path, Reported::from_state(&word), FieldErrorKind::UnknownState)
    }

    fn items(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> Option<Reported> {
        let list = self.list(path, json)?;
        let before = self.count();
        let texts = list.iter().enumerate();
        let items: Vec<String> = texts
            .filter_map(|(at, json)| self.text(&path.index(at), json))
            .collect();
        (self.count() == before).then_some(Reported::Items(items))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
