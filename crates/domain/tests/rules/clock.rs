//! The date in the catalogue's time zone.

use chrono::{DateTime, Utc};
use tonghop_domain::{Level, Unit};

use crate::builder::{Parts, unit};

/// 1 July 2025, 01:30 in Viet Nam. In UTC it is still 30 June.
fn half_past_one() -> DateTime<Utc> {
    "2025-07-01T01:30:00+07:00".parse().unwrap()
}

/// Province 82 was Tiền Giang until 30 June 2025 and has been Đồng Tháp since.
fn parts() -> Parts {
    let change = Some("2025-07-01".parse().unwrap());
    let before = Unit {
        valid_to: change,
        ..unit("82", Level::Province, Some("VN"))
    };
    let after = Unit {
        valid_from: change,
        ..unit("82", Level::Province, Some("VN"))
    };
    Parts::with(vec![unit("VN", Level::Country, None), before, after])
}

#[test]
fn today_is_the_date_in_the_catalogues_time_zone() {
    let mut parts = parts();
    let catalogue = Parts { ..parts }.checked().unwrap();
    assert_eq!(catalogue.today(half_past_one()).to_string(), "2025-07-01");
    let last_minute = "2025-06-30T16:59:59Z".parse().unwrap();
    assert_eq!(catalogue.today(last_minute).to_string(), "2025-06-30");

    parts = self::parts();
    parts.forms.clear();
    let without_forms = parts.checked().unwrap();
    assert_eq!(without_forms.today(half_past_one()).to_string(), "2025-06-30");
}

#[test]
fn a_code_means_the_unit_of_today_in_the_catalogues_time_zone() {
    let catalogue = parts().checked().unwrap();
    let code = "82".parse().unwrap();
    let unit = catalogue.unit_called(&code, catalogue.today(half_past_one()));
    assert_eq!(unit.unwrap().id.0, 3);
}
