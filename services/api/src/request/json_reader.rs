//! Reads values of expected types from the JSON of a body, and collects an error for every other value.

use std::collections::{HashMap, HashSet};

use tonghop_domain::{BodyPath, FieldError, FieldErrorKind, PathSegment, ValueType};

use crate::problem::Problem;
use crate::request::json;
use crate::request::json::{Json, Unread};

/// The maximum number of errors in a response. People do not read more, and the response must not outgrow the request.
pub(crate) const MAX_ERRORS: usize = 1_000;

/// Parses the JSON of a body.
pub(crate) fn parsed(body: &[u8]) -> Result<Json<'_>, Problem> {
    json::parse(body).map_err(|unread| match unread {
        Unread::NotJson { line, column } => Problem::InvalidJson { line, column },
        Unread::TooManyValues => Problem::TooManyValues,
    })
}

/// Reads values from a body and collects errors.
#[derive(Default)]
pub(crate) struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    /// A whole number, or an error.
    pub(crate) fn integer(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> Option<i64> {
        match json {
            Json::Integer(value) => Some(*value),
            _ => self.wrong_type(path, ValueType::Integer),
        }
    }

    /// A text, or an error.
    pub(crate) fn text(&mut self, path: &BodyPath<'_>, json: &Json<'_>) -> Option<String> {
        match json {
            Json::Text(text) => Some(text.clone().into_owned()),
            _ => self.wrong_type(path, ValueType::Text),
        }
    }

    /// A list, or an error.
    pub(crate) fn list<'j, 'a>(&mut self, path: &BodyPath<'_>, json: &'j Json<'a>) -> Option<&'j [Json<'a>]> {
        match json {
            Json::List(list) => Some(list),
            _ => self.wrong_type(path, ValueType::List),
        }
    }

    /// The fields of an object. Of a repeated field only the first occurrence is returned.
    pub(crate) fn object<'j, 'a>(
        &mut self,
        path: &BodyPath<'_>,
        json: &'j Json<'a>,
    ) -> Option<Vec<(&'j str, &'j Json<'a>)>> {
        let Json::Object(given) = json else {
            return self.wrong_type(path, ValueType::Object);
        };
        let mut fields: Vec<(&str, &Json<'_>)> = Vec::with_capacity(given.len());
        // For a few fields a linear search is faster than hashing.
        let mut seen = (given.len() > 16).then(|| HashSet::with_capacity(given.len()));
        for (name, value) in given {
            let is_new = match &mut seen {
                Some(seen) => seen.insert(name.as_ref()),
                None => fields.iter().all(|(other, _)| other != name),
            };
            if is_new {
                fields.push((name, value));
            } else {
                let kind = FieldErrorKind::RepeatedField(name.to_string());
                self.add(&path.named_field(name), kind);
            }
        }
        Some(fields)
    }

    /// The fields with these names, in this order. Other fields are errors.
    pub(crate) fn fields<'j, 'a, const N: usize>(
        &mut self,
        path: &BodyPath<'_>,
        json: &'j Json<'a>,
        names: [&str; N],
    ) -> Option<[Option<&'j Json<'a>>; N]> {
        let mut known = [None; N];
        for (name, value) in self.object(path, json)? {
            match names.iter().position(|other| *other == name) {
                Some(at) => known[at] = Some(value),
                None => {
                    let kind = FieldErrorKind::UnknownField(name.to_owned());
                    self.add(&path.named_field(name), kind);
                }
            }
        }
        Some(known)
    }

    /// Adds an error for a value of another type.
    pub(crate) fn wrong_type<T>(&mut self, path: &BodyPath<'_>, expected: ValueType) -> Option<T> {
        self.add(path, FieldErrorKind::WrongType(expected));
        None
    }

    /// Passes a parsed value on, or adds an error if there is none.
    pub(crate) fn parsed_or<T>(
        &mut self,
        path: &BodyPath<'_>,
        parsed: Option<T>,
        error: FieldErrorKind,
    ) -> Option<T> {
        if parsed.is_none() {
            self.add(path, error);
        }
        parsed
    }

    /// The number of errors so far.
    pub(crate) fn count(&self) -> usize {
        self.errors.len()
    }

    /// Whether there are no errors so far.
    pub(crate) fn has_no_errors(&self) -> bool {
        self.errors.is_empty()
    }

    /// Adds an error.
    pub(crate) fn add(&mut self, path: &BodyPath<'_>, kind: FieldErrorKind) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(FieldError::new(path, kind));
        }
    }

    /// All errors in the order of the body, including those that the check found. An error of the check at or above a
    /// place that could not be read is omitted, because it may be a consequence.
    pub(crate) fn merged(mut self, json: &Json<'_>, found: Vec<FieldError>) -> Vec<FieldError> {
        let unread: Vec<Vec<PathSegment>> = self.errors.iter().map(|error| error.path.clone()).collect();
        let is_own = |error: &FieldError| !unread.iter().any(|path| path.starts_with(&error.path));
        let found: Vec<FieldError> = found.into_iter().filter(is_own).take(MAX_ERRORS).collect();
        self.errors.extend(found);
        self.sorted(json)
    }

    /// All errors in the order of the body.
    pub(crate) fn sorted(self, json: &Json<'_>) -> Vec<FieldError> {
        let paths = self.errors.iter().map(|error| error.path.as_slice());
        let mut positions = vec![Vec::new(); self.errors.len()];
        find_positions(Some(json), paths.enumerate().collect(), &mut positions);
        let mut errors: Vec<(Vec<usize>, FieldError)> = positions.into_iter().zip(self.errors).collect();
        errors.sort_by(|(position, _), (other, _)| position.cmp(other));
        errors.truncate(MAX_ERRORS);
        errors.into_iter().map(|(_, error)| error).collect()
    }
}

/// Finds the position of each path in the body, from the outside in; missing values come last. Each path is given with the
/// index of its result. Every list and object is visited once, even if many paths lead through it.
fn find_positions(
    json: Option<&Json<'_>>,
    paths: Vec<(usize, &[PathSegment])>,
    positions: &mut [Vec<usize>],
) {
    let mut by_segment: HashMap<&PathSegment, Vec<(usize, &[PathSegment])>> = HashMap::new();
    for (result, path) in paths {
        if let Some((first, rest)) = path.split_first() {
            by_segment.entry(first).or_default().push((result, rest));
        }
    }
    let mut descend = |position, json: Option<&Json<'_>>, paths: Vec<(usize, &[PathSegment])>| {
        for (result, _) in &paths {
            positions[*result].push(position);
        }
        find_positions(json, paths, positions);
    };
    match json {
        Some(Json::Object(fields)) if !by_segment.is_empty() => {
            for (position, (name, value)) in fields.iter().enumerate() {
                let segment = PathSegment::Field(name.to_string().into());
                if let Some(paths) = by_segment.remove(&segment) {
                    descend(position, Some(value), paths);
                }
            }
        }
        Some(Json::List(list)) => {
            by_segment.retain(|segment, paths| {
                let PathSegment::Index(position) = segment else {
                    return true;
                };
                let value = list.get(*position);
                if value.is_some() {
                    descend(*position, value, std::mem::take(paths));
                }
                value.is_none()
            });
        }
        _ => {}
    }
    for (_, paths) in by_segment {
        descend(usize::MAX, None, paths);
    }
}
