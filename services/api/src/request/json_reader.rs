//! Walks the JSON of a body and notes what has the wrong shape.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use tonghop_domain::{Fault, FaultKind};

use crate::problem::Problem;
use crate::request::json;
use crate::request::json::{Json, Unread};

/// How many faults are told at the most: no person reads on, and a body of many faults must not make a larger answer.
pub(crate) const MAX_FAULTS: usize = 1_000;

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
    pub(crate) fn integer(&mut self, pointer: impl Display + Copy, json: &Json<'_>) -> Option<i64> {
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

    pub(crate) fn list<'j, 'a>(
        &mut self,
        pointer: impl Display + Copy,
        json: &'j Json<'a>,
    ) -> Option<&'j [Json<'a>]> {
        match json {
            Json::List(list) => Some(list),
            _ => self.wrong(pointer, "list"),
        }
    }

    /// The fields of an object, each once: the first where one is repeated.
    pub(crate) fn object<'j, 'a>(
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

    pub(crate) fn wrong<T>(&mut self, pointer: impl Display + Copy, wanted: &'static str) -> Option<T> {
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

    /// How many faults were noted so far.
    pub(crate) fn count(&self) -> usize {
        self.faults.len()
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
    pub(crate) fn merged(mut self, json: &Json<'_>, found: Vec<Fault>) -> Vec<Fault> {
        let above = |upper: &str, lower: &str| {
            lower
                .strip_prefix(upper)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let unread: Vec<String> = self.faults.iter().map(|fault| fault.pointer.clone()).collect();
        let own = |fault: &Fault| !unread.iter().any(|lower| above(&fault.pointer, lower));
        let found: Vec<Fault> = found.into_iter().filter(own).take(MAX_FAULTS).collect();
        self.faults.extend(found);
        self.sorted(json)
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
pub(crate) fn escaped(name: &str) -> Cow<'_, str> {
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
