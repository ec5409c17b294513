//! Queries on submissions and their revisions.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{Content, Head, Revision, Status, SubmissionId, SubmissionKey, UnitId};
use uuid::Uuid;

use crate::codec;
use crate::database::connection::{Conn, Lite, on};
use crate::database::schema::{revisions, submissions};
use crate::database::unnest::{KeyRow, Rows, Unnest, WithClause, columns, rows};
use crate::database::uuid::{Id, StoredId};
use crate::error::StoreError;
use crate::unit_of_work::{NewRevision, RecordWrites};

#[derive(Queryable, Selectable, Insertable, AsChangeset, Clone)]
#[diesel(table_name = submissions, primary_key(submission_id))]
pub(crate) struct HeadRow {
    submission_id: StoredId,
    form: String,
    period: String,
    unit_id: i64,
    revision: i32,
    status: Cow<'static, str>,
    digest: String,
    first_received_at: NaiveDateTime,
    received_at: NaiveDateTime,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = revisions)]
pub(crate) struct RevisionRow {
    submission_id: StoredId,
    revision: i32,
    status: Cow<'static, str>,
    received_at: NaiveDateTime,
    figures: String,
    note: Option<String>,
    actor: String,
    salt: String,
}

impl HeadRow {
    fn new((key, head): &(SubmissionKey, Head)) -> Self {
        let KeyRow {
            form,
            period,
            unit_id,
        } = KeyRow::new(&key.form, key.period, key.unit);
        Self {
            submission_id: head.id.into(),
            form,
            period,
            unit_id,
            revision: head.revision,
            status: head.status.as_str().into(),
            digest: head.digest.clone(),
            first_received_at: head.first_received_at.naive_utc(),
            received_at: head.received_at.naive_utc(),
        }
    }

    pub(crate) fn read(self) -> Result<(SubmissionKey, Head), StoreError> {
        let key = read_key(&self.form, &self.period, self.unit_id)?;
        let head = Head {
            id: self.submission_id.into(),
            revision: self.revision,
            status: read_status(&self.status)?,
            digest: self.digest,
            first_received_at: self.first_received_at.and_utc(),
            received_at: self.received_at.and_utc(),
        };
        Ok((key, head))
    }
}

impl RevisionRow {
    /// The submission and the number.
    pub(crate) fn place(&self) -> (Uuid, i32) {
        (self.submission_id.0, self.revision)
    }

    pub(crate) fn author_and_salt(&self) -> (String, String) {
        (self.actor.clone(), self.salt.clone())
    }

    pub(crate) fn read(self, key: SubmissionKey) -> Result<Revision, StoreError> {
        Ok(Revision {
            id: self.submission_id.into(),
            key,
            revision: self.revision,
            status: read_status(&self.status)?,
            received_at: self.received_at.and_utc(),
            content: Arc::new(Content {
                figures: codec::read_figures(&self.figures)?,
                note: self.note,
            }),
        })
    }
}

pub(crate) fn read_key(form: &str, period: &str, unit: i64) -> Result<SubmissionKey, StoreError> {
    Ok(SubmissionKey {
        form: form.parse().map_err(StoreError::corrupt)?,
        period: period.parse().map_err(StoreError::corrupt)?,
        unit: UnitId(unit),
    })
}

pub(crate) fn read_status(text: &str) -> Result<Status, StoreError> {
    match text {
        "accepted" => Ok(Status::Accepted),
        "withdrawn" => Ok(Status::Withdrawn),
        other => Err(StoreError::corrupt(format!("the status {other}"))),
    }
}

