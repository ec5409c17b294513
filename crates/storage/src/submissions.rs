//! Queries on submissions and their revisions.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{
    Actor, Content, FormCode, Head, Period, Report, Revision, Status, SubmissionId, SubmissionKey, UnitId,
};
use uuid::Uuid;

use crate::books::{FiledReport, LockedHead};
use crate::conn::{Conn, insert_all, on};
use crate::schema::{revisions, submissions};
use crate::{StoreError, SubmissionFilter, codec};

/// Above so many units a query reads all of a form and period and picks in memory.
const MAX_NAMED_UNITS: usize = 1000;

#[derive(Queryable, Selectable, Insertable, AsChangeset, Clone)]
#[diesel(table_name = submissions)]
struct HeadRow {
    submission_id: String,
    form: String,
    period: String,
    unit_id: i64,
    revision: i32,
    status: String,
    digest: String,
    first_received_at: NaiveDateTime,
    received_at: NaiveDateTime,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = revisions)]
struct RevisionRow {
    submission_id: String,
    revision: i32,
    status: String,
    received_at: NaiveDateTime,
    figures: String,
    note: Option<String>,
    actor: String,
}

impl HeadRow {
    fn new(locked: &LockedHead) -> Self {
        let head = &locked.head;
        Self {
            submission_id: head.id.to_string(),
            form: locked.key.form.to_string(),
            period: locked.key.period.to_string(),
            unit_id: locked.key.unit.0,
            revision: head.revision,
            status: head.status.as_str().to_owned(),
            digest: head.digest.clone(),
            first_received_at: head.first_received_at.naive_utc(),
            received_at: head.received_at.naive_utc(),
        }
    }

    fn read(self) -> Result<LockedHead, StoreError> {
        Ok(LockedHead {
            key: read_key(&self.form, &self.period, self.unit_id)?,
            head: Head {
                id: read_id(&self.submission_id)?,
                revision: self.revision,
                status: read_status(&self.status)?,
                digest: self.digest,
                first_received_at: self.first_received_at.and_utc(),
                received_at: self.received_at.and_utc(),
            },
        })
    }
}

impl RevisionRow {
    fn read(self, key: SubmissionKey) -> Result<Revision, StoreError> {
        Ok(Revision {
            id: read_id(&self.submission_id)?,
            key,
            revision: self.revision,
            status: read_status(&self.status)?,
            received_at: self.received_at.and_utc(),
            content: Content {
                figures: codec::read_figures(&self.figures)?,
                note: self.note,
            },
        })
    }
}

fn read_key(form: &str, period: &str, unit: i64) -> Result<SubmissionKey, StoreError> {
    Ok(SubmissionKey {
        form: form.parse().map_err(StoreError::corrupt)?,
        period: period.parse().map_err(StoreError::corrupt)?,
        unit: UnitId(unit),
    })
}

pub(crate) fn read_id(text: &str) -> Result<SubmissionId, StoreError> {
    Uuid::parse_str(text)
        .map(SubmissionId)
        .map_err(StoreError::corrupt)
}

fn read_status(text: &str) -> Result<Status, StoreError> {
    match text {
        "accepted" => Ok(Status::Accepted),
        "withdrawn" => Ok(Status::Withdrawn),
        other => Err(StoreError::corrupt(format!("the status {other}"))),
    }
}

/// Makes sure that each submission has a row, and locks the rows in the order of their keys, which must be sorted.
/// First all inserts, then all locks: so two batches can never wait for each other.
pub(crate) async fn lock_heads(
    conn: &mut Conn,
    keys: &[SubmissionKey],
    now: DateTime<Utc>,
) -> Result<HashMap<SubmissionKey, LockedHead>, StoreError> {
    let fresh = |key: &SubmissionKey| {
        let id = SubmissionId(Uuid::now_v7());
        let status = Status::Withdrawn;
        let head = Head {
            id,
            revision: 0,
            status,
            digest: String::new(),
            first_received_at: now,
            received_at: now,
        };
        HeadRow::new(&LockedHead {
            key: key.clone(),
            head,
        })
    };
    let rows: Vec<HeadRow> = keys.iter().map(fresh).collect();
    insert_all!(
        conn,
        &rows => submissions(
            submission_id: Text, form: Text, period: Text, unit_id: BigInt, revision: Integer, status: Text, digest: Text,
            first_received_at: Timestamp, received_at: Timestamp,
        ) "ON CONFLICT DO NOTHING",
        insert => insert.on_conflict_do_nothing()
    );
    let mut locked = HashMap::new();
    for group in keys.chunk_by(|a, b| (&a.form, a.period) == (&b.form, b.period)) {
        let units: Vec<i64> = group.iter().map(|key| key.unit.0).collect();
        let query = submissions::table
            .filter(submissions::form.eq(group[0].form.as_str()))
            .filter(submissions::period.eq(group[0].period.to_string()))
            .filter(submissions::unit_id.eq_any(units))
            .order(submissions::unit_id);
        let rows: Vec<HeadRow> = match conn {
            Conn::Pg(object) => {
                query
                    .select(HeadRow::as_select())
                    .for_update()
                    .load(&mut **object)
                    .await?
            }
            Conn::Lite(object) => query.select(HeadRow::as_select()).load(&mut **object).await?,
        };
        for row in rows {
            let head = row.read()?;
            locked.insert(head.key.clone(), head);
        }
    }
    Ok(locked)
}

