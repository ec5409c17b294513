//! The statements of the simulated database.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Actor, Announcement, AuditEntry, Form, FormCode, Head, Period, Report, Revision, Status, SubmissionId,
    SubmissionKey, TotalKey, UnitId,
};
use tonghop_storage::{
    Answer, Books, FiledReport, Idempotency, LockedHead, MarksRead, StoreError, StoredTotal, Used,
};
use uuid::Uuid;

use crate::database::{Lock, Transaction};

impl Books for Transaction {
    async fn share_catalogue(&mut self, _digest: &str) -> Result<(), StoreError> {
        self.step().await
    }

    async fn clock(&mut self) -> Result<DateTime<Utc>, StoreError> {
        self.step().await?;
        Ok(self.database.world().now())
    }

    async fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        _now: DateTime<Utc>,
    ) -> Result<HashMap<Idempotency, Used>, StoreError> {
        self.step().await?;
        for key in keys {
            let name = (key.caller.clone(), key.key.clone());
            // A key that is there already is only read; an insert of one that is not waits for another's insert.
            let exists = self.database.world().state.keys.contains_key(&name);
            if !exists {
                self.lock(Lock::Key(name.0, name.1)).await?;
            }
        }
        let world = self.database.world();
        let used = |key: &&&Idempotency| {
            world
                .state
                .keys
                .get(&(key.caller.clone(), key.key.clone()))
                .cloned()
        };
        Ok(keys
            .iter()
            .filter_map(|key| Some(((*key).clone(), used(&key)?)))
            .collect())
    }

    async fn answer_keys(&mut self, answers: &[(Idempotency, Answer)]) -> Result<(), StoreError> {
        self.step().await?;
        for (key, answer) in answers {
            let used = Used {
                request: key.request.clone(),
                answer: *answer,
            };
            self.writes
                .keys
                .insert((key.caller.clone(), key.key.clone()), used);
        }
        Ok(())
    }

    async fn release_keys(&mut self, _keys: &[Idempotency]) -> Result<(), StoreError> {
        self.step().await
    }

    async fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
        now: DateTime<Utc>,
    ) -> Result<HashMap<SubmissionKey, LockedHead>, StoreError> {
        self.step().await?;
        for key in keys {
            let exists = self.database.world().state.heads.contains_key(key);
            if !exists {
                self.lock(Lock::Head(key.clone())).await?;
            }
        }
        self.step().await?;
        for key in keys {
            self.lock(Lock::Head(key.clone())).await?;
        }
        let mut world = self.database.world();
        let mut locked = HashMap::new();
        for key in keys {
            let head = world.state.heads.get(key).cloned().unwrap_or_else(|| {
                let id = SubmissionId(Uuid::from_u128(u128::from(world.random.u64(..)) << 64 | 1));
                let (status, digest) = (Status::Withdrawn, String::new());
                Head {
                    id,
                    revision: 0,
                    status,
                    digest,
                    first_received_at: now,
                    received_at: now,
                }
            });
            self.writes.heads.insert(key.clone(), head.clone());
            locked.insert(
                key.clone(),
                LockedHead {
                    key: key.clone(),
                    head,
                },
            );
        }
        Ok(locked)
    }

    async fn held_heads(&mut self, keys: &[SubmissionKey]) -> Result<BTreeSet<SubmissionKey>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let is_held = |key: &&SubmissionKey| {
            let lock = Lock::Head((*key).clone());
            world.state.heads.contains_key(*key) && world.holder(&lock).is_some()
        };
        Ok(keys.iter().filter(is_held).cloned().collect())
    }

    async fn update_heads(&mut self, heads: &[LockedHead]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.heads.extend(
            heads
                .iter()
                .map(|locked| (locked.key.clone(), locked.head.clone())),
        );
        Ok(())
    }

    async fn drop_empty_heads(&mut self, ids: &[SubmissionId]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.dropped_heads.extend(ids.iter().map(|id| id.0));
        Ok(())
    }

    async fn insert_revisions(&mut self, revisions: &[(Revision, Actor)]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes
            .revisions
            .extend(revisions.iter().map(|(revision, _)| revision.clone()));
        Ok(())
    }

    async fn revision(&mut self, id: SubmissionId, number: i32) -> Result<Option<Revision>, StoreError> {
        self.step().await?;
        Ok(self
            .database
            .world()
            .state
            .revisions
            .get(&(id.0, number))
            .cloned())
    }

    async fn reports(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, FiledReport>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let filed = |unit: &UnitId| {
            let key = SubmissionKey {
                form: form.clone(),
                period,
                unit: *unit,
            };
            let head = world
                .state
                .heads
                .get(&key)
                .filter(|head| head.status == Status::Accepted)?;
            let content = world
                .state
                .revisions
                .get(&(head.id.0, head.revision))?
                .content
                .clone();
            let report = Report {
                first_received_at: head.first_received_at,
                content,
            };
            let (id, revision, received_at) = (head.id, head.revision, head.received_at);
            Some((
                *unit,
                FiledReport {
                    id,
                    revision,
                    received_at,
                    report,
                },
            ))
        };
        Ok(units.iter().filter_map(filed).collect())
    }

    async fn insert_marks(&mut self, marks: &[(TotalKey, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.new_marks.extend_from_slice(marks);
        Ok(())
    }

    async fn marks_of(&mut self, key: &TotalKey) -> Result<Option<MarksRead>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let of_total = world.state.marks.iter().filter(|(_, (total, _))| total == key);
        let (ids, times): (Vec<i64>, Vec<DateTime<Utc>>) =
            of_total.map(|(id, (_, since))| (*id, *since)).unzip();
        Ok(times.into_iter().min().map(|since| MarksRead { ids, since }))
    }

    async fn delete_marks(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.deleted_marks.extend(ids);
        Ok(())
    }

    async fn lock_total(&mut self, key: &TotalKey, _now: DateTime<Utc>) -> Result<i64, StoreError> {
        self.step().await?;
        self.lock(Lock::Total(key.clone())).await?;
        Ok(self
            .database
            .world()
            .state
            .totals
            .get(key)
            .map_or(0, |stored| stored.version))
    }

    async fn totals(
        &mut self,
        form: &Form,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, StoredTotal>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let stored = |unit: &UnitId| {
            let key = TotalKey {
                form: form.code.clone(),
                period,
                unit: *unit,
            };
            Some((*unit, world.state.totals.get(&key)?.clone()))
        };
        Ok(units.iter().filter_map(stored).collect())
    }

    async fn update_total(
        &mut self,
        key: &TotalKey,
        _form: &Form,
        new: &StoredTotal,
    ) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.totals.insert(key.clone(), new.clone());
        Ok(())
    }

    async fn note(&mut self, entries: &[AuditEntry], _now: DateTime<Utc>) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.trail.extend_from_slice(entries);
        Ok(())
    }

    async fn insert_announcements(
        &mut self,
        news: &[Announcement],
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.step().await?;
        self.writes.news.extend_from_slice(news);
        Ok(())
    }
}
