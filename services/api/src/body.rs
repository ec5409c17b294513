//! Reads the body of a submission: into the domain's words, or into every fault at once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use actix_web::web::Bytes;
use tokio::sync::Semaphore;
use tonghop_domain::{
    Catalogue, Draft, DraftCell, DraftFigure, Fault, FaultKind, Reported, Submission, check,
};

use crate::json::{self, Json, Unread};
use crate::problem::Problem;

/// How many faults are told at the most: no person reads on, and a body of many faults must not make a larger answer.
const MAX_FAULTS: usize = 1_000;

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
        Ok(submission) if reader.faults.is_empty() => Ok(submission),
        Ok(_) => Err(reader.refuse(&json, Vec::new())),
        Err(found) => Err(reader.refuse(&json, found)),
    }
}

/// The JSON of a body.
pub(crate) fn parsed(body: &[u8]) -> Result<Json<'_>, Problem> {
    json::parse(body).map_err(|unread| match unread {
        Unread::NotJson { line, column } => Problem::InvalidJson { line, column },
        Unread::TooManyValues => Problem::TooManyValues,
    })
}

/// Walks a body and notes what has the wrong shape.
#[derive(Default)]
pub(crate) struct Reader {
    faults: Vec<Fault>,
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
        let before = self.faults.len();
        let texts = list.iter().enumerate();
        let items: Vec<String> = texts
            .filter_map(|(at, json)| self.text(format_args!("{pointer}/{at}"), json))
            .collect();
        (self.faults.len() == before).then_some(Reported::Items(items))
    }

    fn integer(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<i64> {
        match json {
            Json::Integer(value) => Some(*value),
            _ => self.wrong(pointer, "integer"),
        }
    }

    /// A text, or a fault.
    pub(crate) fn text(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<String> {
        match json {
            Json::Text(text) => Some(text.clone().into_owned()),
            _ => self.wrong(pointer, "text"),
        }
    }

    fn list<'j, 'a>(&mut self, pointer: impl Display + Copy, json: &'j Json<'a>) -> Option<&'j [Json<'a>]> {
        match json {
            Json::List(list) => Some(list),
            _ => self.wrong(pointer, "list"),
        }
    }

    /// The fields of an object, each once: the first where one is repeated.
    fn object<'j, 'a>(
        &mut self,
        pointer: impl Display + Copy,
        json: &'j Json<'a>,
    ) -> Option<Vec<(&'j str, &'j Json<'a>)>> {
        let Json::Object(given) = json else {
            return self.wrong(pointer, "object");
        };
        let mut fields: Vec<(&str, &Json<'_>)> = Vec::with_capacity(given.len());
        // Among a few, looking is quicker than hashing.
        let mut seen = (given.len() > 16).then(|| HashSet::with_capacity(given.len()));
        for (name, value) in given {
            let is_new = match &mut seen {
                Some(seen) => seen.insert(name.as_ref()),
                None => fields.iter().all(|(other, _)| other != name),
            };
            if is_new {
                fields.push((name, value));
            } else {
                let place = format!("{pointer}/{}", escaped(name));
                self.add(place, FaultKind::RepeatedField(name.to_string()));
            }
        }
        Some(fields)
    }

    /// The fields with these names, in this order.
    pub(crate) fn fields<'j, 'a, const N: usize>(
        &mut self,
        pointer: impl Display + Copy,
        json: &'j Json<'a>,
        names: [&str; N],
    ) -> Option<[Option<&'j Json<'a>>; N]> {
        let mut known = [None; N];
        for (name, value) in self.object(pointer, json)? {
            match names.iter().position(|other| *other == name) {
                Some(at) => known[at] = Some(value),
                None => {
                    let place = format!("{pointer}/{}", escaped(name));
                    self.add(place, FaultKind::UnknownField(name.to_owned()));
                }
            }
        }
        Some(known)
    }

    fn wrong<T>(&mut self, pointer: impl Display + Copy, wanted: &'static str) -> Option<T> {
        self.add(pointer, FaultKind::WrongType(wanted));
        None
    }

    /// What a text was understood as, or a fault.
    pub(crate) fn understood<T>(
        &mut self,
        pointer: impl Display + Copy,
        read: Option<T>,
        fault: FaultKind,
    ) -> Option<T> {
        if read.is_none() {
            self.add(pointer, fault);
        }
        read
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_content(&self) -> bool {
        self.faults.is_empty()
    }

    /// Notes a fault.
    pub(crate) fn add(&mut self, pointer: impl Display, kind: FaultKind) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault {
                pointer: pointer.to_string(),
                kind,
            });
        }
    }

    /// All faults in the order of the body. What the check found where something could not be read, or above
    /// such a place, is left out: it may be a consequence.
    fn refuse(mut self, json: &Json<'_>, found: Vec<Fault>) -> Problem {
        let above = |upper: &str, lower: &str| {
            lower
                .strip_prefix(upper)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let unread: Vec<String> = self.faults.iter().map(|fault| fault.pointer.clone()).collect();
        let own = |fault: &Fault| !unread.iter().any(|lower| above(&fault.pointer, lower));
        let found: Vec<Fault> = found.into_iter().filter(own).take(MAX_FAULTS).collect();
        self.faults.extend(found);
        Problem::InvalidSubmission(self.sorted(json))
    }

    /// All faults in the order of the body.
    pub(crate) fn sorted(self, json: &Json<'_>) -> Vec<Fault> {
        let pointers = self.faults.iter().map(|fault| fault.pointer.as_str());
        let mut places = vec![Vec::new(); self.faults.len()];
        find_places(Some(json), pointers.enumerate().collect(), &mut places);
        let mut faults: Vec<(Vec<usize>, Fault)> = places.into_iter().zip(self.faults).collect();
        faults.sort_by(|(place, _), (other, _)| place.cmp(other));
        faults.truncate(MAX_FAULTS);
        faults.into_iter().map(|(_, fault)| fault).collect()
    }
}

/// A name as it stands in a JSON Pointer.
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        name.replace('~', "~0").replace('/', "~1").into()
    } else {
        name.into()
    }
}

/// Where pointers lead, as positions from the outside in; what is missing comes after what is there. Each pointer comes
/// with the index of its place. Every list and object on the way is walked once, however many lead through it.
fn find_places(json: Option<&Json<'_>>, pointers: Vec<(usize, &str)>, places: &mut [Vec<usize>]) {
    let mut by_token: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
    for (index, pointer) in pointers {
        if let Some(tokens) = pointer.strip_prefix('/') {
            let (token, rest) = tokens.split_at(tokens.find('/').unwrap_or(tokens.len()));
            by_token.entry(token).or_default().push((index, rest));
        }
    }
    let mut go_on = |position, json: Option<&Json<'_>>, led: Vec<(usize, &str)>| {
        for (index, _) in &led {
            places[*index].push(position);
        }
        find_places(json, led, places);
    };
    match json {
        Some(Json::Object(fields)) => {
            for (position, (name, value)) in fields.iter().enumerate() {
                if let Some(led) = by_token.remove(escaped(name).as_ref()) {
                    go_on(position, Some(value), led);
                }
            }
        }
        Some(Json::List(list)) => {
            by_token.retain(|token, led| {
                let position: Option<usize> = token.parse().ok();
                let value = position.and_then(|position| Some((position, list.get(position)?)));
                if let Some((position, value)) = value {
                    go_on(position, Some(value), std::mem::take(led));
                }
                value.is_none()
            });
        }
        _ => {}
    }
    for (_, led) in by_token {
        go_on(usize::MAX, None, led);
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
