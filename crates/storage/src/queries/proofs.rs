//! Queries for comparing revisions with the proofs in the audit trail, and for repairing heads that lag behind.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::{Head, Revision, Status, SubmissionId, SubmissionKey, revision_proof};
use uuid::Uuid;

use crate::audit::contents::{Comparison, Proved, State, StoredHead, StoredRevision};
use crate::database::connection::{Conn, on};
use crate::database::schema::{revisions, submissions};
use crate::database::uuid::StoredId;
use crate::error::StoreError;
use crate::queries::submissions::{self as heads, HeadRow, RevisionRow};

/// The number of revisions per query.
const PAGE: i64 = 10_000;

/// Revisions with the heads of their submissions, in their order, after a given one; at most 10,000.
pub(crate) async fn revisions_after(
    conn: &mut Conn,
    after: Option<(Uuid, i32)>,
) -> Result<Vec<StoredRevision>, StoreError> {
    let (id, revision) = after.unwrap_or((Uuid::nil(), 0));
    let query = revisions::table
        .left_join(submissions::table.on(submissions::submission_id.eq(revisions::submission_id)))
        .filter(
            revisions::submission_id
                .gt(StoredId(id))
                .or(revisions::submission_id
                    .eq(StoredId(id))
                    .and(revisions::revision.gt(revision))),
        )
        .order((revisions::submission_id, revisions::revision))
        .limit(PAGE)
        .select((
            (
                revisions::submission_id,
                revisions::revision,
                revisions::status,
                revisions::received_at,
            ),
            (
                submissions::revision,
                submissions::status,
                submissions::received_at,
                submissions::first_received_at,
            )
                .nullable(),
        ));
    let rows: Vec<(RevisionColumns, Option<HeadColumns>)> = on!(conn, c => query.load(c).await)?;
    let stored = |((id, revision, status, received_at), head): (RevisionColumns, Option<HeadColumns>)| {
        StoredRevision {
            id: id.0,
            revision,
            state: State { status, received_at },
            head: head.map(|(revision, status, received_at, first_received_at)| StoredHead {
                revision,
                state: State { status, received_at },
                first_received_at,
            }),
        }
    };
    Ok(rows.into_iter().map(stored).collect())
}

/// The id, number, status and time of a revision.
type RevisionColumns = (StoredId, i32, String, NaiveDateTime);
/// The revision, status, time, and time of the first report of a head.
type HeadColumns = (i32, String, NaiveDateTime, NaiveDateTime);

/// Submissions after a given one, with their current revisions, and whether each has any revision; at most 10,000.
pub(crate) async fn submissions_after(
    conn: &mut Conn,
    after: Option<Uuid>,
) -> Result<Vec<(Uuid, i32, bool)>, StoreError> {
    let of_submission = revisions::table.filter(revisions::submission_id.eq(submissions::submission_id));
    let query = submissions::table
        .filter(submissions::submission_id.gt(StoredId(after.unwrap_or_default())))
        .order(submissions::submission_id)
        .limit(PAGE)
        .select((
            submissions::submission_id,
            submissions::revision,
            diesel::dsl::exists(of_submission),
        ));
    let rows: Vec<(StoredId, i32, bool)> = on!(conn, c => query.load(c).await)?;
    Ok(rows
        .into_iter()
        .map(|(id, revision, has_any)| (id.0, revision, has_any))
        .collect())
}

/// What the revisions that entries prove contain, as far as they are stored.
pub(crate) async fn comparisons(
    conn: &mut Conn,
    proved: &[Proved],
) -> Result<HashMap<(Uuid, i32), Comparison>, StoreError> {
    let mut by_number: BTreeMap<i32, Vec<StoredId>> = BTreeMap::new();
    for one in proved {
        by_number.entry(one.revision).or_default().push(StoredId(one.id));
    }
    let mut found = HashMap::new();
    for (number, ids) in by_number {
        let query = revisions::table
            .left_join(submissions::table.on(submissions::submission_id.eq(revisions::submission_id)))
            .filter(revisions::submission_id.eq_any(ids))
            .filter(revisions::revision.eq(number));
        let rows: Vec<(RevisionRow, Option<HeadRow>)> = on!(conn, c => {
            query
                .select((RevisionRow::as_select(), Option::<HeadRow>::as_select()))
                .load(c)
                .await
        })?;
        found.extend(
            rows.into_iter()
                .map(|(row, head)| (row.place(), comparison(row, head))),
        );
    }
    Ok(found)
}

