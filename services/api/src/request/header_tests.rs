//! Request headers, each read on its own and any bytes that a header may hold.

use actix_web::http::header::{
    ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use proptest::prelude::*;

use crate::problem::text::Language;
use crate::request::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::request::media_type::{CSV, JSON, accepted, check_content_type};
use crate::request::preconditions::Tags;
use crate::request::prefer::{MAX_WAIT_S, PREFER, preferred_wait_s};

fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn conditions_hold_tags_or_a_star() {
    let parse = |values: &[&str]| Tags::if_match(&headers(IF_MATCH, values)).unwrap().unwrap();
    assert_eq!(parse(&["*"]), Tags::Any);
    assert_eq!(parse(&["\"1\""]).revisions(), [1]);
    assert_eq!(
        parse(&["\"1\" , \"2\"", "\"3.1627800000000000\""]).revisions(),
        [1, 2, 3]
    );
    // Weak tags, and tags that this service never gave out, name no revision.
    assert_eq!(
        parse(&["W/\"1\", \"x\", \"0\", \"-1\", \"+1\", \"a,b\""]).revisions(),
        [0i32; 0]
    );
    assert!(parse(&["\"a\", W/\"b\""]).match_weakly("W/\"a\""));
    assert!(parse(&["\"a\", W/\"b\""]).match_weakly("\"b\""));
    assert!(!parse(&["\"a\""]).match_weakly("\"A\""));
    for wrong in ["", "1", "\"1", "\"1\" \"2\"", "*, \"1\"", "w/\"1\"", "\"1\",,"] {
        assert!(Tags::if_match(&headers(IF_MATCH, &[wrong])).is_err(), "{wrong}");
    }
    assert_eq!(Tags::if_match(&HeaderMap::new()).unwrap(), None);
}

#[test]
fn an_idempotency_key_is_read_bare_or_quoted() {
    let key = |values: &[&str]| idempotency_key(&headers(IDEMPOTENCY_KEY, values));
    assert_eq!(key(&["k-1/7"]).unwrap().unwrap(), "k-1/7");
    assert_eq!(key(&[r#""k\"1""#]).unwrap().unwrap(), "k\"1");
    assert_eq!(key(&[]).unwrap(), None);
    let in_bytes = |bytes: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(bytes).unwrap());
        idempotency_key(&headers)
    };
    let number = "1001/SLĐTBXH-BTPCTNXH";
    assert_eq!(in_bytes(number.as_bytes()).unwrap().unwrap(), number);
    assert!(in_bytes(b"1001/SL\xd0").is_err());
    assert!(in_bytes("a\u{a0}b".as_bytes()).is_err());
    let long = "k".repeat(256);
    for wrong in ["", "a b", "\"", "\"a", r#""a\b""#, r#""a"b""#, long.as_str()] {
        assert!(key(&[wrong]).is_err(), "{wrong}");
    }
    assert!(key(&["a", "b"]).is_err());
}

#[test]
fn a_wait_is_found_among_other_preferences() {
    let wait = |values: &[&str]| preferred_wait_s(&headers(PREFER, values));
    assert_eq!(wait(&["wait=5"]), Some(5));
    assert_eq!(
        wait(&["respond-async, Wait = 10; x=y", "return=minimal"]),
        Some(10)
    );
    assert_eq!(wait(&["wait=0"]), Some(0));
    assert_eq!(wait(&["wait=\"7\""]), Some(7));
    assert_eq!(wait(&["wait=86400"]), Some(30));
    for none in ["wait", "wait=-1", "wait=x", "waiting=5", ""] {
        assert_eq!(wait(&[none]), None, "{none}");
    }
}

#[test]
fn the_media_type_of_most_weight_is_chosen() {
    let chosen = |value: &str| accepted(&headers(ACCEPT, &[value]), &[JSON, CSV]).ok();
    assert_eq!(accepted(&HeaderMap::new(), &[JSON, CSV]).unwrap(), JSON);
    assert_eq!(chosen("*/*"), Some(JSON));
    assert_eq!(chosen("text/csv"), Some(CSV));
    assert_eq!(chosen("text/*, application/json;q=0.5"), Some(CSV));
    assert_eq!(chosen("Application/JSON, text/csv"), Some(JSON));
    assert_eq!(chosen("*/*;q=0.1, application/json;q=0"), Some(CSV));
    assert_eq!(chosen("image/png"), None);
    assert_eq!(chosen("text/csv;q=0"), None);
}

#[test]
fn a_body_must_declare_the_expected_media_type() {
    let check = |values: &[&str]| check_content_type(&headers(CONTENT_TYPE, values), &[JSON]).is_ok();
    assert!(check(&["application/json"]));
    assert!(check(&["Application/JSON; charset=\"UTF-8\""]));
    assert!(!check(&["application/json; charset=windows-1258"]));
    assert!(!check(&["application/problem+json"]));
    assert!(!check(&["text/plain"]));
    assert!(!check(&[]));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(value in "[ -~]{0,60}") {
        for name in [IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY, PREFER, ACCEPT, CONTENT_TYPE] {
            let headers = headers(name, &[&value]);
            let _ = Tags::if_match(&headers);
            let _ = Tags::if_none_match(&headers);
            let _ = idempotency_key(&headers);
            let _ = preferred_wait_s(&headers);
            let _ = accepted(&headers, &[JSON]);
            let _ = check_content_type(&headers, &[JSON]);
        }
    }

    #[test]
    fn any_bytes_of_a_header_are_read_or_rejected(
        bytes in prop::collection::vec(prop_oneof![0x20u8..0x7f, 0x80u8..=0xff, Just(b'"'), Just(b',')], 0..60),
    ) {
        for name in [IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY, PREFER, ACCEPT, CONTENT_TYPE] {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_bytes(&bytes).unwrap());
            if let Ok(Some(tags)) = Tags::if_match(&headers) {
                prop_assert!(tags.revisions().iter().all(|revision| *revision > 0));
            }
            if let Ok(Some(key)) = idempotency_key(&headers) {
                prop_assert!((1..=255).contains(&key.chars().count()));
            }
            prop_assert!(preferred_wait_s(&headers).is_none_or(|seconds| seconds <= MAX_WAIT_S));
            let _ = accepted(&headers, &[JSON, CSV]);
            let _ = check_content_type(&headers, &[JSON]);
            let _ = Language::preferred(&headers);
        }
    }

    #[test]
    fn an_idempotency_key_is_the_same_bare_and_quoted(key in "[!-~&&[^\"\\\\]]{1,255}") {
        let read = |value: &str| idempotency_key(&headers(IDEMPOTENCY_KEY, &[value])).unwrap();
        prop_assert_eq!(read(&key), Some(key.clone()));
        prop_assert_eq!(read(&format!("\"{key}\"")), Some(key));
    }

    #[test]
    fn the_revisions_of_a_condition_are_read_as_they_were_named(revisions in prop::collection::vec(1i32.., 1..6)) {
        let tags: Vec<String> = revisions.iter().map(|revision| format!("\"{revision}\"")).collect();
        let read = Tags::if_match(&headers(IF_MATCH, &[&tags.join(", ")])).unwrap().unwrap();
        prop_assert_eq!(read.revisions(), revisions);
    }
}
