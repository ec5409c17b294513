//! Queries on accepted reports, of which totals consist.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{Content, FormCode, Period, Report, Status, UnitId};

use crate::codec;
use crate::database::connection::{Conn, on};
use crate::database::schema::{revisions, submissions};
use crate::database::unnest::{KeyRow, Unnest};
use crate::database::uuid::{Id, StoredId};
use crate::error::StoreError;
use crate::unit_of_work::FiledReport;

/// For more units than this, a query reads all of a form and period and filters in memory.
const MAX_NAMED_UNITS: usize = 1000;

/// The columns of a report.
#[derive(Queryable)]
struct ReportRow {
    unit_id: i64,
    submission_id: StoredId,
    revision: i32,
    first_received_at: NaiveDateTime,
    received_at: NaiveDateTime,
    figures: String,
    note: Option<String>,
}

impl ReportRow {
    fn read(self) -> Result<(UnitId, FiledReport), StoreError> {
        let content = Content {
            figures: codec::read_figures(&self.figures)?,
            note: self.note,
        };
        let report = Report {
            first_received_at: self.first_received_at.and_utc(),
            content,
        };
        let filed = FiledReport {
            id: self.submission_id.into(),
            revision: self.revision,
            received_at: self.received_at.and_utc(),
            report,
        };
        Ok((UnitId(self.unit_id), filed))
    }
}

/// The SQL types of a [`ReportRow`].
type ReportSql = (BigInt, Id, Integer, Timestamp, Timestamp, Text, Nullable<Text>);

/// The accepted reports of some units for a form and period.
pub(crate) async fn reports(
    conn: &mut Conn,
    form: &FormCode,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, FiledReport>, StoreError> {
    if units.is_empty() {
        return Ok(HashMap::new());
    }
    let all = submissions::table
        .inner_join(
            revisions::table.on(revisions::submission_id
                .eq(submissions::submission_id)
                .and(revisions::revision.eq(submissions::revision))),
        )
        .filter(submissions::form.eq(form.as_str()))
        .filter(submissions::period.eq(period.to_string()))
        .filter(submissions::status.eq(Status::Accepted.as_str()))
        .select((
            submissions::unit_id,
            submissions::submission_id,
            submissions::revision,
            submissions::first_received_at,
            submissions::received_at,
            revisions::figures,
            revisions::note,
        ));
    let ids = units.iter().map(|unit| unit.0);
    let rows: Vec<ReportRow> = match conn {
        Conn::Pg(object) if units.len() <= MAX_NAMED_UNITS => {
            let keys = KeyRow::of(form, period, units);
            // Starts from the keys: a plan that was made for many of them may read all of a period.
            let query = Unnest::<_, ReportSql>::new(
                "SELECT unit_id, submission_id, submissions.revision, submissions.first_received_at, \
                 submissions.received_at, figures, note FROM",
                KeyRow::columns(&keys),
                "AS keys (form, period, unit_id) JOIN submissions USING (form, period, unit_id) \
                 JOIN revisions USING (submission_id, revision) WHERE submissions.status = 'accepted'",
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) if units.len() <= MAX_NAMED_UNITS => {
            let named = all.filter(submissions::unit_id.eq_any(ids));
            named.load(&mut **object).await?
        }
        conn => on!(conn, c => all.load(c).await)?,
    };
    let wanted: std::collections::HashSet<UnitId> = units.iter().copied().collect();
    rows.into_iter()
        .filter(|row| wanted.contains(&UnitId(row.unit_id)))
        .map(ReportRow::read)
        .collect()
}
