//! Numbers of a JSON text by their digits. A float would round: 62.99999999999999999 is not 63.

use std::ops::Range;

/// The places of the numbers in a JSON text, in their order.
pub(crate) fn number_places(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(byte) = text.get(at) {
            match byte {
                b'"' => at = end_of_string(text, at),
                b'-' | b'0'..=b'9' => {
                    let start = at;
                    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                    at += text[at..].iter().take_while(|byte| is_part(byte)).count();
                    return Some(start..at);
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// The position after the string that begins here.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Whether a number is well formed, but its magnitude exceeds that of every float.
pub(crate) fn is_beyond_floats(token: &[u8]) -> bool {
    let is_zero_padded = |digits: &[u8]| digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    let digits = token.strip_prefix(b"-").unwrap_or(token);
    let text = std::str::from_utf8(token).unwrap_or_default();
    let ends_in_digits = |part: &str| part.ends_with(|c: char| c.is_ascii_digit());
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    !is_zero_padded(digits)
        && [text, mantissa].into_iter().all(ends_in_digits)
        && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// The whole number that a token means, `63.0` and `6.3e1` among them (JSON Schema 2020-12, section 4.2.3 of its core);
/// none for a fraction. One that does not fit is the nearest that does.
pub(crate) fn whole_number(token: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(token).ok()?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    let significant_length = significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // An exponent that does not fit is far beyond every number of digits that a body can have.
    let far = if exponent.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    let exponent: i64 = exponent.parse().unwrap_or(far).clamp(i64::MIN / 2, i64::MAX / 2);
    let zeros = exponent + whole.len() as i64 - significant_length as i64;
    let zeros = usize::try_from(zeros).ok()?;
    let limit = if sign < 0 { i64::MIN } else { i64::MAX };
    if significant.len().saturating_add(zeros) > 19 {
        return Some(limit);
    }
    let number: i128 = format!("{significant}{}", "0".repeat(zeros)).parse().ok()?;
    Some(i64::try_from(sign * number).unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_whole_number_is_found_in_each_spelling(number: i64, zeros in 0usize..25, exponent in -25i64..25) {
            let (sign, digits) = if number < 0 { ("-", number.unsigned_abs()) } else { ("", number.unsigned_abs()) };
            let plain = format!("{sign}{digits}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(whole_number(plain.as_bytes()), Some(number));
            let shifted = match usize::try_from(exponent) {
                Ok(exponent) => format!("{sign}{digits}{}e-{exponent}", "0".repeat(exponent)),
                Err(_) => {
                    let places = exponent.unsigned_abs() as usize;
                    let padded = format!("{digits:0>width$}", width = places + 1);
                    let (whole, fraction) = padded.split_at(padded.len() - places);
                    format!("{sign}{whole}.{fraction}E+{places}")
                }
            };
            prop_assert_eq!(whole_number(shifted.as_bytes()), Some(number), "{}", shifted);
        }

        #[test]
        fn a_number_with_a_last_digit_after_the_point_is_a_fraction(whole: u32, zeros in 0usize..400, digit in 1u8..10) {
            let text = format!("{whole}.{}{digit}", "0".repeat(zeros));
            prop_assert_eq!(whole_number(text.as_bytes()), None);
            let scaled = format!("{text}e{}", zeros + 1);
            prop_assert!(whole_number(scaled.as_bytes()).is_some());
        }

        #[test]
        fn no_text_makes_reading_panic(text in proptest::collection::vec(any::<u8>(), 0..60), number in "[-+.eE0-9]{0,30}") {
            let tokens = number_places(&text).map(|place| &text[place]);
            for token in tokens.chain([number.as_bytes()]) {
                whole_number(token);
                is_beyond_floats(token);
            }
        }
    }
}
