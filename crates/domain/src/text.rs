//! Texts as they are compared, shown and printed: in NFC, and without characters that nobody can see.

use icu_properties::props::{BidiControl, BinaryProperty, DefaultIgnorableCodePoint};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text in NFC without invisible characters: those that fonts ignore (Unicode's Default_Ignorable_Code_Point), such as
/// the zero-width space that copying from web pages leaves behind.
pub(crate) fn without_invisible(text: &str) -> String {
    let is_visible = |c: &char| !DefaultIgnorableCodePoint::for_char(*c);
    text.chars().filter(is_visible).nfc().collect()
}

/// A text in one line, with single spaces between its words. Items of lists are compared in this form.
pub(crate) fn one_line(text: &str) -> String {
    let visible = without_invisible(text);
    let mut words = visible.split_whitespace();
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        line.push(' ');
        line.push_str(word);
    }
    line
}

/// A text as people look for it: in lower case and one line, without tones and marks, and with d for đ. So *Hòa*, *hoà* and
/// *hoa* are the same.
pub fn search_form(text: &str) -> String {
    let plain = one_line(text)
        .nfd()
        .filter(|c| !is_combining_mark(*c))
        .collect::<String>();
    plain.to_lowercase().replace('đ', "d")
}

/// Whether a text contains a character that shows others in another order than they are written, as in a forged file
/// name (UTS #39). Marks that only give a direction to their neighbours, which office programs add to dates, do not
/// count: [`without_invisible`] removes them.
pub(crate) fn has_reordering_control(text: &str) -> bool {
    const MARKS: [char; 3] = ['\u{61c}', '\u{200e}', '\u{200f}'];
    text.chars()
        .any(|c| BidiControl::for_char(c) && !MARKS.contains(&c))
}

/// Whether a text contains a control character that is not white space.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

/// Whether a spreadsheet may take a text for a formula (OWASP, CSV injection). White space and invisible characters
/// before the first sign do not protect, nor does a wide spelling of it.
pub fn is_formula(text: &str) -> bool {
    let is_seen =
        |c: &char| !c.is_whitespace() && !c.is_control() && !DefaultIgnorableCodePoint::for_char(*c);
    let first = text.chars().find(is_seen);
    let plain = first.and_then(|first| first.nfkc().next());
    matches!(plain, Some('=' | '+' | '-' | '@' | '\u{2212}')) || text.starts_with(['\t', '\r'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invisible_characters_are_removed_and_space_between_words_is_one_space() {
        for spelling in [
            "Chung tay phòng, chống",
            " Chung tay phòng, chống\r\n",
            "Chung\u{a0}tay  phòng,\tchống\u{3000}",
            "Chung\u{2028}tay phòng,\u{202f}chống",
            "\u{feff}Chung\u{200b} tay phò\u{ad}ng, chống\u{200e}\u{2060}",
            "Chung tay pho\u{300}ng, cho\u{302}\u{301}ng",
            "Chung tay pho\u{200d}\u{300}ng, cho\u{302}\u{301}ng",
        ] {
            assert_eq!(one_line(spelling), "Chung tay phòng, chống", "{spelling:?}");
        }
        assert_eq!(one_line("\u{200b}\u{a0}"), "");
        assert_eq!(without_invisible("một\n\nhai\u{200b}"), "một\n\nhai");
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        for spelling in [
            "Hòa Bình",
            "Hoà Bình",
            "HÒA  BÌNH",
            "hoa binh",
            "Ho\u{300}a Bi\u{300}nh",
            "Hoa\u{300} Binh",
        ] {
            assert_eq!(search_form(spelling), "hoa binh", "{spelling:?}");
        }
        for (name, plain) in [
            ("Đồng Tháp", "dong thap"),
            ("ĐĂK LĂK", "dak lak"),
            ("Mỹ Tho, ward 1", "my tho, ward 1"),
        ] {
            assert_eq!(search_form(name), plain);
        }
    }

    #[test]
    fn only_characters_that_reorder_others_are_reported() {
        assert!(has_reordering_control("a\u{202e}b"));
        assert!(has_reordering_control("\u{2066}"));
        assert!(!has_reordering_control("30\u{200e}/7 ế"));
    }

    #[test]
    fn a_formula_is_found_behind_space_and_in_wide_letters() {
        for text in [
            "=1+1",
            "+84",
            "-1",
            "@x",
            "\tx",
            "\n=cmd|' /C calc'!A0",
            " =1",
            "\u{200b}=1",
            "＝1",
            "\u{a0}＠x",
            "－1",
            "−1",
        ] {
            assert!(is_formula(text), "{text:?}");
        }
        for text in ["", "Chung tay phòng, chống", "30-7", "a=b"] {
            assert!(!is_formula(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_line_of_a_line_is_the_same(text in ".{0,40}") {
            let once = one_line(&text);
            prop_assert_eq!(one_line(&once), once.clone());
            prop_assert_eq!(once.trim(), &once);
        }
    }
}
