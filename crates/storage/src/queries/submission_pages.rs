//! Pages of submissions and of revisions, which are bounded in bytes.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use tonghop_domain::SubmissionId;
use uuid::Uuid;

use crate::database::connection::{Conn, on};
use crate::database::schema::{revisions, submissions};
use crate::database::uuid::StoredId;
use crate::error::StoreError;
use crate::model::{Page, SubmissionFilter, SubmissionOrder};
use crate::queries::submissions::{HeadRow, RevisionRow};

/// The size of the revisions of a page, in bytes of their stored figures and notes. A page has at least one.
const PAGE_BYTES: i64 = 1 << 20;

/// The revisions of a page, and their sizes in bytes; one more than a page may have, if there is one.
type Candidates = Vec<(StoredId, i32, i64)>;

/// The size of a revision's text, without reading it.
fn stored_bytes() -> diesel::expression::SqlLiteral<BigInt> {
    diesel::dsl::sql(
        "CAST(octet_length(revisions.figures) + coalesce(octet_length(revisions.note), 0) AS bigint)",
    )
}

/// The number of candidates that are not too large together.
fn fitting(candidates: &Candidates, limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(at, (_, _, size)): &(usize, &(StoredId, i32, i64))| {
        bytes += size;
        *at == 0 || bytes <= PAGE_BYTES
    };
    candidates.iter().enumerate().take(limit).take_while(fits).count()
}

/// The page of the first `fitting` candidates, whose rows these are.
fn page(
    candidates: &Candidates,
    fitting: usize,
    limit: usize,
    rows: Vec<(HeadRow, RevisionRow)>,
) -> Result<Page, StoreError> {
    let by_place = rows.into_iter().map(|(head, row)| (row.place(), (head, row)));
    let mut found: HashMap<(Uuid, i32), (HeadRow, RevisionRow)> = by_place.collect();
    let chosen = candidates[..fitting].iter();
    let in_order = chosen.filter_map(|(id, number, _)| found.remove(&(id.0, *number)));
    let revisions: Result<_, StoreError> = in_order.map(|(head, row)| row.read(head.read()?.0)).collect();
    Ok(Page {
        revisions: revisions?,
        more: candidates.len() > fitting,
        is_cut: fitting < limit.min(candidates.len()),
    })
}

/// The revisions below `before`, the newest first.
pub(crate) async fn history(
    conn: &mut Conn,
    id: SubmissionId,
    before: Option<i32>,
    limit: usize,
) -> Result<Page, StoreError> {
    let query = revisions::table
        .filter(revisions::submission_id.eq(StoredId::from(id)))
        .filter(revisions::revision.lt(before.unwrap_or(i32::MAX)))
        .order(revisions::revision.desc())
        .limit(limit as i64 + 1)
        .select((revisions::submission_id, revisions::revision, stored_bytes()));
    let candidates: Candidates = on!(conn, c => query.load(c).await)?;
    let fitting = fitting(&candidates, limit);
    let query = revisions::table
        .inner_join(submissions::table.on(submissions::submission_id.eq(revisions::submission_id)))
        .filter(revisions::submission_id.eq(StoredId::from(id)))
        .filter(revisions::revision.eq_any(candidates[..fitting].iter().map(|(_, number, _)| *number)));
    let rows = on!(conn, c => query.select((HeadRow::as_select(), RevisionRow::as_select())).load(c).await)?;
    page(&candidates, fitting, limit, rows)
}

/// A page of current revisions, in the order of [`SubmissionFilter`].
pub(crate) async fn list(
    conn: &mut Conn,
    filter: &SubmissionFilter,
    limit: usize,
) -> Result<Page, StoreError> {
    let candidates = candidates(conn, filter, limit).await?;
    let fitting = fitting(&candidates, limit);
    let query = submissions::table
        .inner_join(
            revisions::table.on(revisions::submission_id
                .eq(submissions::submission_id)
                .and(revisions::revision.eq(submissions::revision))),
        )
        .filter(submissions::submission_id.eq_any(candidates[..fitting].iter().map(|(id, ..)| *id)));
    let rows = on!(conn, c => query.select((HeadRow::as_select(), RevisionRow::as_select())).load(c).await)?;
    page(&candidates, fitting, limit, rows)
}

/// The current revisions from which a page is taken.
async fn candidates(
    conn: &mut Conn,
    filter: &SubmissionFilter,
    limit: usize,
) -> Result<Candidates, StoreError> {
    macro_rules! query {
        ($c:ident) => {{
            let mut query = submissions::table
                .inner_join(
                    revisions::table.on(revisions::submission_id
                        .eq(submissions::submission_id)
                        .and(revisions::revision.eq(submissions::revision))),
                )
                .limit(limit as i64 + 1)
                .select((submissions::submission_id, submissions::revision, stored_bytes()))
                .into_boxed();
            if let Some(form) = &filter.form {
                query = query.filter(submissions::form.eq(form.as_str()));
            }
            if let Some(period) = filter.period {
                query = query.filter(submissions::period.eq(period.to_string()));
            }
            if let Some(units) = &filter.units {
                query = query.filter(submissions::unit_id.eq_any(units.iter().map(|unit| unit.0)));
            }
            if let Some(status) = filter.status {
                query = query.filter(submissions::status.eq(status.as_str()));
            }
            // The times of the heads have no index.
            let (time, id) = (revisions::received_at, revisions::submission_id);
            query = match filter.order {
                SubmissionOrder::NewestFirst => query.order(submissions::submission_id.desc()),
                SubmissionOrder::OldestFirst => query.order(submissions::submission_id),
                SubmissionOrder::LastChangedLast => query.order((time, id)),
                SubmissionOrder::LastChangedFirst => query.order((time.desc(), id.desc())),
            };
            if let Some(since) = filter.updated_since {
                query = query.filter(time.ge(since.naive_utc()));
            }
            if let Some(before) = filter.recorded_before {
                query = query.filter(time.lt(before.naive_utc()));
            }
            if let Some((last_time, last)) = filter.after {
                let (last_time, last) = (last_time.naive_utc(), StoredId::from(last));
                query = match filter.order {
                    SubmissionOrder::NewestFirst => query.filter(submissions::submission_id.lt(last)),
                    SubmissionOrder::OldestFirst => query.filter(submissions::submission_id.gt(last)),
                    SubmissionOrder::LastChangedLast => {
                        query.filter(time.gt(last_time).or(time.eq(last_time).and(id.gt(last))))
                    }
                    SubmissionOrder::LastChangedFirst => {
                        query.filter(time.lt(last_time).or(time.eq(last_time).and(id.lt(last))))
                    }
                };
            }
            query.load($c).await
        }};
    }
    Ok(on!(conn, c => query!(c))?)
}
