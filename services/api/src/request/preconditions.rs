//! Conditions of a request (RFC 9110, section 13).

use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::openapi::text_types::{AsteriskText, EntityTagsText};
use crate::problem::Problem;
use crate::problem::text::localized;
use crate::request::headers::joined;
use crate::request::spelling::unsigned;

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct IfMatchHeader {
    /// The ETag of the revision that is corrected. If another revision is current, the response is 412
    #[param(rename = "If-Match", value_type = Option<EntityTagsText>, inline)]
    value: (),
}

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct RequiredIfMatchHeader {
    /// The ETag of the revision that is withdrawn
    #[param(rename = "If-Match", value_type = EntityTagsText, inline, example = "\"2\"")]
    value: (),
}

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct IfFirstHeader {
    /// Send `*` to record the report only as the first revision
    #[param(rename = "If-None-Match", value_type = Option<AsteriskText>, inline)]
    value: (),
}

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct IfNoneMatchHeader {
    /// The ETag of the response that you have
    #[param(rename = "If-None-Match", value_type = Option<EntityTagsText>, inline)]
    value: (),
}

/// A list of entity tags in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// The tags as they were written, quotation marks included.
    These(Vec<String>),
}

impl Tags {
    /// `If-Match`.
    pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::of(headers, &IF_MATCH, "If-Match")
    }

    /// `If-None-Match`.
    pub(crate) fn if_none_match(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        Self::of(headers, &IF_NONE_MATCH, "If-None-Match")
    }

    fn of(headers: &HeaderMap, header: &HeaderName, name: &'static str) -> Result<Option<Self>, Problem> {
        let Some(value) = joined(headers, header) else {
            return Ok(None);
        };
        let tags = value.ok().and_then(|value| Self::parse(&value));
        tags.map(Some).ok_or_else(|| Problem::InvalidHeader {
            expected: localized(
                format!("{name} must be * or a list of entity tags in quotation marks, such as \"1\"."),
                format!("{name} phải là * hoặc danh sách các thẻ đặt trong dấu ngoặc kép, ví dụ \"1\"."),
            ),
        })
    }

    fn parse(value: &str) -> Option<Self> {
        if value.trim() == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value.trim();
        while !rest.is_empty() {
            let (weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => ("W/", quoted),
                None => ("", rest),
            };
            let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
            if !tag.bytes().all(|b| b > b' ' && b != 0x7f) {
                return None;
            }
            tags.push(format!("{weak}\"{tag}\""));
            rest = match after.trim_start() {
                "" => "",
                more => more.strip_prefix(',')?.trim_start(),
            };
        }
        (!tags.is_empty()).then_some(Self::These(tags))
    }

    /// Whether one of them is `tag`, weak or not (RFC 9110, section 8.8.3.2).
    pub(crate) fn match_weakly(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|other| opaque(other) == opaque(tag)),
        }
    }

    /// The revisions that strong tags among them name. What follows a point in a tag does not distinguish revisions.
    pub(crate) fn revisions(&self) -> Vec<i32> {
        let number = |tag: &String| {
            let tag = tag.trim_matches('"');
            let revision = tag.split_once('.').map_or(tag, |(revision, _)| revision);
            unsigned(revision).filter(|revision| *revision > 0)
        };
        match self {
            Self::Any => Vec::new(),
            Self::These(tags) => tags.iter().filter_map(number).collect(),
        }
    }
}
