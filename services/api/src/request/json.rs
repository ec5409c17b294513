//! JSON as it was written: fields in their order, repeated fields kept, whole numbers distinguished from others.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::request::json_number::{is_beyond_floats, number_places, whole_number};

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

/// The mark of UTF-8 that some programs write before a text. A reader may ignore it (RFC 8259, section 8.1).
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one value and nothing after it. A byte order mark before it is ignored.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, Unread> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let read = parse_with_numbers_of(bytes, bytes);
    let Err(Unread::NotJson { .. }) = read else {
        return read;
    };
    // serde_json rejects numbers such as 1e999. It reads fractions in their places.
    let mut readable = bytes.to_vec();
    for place in number_places(bytes).filter(|place| is_beyond_floats(&bytes[place.clone()])) {
        let point = place.start + 1;
        readable[place].fill(b'1');
        readable[point] = b'.';
    }
    if readable == bytes {
        return read;
    }
    parse_with_numbers_of(&readable, bytes).map(Json::into_owned)
}

/// Reads a value, and its numbers from the digits in `original`.
fn parse_with_numbers_of<'a>(bytes: &'a [u8], original: &[u8]) -> Result<Json<'a>, Unread> {
    let progress = Progress {
        original,
        values: Cell::new(0),
        numbers: Cell::new(0),
        places: OnceCell::new(),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Value {
        depth: 0,
        progress: &progress,
    };
    let value = value.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        if progress.values.get() > MAX_VALUES {
            return Unread::TooManyValues;
        }
        Unread::NotJson {
            line: error.line().max(1),
            column: error.column().max(1),
        }
    })
}

impl Json<'_> {
    fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Flag(flag) => Json::Flag(flag),
            Self::Integer(number) => Json::Integer(number),
            Self::Fraction => Json::Fraction,
            Self::Text(text) => Json::Text(Cow::Owned(text.into_owned())),
            Self::List(list) => Json::List(list.into_iter().map(Json::into_owned).collect()),
            Self::Object(fields) => {
                let owned =
                    |(name, value): (Cow<'_, str>, Self)| (Cow::Owned(name.into_owned()), value.into_owned());
                Json::Object(fields.into_iter().map(owned).collect())
            }
        }
    }
}

/// What was read of a text.
struct Progress<'t> {
    original: &'t [u8],
    /// How many values were read so far, the present one among them once it has begun.
    values: Cell<usize>,
    /// How many numbers were read so far.
    numbers: Cell<usize>,
    /// The place of every number; found when the first one needs it.
    places: OnceCell<Vec<Range<usize>>>,
}

impl Progress<'_> {
    /// The number that was read last, by its digits.
    fn last_number(&self) -> Json<'static> {
        let places = self.places.get_or_init(|| number_places(self.original).collect());
        let last = places.get(self.numbers.get().wrapping_sub(1));
        let number = last.and_then(|place| whole_number(self.original.get(place.clone())?));
        number.map_or(Json::Fraction, Json::Integer)
    }

    fn count_number(&self) {
        self.numbers.set(self.numbers.get() + 1);
    }
}

/// A value at a depth.
#[derive(Clone, Copy)]
struct Value<'p> {
    depth: u8,
    progress: &'p Progress<'p>,
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
        let values = &self.progress.values;
        values.set(values.get() + 1);
        if values.get() > MAX_VALUES {
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
        self.progress.count_number();
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        self.progress.count_number();
        Ok(Json::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// The float is only a hint: 0.9999999999999999 rounds to 1.
    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        self.progress.count_number();
        Ok(self.progress.last_number())
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
            b"{}\xef\xbb\xbf",
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            b"1e999]",
            b"[1e]",
            b"[01e999]",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_ignored() {
        assert_eq!(parse(b"\xef\xbb\xbf[]"), Ok(Json::List(Vec::new())));
    }

    #[test]
    fn numbers_are_decided_by_their_digits() {
        let text =
            br#"{"1e9":"2.5 \\","a":[1e999,-1e400,0e999,1e-400,0.9999999999999999,62.99999999999999999,
            999999999999.00001,1000000000000.0000001,6.30e1,-0.0,18446744073709551616,7]}"#;
        let Ok(Json::Object(fields)) = parse(text) else {
            panic!("the text is an object");
        };
        let numbers = Json::List(vec![
            Json::Integer(i64::MAX),
            Json::Integer(i64::MIN),
            Json::Integer(0),
            Json::Fraction,
            Json::Fraction,
            Json::Fraction,
            Json::Fraction,
            Json::Fraction,
            Json::Integer(63),
            Json::Integer(0),
            Json::Integer(i64::MAX),
            Json::Integer(7),
        ]);
        assert_eq!(fields[0], ("1e9".into(), Json::Text("2.5 \\".into())));
        assert_eq!(fields[1], ("a".into(), numbers));
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
