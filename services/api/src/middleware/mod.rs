//! What every request passes on its way in and every response on its way out.

pub(crate) mod access_log;
pub(crate) mod audit;
pub(crate) mod authenticate;
pub(crate) mod compression;
pub(crate) mod cors;
pub(crate) mod rate_limit_headers;
pub(crate) mod request_metrics;
pub(crate) mod response;