/// Which submissions another transaction holds now. On SQLite none: who writes there holds all of them.
pub(crate) async fn held_heads(
    conn: &mut Conn,
    keys: &[SubmissionKey],
) -> Result<BTreeSet<SubmissionKey>, StoreError> {
    let Conn::Pg(object) = conn else {
        return Ok(BTreeSet::new());
    };
    let mut held = BTreeSet::new();
    for group in keys.chunk_by(|a, b| (&a.form, a.period) == (&b.form, b.period)) {
        let units: Vec<i64> = group.iter().map(|key| key.unit.0).collect();
        let query = submissions::table
            .filter(submissions::form.eq(group[0].form.as_str()))
            .filter(submissions::period.eq(group[0].period.to_string()))
            .filter(submissions::unit_id.eq_any(units))
            .select(submissions::unit_id);
        let all: Vec<i64> = query.clone().load(&mut **object).await?;
        let free: Vec<i64> = query.for_update().skip_locked().load(&mut **object).await?;
        let others = group
            .iter()
            .filter(|key| all.contains(&key.unit.0) && !free.contains(&key.unit.0));
        held.extend(others.cloned());
    }
    Ok(held)
}

/// Writes the new state of submissions that exist.
pub(crate) async fn update_heads(conn: &mut Conn, heads: &[LockedHead]) -> Result<(), StoreError> {
    use diesel::upsert::excluded;
    let rows: Vec<HeadRow> = heads.iter().map(HeadRow::new).collect();
    insert_all!(
        conn,
        &rows => submissions(
            submission_id: Text, form: Text, period: Text, unit_id: BigInt, revision: Integer, status: Text, digest: Text,
            first_received_at: Timestamp, received_at: Timestamp,
        ) "ON CONFLICT (submission_id) DO UPDATE SET revision = excluded.revision, status = excluded.status, \
           digest = excluded.digest, first_received_at = excluded.first_received_at, received_at = excluded.received_at",
        insert => insert.on_conflict(submissions::submission_id).do_update().set((
            submissions::revision.eq(excluded(submissions::revision)),
            submissions::status.eq(excluded(submissions::status)),
            submissions::digest.eq(excluded(submissions::digest)),
            submissions::first_received_at.eq(excluded(submissions::first_received_at)),
            submissions::received_at.eq(excluded(submissions::received_at)),
        ))
    );
    Ok(())
}

/// Takes back rows that [`lock_heads`] made for submissions of which nothing was recorded after all.
pub(crate) async fn drop_empty_heads(conn: &mut Conn, ids: &[SubmissionId]) -> Result<(), StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let empty = submissions::table
        .filter(submissions::submission_id.eq_any(ids))
        .filter(submissions::revision.eq(0));
    on!(conn, c => diesel::delete(empty).execute(c).await)?;
    Ok(())
}

pub(crate) async fn insert_revisions(
    conn: &mut Conn,
    revisions: &[(Revision, Actor)],
) -> Result<(), StoreError> {
    let row = |(revision, actor): &(Revision, Actor)| {
        Ok(RevisionRow {
            submission_id: revision.id.to_string(),
            revision: revision.revision,
            status: revision.status.as_str().to_owned(),
            received_at: revision.received_at.naive_utc(),
            figures: codec::write_figures(&revision.content.figures)?,
            note: revision.content.note.clone(),
            actor: actor.to_string(),
        })
    };
    let rows = revisions
        .iter()
        .map(row)
        .collect::<Result<Vec<_>, StoreError>>()?;
    insert_all!(
        conn,
        &rows => revisions(
            submission_id: Text, revision: Integer, status: Text, received_at: Timestamp, figures: Text,
            note: Nullable<Text>, actor: Text,
        ),
        insert => insert
    );
    Ok(())
}

/// The current state of a submission.
pub(crate) async fn head(conn: &mut Conn, id: SubmissionId) -> Result<Option<LockedHead>, StoreError> {
    let query = submissions::table
        .filter(submissions::submission_id.eq(id.to_string()))
        .filter(submissions::revision.gt(0));
    let row: Option<HeadRow> = on!(conn, c => query.select(HeadRow::as_select()).first(c).await.optional())?;
    row.map(HeadRow::read).transpose()
}

