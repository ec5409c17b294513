//! One group commit: changes of many callers in one transaction, each decided by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Duration, Utc};
use tonghop_domain::{
    Actor, Announcement, AuditEntry, Catalogue, Change, Content, Decision, FormCode, Head, Period, Place,
    RecordedRevision, Revision, Scope, Status, SubmissionId, SubmissionKey, TotalKey, UnitCode, decide,
};

use crate::books::{Answer, Books, LockedHead, Used};
use crate::{Idempotency, Outcome, StoreError, Write};

/// What a batch writes beside the heads.
#[derive(Default)]
struct Batch {
    revisions: Vec<(Revision, Actor)>,
    stale: BTreeMap<TotalKey, DateTime<Utc>>,
    recorded: BTreeMap<(FormCode, Period, UnitCode), Vec<RecordedRevision>>,
    answers: Vec<(Idempotency, Answer)>,
    released: Vec<Idempotency>,
    trail: Vec<AuditEntry>,
}

/// Decides and writes a batch; the caller commits. No two writes of a batch have the same idempotency key.
pub async fn record(
    books: &mut impl Books,
    catalogue: &Catalogue,
    writes: &[Write],
) -> Result<Vec<Outcome>, StoreError> {
    books.share_catalogue(catalogue.digest()).await?;
    let wanted: BTreeSet<&Idempotency> = writes
        .iter()
        .filter_map(|write| write.idempotency.as_ref())
        .collect();
    let before = books.clock().await?;
    let used = if wanted.is_empty() {
        HashMap::new()
    } else {
        books.reserve_keys(&wanted, before).await?
    };
    tracing::trace!(target: "tonghop::step", step = "keys_reserved");
    let keys: BTreeSet<&SubmissionKey> = writes
        .iter()
        .filter(|write| replay_of(write, &used).is_none())
        .map(|write| &write.key)
        .collect();
    let keys: Vec<SubmissionKey> = keys.into_iter().cloned().collect();
    let mut heads = books.lock_heads(&keys, before).await?;
    tracing::trace!(target: "tonghop::step", step = "heads_locked");
    // After the locks, so that a later revision has a later time.
    let now = books.clock().await?;
    let mut batch = Batch::default();
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let outcome = match replay_of(write, &used) {
            Some(used) => replay(books, write, used).await?,
            None => {
                let locked = heads
                    .get_mut(&write.key)
                    .ok_or_else(|| StoreError::corrupt("a head is missing"))?;
                batch.decide(catalogue, write, locked, now)?
            }
        };
        batch.trail.push(noted(write, &outcome));
        outcomes.push(outcome);
    }
    batch.write(books, &heads, now).await?;
    Ok(outcomes)
}

/// What the audit trail says of a change.
fn noted(write: &Write, outcome: &Outcome) -> AuditEntry {
    let (word, revision) = match outcome {
        Outcome::Recorded {
            revision,
            replayed: false,
        } => ("recorded", Some(revision)),
        Outcome::Unchanged {
            revision,
            replayed: false,
        } => ("unchanged", Some(revision)),
        Outcome::Recorded { revision, .. } | Outcome::Unchanged { revision, .. } => {
            ("replayed", Some(revision))
        }
        Outcome::Conflict { .. } => ("revision-conflict", None),
        Outcome::KeyReused => ("idempotency-key-reused", None),
    };
    let entry = AuditEntry::new(write.origin.clone(), write.action.clone(), word).on(&write.key);
    match revision {
        Some(revision) => entry.about(format_args!("{}/{}", revision.id, revision.revision)),
        None => entry,
    }
}

fn replay_of<'a>(write: &Write, used: &'a HashMap<Idempotency, Used>) -> Option<&'a Used> {
    used.get(write.idempotency.as_ref()?)
}

/// The answer that was given to an earlier request with the same key.
async fn replay(books: &mut impl Books, write: &Write, used: &Used) -> Result<Outcome, StoreError> {
    if write
        .idempotency
        .as_ref()
        .is_some_and(|key| key.request != used.request)
    {
        return Ok(Outcome::KeyReused);
    }
    let Answer {
        created,
        id,
        revision,
    } = used.answer;
    let revision = books
        .revision(id, revision)
        .await?
        .ok_or_else(|| StoreError::corrupt(format!("revision {revision} of {id} is missing")))?;
    Ok(if created {
        Outcome::Recorded {
            revision,
            replayed: true,
        }
    } else {
        Outcome::Unchanged {
            revision,
            replayed: true,
        }
    })
}