/// What a revision contains; its proof is empty if it or its submission cannot be read.
fn comparison(row: RevisionRow, head: Option<HeadRow>) -> Comparison {
    let (actor, salt) = row.author_and_salt();
    let head = head.and_then(|head| head.read().ok());
    let read = head.and_then(|(key, head)| Some((row.read(key).ok()?, head)));
    let Some((revision, head)) = read else {
        return Comparison {
            proof: String::new(),
            has_other_digest: false,
        };
    };
    let is_current = head.revision == revision.revision;
    let content_digest = revision.content.digest();
    Comparison {
        proof: revision_proof(&revision, &content_digest, &actor, &salt),
        has_other_digest: is_current && head.digest != digest_of_head(&revision, content_digest),
    }
}

/// The digest of a head whose current revision this is.
fn digest_of_head(revision: &Revision, content_digest: String) -> String {
    match revision.status {
        Status::Accepted => content_digest,
        Status::Withdrawn => String::new(),
    }
}

/// A submission that does not show its last revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaggingHead {
    /// The submission.
    pub id: SubmissionId,
    /// The revision that it shows. If it is the last one, its status or one of its times differs.
    pub current: i32,
    /// Its last revision.
    pub last: i32,
}

impl LaggingHead {
    /// The submission of these revisions, if it does not show the last one.
    pub(crate) fn of(revisions: &[StoredRevision]) -> Option<Self> {
        let last = revisions.last()?;
        let (wanted, head) = (StoredHead::after(revisions)?, last.head.as_ref()?);
        (*head != wanted).then_some(Self {
            id: SubmissionId(last.id),
            current: head.revision,
            last: wanted.revision,
        })
    }
}

/// Lets a submission show its last revision again.
pub(crate) async fn repair_head(conn: &mut Conn, id: SubmissionId) -> Result<(), StoreError> {
    let head = submissions::table.find(StoredId::from(id));
    let row: Option<HeadRow> = on!(conn, c => head.select(HeadRow::as_select()).first(c).await.optional())?;
    let Some((key, _)) = row.map(HeadRow::read).transpose()? else {
        return Ok(());
    };
    // Until the repair is committed, nobody else advances it.
    heads::lock_heads(conn, std::slice::from_ref(&key)).await?;
    let query = revisions::table
        .filter(revisions::submission_id.eq(StoredId::from(id)))
        .order(revisions::revision);
    let rows: Vec<RevisionRow> = on!(conn, c => query.select(RevisionRow::as_select()).load(c).await)?;
    let Some(head) = head_after(rows, &key)? else {
        return Ok(());
    };
    let update = diesel::update(submissions::table.find(StoredId::from(id))).set((
        submissions::revision.eq(head.revision),
        submissions::status.eq(head.status.as_str()),
        submissions::digest.eq(&head.digest),
        submissions::first_received_at.eq(head.first_received_at.naive_utc()),
        submissions::received_at.eq(head.received_at.naive_utc()),
    ));
    on!(conn, c => update.execute(c).await)?;
    Ok(())
}

/// The head of a submission after all its revisions.
fn head_after(rows: Vec<RevisionRow>, key: &SubmissionKey) -> Result<Option<Head>, StoreError> {
    let mut head: Option<Head> = None;
    for row in rows {
        let revision = row.read(key.clone())?;
        let reported = head.filter(|head| head.status == Status::Accepted);
        head = Some(Head {
            id: revision.id,
            revision: revision.revision,
            status: revision.status,
            digest: digest_of_head(&revision, revision.content.digest()),
            first_received_at: reported.map_or(revision.received_at, |head| head.first_received_at),
            received_at: revision.received_at,
        });
    }
    Ok(head)
}
