//! Pages of lists: their length, the position at which the next one begins, and the link to it.

use actix_web::http::header::{HeaderName, HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tonghop_domain::SubmissionId;
use tonghop_storage::KeyPosition;

use crate::openapi::text_types::CursorText;
use crate::problem::Problem;
use crate::problem::parameter_error::{ParameterError, ParameterErrorKind};
use crate::problem::text::localized;
use crate::request::parameters::query_parameters;
use crate::request::query::Query;
use crate::request::spelling::unsigned;
use crate::request::tagged::tagged_response;

/// The most entries of a page.
const MAX_LIMIT: usize = 200;
/// The entries of a page whose entries are long, unless the caller wants another number.
const DEFAULT_LONG_LIMIT: usize = 50;

/// The position of an entry in a list. A list continues after it.
pub(crate) trait Position: Sized {
    /// The first character of the text, which tells the positions of different lists apart.
    const TAG: char;

    /// The position as text.
    fn to_text(&self) -> String;

    /// The position with a text.
    fn from_text(text: &str) -> Option<Self>;
}

/// The position of a submission in a list from new to old.
impl Position for (DateTime<Utc>, SubmissionId) {
    const TAG: char = 's';

    fn to_text(&self) -> String {
        format!("{}/{}", self.0.timestamp_micros(), self.1)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('/')?;
        let time = time_of_micros(time)?;
        Some((time, SubmissionId(id.parse().ok()?)))
    }
}

/// The position of a key in a list from old to new.
impl Position for KeyPosition {
    const TAG: char = 'k';

    fn to_text(&self) -> String {
        format!("{}/{}", self.0.timestamp_micros(), self.1)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('/')?;
        let time = time_of_micros(time)?;
        Some((time, id.parse().ok()?))
    }
}

/// The number of a revision.
impl Position for i32 {
    const TAG: char = 'r';

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|revision| *revision > 0)
    }
}

/// The code of an entry.
impl Position for String {
    const TAG: char = 'c';

