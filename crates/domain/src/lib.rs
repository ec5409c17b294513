//! The concepts and rules of reporting: units, periods, indicators, figures, submissions, totals.
//!
//! This crate consists of plain data and pure functions. It knows nothing of SQL, HTTP or RabbitMQ, and performs no I/O.
//! Its central rule is [`Total::roll_up`]: the total of a unit is its own figures and the totals of its children, merged
//! by one function.

mod access;
mod announcement;
mod audit;
mod calendar;
mod catalogue;
mod catalogue_rules;
mod check;
mod check_figures;
mod check_text;
mod code;
mod completeness;
mod digest;
mod draft;
mod field_error;
mod figure;
mod form;
mod form_check;
mod indicator;
mod names;
mod period;
mod recount;
mod submission;
mod text;
mod total;
mod tree;
mod unit;
mod unit_ancestry;

pub use access::{
    Actor, Caller, InvalidActor, InvalidDigest, InvalidKeyId, InvalidRole, Key, KeyId, KeyState,
    MAX_LABEL_CHARS, Role, TokenDigest, label_error,
};
pub use announcement::{Announcement, Envelope, Outbox, RecordedRevision};
pub use audit::{AuditEntry, Origin, SealHead, key_proof, new_salt, revision_proof};
pub use calendar::Calendar;
pub use catalogue::{Catalogue, Scope};
pub use catalogue_rules::{CatalogueError, Entry};
pub use check::{Submission, check};
pub use check_figures::{MAX_CELLS, MAX_ITEM_CHARS, MAX_ITEMS};
pub use check_text::MAX_TEXT_CHARS;
pub use code::{
    CategoryCode, DimensionCode, FormCode, IndicatorCode, InvalidCode, SubmissionId, UnitCode, UnitId,
};
pub use completeness::{Answers, Completeness, CompletenessCounts, MAX_LISTED_UNITS, ReportStatus};
pub use draft::{Draft, DraftCell, DraftFigure};
pub use field_error::{BodyPath, FieldError, FieldErrorKind, PathSegment, ValueType};
pub use figure::{Cell, CellKey, Content, Figure, MAX_VALUE, Reported};
pub use form::{Expectation, Form, Indicators};
pub use form_check::{CheckRule, FormCheck, InvalidCheckRule, Severity};
pub use indicator::{Category, Dimension, Formula, Indicator, Kind};
pub use names::Names;
pub use period::{Frequency, InvalidPeriod, Period};
pub use recount::{NumberKey, Numbers, recounted_numbers, served_numbers};
pub use submission::{
    Change, Decision, Head, Precondition, Revision, Status, SubmissionKey, TotalKey, decide,
};
pub use text::{is_formula, search_form};
pub use total::{Counts, MAX_TOTAL_ITEMS, Overflow, Report, Total, TotalRow, sum_of_contributions};
pub use tree::{Place, Tree};
pub use unit::{InvalidLevel, Level, Unit};
pub use unit_ancestry::UnitAncestry;