pub(crate) async fn revision(
    conn: &mut Conn,
    id: SubmissionId,
    number: i32,
) -> Result<Option<Revision>, StoreError> {
    let Some(head) = head(conn, id).await? else {
        return Ok(None);
    };
    let query = revisions::table
        .filter(revisions::submission_id.eq(id.to_string()))
        .filter(revisions::revision.eq(number));
    let row: Option<RevisionRow> =
        on!(conn, c => query.select(RevisionRow::as_select()).first(c).await.optional())?;
    row.map(|row| row.read(head.key)).transpose()
}

/// The history, newest first, of revisions below `before`.
pub(crate) async fn history(
    conn: &mut Conn,
    id: SubmissionId,
    before: Option<i32>,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    let Some(head) = head(conn, id).await? else {
        return Ok(Vec::new());
    };
    let query = revisions::table
        .filter(revisions::submission_id.eq(id.to_string()))
        .filter(revisions::revision.lt(before.unwrap_or(i32::MAX)))
        .order(revisions::revision.desc())
        .limit(limit as i64);
    let rows: Vec<RevisionRow> = on!(conn, c => query.select(RevisionRow::as_select()).load(c).await)?;
    rows.into_iter().map(|row| row.read(head.key.clone())).collect()
}

/// Current revisions, newest first.
pub(crate) async fn list(
    conn: &mut Conn,
    filter: &SubmissionFilter,
    limit: usize,
) -> Result<Vec<Revision>, StoreError> {
    macro_rules! query {
        ($c:ident) => {{
            let mut query = submissions::table
                .inner_join(
                    revisions::table.on(revisions::submission_id
                        .eq(submissions::submission_id)
                        .and(revisions::revision.eq(submissions::revision))),
                )
                .order((submissions::received_at.desc(), submissions::submission_id.desc()))
                .limit(limit as i64)
                .select((HeadRow::as_select(), RevisionRow::as_select()))
                .into_boxed();
            if let Some(form) = &filter.form {
                query = query.filter(submissions::form.eq(form.as_str()));
            }
            if let Some(period) = filter.period {
                query = query.filter(submissions::period.eq(period.to_string()));
            }
            if let Some(units) = &filter.units {
                let units: Vec<i64> = units.iter().map(|unit| unit.0).collect();
                query = query.filter(submissions::unit_id.eq_any(units));
            }
            if let Some(since) = filter.updated_since {
                query = query.filter(submissions::received_at.ge(since.naive_utc()));
            }
            if let Some((time, id)) = filter.after {
                let time = time.naive_utc();
                let same_time = submissions::received_at
                    .eq(time)
                    .and(submissions::submission_id.lt(id.to_string()));
                query = query.filter(submissions::received_at.lt(time).or(same_time));
            }
            query.load::<(HeadRow, RevisionRow)>($c).await
        }};
    }
    let rows: Vec<(HeadRow, RevisionRow)> = on!(conn, c => query!(c))?;
    rows.into_iter()
        .map(|(head, row)| row.read(head.read()?.key))
        .collect()
}

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
    macro_rules! query {
        ($c:ident) => {{
            let mut query = submissions::table
                .inner_join(
                    revisions::table.on(revisions::submission_id
                        .eq(submissions::submission_id)
                        .and(revisions::revision.eq(submissions::revision))),
                )
                .filter(submissions::form.eq(form.as_str()))
                .filter(submissions::period.eq(period.to_string()))
                .filter(submissions::status.eq(Status::Accepted.as_str()))
                .select((HeadRow::as_select(), RevisionRow::as_select()))
                .into_boxed();
            if units.len() <= MAX_NAMED_UNITS {
                query = query.filter(submissions::unit_id.eq_any(units.iter().map(|unit| unit.0)));
            }
            query.load::<(HeadRow, RevisionRow)>($c).await
        }};
    }
    let rows: Vec<(HeadRow, RevisionRow)> = on!(conn, c => query!(c))?;
    let wanted: std::collections::HashSet<UnitId> = units.iter().copied().collect();
    let mut reports = HashMap::new();
    for (head, row) in rows {
        let LockedHead { key, head } = head.read()?;
        if wanted.contains(&key.unit) {
            let revision = row.read(key.clone())?;
            let report = Report {
                first_received_at: head.first_received_at,
                content: revision.content,
            };
            let filed = FiledReport {
                id: head.id,
                revision: head.revision,
                received_at: head.received_at,
                report,
            };
            reports.insert(key.unit, filed);
        }
    }
    Ok(reports)
}

/// What every submission is about.
pub(crate) async fn keys(conn: &mut Conn) -> Result<Vec<SubmissionKey>, StoreError> {
    let query = submissions::table.filter(submissions::revision.gt(0)).select((
        submissions::form,
        submissions::period,
        submissions::unit_id,
    ));
    let rows: Vec<(String, String, i64)> = on!(conn, c => query.load(c).await)?;
    rows.iter()
        .map(|(form, period, unit)| read_key(form, period, *unit))
        .collect()
}
