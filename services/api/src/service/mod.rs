//! The service itself: health, metrics, documentation, the guide, and pages about problems.

pub(crate) mod docs;
pub(crate) mod docs_page;
pub(crate) mod guide;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod html;
pub(crate) mod metrics;
pub(crate) mod problems;
pub(crate) mod static_file;