/// Locks the heads of the submissions that exist, in the order of their keys.
pub(crate) async fn lock_heads(
    conn: &mut Conn,
    keys: &[SubmissionKey],
) -> Result<HashMap<SubmissionKey, Head>, StoreError> {
    let rows: Vec<HeadRow> = match conn {
        Conn::Pg(object) => {
            let row = |key: &SubmissionKey| KeyRow::new(&key.form, key.period, key.unit);
            let keys: Vec<KeyRow> = keys.iter().map(row).collect();
            // Starts from the keys: a plan that was made for many of them may read all of a period.
            let query = Unnest::<_, submissions::SqlType>::new(
                "SELECT submission_id, form, period, unit_id, revision, status, digest, first_received_at, received_at FROM",
                KeyRow::columns(&keys),
                "AS keys (form, period, unit_id) JOIN submissions USING (form, period, unit_id) \
                 ORDER BY form, period, unit_id FOR UPDATE OF submissions",
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) => {
            let mut rows = Vec::new();
            for group in keys.chunk_by(|a, b| (&a.form, a.period) == (&b.form, b.period)) {
                let query = submissions::table
                    .filter(submissions::form.eq(group[0].form.as_str()))
                    .filter(submissions::period.eq(group[0].period.to_string()))
                    .filter(submissions::unit_id.eq_any(group.iter().map(|key| key.unit.0)))
                    .select(HeadRow::as_select());
                rows.extend(query.load(&mut **object).await?);
            }
            rows
        }
    };
    rows.into_iter().map(HeadRow::read).collect()
}

/// The submissions that another transaction has locked now. On SQLite none, since its writer locks the whole database.
pub(crate) async fn contended_heads(
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

rows!(HeadRow => submissions(
    submission_id: Id, form: Text, period: Text, unit_id: BigInt, revision: Integer, status: Text, digest: Text,
    first_received_at: Timestamp, received_at: Timestamp,
));
rows!(RevisionRow => revisions(
    submission_id: Id, revision: Integer, status: Text, received_at: Timestamp, figures: Text, note: Nullable<Text>,
    actor: Text, salt: Text,
));

/// The rows of new revisions and heads.
pub(crate) struct Recorded {
    revisions: Vec<RevisionRow>,
    first: Vec<HeadRow>,
    later: Vec<HeadRow>,
}

impl Recorded {
    pub(crate) fn new(new: &RecordWrites) -> Result<Self, StoreError> {
        let revision = |new: &NewRevision| {
            let NewRevision {
                revision,
                actor,
                salt,
                ..
            } = new;
            Ok(RevisionRow {
                submission_id: revision.id.into(),
                revision: revision.revision,
                status: revision.status.as_str().into(),
                received_at: revision.received_at.naive_utc(),
                figures: codec::write_figures(&revision.content.figures)?,
                note: revision.content.note.clone(),
                actor: actor.to_string(),
                salt: salt.clone(),
            })
        };
        let heads = |heads: &[(SubmissionKey, Head)]| heads.iter().map(HeadRow::new).collect();
        Ok(Self {
            revisions: new
                .revisions
                .iter()
                .map(revision)
                .collect::<Result<_, StoreError>>()?,
            first: heads(&new.first),
            later: heads(&new.later),
        })
    }

    pub(crate) fn add_to<'a>(&'a self, with: &mut WithClause<'a>) {
        with.insert(&self.revisions);
        with.insert(&self.first);
        if !self.later.is_empty() {
            with.add(Unnest::<_>::new(
                "UPDATE submissions SET revision = later.revision, status = later.status, digest = later.digest, \
                 first_received_at = later.first_received_at, received_at = later.received_at FROM",
                columns!(
                    self.later => submission_id: Id, revision: Integer, status: Text, digest: Text,
                    first_received_at: Timestamp, received_at: Timestamp,
                ),
                "AS later (submission_id, revision, status, digest, first_received_at, received_at) \
                 WHERE submissions.submission_id = later.submission_id",
            ));
        }
    }

    /// Writes the rows on SQLite.
    pub(crate) async fn insert(&self, conn: &mut Lite) -> QueryResult<()> {
        Rows::insert_each(&self.first, conn).await?;
        Rows::insert_each(&self.revisions, conn).await?;
        for head in &self.later {
            let row = submissions::table.find(head.submission_id);
            diesel::update(row).set(head).execute(conn).await?;
        }
        Ok(())
    }
}

/// Two transactions that create the same submission conflict: the later one finds its head when it is retried.
pub(crate) fn insert_error(error: diesel::result::Error) -> StoreError {
    use diesel::result::{DatabaseErrorKind, Error};
    match &error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, cause)
            if cause.table_name() == Some("submissions") =>
        {
            StoreError::Contention(cause.message().to_owned())
        }
        _ => error.into(),
    }
}

/// The head of a submission.
pub(crate) async fn head(
    conn: &mut Conn,
    id: SubmissionId,
) -> Result<Option<(SubmissionKey, Head)>, StoreError> {
    let query = submissions::table.filter(submissions::submission_id.eq(StoredId::from(id)));
    let row: Option<HeadRow> = on!(conn, c => query.select(HeadRow::as_select()).first(c).await.optional())?;
    row.map(HeadRow::read).transpose()
}

pub(crate) async fn revision(
    conn: &mut Conn,
    id: SubmissionId,
    number: i32,
) -> Result<Option<Revision>, StoreError> {
    let Some((key, _)) = head(conn, id).await? else {
        return Ok(None);
    };
    let query = revisions::table
        .filter(revisions::submission_id.eq(StoredId::from(id)))
        .filter(revisions::revision.eq(number));
    let row: Option<RevisionRow> =
        on!(conn, c => query.select(RevisionRow::as_select()).first(c).await.optional())?;
    row.map(|row| row.read(key)).transpose()
}

/// The keys of all submissions.
pub(crate) async fn keys(conn: &mut Conn) -> Result<Vec<SubmissionKey>, StoreError> {
    let query = submissions::table.select((submissions::form, submissions::period, submissions::unit_id));
    let rows: Vec<(String, String, i64)> = on!(conn, c => query.load(c).await)?;
    rows.iter()
        .map(|(form, period, unit)| read_key(form, period, *unit))
        .collect()
}
