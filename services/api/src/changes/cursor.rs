//! Positions in the change feed, and how callers name them.

use actix_web::http::header::{HeaderMap, HeaderName};
use chrono::{DateTime, Utc};
use tonghop_access::AuthorizedStore;

use crate::problem::Problem;
use crate::problem::text::{Localized, localized};
use crate::request::paging::{Position, decode_cursor, encode_cursor, time_of_micros};
use crate::request::query::Query;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The position after the last change.
const LATEST: &str = "latest";

/// The position after which a caller wants changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// After the last change.
    Latest,
    /// After a change.
    Change(FeedPosition),
}

/// The position after the changes of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeedPosition(pub(crate) DateTime<Utc>);

impl Position for FeedPosition {
    const TAG: char = 'f';

    fn to_text(&self) -> String {
        self.0.timestamp_micros().to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        time_of_micros(text).map(Self)
    }
}

impl FeedPosition {
    /// The position as callers see it.
    pub(crate) fn cursor(self) -> String {
        encode_cursor(&self)
    }
}

impl After {
    /// Reads an optional parameter.
    pub(crate) fn read(query: &mut Query, name: &'static str) -> Option<Self> {
        query.optional(name, after_hint, Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            LATEST => Some(Self::Latest),
            cursor => decode_cursor(cursor).map(Self::Change),
        }
    }

    /// The position in `Last-Event-ID`, with which a client connects again. It may also be `latest`, as the parameter may.
    ///
    /// # Errors
    /// The header is not an id of this feed.
    pub(crate) fn of_last_event(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let position = value.to_str().ok().and_then(Self::parse);
        position
            .map(Some)
            .ok_or_else(|| Problem::InvalidHeader {
                expected: localized(
                    "Last-Event-ID must be the id of an event of this stream. Without it, the stream begins at `after`.",
                    "Last-Event-ID phải là id của một sự kiện trong luồng này. Nếu không gửi, luồng bắt đầu từ `after`.",
                ),
            })
    }

    /// The position, which for the last change is looked up.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) async fn position(self, store: &AuthorizedStore) -> Result<FeedPosition, Problem> {
        match self {
            Self::Change(position) => Ok(position),
            Self::Latest => Ok(FeedPosition(store.last_change().await?.unwrap_or_default())),
        }
    }
}

fn after_hint() -> Localized {
    localized(
        "Use the next_after of a page or the id of an event unchanged, or latest to begin with the next change.",
        "Hãy dùng nguyên giá trị next_after của một trang hoặc id của một sự kiện, hoặc latest để bắt đầu từ thay đổi kế tiếp.",
    )
}
