//! The day that it is.

use chrono::{FixedOffset, NaiveDate, Utc};

/// Today in Viet Nam.
pub(crate) fn today() -> NaiveDate {
    let offset = FixedOffset::east_opt(7 * 3600);
    offset.map_or_else(
        || Utc::now().date_naive(),
        |offset| Utc::now().with_timezone(&offset).date_naive(),
    )
}
