//! Pages of lists: how long they are, where the next one begins, and the link to it.

use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_domain::SubmissionId;
use utoipa::IntoParams;

use crate::problem::text::localized;
use crate::request::query::Query;

/// The longest page.
pub(crate) const MAX_LIMIT: usize = 200;

/// Where a list goes on: after this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// After the submission with this time and id.
    Submission(DateTime<Utc>, SubmissionId),
    /// After this revision.
    Revision(i32),
    /// After the entry with this code.
    Code(String),
}

impl Cursor {
    /// The cursor as callers see it: letters and digits without meaning to them.
    pub(crate) fn encode(&self) -> String {
        let text = match self {
            Self::Submission(time, id) => format!("s{}/{id}", time.timestamp_micros()),
            Self::Revision(revision) => format!("r{revision}"),
            Self::Code(code) => format!("c{code}"),
        };
        base16ct::lower::encode_string(text.as_bytes())
    }

    /// The cursor that was given out as this text.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        if !text.len().is_multiple_of(2) || text.len() > 200 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let bytes = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16).ok());
        let bytes: Option<Vec<u8>> = bytes.collect();
        let text = String::from_utf8(bytes?).ok()?;
        let kind = text.chars().next()?;
        let rest = text.get(kind.len_utf8()..)?;
        match kind {
            's' => {
                let (time, id) = rest.split_once('/')?;
                let time = DateTime::from_timestamp_micros(time.parse().ok()?)?;
                Some(Self::Submission(time, SubmissionId(id.parse().ok()?)))
            }
            'r' => rest
                .parse()
                .ok()
                .filter(|revision| *revision > 0)
                .map(Self::Revision),
            'c' => Some(Self::Code(rest.to_owned())),
            _ => None,
        }
    }
}

/// The part of a list that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// How many entries at the most.
    pub(crate) limit: usize,
    /// After which one.
    pub(crate) after: Option<Cursor>,
}

impl Page {
    /// Reads `limit` and `cursor`; `of_list` takes the cursors of this list and refuses those of others.
    pub(crate) fn read(query: &mut Query, default_limit: usize, of_list: fn(&Cursor) -> bool) -> Self {
        let limit = query.optional(
            "limit",
            || {
                localized(
                    format!("Write a number from 1 to {MAX_LIMIT}."),
                    format!("Hãy viết một số từ 1 đến {MAX_LIMIT}."),
                )
            },
            |text| text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)),
        );
        let after = query.optional(
            "cursor",
            || {
                localized(
                    "Use the next_cursor of the previous page unchanged.",
                    "Hãy dùng nguyên giá trị next_cursor của trang trước.",
                )
            },
            |text| Cursor::decode(text).filter(of_list),
        );
        Self {
            limit: limit.unwrap_or(default_limit),
            after,
        }
    }

    /// Cuts a list, read with one entry more than the limit, to the page; the cursor of the next one, if any.
    pub(crate) fn cut<T>(&self, entries: &mut Vec<T>, cursor: impl FnOnce(&T) -> Cursor) -> Option<String> {
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        next(entries, more, cursor)
    }
}

/// The cursor of the page after these entries, if there are more.
pub(crate) fn next<T>(entries: &[T], more: bool, cursor: impl FnOnce(&T) -> Cursor) -> Option<String> {
    entries.last().filter(|_| more).map(|last| cursor(last).encode())
}

/// The header that leads to the next page.
pub(crate) fn link(request: &HttpRequest, next_cursor: Option<&str>) -> Option<(HeaderName, HeaderValue)> {
    let next = next_cursor?;
    let others = request.query_string().split('&');
    let mut query: Vec<&str> = others
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .collect();
    let cursor = format!("cursor={next}");
    query.push(&cursor);
    let value = format!("<{}?{}>; rel=\"next\"", request.path(), query.join("&"));
    HeaderValue::from_str(&value).ok().map(|value| (LINK, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_given_out(micros in 0i64..4_000_000_000_000_000, id: u128, n in 1i32.., code in "[A-Z0-9-]{1,32}") {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            let id = SubmissionId(uuid::Uuid::from_u128(id));
            for cursor in [Cursor::Submission(time, id), Cursor::Revision(n), Cursor::Code(code)] {
                prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
        }

        #[test]
        fn nothing_else_makes_it_panic(text in ".{0,40}", hex in "[0-9a-f]{0,40}") {
            Cursor::decode(&text);
            Cursor::decode(&hex);
        }
    }
}

/// How a list is cut into pages.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the parameters for the OpenAPI document")]
pub(crate) struct PageQuery {
    /// How many entries at the most.
    #[param(minimum = 1, maximum = 200, example = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page with the link to the next one.
pub(crate) fn listed(
    body: impl Serialize,
    next: Option<(
        actix_web::http::header::HeaderName,
        actix_web::http::header::HeaderValue,
    )>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(next) = next {
        response.insert_header(next);
    }
    response.json(body)
}
