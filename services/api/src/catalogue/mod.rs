//! Units, indicators and forms: what is agreed before anyone reports.

pub(crate) mod forms;
pub(crate) mod indicators;
pub(crate) mod units;
