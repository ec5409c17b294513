//! The statements of the simulated database.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Form, FormCode, Head, Period, Report, Revision, Status, SubmissionId, SubmissionKey, TotalKey, UnitId,
};
use tonghop_storage::{
    Clock, FiledReport, Idempotency, MarksRead, RecordWrites, RefreshWrites, StoreError, StoredTotal,
    UnitOfWork, Used,
};

use crate::database::{Lock, Transaction};

impl UnitOfWork for Transaction {
    async fn share_catalogue(&mut self, _digest: &str) -> Result<(), StoreError> {
        self.step().await
    }

    async fn clock(&mut self) -> Result<Clock, StoreError> {
        self.step().await?;
        let now = self.database.world().now();
        Ok(Clock { now, trail: now })
    }

    async fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        _now: DateTime<Utc>,
    ) -> Result<HashMap<Idempotency, Used>, StoreError> {
        self.step().await?;
        for key in keys {
            let name = (key.caller.clone(), key.key.clone());
            // An existing key is only read; inserting a new one waits for another transaction's insert.
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

    async fn release_keys(&mut self, _keys: &[Idempotency]) -> Result<(), StoreError> {
        self.step().await
    }

    async fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> Result<HashMap<SubmissionKey, Head>, StoreError> {
        self.step().await?;
        // A statement that waits for a lock finds the row as its holder left it, and does not find rows created after
        // it began.
        let there: Vec<&SubmissionKey> = {
            let world = self.database.world();
            keys.iter()
                .filter(|key| world.state.heads.contains_key(*key))
                .collect()
        };
        for key in &there {
            self.lock(Lock::Head((*key).clone())).await?;
        }
        let world = self.database.world();
        let head = |key: &SubmissionKey| Some((key.clone(), world.state.heads.get(key)?.clone()));
        Ok(there.into_iter().filter_map(head).collect())
    }

    async fn contended_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> Result<BTreeSet<SubmissionKey>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let is_contended = |key: &&SubmissionKey| {
            let lock = Lock::Head((*key).clone());
            world.state.heads.contains_key(*key) && world.holder(&lock).is_some()
        };
        Ok(keys.iter().filter(is_contended).cloned().collect())
    }

    async fn record(&mut self, new: &RecordWrites) -> Result<(), StoreError> {
        self.step().await?;
        for (key, _) in &new.first {
            self.lock(Lock::Head(key.clone())).await?;
            if self.database.world().state.heads.contains_key(key) {
                return Err(StoreError::Contention(
                    "the simulated row is there already".into(),
                ));
            }
        }
        let writes = &mut self.writes;
        writes.heads.extend(new.first.iter().chain(&new.later).cloned());
        writes
            .revisions
            .extend(new.revisions.iter().map(|new| new.revision.clone()));
        writes.new_marks.extend_from_slice(&new.marks);
        writes.news.extend_from_slice(&new.news);
        writes.trail.extend_from_slice(&new.trail);
        for (key, answer) in &new.answers {
            let used = Used {
                request: key.request.clone(),
                answer: *answer,
            };
            writes.keys.insert((key.caller.clone(), key.key.clone()), used);
        }
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
                .as_ref()
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

    async fn marks_of(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, MarksRead>, StoreError> {
        self.step().await?;
        let world = self.database.world();
        let mut read: HashMap<UnitId, MarksRead> = HashMap::new();
        for (id, (key, since)) in &world.state.marks {
            if (&key.form, key.period) == (form, period) && units.contains(&key.unit) {
                let of_total = read.entry(key.unit).or_insert_with(|| MarksRead {
                    ids: Vec::new(),
                    since: *since,
                });
                of_total.ids.push(*id);
                of_total.since = of_total.since.min(*since);
            }
        }
        Ok(read)
    }

    async fn lock_totals(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, i64>, StoreError> {
        self.step().await?;
        let key = |unit: &UnitId| TotalKey {
            form: form.clone(),
            period,
            unit: *unit,
        };
        // First the new rows, which their creator locks, then the existing ones.
        for of_new in [true, false] {
            for key in units.iter().map(key) {
                if self.database.world().state.totals.contains_key(&key) != of_new {
                    self.lock(Lock::Total(key)).await?;
                }
            }
        }
        let world = self.database.world();
        let version = |unit: &UnitId| {
            let stored = world.state.totals.get(&key(unit));
            (*unit, stored.map_or(0, |stored| stored.version))
        };
        Ok(units.iter().map(version).collect())
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

    async fn refresh(&mut self, _form: &Form, new: &RefreshWrites) -> Result<(), StoreError> {
        self.announce();
        self.step().await?;
        let refreshed_at = self.database.world().now();
        self.step().await?;
        for (key, total, version) in &new.totals {
            let stored = StoredTotal {
                total: total.clone(),
                version: *version,
                refreshed_at,
            };
            self.writes.totals.insert(key.clone(), stored);
        }
        self.writes.deleted_marks.extend(&new.read);
        self.writes.new_marks.extend_from_slice(&new.marks);
        self.writes.news.extend_from_slice(&new.news);
        Ok(())
    }
}