    fn to_text(&self) -> String {
        self.clone()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// The time after a number of microseconds since 1970, before the year 2200: databases reject times far from today.
pub(crate) fn time_of_micros(text: &str) -> Option<DateTime<Utc>> {
    const END: i64 = 7_258_118_400_000_000;
    let micros: i64 = text.parse().ok()?;
    let time = DateTime::from_timestamp_micros(micros)?;
    (0..END).contains(&micros).then_some(time)
}

/// A position as callers see it: letters and digits without a meaning to them.
pub(crate) fn encode_cursor<P: Position>(position: &P) -> String {
    let text = format!("{}{}", P::TAG, position.to_text());
    base16ct::lower::encode_string(text.as_bytes())
}

/// The position that was encoded as this text; none for the cursors of other lists.
pub(crate) fn decode_cursor<P: Position>(text: &str) -> Option<P> {
    if text.len() > 200 {
        return None;
    }
    let bytes = base16ct::mixed::decode_vec(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    P::from_text(text.strip_prefix(P::TAG)?)
}

query_parameters! {
    /// The query parameters of a list.
    pub(crate) struct PageQuery {
        /// The most entries of the page
        #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 200, example = 2)]
        limit: Option<usize> = read_number::<MAX_LIMIT>,
        /// The `next_cursor` of the previous page
        #[param(value_type = Option<CursorText>, inline)]
        cursor: Option<String> = Query::text,
    }
}

query_parameters! {
    /// The query parameters of a list with long entries.
    pub(crate) struct LongPageQuery {
        /// The most entries of the page
        #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50, example = 2)]
        limit: Option<usize> = read_number::<MAX_LIMIT>,
        /// The `next_cursor` of the previous page
        #[param(value_type = Option<CursorText>, inline)]
        cursor: Option<String> = Query::text,
    }
}

/// The part of a list that the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Page<P: Position> {
    /// The most entries of the page.
    pub(crate) limit: usize,
    /// The position after which it begins; none for the beginning of the list.
    pub(crate) after: Option<P>,
}

/// A page of submissions.
pub(crate) type SubmissionPage = Page<(DateTime<Utc>, SubmissionId)>;
/// A page of keys.
pub(crate) type KeyPage = Page<KeyPosition>;
/// A page of revisions.
pub(crate) type RevisionPage = Page<i32>;
/// A page of a list whose entries have codes.
pub(crate) type CodePage = Page<String>;

/// The entries of a page, and the cursor of the next one if there is one.
#[derive(Debug)]
pub(crate) struct Entries<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

/// Reads a number from 1 to `MAX`.
pub(crate) fn read_number<const MAX: usize>(query: &mut Query, name: &'static str) -> Option<usize> {
    let hint = || {
        localized(
            format!("Write a number from 1 to {MAX}."),
            format!("Hãy viết một số từ 1 đến {MAX}."),
        )
    };
    query.optional(name, hint, |text| {
        unsigned(text).filter(|number| (1..=MAX).contains(number))
    })
}

impl<P: Position> Page<P> {
    /// Reads [`PageQuery`].
    pub(crate) fn read(query: &mut Query) -> Self {
        let PageQuery { limit, cursor } = PageQuery::read(query);
        Self::new(query, limit.unwrap_or(MAX_LIMIT), cursor)
    }

    /// Reads [`LongPageQuery`].
    pub(crate) fn read_long(query: &mut Query) -> Self {
        let LongPageQuery { limit, cursor } = LongPageQuery::read(query);
        Self::new(query, limit.unwrap_or(DEFAULT_LONG_LIMIT), cursor)
    }

    fn new(query: &mut Query, limit: usize, cursor: Option<String>) -> Self {
        let after = cursor.as_deref().and_then(decode_cursor);
        if cursor.is_some() && after.is_none() {
            let hint = localized(
                "Use the next_cursor of the previous page unchanged.",
                "Hãy dùng nguyên giá trị next_cursor của trang trước.",
            );
            query.malformed("cursor", hint);
        }
        Self { limit, after }
    }

    /// The entries of a page of which the store read no more than `limit`; `more` tells whether there are further ones.
    pub(crate) fn entries<T>(entries: Vec<T>, more: bool, position: impl Fn(&T) -> P) -> Entries<T> {
        let last = entries.last().filter(|_| more);
        let next_cursor = last.map(|last| encode_cursor(&position(last)));
        Entries { entries, next_cursor }
    }
}

impl CodePage {
    /// The page of a whole list. The codes of its entries differ.
    ///
    /// # Errors
    /// The last entry of the previous page is no longer in the list, and the list is not ordered by code: nobody knows
    /// where it would be.
    pub(crate) fn of<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        code: impl Fn(&T) -> String,
    ) -> Result<Entries<T>, Problem> {
        let entries: Vec<T> = all.into_iter().collect();
        let by_code = entries.is_sorted_by_key(&code);
        self.of_ordered(entries, code, |code| by_code.then(|| code.to_owned()))
    }

    /// The page of a list that is in the order of a key, which is known of entries that are no longer in the list, too.
    ///
    /// # Errors
    /// The last entry of the previous page is no longer in the list, and its key is not known.
    pub(crate) fn of_ordered<T, K: Ord>(
        &self,
        all: Vec<T>,
        code: impl Fn(&T) -> String,
        key: impl Fn(&str) -> Option<K>,
    ) -> Result<Entries<T>, Problem> {
        let mut entries = all;
        if let Some(after) = &self.after {
            let last = entries.iter().position(|entry| code(entry) == *after);
            let begin = match (last, key(after)) {
                (Some(last), _) => last + 1,
                (None, Some(after)) => {
                    entries.partition_point(|entry| key(&code(entry)).is_some_and(|key| key < after))
                }
                (None, None) => return Err(list_has_changed()),
            };
            entries.drain(..begin);
        }
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        Ok(Self::entries(entries, more, code))
    }
}

fn list_has_changed() -> Problem {
    let hint = localized(
        "The list has changed since the previous page. Read it again from the first page.",
        "Danh sách đã thay đổi từ sau trang trước. Hãy tải lại từ trang đầu.",
    );
    Problem::InvalidQuery(vec![ParameterError {
        name: "cursor".to_owned(),
        kind: ParameterErrorKind::Malformed(hint),
    }])
}

/// Responds with a page: its body and tag, and a `Link` header that leads to the next page.
///
/// # Errors
/// The condition of the request is malformed.
pub(crate) fn page_response<B: Serialize>(
    request: &HttpRequest,
    next_cursor: Option<String>,
    body: impl FnOnce(Option<String>) -> B,
) -> Result<HttpResponse, Problem> {
    let link = next_cursor.as_deref().and_then(|cursor| link(request, cursor));
    let mut response = tagged_response(request, &body(next_cursor))?;
    if let Some((name, value)) = link {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// The header that leads to the next page (RFC 8288).
fn link(request: &HttpRequest, next_cursor: &str) -> Option<(HeaderName, HeaderValue)> {
    let others = request.query_string().split('&');
    let mut query: Vec<&str> = others
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .collect();
    let cursor = format!("cursor={next_cursor}");
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
        fn a_cursor_decodes_to_its_position(micros in 0i64..4_000_000_000_000_000, id: u128, n in 1i32.., code in "[A-Z0-9-]{1,32}") {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            let submission = (time, SubmissionId(uuid::Uuid::from_u128(id)));
            prop_assert_eq!(decode_cursor(&encode_cursor(&submission)), Some(submission));
            prop_assert_eq!(decode_cursor(&encode_cursor(&n)), Some(n));
            prop_assert_eq!(decode_cursor::<String>(&encode_cursor(&n)), None);
            prop_assert_eq!(decode_cursor(&encode_cursor(&code)), Some(code));
        }

        #[test]
        fn no_text_makes_decoding_panic(text in ".{0,40}", hex in "[0-9a-f]{0,40}") {
            for text in [text, hex] {
                decode_cursor::<(DateTime<Utc>, SubmissionId)>(&text);
                decode_cursor::<i32>(&text);
                decode_cursor::<String>(&text);
            }
        }

        #[test]
        fn pages_one_after_another_are_the_whole_list(length in 0usize..30, limit in 1usize..7) {
            let all: Vec<usize> = (0..length).collect();
            let mut page = CodePage { limit, after: None };
            let mut seen = Vec::new();
            loop {
                let Entries { entries, next_cursor } = page.of(all.clone(), ToString::to_string).unwrap();
                prop_assert!(entries.len() <= limit);
                seen.extend(entries);
                match next_cursor {
                    Some(cursor) => page.after = decode_cursor(&cursor),
                    None => break,
                }
            }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_position_is_at_a_time_that_every_database_can_store() {
        let id = "00000000-0000-0000-0000-000000000000";
        for (micros, is_valid) in [
            ("0", true),
            ("1627800000000000", true),
            ("-1", false),
            ("7258118400000000", false),
            ("-400000000000000000", false),
        ] {
            let cursor = base16ct::lower::encode_string(format!("s{micros}/{id}").as_bytes());
            let position = decode_cursor::<(DateTime<Utc>, SubmissionId)>(&cursor);
            assert_eq!(position.is_some(), is_valid, "{micros}");
        }
    }

    #[test]
    fn a_page_begins_after_an_entry_that_has_gone() {
        let page = CodePage {
            limit: 2,
            after: Some("b".to_owned()),
        };
        let codes = |all: &[&'static str]| {
            let page = page.of(all.to_vec(), ToString::to_string);
            page.map(|page| page.entries)
        };
        assert_eq!(codes(&["a", "b", "c"]).unwrap(), ["c"]);
        assert_eq!(codes(&["a", "c", "d"]).unwrap(), ["c", "d"]);
        assert!(codes(&["d", "a", "c"]).is_err());
        assert_eq!(codes(&["d", "b", "c"]).unwrap(), ["c"]);

        let official = |code: &str| "dbac".find(code);
        let in_order = |all: Vec<&'static str>| page.of_ordered(all, ToString::to_string, official);
        assert_eq!(in_order(vec!["d", "a", "c"]).unwrap().entries, ["a", "c"]);
        assert_eq!(in_order(vec!["d"]).unwrap().entries, Vec::<&str>::new());
    }
}
