//! Recording: changes of many callers in one transaction, each decided on its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use tonghop_domain::{
    Announcement, AuditEntry, Catalogue, Change, Content, Decision, FormCode, Head, Period, Place,
    RecordedRevision, Revision, Scope, Status, SubmissionKey, TotalKey, UnitCode, decide,
};

use crate::error::StoreError;
use crate::model::{Idempotency, Outcome, Write};
use crate::unit_of_work::{Answer, Clock, NewRevision, RecordWrites, UnitOfWork, Used};

/// The rows of a batch in the making.
#[derive(Default)]
struct Batch {
    /// The current heads of submissions, including changes of this batch.
    heads: HashMap<SubmissionKey, Head>,
    /// Submissions that did not exist before.
    begun: BTreeSet<SubmissionKey>,
    revisions: Vec<NewRevision>,
    stale: BTreeMap<TotalKey, DateTime<Utc>>,
    recorded: BTreeMap<(FormCode, Period, UnitCode), Vec<RecordedRevision>>,
    answers: Vec<(Idempotency, Answer)>,
    released: Vec<Idempotency>,
    trail: Vec<AuditEntry>,
}

/// Decides a batch and writes it; the caller commits. No two writes of a batch share an idempotency key.
pub async fn record(
    work: &mut impl UnitOfWork,
    catalogue: &Catalogue,
    writes: &[Write],
) -> Result<Vec<Outcome>, StoreError> {
    let (outcomes, batch, at) = decide_all(work, catalogue, writes).await?;
    batch.write(work, at).await?;
    Ok(outcomes)
}

/// The outcome of a write; the caller rolls back. The database checks the revision, but nothing is written that says more of
/// it: PostgreSQL keeps what was rolled back until it is vacuumed.
pub(crate) async fn rehearse(
    work: &mut impl UnitOfWork,
    catalogue: &Catalogue,
    write: Write,
) -> Result<Outcome, StoreError> {
    let (mut outcomes, batch, at) = decide_all(work, catalogue, &[write]).await?;
    let batch = Batch {
        stale: BTreeMap::new(),
        recorded: BTreeMap::new(),
        answers: Vec::new(),
        trail: Vec::new(),
        ..batch
    };
    batch.write(work, at).await?;
    outcomes
        .pop()
        .ok_or_else(|| StoreError::corrupt("a write without an outcome"))
}

/// Decides the outcomes of writes, and what must be written, at which time.
async fn decide_all(
    work: &mut impl UnitOfWork,
    catalogue: &Catalogue,
    writes: &[Write],
) -> Result<(Vec<Outcome>, Batch, Clock), StoreError> {
    work.share_catalogue(catalogue.digest()).await?;
    let wanted: BTreeSet<&Idempotency> = writes
        .iter()
        .filter_map(|write| write.idempotency.as_ref())
        .collect();
    let used = if wanted.is_empty() {
        HashMap::new()
    } else {
        let before = work.clock().await?.now;
        work.reserve_keys(&wanted, before).await?
    };
    tracing::trace!(target: "tonghop::step", step = "keys_reserved");
    let keys: BTreeSet<&SubmissionKey> = writes
        .iter()
        .filter(|write| replay_of(write, &used).is_none())
        .map(|write| &write.key)
        .collect();
    let keys: Vec<SubmissionKey> = keys.into_iter().cloned().collect();
    let heads = work.lock_heads(&keys).await?;
    tracing::trace!(target: "tonghop::step", step = "heads_locked");
    // After the locks, so that a later revision has a later time.
    let at = work.clock().await?;
    let mut batch = Batch {
        heads,
        ..Batch::default()
    };
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let outcome = match replay_of(write, &used) {
            Some(used) => replay(work, write, used).await?,
            None => batch.decide(catalogue, write, at.now)?,
        };
        let entry = audit_entry(write, &outcome);
        batch.trail.push(match (&outcome, batch.revisions.last()) {
            (Outcome::Recorded { replayed: false, .. }, Some(new)) => entry.proving(new.proof()),
            _ => entry,
        });
        outcomes.push(outcome);
    }
    Ok((outcomes, batch, at))
}

/// The audit entry of a change.
fn audit_entry(write: &Write, outcome: &Outcome) -> AuditEntry {
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

/// The stored response of an earlier request with the same key.
async fn replay(work: &mut impl UnitOfWork, write: &Write, used: &Used) -> Result<Outcome, StoreError> {
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
    let revision = work
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
        now: DateTime<Utc>,
    ) -> Result<Outcome, StoreError> {
        let current = self.heads.get(&write.key);
        let decision = decide(current, &write.change, write.condition);
        let content = match &write.change {
            Change::Report(content) => content.clone(),
            Change::Withdraw => Arc::default(),
        };
        let (created, revision) = match decision {
            Decision::Conflict(current) => {
                self.released.extend(write.idempotency.clone());
                return Ok(Outcome::Conflict { current });
            }
            Decision::Unchanged => {
                let head = current.ok_or_else(|| StoreError::corrupt("unchanged, and never recorded"))?;
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
            Decision::Record(number) => (true, self.advance(catalogue, write, number, content, now)?),
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

    /// Makes the next revision current, and adds its mark and announcement.
    fn advance(
        &mut self,
        catalogue: &Catalogue,
        write: &Write,
        number: i32,
        content: Arc<Content>,
        now: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        let scope = scope_of(catalogue, &write.key)?;
        let place = place_of(&scope, &write.key)?;
        let content_digest = content.digest();
        let (status, digest) = match &write.change {
            Change::Report(_) => (Status::Accepted, content_digest.clone()),
            Change::Withdraw => (Status::Withdrawn, String::new()),
        };
        let current = self.heads.get(&write.key);
        let received_at = current.map_or(now, |head| now.max(head.received_at + Duration::microseconds(1)));
        let reported = current.filter(|head| head.status == Status::Accepted);
        let head = Head {
            id: current.map_or(write.new_id, |head| head.id),
            revision: number,
            status,
            digest,
            first_received_at: reported.map_or(received_at, |head| head.first_received_at),
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
        if self.heads.insert(write.key.clone(), head).is_none() {
            self.begun.insert(write.key.clone());
        }
        self.revisions
            .push(NewRevision::new(&revision, content_digest, &write.origin.actor));
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

    async fn write(mut self, work: &mut impl UnitOfWork, at: Clock) -> Result<(), StoreError> {
        let changed: BTreeSet<&SubmissionKey> = self.revisions.iter().map(|new| &new.revision.key).collect();
        let states = changed.into_iter().filter_map(|key| self.heads.remove_entry(key));
        let (first, later): (Vec<_>, Vec<_>) = states.partition(|(key, _)| self.begun.contains(key));
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
        let new = RecordWrites {
            at,
            revisions: self.revisions,
            first,
            later,
            marks: self.stale.into_iter().collect(),
            news,
            answers: self.answers,
            trail: self.trail,
        };
        work.record(&new).await?;
        tracing::trace!(target: "tonghop::step", step = "changes_written");
        work.release_keys(&self.released).await?;
        tracing::trace!(target: "tonghop::step", step = "keys_released");
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
