//! Numbers, times and ids of requests, each in few spellings. The standard library and the crates for them accept more:
//! `+1`, years of five digits, ids in braces.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;

/// A number that is written with digits alone.
pub(crate) fn unsigned<T: FromStr>(text: &str) -> Option<T> {
    let is_unsigned = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_unsigned)
}

/// A day with a year of four digits (RFC 3339, full-date).
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    let is_written_so = text.len() == 10
        && text.bytes().zip(b"0000-00-00").all(|(byte, model)| match model {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *model,
        });
    text.parse().ok().filter(|_| is_written_so)
}

/// A time (RFC 3339, date-time). It also has a year of four digits in UTC, in which it is returned. The offset may lack its
/// colon: the Python clients of openapi-generator write `+0000`.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(&with_colon(text)).ok()?.to_utc();
    (0..=9999).contains(&time.year()).then_some(time)
}

/// A time with a colon in its offset.
fn with_colon(text: &str) -> Cow<'_, str> {
    let start = text.len().saturating_sub(5);
    match text.as_bytes().get(start..) {
        Some([b'+' | b'-', digits @ ..]) if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => {
            let (hours, minutes) = text.split_at(start + 3);
            Cow::Owned(format!("{hours}:{minutes}"))
        }
        _ => Cow::Borrowed(text),
    }
}

/// An id in lower or upper case with hyphens (RFC 9562, section 4).
pub(crate) fn id(text: &str) -> Option<Uuid> {
    text.parse()
        .ok()
        .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_are_rejected() {
        assert_eq!(unsigned::<i32>("17"), Some(17));
        for wrong in ["", "+1", "-1", " 1", "1.0", "1_0", "١", "2147483648"] {
            assert_eq!(unsigned::<i32>(wrong), None, "{wrong}");
        }
        assert!(day("2021-07-31").is_some());
        for wrong in [
            "+2021-07-31",
            "12021-07-31",
            "2021-7-31",
            "2021-07-1 ",
            "-021-07-31",
            "2021-02-30",
        ] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
        assert!(time("9999-12-31T23:59:59Z").is_some());
        let local = time("2021-07-31T00:00:00.000000+0700");
        assert_eq!(local, time("2021-07-30T17:00:00Z"));
        assert!(local.is_some());
        for wrong in [
            "9999-12-31T23:59:59-23:59",
            "0000-01-01T00:00:00+23:59",
            "+12021-07-31T00:00:00Z",
            "2021-07-31T00:00:00",
            "2021-07-31T00:00:00+07",
            "2021-07-31T00:00:00+070",
            "2021-07-31T00:00:00é0700",
            "2021-07-31-0700",
            "+0700",
            "ế",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        assert!(id("019A1f6e-7d10-7c31-9f4f-0f6a3b0f8f11").is_some());
        for wrong in [
            "019a1f6e7d107c319f4f0f6a3b0f8f11",
            "{019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11}",
            "urn:uuid:019a1f6e-7d10-7c31-9f4f-0f6a3b0f8f11",
        ] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
