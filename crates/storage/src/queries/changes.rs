//! Changes of submissions and totals, in the order of their times.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::database::connection::{Conn, on};
use crate::database::schema::{revisions, submissions, totals};
use crate::database::uuid::StoredId;
use crate::error::StoreError;
use crate::model::{Changed, FeedChange, FeedPage};
use crate::queries::submissions::{read_key, read_status};

/// The smallest difference between two times.
const INSTANT: TimeDelta = TimeDelta::microseconds(1);

/// The times of some changes, both exclusive.
#[derive(Clone, Copy, Debug)]
struct Span {
    after: NaiveDateTime,
    before: NaiveDateTime,
}

/// What has changed.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Revisions,
    Totals,
}

/// The changes after a time and before another, in their order, to about `limit` of each kind. Changes of the same time are
/// never separated: few transactions have it.
pub(crate) async fn between(
    conn: &mut Conn,
    after: DateTime<Utc>,
    before: DateTime<Utc>,
    limit: usize,
) -> Result<FeedPage, StoreError> {
    let span = Span {
        after: after.naive_utc(),
        before: before.naive_utc(),
    };
    let (mut changes, end_of_revisions) = first(conn, Kind::Revisions, span, limit).await?;
    let (refreshed, end_of_totals) = first(conn, Kind::Totals, span, limit).await?;
    changes.extend(refreshed);
    let end = [end_of_revisions, end_of_totals].into_iter().flatten().min();
    if let Some(end) = end {
        changes.retain(|change| change.at <= end);
    }
    changes.sort_by_key(|change| change.at);
    Ok(FeedPage {
        more: end.is_some(),
        changes,
    })
}

/// The time of the last change before another time; none before the first change.
pub(crate) async fn last_before(
    conn: &mut Conn,
    before: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let before = before.naive_utc();
    let recorded = revisions::table
        .filter(revisions::received_at.lt(before))
        .order(revisions::received_at.desc())
        .select(revisions::received_at);
    let refreshed = totals::table
        .filter(totals::refreshed_at.lt(before))
        .filter(totals::version.gt(0))
        .order(totals::refreshed_at.desc())
        .select(totals::refreshed_at);
    let recorded: Option<NaiveDateTime> = on!(conn, c => recorded.first(c).await.optional())?;
    let refreshed: Option<NaiveDateTime> = on!(conn, c => refreshed.first(c).await.optional())?;
    Ok(recorded.max(refreshed).map(|last| last.and_utc()))
}

/// The first changes of a kind; and the time up to which they are complete, if there are more.
async fn first(
    conn: &mut Conn,
    kind: Kind,
    span: Span,
    limit: usize,
) -> Result<(Vec<FeedChange>, Option<DateTime<Utc>>), StoreError> {
    let mut changes = read(conn, kind, span, limit as i64 + 1).await?;
    if changes.len() <= limit {
        return Ok((changes, None));
    }
    // The last one tells that there are more; others may have its time, too.
    let Some(beyond) = changes.last().map(|change| change.at) else {
        return Ok((changes, None));
    };
    changes.retain(|change| change.at < beyond);
    if let Some(last) = changes.last().map(|change| change.at) {
        return Ok((changes, Some(last)));
    }
    let instant = Span {
        after: (beyond - INSTANT).naive_utc(),
        before: (beyond + INSTANT).naive_utc(),
    };
    Ok((read(conn, kind, instant, i64::MAX).await?, Some(beyond)))
}

async fn read(conn: &mut Conn, kind: Kind, span: Span, limit: i64) -> Result<Vec<FeedChange>, StoreError> {
    match kind {
        Kind::Revisions => read_revisions(conn, span, limit).await,
        Kind::Totals => read_totals(conn, span, limit).await,
    }
}

async fn read_revisions(conn: &mut Conn, span: Span, limit: i64) -> Result<Vec<FeedChange>, StoreError> {
    let query = revisions::table
        .inner_join(submissions::table.on(submissions::submission_id.eq(revisions::submission_id)))
        .filter(revisions::received_at.gt(span.after))
        .filter(revisions::received_at.lt(span.before))
        .order(revisions::received_at)
        .limit(limit)
        .select((
            revisions::received_at,
            revisions::submission_id,
            revisions::revision,
            revisions::status,
            submissions::form,
            submissions::period,
            submissions::unit_id,
        ));
    type Row = (NaiveDateTime, StoredId, i32, String, String, String, i64);
    let rows: Vec<Row> = on!(conn, c => query.load(c).await)?;
    let change = |(at, id, revision, status, form, period, unit): Row| {
        Ok(FeedChange {
            at: at.and_utc(),
            key: read_key(&form, &period, unit)?,
            of: Changed::Submission {
                id: id.into(),
                revision,
                status: read_status(&status)?,
            },
        })
    };
    rows.into_iter().map(change).collect()
}

async fn read_totals(conn: &mut Conn, span: Span, limit: i64) -> Result<Vec<FeedChange>, StoreError> {
    let query = totals::table
        .filter(totals::refreshed_at.gt(span.after))
        .filter(totals::refreshed_at.lt(span.before))
        .filter(totals::version.gt(0))
        .order(totals::refreshed_at)
        .limit(limit)
        .select((
            totals::refreshed_at,
            totals::form,
            totals::period,
            totals::unit_id,
            totals::version,
        ));
    type Row = (NaiveDateTime, String, String, i64, i64);
    let rows: Vec<Row> = on!(conn, c => query.load(c).await)?;
    let change = |(at, form, period, unit, version): Row| {
        Ok(FeedChange {
            at: at.and_utc(),
            key: read_key(&form, &period, unit)?,
            of: Changed::Total { version },
        })
    };
    rows.into_iter().map(change).collect()
}
