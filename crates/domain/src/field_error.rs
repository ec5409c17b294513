//! Errors in the fields of a request body.

/// What is wrong at one place of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A field that must be there is not.
    MissingField(&'static str),
    /// A field that nobody knows.
    UnknownField(String),
    /// A field given twice.
    RepeatedField(String),
    /// Something of another type than this.
    WrongType(&'static str),
    /// A figure says nothing: no value, items, text or state.
    NothingSaid,
    /// A figure says more than one of value, items, text and state.
    SaidTwice,
    /// No such state.
    UnknownState,
    /// No such form.
    UnknownForm,
    /// Not a period.
    InvalidPeriod,
    /// The form is not reported for the period.
    PeriodNotOfForm,
    /// No such unit on the period's last day.
    UnknownUnit,
    /// The unit does not report the form.
    UnitDoesNotReport,
    /// No such indicator on the form.
    UnknownIndicator,
    /// A ratio is computed, not reported.
    ComputedIndicator,
    /// An indicator twice.
    RepeatedIndicator,
    /// Another kind of content than the indicator's, which is this.
    WrongContent(&'static str),
    /// A value below this.
    BelowMinimum(i64),
    /// A value above this.
    AboveMaximum(i64),
    /// A text of more than this many characters.
    TooLong(usize),
    /// A list of more than this many.
    TooMany(usize),
    /// An empty text.
    Empty,
    /// A character that no text has, such as NUL.
    ControlCharacter,
    /// The indicator has no such dimension.
    BreakdownNotAllowed(String),
    /// The dimension has no such category.
    UnknownCategory(String),
    /// A cell without any dimension.
    NoDimension,
    /// A cell twice.
    RepeatedCell,
    /// Breakdowns of something that is no number.
    BreakdownOfNoNumber,
    /// No such role.
    UnknownRole,
    /// No unit has or ever had this code.
    NoUnitEver,
    /// Not a time, or one that is over.
    NoTimeToCome,
    /// Cells that do not add up to the figure.
    BreakdownSum {
        /// The dimensions of the cells, joined by commas.
        dimensions: String,
        /// What the cells add up to.
        sum: i64,
        /// The figure.
        value: i64,
    },
}
