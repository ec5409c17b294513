//! The words and rules of reporting: units, periods, indicators, figures, submissions, totals.
//!
//! Everything here is plain data and pure functions. This crate knows nothing of SQL, HTTP or RabbitMQ, and does
//! no input or output, but for the randomness of new keys. Its centre is [`Total::roll_up`]: a unit's total is its own
//! figures and its children's totals, merged by one function.

mod access;
mod announcement;
mod audit;
mod catalogue;
mod check;
mod code;
mod figure;
mod indicator;
mod period;
mod reach;
mod recount;
mod submission;
mod total;
mod unit;

pub use access::{
    Caller, InvalidDigest, InvalidKeyId, InvalidRole, InvalidToken, Key, KeyId, KeyState, MAX_LABEL_CHARS,
    Role, Token, TokenDigest, label_fault,
};
pub use announcement::{Announcement, Envelope, Outbox, RecordedRevision};
pub use audit::{Actor, AuditEntry, InvalidActor, Origin, SealHead};
pub use catalogue::{Catalogue, CatalogueFault, Entry, Scope};
pub use check::{
    Draft, DraftCell, DraftFigure, Fault, FaultKind, MAX_CELLS, MAX_ITEM_CHARS, MAX_ITEMS, MAX_TEXT_CHARS,
    Submission, check,
};
pub use code::{
    CategoryCode, DimensionCode, FormCode, IndicatorCode, InvalidCode, SubmissionId, UnitCode, UnitId,
};
pub use figure::{Cell, CellKey, Content, Figure, MAX_VALUE, Reported};
pub use indicator::{Category, Dimension, Form, Formula, Indicator, Indicators, Kind};
pub use period::{Calendar, Frequency, InvalidPeriod, Period};
pub use reach::Reach;
pub use recount::{NumberKey, Numbers, recounted_numbers, served_numbers};
pub use submission::{
    Change, Decision, Head, Precondition, Revision, Status, SubmissionKey, TotalKey, decide,
};
pub use total::{Counts, Coverage, Line, MAX_NAMED_UNITS, MAX_TOTAL_ITEMS, Overflow, Report, Total};
pub use unit::{Level, Names, Place, Tree, TreeFault, Unit};
