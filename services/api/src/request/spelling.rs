//! Numbers, times and ids of requests, each in its one spelling. The standard library and the crates for them accept more:
//! `+1`, years of five digits, ids in braces.

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

/// A time (RFC 3339, date-time). It also has a year of four digits in UTC, in which it is returned.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (0..=9999).contains(&time.year()).then_some(time)
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
    fn only_one_spelling_of_each_is_accepted() {
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
        for wrong in [
            "9999-12-31T23:59:59-23:59",
            "0000-01-01T00:00:00+23:59",
            "+12021-07-31T00:00:00Z",
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
