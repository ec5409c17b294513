//! Texts in both languages of the interface, and the choice between them.

use std::borrow::Cow;

use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use chrono::{Datelike, NaiveDate};

use crate::request::quality::weighted;

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    En,
    /// Vietnamese.
    Vi,
}

impl Language {
    /// The language tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Vi => "vi",
        }
    }

    /// The language that `Accept-Language` prefers: the one with the higher weight, of equals the first, English by default.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        Self::preferred_or(headers, Self::En)
    }

    /// The same for pages that people read, which are in Vietnamese by default.
    pub(crate) fn of_reader(headers: &HeaderMap) -> Self {
        Self::preferred_or(headers, Self::Vi)
    }

    fn preferred_or(headers: &HeaderMap, default: Self) -> Self {
        let mut preferred = (0, default);
        let named = headers
            .get_all(ACCEPT_LANGUAGE)
            .filter_map(|value| value.to_str().ok());
        for range in named.flat_map(|value| value.split(',')) {
            let (tag, weight) = weighted(range);
            let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = match primary.as_str() {
                "vi" => Self::Vi,
                "en" => Self::En,
                "*" => default,
                _ => continue,
            };
            if weight > preferred.0 {
                preferred = (weight, language);
            }
        }
        preferred.1
    }
}

/// A text in both languages. It can only be made from both, so no text is missing in one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Localized {
    en: Cow<'static, str>,
    vi: Cow<'static, str>,
}

impl Localized {
    /// The text in a language.
    pub(crate) fn get(&self, language: Language) -> &str {
        match language {
            Language::En => &self.en,
            Language::Vi => &self.vi,
        }
    }
}

/// Makes a text from its English and its Vietnamese version.
pub(crate) fn localized(en: impl Into<Cow<'static, str>>, vi: impl Into<Cow<'static, str>>) -> Localized {
    Localized {
        en: en.into(),
        vi: vi.into(),
    }
}

/// A day as administrative texts write it: months 1 and 2 with a zero, which nobody can turn into 11 or 12 then (Decree
/// 30/2020/NĐ-CP, annex I, part II, section I, number 4).
pub(crate) fn vietnamese_day(day: NaiveDate) -> String {
    let month = if day.month() < 3 { "%m" } else { "%-m" };
    day.format(&format!("%d/{month}/%Y")).to_string()
}

/// The beginning of a name that the caller chose. It may be as long as the body, but its beginning identifies it.
pub(crate) fn shortened(name: &str) -> String {
    const MAX_CHARS: usize = 60;
    match name.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn preferred(value: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(value));
        Language::preferred(&headers)
    }

    #[test]
    fn the_language_with_the_higher_weight_is_chosen() {
        assert_eq!(preferred("vi"), Language::Vi);
        assert_eq!(preferred("vi-VN,vi;q=0.9,en;q=0.8"), Language::Vi);
        assert_eq!(preferred("en, vi"), Language::En);
        assert_eq!(preferred("en;q=0.2, VI;q=0.7"), Language::Vi);
        assert_eq!(preferred("fr, de;q=0.5"), Language::En);
        assert_eq!(preferred("vi;q=0"), Language::En);
        assert_eq!(preferred(";;,q=,;q=x"), Language::En);
        assert_eq!(Language::preferred(&HeaderMap::new()), Language::En);
    }

    #[test]
    fn a_vietnamese_day_has_a_zero_where_another_digit_would_make_another_month() {
        let day = |month, day| vietnamese_day(NaiveDate::from_ymd_opt(2021, month, day).unwrap());
        assert_eq!(day(1, 5), "05/01/2021");
        assert_eq!(day(2, 28), "28/02/2021");
        assert_eq!(day(7, 9), "09/7/2021");
        assert_eq!(day(10, 31), "31/10/2021");
    }
}
