//! The change feed: what has changed, page by page or as it happens.

pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod list;
pub(crate) mod stream;
