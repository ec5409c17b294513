//! JSON as it was written: fields in their order, repeated fields kept, whole numbers distinguished from others.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep lists and objects may be nested.
const MAX_DEPTH: u8 = 32;

/// How many values a text may hold, each list, object, text, number, flag and null counted. Each takes some times more
/// memory than its shortest spelling, `0,`. The largest valid submission has half as many.
pub(crate) const MAX_VALUES: usize = 100_000;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    /// null
    Null,
    /// true or false
    Flag(bool),
    /// A whole number, `63.0` and `6.3e1` among them (JSON Schema 2020-12, section 4.2.3 of its core). One that does not
    /// fit is the nearest that does, which is beyond every bound.
    Integer(i64),
    /// Any other number.
    Fraction,
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It stops being JSON here, or is nested too deeply; line and column are counted from 1.
    NotJson { line: usize, column: usize },
    /// It contains more than [`MAX_VALUES`] values.
    TooManyValues,
}

/// Reads one value and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, Unread> {
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Value {
        depth: 0,
        values: &values,
    };
    let value = value.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        if values.get() > MAX_VALUES {
            return Unread::TooManyValues;
        }
        Unread::NotJson {
            line: error.line().max(1),
            column: error.column().max(1),
        }
    })
}

/// A value at a depth.
#[derive(Clone, Copy)]
struct Value<'c> {
    depth: u8,
    /// How many values were read so far, this one among them once it has begun.
    values: &'c Cell<usize>,
}

impl Value<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        if number.fract() == 0.0 {
            Ok(Json::Integer(number as i64))
        } else {
            Ok(Json::Fraction)
        }
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let inner = self.inner()?;
        let mut fields = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            fields.push((name, access.next_value_seed(inner)?));
        }
        Ok(Json::Object(fields))
    }
}

/// The name of a field, borrowed if it contains no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_are_kept_and_numbers_told_apart() {
        let text = |text: &'static str| Cow::Borrowed(text);
        let read =
            parse(br#"{"a":1,"a":true,"b":[1.5,-3,18446744073709551615,-1e300,63.0,-6.3e1,-0.0,null,"x"]}"#);
        let list = vec![
            Json::Fraction,
            Json::Integer(-3),
            Json::Integer(i64::MAX),
            Json::Integer(i64::MIN),
            Json::Integer(63),
            Json::Integer(-63),
            Json::Integer(0),
            Json::Null,
            Json::Text(text("x")),
        ];
        let fields = vec![
            (text("a"), Json::Integer(1)),
            (text("a"), Json::Flag(true)),
            (text("b"), Json::List(list)),
        ];
        assert_eq!(read, Ok(Json::Object(fields)));
    }

    #[test]
    fn invalid_json_is_rejected_with_its_place() {
        assert_eq!(parse(b"{not json"), Err(Unread::NotJson { line: 1, column: 2 }));
        assert_eq!(parse(b"{\n\"a\": }"), Err(Unread::NotJson { line: 2, column: 6 }));
        for wrong in [
            &b""[..],
            b"1 2",
            b"[1,]",
            b"\"\\ud800\"",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
            b"1e999",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(parse(nested(32).as_bytes()).is_ok());
        assert!(parse(nested(33).as_bytes()).is_err());
        assert!(parse("[".repeat(1 << 20).as_bytes()).is_err());
    }
    #[test]
    fn the_number_of_values_is_bounded() {
        // The list itself is one.
        let list = |zeros: usize| format!("[{}0]", "0,".repeat(zeros - 1));
        assert!(parse(list(MAX_VALUES - 1).as_bytes()).is_ok());
        assert_eq!(parse(list(MAX_VALUES).as_bytes()), Err(Unread::TooManyValues));
        let fields = |fields: usize| format!("{{{}\"\":[]}}", "\"\":[],".repeat(fields - 1));
        assert!(parse(fields(MAX_VALUES - 1).as_bytes()).is_ok());
        assert_eq!(parse(fields(MAX_VALUES).as_bytes()), Err(Unread::TooManyValues));
    }
}