impl Batch {
    fn decide(
        &mut self,
        catalogue: &Catalogue,
        write: &Write,
        locked: &mut LockedHead,
        now: DateTime<Utc>,
    ) -> Result<Outcome, StoreError> {
        let current = (locked.head.revision > 0).then_some(&locked.head);
        let decision = decide(current, &write.change, write.condition);
        let content = match &write.change {
            Change::Report(content) => content.clone(),
            Change::Withdraw => Content::default(),
        };
        let (created, revision) = match decision {
            Decision::Conflict(current) => {
                self.released.extend(write.idempotency.clone());
                return Ok(Outcome::Conflict { current });
            }
            Decision::Unchanged => {
                let head = &locked.head;
                let revision = Revision {
                    id: head.id,
                    key: write.key.clone(),
                    revision: head.revision,
                    status: head.status,
                    received_at: head.received_at,
                    content,
                };
                (false, revision)
            }
            Decision::Record(number) => (
                true,
                self.advance(catalogue, write, locked, number, content, now)?,
            ),
        };
        if let Some(key) = &write.idempotency {
            let answer = Answer {
                created,
                id: revision.id,
                revision: revision.revision,
            };
            self.answers.push((key.clone(), answer));
        }
        Ok(if created {
            Outcome::Recorded {
                revision,
                replayed: false,
            }
        } else {
            Outcome::Unchanged {
                revision,
                replayed: false,
            }
        })
    }

    /// Makes the next revision current, and notes what it makes stale and whom to tell.
    fn advance(
        &mut self,
        catalogue: &Catalogue,
        write: &Write,
        locked: &mut LockedHead,
        number: i32,
        content: Content,
        now: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        let scope = scope_of(catalogue, &write.key)?;
        let place = place_of(&scope, &write.key)?;
        let head = &mut locked.head;
        let received_at = if head.revision > 0 {
            now.max(head.received_at + Duration::microseconds(1))
        } else {
            now
        };
        let (status, digest) = match &write.change {
            Change::Report(content) => (Status::Accepted, content.digest()),
            Change::Withdraw => (Status::Withdrawn, String::new()),
        };
        let starts_anew = head.revision == 0 || head.status == Status::Withdrawn;
        let first_received_at = if starts_anew {
            received_at
        } else {
            head.first_received_at
        };
        *head = Head {
            id: head.id,
            revision: number,
            status,
            digest,
            first_received_at,
            received_at,
        };
        let revision = Revision {
            id: head.id,
            key: write.key.clone(),
            revision: number,
            status,
            received_at,
            content,
        };
        self.revisions
            .push((revision.clone(), write.origin.actor.clone()));
        let SubmissionKey { form, period, .. } = write.key.clone();
        let stale = TotalKey {
            form: form.clone(),
            period,
            unit: place.first_total().id(),
        };
        self.stale
            .entry(stale)
            .and_modify(|since| *since = (*since).min(received_at))
            .or_insert(received_at);
        self.recorded
            .entry((form, period, place.province().code().clone()))
            .or_default()
            .push(RecordedRevision {
                id: revision.id,
                unit: place.code().clone(),
                revision: number,
            });
        Ok(revision)
    }

    async fn write(
        self,
        books: &mut impl Books,
        heads: &HashMap<SubmissionKey, LockedHead>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let changed: BTreeSet<&SubmissionKey> =
            self.revisions.iter().map(|(revision, _)| &revision.key).collect();
        let new_heads: Vec<LockedHead> = changed
            .iter()
            .filter_map(|key| heads.get(*key).cloned())
            .collect();
        let empty: Vec<SubmissionId> = heads
            .values()
            .filter(|locked| locked.head.revision == 0)
            .map(|locked| locked.head.id)
            .collect();
        let news: Vec<Announcement> = self
            .recorded
            .into_iter()
            .map(
                |((form, period, province), submissions)| Announcement::SubmissionsRecorded {
                    form,
                    period,
                    province,
                    submissions,
                },
            )
            .collect();
        if !self.revisions.is_empty() {
            // First: a head may only say what a revision says.
            books.insert_revisions(&self.revisions).await?;
            tracing::trace!(target: "tonghop::step", step = "revisions_inserted");
            books.update_heads(&new_heads).await?;
            tracing::trace!(target: "tonghop::step", step = "heads_updated");
            books
                .insert_marks(&self.stale.into_iter().collect::<Vec<_>>())
                .await?;
            tracing::trace!(target: "tonghop::step", step = "marks_inserted");
            books.insert_announcements(&news, now).await?;
            tracing::trace!(target: "tonghop::step", step = "announcements_inserted");
        }
        books.note(&self.trail, now).await?;
        tracing::trace!(target: "tonghop::step", step = "trail_written");
        if !empty.is_empty() {
            books.drop_empty_heads(&empty).await?;
        }
        books.answer_keys(&self.answers).await?;
        books.release_keys(&self.released).await?;
        tracing::trace!(target: "tonghop::step", step = "keys_answered");
        Ok(())
    }
}

fn scope_of(catalogue: &Catalogue, key: &SubmissionKey) -> Result<Scope, StoreError> {
    catalogue.scope(key.form.as_str(), key.period).ok_or_else(|| {
        StoreError::corrupt(format!(
            "the form {} is not reported for {}",
            key.form, key.period
        ))
    })
}

fn place_of<'a>(scope: &'a Scope, key: &SubmissionKey) -> Result<Place<'a>, StoreError> {
    scope.tree.by_id(key.unit).ok_or_else(|| {
        StoreError::corrupt(format!(
            "the unit {} does not exist in {}",
            key.unit.0, key.period
        ))
    })
}
