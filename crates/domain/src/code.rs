//! Codes and ids of units, forms, indicators, dimensions and submissions.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;

/// The error for a text that is not a valid code of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} code has 1 to {max} characters out of {allowed}")]
pub struct InvalidCode {
    kind: &'static str,
    max: usize,
    allowed: &'static str,
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// The code as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidCode;

            fn from_str(text: &str) -> Result<Self, InvalidCode> {
                let allowed: fn(u8) -> bool = $ok;
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err(InvalidCode { kind: $kind, max: $max, allowed: $allowed });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

code!(
    /// The code of a reporting unit: `87`, `866`, `87-SLDTBXH`, `VN`. Leading zeros matter.
    UnitCode, "unit", 32, "A-Z, 0-9 and -",
    |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-'
);
code!(
    /// The code of a form: `ngay-30-7`.
    FormCode, "form", 32, "a-z, 0-9 and -",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
);
code!(
    /// The code of an indicator: `TT.PT`, `TT.PT_PHUT`.
    IndicatorCode, "indicator", 32, "A-Z, 0-9, . and _",
    |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'.' || b == b'_'
);
code!(
    /// The code of a dimension: `sex`.
    DimensionCode, "dimension", 32, "a-z, 0-9 and _",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
);
code!(
    /// The code of a category of a dimension: `nu` of `sex`, `16_17` of `age`.
    CategoryCode, "category", 32, "A-Z, a-z, 0-9 and _",
    |b| b.is_ascii_alphanumeric() || b == b'_'
);

/// The stable identity of a unit. Codes are reused over the years; ids are not. The database assigns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub i64);

/// The identity of a submission, a version 7 UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(pub uuid::Uuid);

impl SubmissionId {
    /// A new id: of version 7 (RFC 9562), so that ids are in the order in which they were generated.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_keeps_leading_zeros_and_rejects_other_characters() {
        assert_eq!("01".parse::<UnitCode>().unwrap().as_str(), "01");
        for wrong in ["", "a", "87 ", "87/1", &"9".repeat(33)] {
            assert!(wrong.parse::<UnitCode>().is_err(), "{wrong}");
        }
        assert!("TT.PT_PHUT".parse::<IndicatorCode>().is_ok());
        assert!("tt.pt".parse::<IndicatorCode>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_an_unchanged_code_or_is_rejected(text in "[A-Za-z0-9._-]{0,34}|[\\PC]{0,9}") {
            let codes = [
                text.parse().map(|code: UnitCode| code.to_string()),
                text.parse().map(|code: FormCode| code.to_string()),
                text.parse().map(|code: IndicatorCode| code.to_string()),
                text.parse().map(|code: DimensionCode| code.to_string()),
                text.parse().map(|code: CategoryCode| code.to_string()),
            ];
            for code in codes.into_iter().flatten() {
                proptest::prop_assert!((1..=32).contains(&code.len()) && code.is_ascii());
                proptest::prop_assert_eq!(&code, &text);
            }
        }
    }
}
