//! The service itself: health, metrics, documentation, and pages about problems.

pub(crate) mod docs;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod html;
pub(crate) mod metrics;
pub(crate) mod problems;
