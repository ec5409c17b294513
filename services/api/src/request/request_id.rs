//! The id of a request.

use actix_web::http::header::{HeaderMap, HeaderName};

/// The header by which a request can be found in the log.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id under which the middleware keeps a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// The caller's own id if it is safe in a log, otherwise a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(allowed)) {
            Some(id) => Self(id.to_owned()),
            None => Self(uuid::Uuid::now_v7().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_id_is_kept_as_it_is_or_made_anew(value in "[\t -~\u{80}-\u{ff}]{0,70}") {
            let value = value.into_bytes();
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(&value).unwrap());
            let id = RequestId::of(&headers).0;
            prop_assert!((1..=64).contains(&id.len()) && id.is_ascii() && !id.contains(['"', '<', ' ']));
            prop_assert!(id.as_bytes() == value || id.parse::<uuid::Uuid>().is_ok());
        }
    }

    #[test]
    fn a_callers_id_is_kept_only_if_it_can_stand_in_a_log() {
        let id = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(value));
            RequestId::of(&headers).0
        };
        assert_eq!(id("so-1_2.3"), "so-1_2.3");
        for wrong in ["", "a b", "a\"b", "<script>"] {
            assert_ne!(id(wrong), wrong);
        }
    }
}
