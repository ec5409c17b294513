//! The header Prefer (RFC 7240).

use actix_web::http::header::{HeaderMap, HeaderName};

use crate::request::spelling::unsigned;

/// The documentation of the header.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read by the functions of this file")]
pub(crate) struct PreferHeader {
    /// Send `wait=5` to get the response when the province's total contains the change, or after this number of seconds (at
    /// most 30)
    #[param(rename = "Prefer", value_type = Option<String>, inline)]
    value: (),
}

/// The header `Prefer`.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header `Preference-Applied`.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait that a caller may prefer, in seconds.
pub(crate) const MAX_WAIT_S: u64 = 30;

/// The seconds for which the caller prefers to wait. Invalid preferences are ignored (RFC 7240, section 2), and longer
/// ones are capped.
pub(crate) fn preferred_wait_s(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(PREFER).filter_map(|value| value.to_str().ok());
    let wait = |preference: &str| {
        let (name, seconds) = preference.split(';').next()?.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| unsigned::<u64>(seconds.trim().trim_matches('"')))?
    };
    let mut waits = values.flat_map(|value| value.split(',')).filter_map(wait);
    waits.next().map(|seconds| seconds.min(MAX_WAIT_S))
}
