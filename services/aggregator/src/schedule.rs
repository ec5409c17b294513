//! The schedule of totals that are due for a refresh. It is kept in memory only: the sweep finds again what is lost with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tonghop_domain::TotalKey;
use tonghop_storage::{MAX_TOGETHER, StoreError};

/// The longest pause before a failing total is refreshed again.
const MAX_TOTAL_PAUSE: Duration = Duration::from_secs(30);
/// The same when the database is the cause, since such a fault may end at any moment.
const MAX_DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// The cause of a failed refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The total itself, or one of its parts.
    Total,
    /// The database, or a session that holds the lock of the total.
    Database,
}

impl Cause {
    pub(crate) fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Contention(_) => Self::Database,
            _ => Self::Total,
        }
    }
}

/// Totals ordered by the time at which they are due. Each is contained at most once.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: BTreeMap<(Instant, TotalKey), ()>,
    times: HashMap<TotalKey, Instant>,
    failures: HashMap<TotalKey, (u32, Cause)>,
}

impl Schedule {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a total due after `wait`, unless it is due earlier already. Failing totals are due at their own time only.
    pub(crate) fn add(&self, key: TotalKey, wait: Duration) {
        let mut state = self.state();
        if !state.failures.contains_key(&key) {
            state.put(key, Instant::now() + wait);
            self.changed.notify_one();
        }
    }

    /// Makes a total due again after a failure, later each time. Returns the number of failures in a row.
    pub(crate) fn add_failing(&self, key: TotalKey, cause: Cause) -> u32 {
        let mut state = self.state();
        let count = state.failures.get(&key).map_or(0, |(count, _)| *count) + 1;
        state.failures.insert(key.clone(), (count, cause));
        let longest = match cause {
            Cause::Total => MAX_TOTAL_PAUSE,
            Cause::Database => MAX_DATABASE_PAUSE,
        };
        let wait = Duration::from_millis(100).saturating_mul(1 << count.min(10));
        state.put(key, Instant::now() + wait.min(longest));
        self.changed.notify_one();
        count
    }

    /// Ends the failures of a total. Returns whether there were any.
    pub(crate) fn clear_failures(&self, key: &TotalKey) -> bool {
        self.state().failures.remove(key).is_some()
    }

    /// Whether the last refresh of a total failed because of the database or a lock. Such a total is due again soon.
    pub(crate) fn waits_for_the_database(&self, key: &TotalKey) -> bool {
        let state = self.state();
        matches!(state.failures.get(key), Some((_, Cause::Database)))
    }

    /// Whether the last refresh of a total failed. Totals refreshed together with it would fail, too.
    pub(crate) fn is_failing(&self, key: &TotalKey) -> bool {
        self.state().failures.contains_key(key)
    }

    /// Waits until a total is due, and removes and returns it together with other due totals of the same form and period. A
    /// failing total is returned alone. The totals are sorted.
    pub(crate) async fn next(&self) -> Vec<TotalKey> {
        loop {
            let changed = self.changed.notified();
            let first = self.state().due.first_key_value().map(|((time, _), ())| *time);
            match first {
                Some(time) if time <= Instant::now() => {
                    let taken = self.state().take_together();
                    if !taken.is_empty() {
                        return taken;
                    }
                }
                Some(time) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(time) => {}
                        () = changed => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}

impl State {
    fn put(&mut self, key: TotalKey, time: Instant) {
        match self.times.get(&key) {
            Some(earlier) if *earlier <= time => return,
            Some(later) => {
                let later = *later;
                self.due.remove(&(later, key.clone()));
            }
            None => {}
        }
        self.times.insert(key.clone(), time);
        self.due.insert((time, key), ());
    }

    fn take_together(&mut self) -> Vec<TotalKey> {
        let now = Instant::now();
        let mut taken: Vec<TotalKey> = Vec::new();
        for (_, key) in self.due.keys().take_while(|(time, _)| *time <= now) {
            let is_alone = |key: &TotalKey| self.failures.contains_key(key);
            let fits = match taken.first() {
                None => true,
                Some(first) if is_alone(first) || is_alone(key) => false,
                Some(first) => (&first.form, first.period) == (&key.form, key.period),
            };
            if fits && taken.len() < MAX_TOGETHER {
                taken.push(key.clone());
            }
        }
        for key in &taken {
            if let Some(time) = self.times.remove(key) {
                self.due.remove(&(time, key.clone()));
            }
        }
        taken.sort();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(unit: i64) -> TotalKey {
        TotalKey {
            form: "ngay-30-7".parse().unwrap(),
            period: "2021-07".parse().unwrap(),
            unit: tonghop_domain::UnitId(unit),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_total_is_returned_once_when_it_is_due() {
        let schedule = Schedule::default();
        schedule.add(key(1), Duration::from_millis(500));
        schedule.add(key(2), Duration::from_millis(50));
        schedule.add(key(1), Duration::from_millis(10));
        schedule.add(key(1), Duration::from_millis(900));
        let start = Instant::now();
        assert_eq!(schedule.next().await, [key(1)]);
        assert_eq!(schedule.next().await, [key(2)]);
        assert!(start.elapsed() >= Duration::from_millis(50));
        let nothing = tokio::time::timeout(Duration::from_secs(5), schedule.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn due_totals_are_returned_by_form_and_period_up_to_a_maximum() {
        let schedule = Schedule::default();
        let other = |unit| TotalKey {
            period: "2022-07".parse().unwrap(),
            ..key(unit)
        };
        let most = MAX_TOGETHER as i64;
        for unit in (0..most + 3).rev() {
            schedule.add(key(unit), Duration::ZERO);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        schedule.add(other(1), Duration::ZERO);
        schedule.add(key(1000), Duration::from_secs(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        let first: Vec<TotalKey> = schedule.next().await;
        assert_eq!(first.len(), MAX_TOGETHER);
        assert!(first.is_sorted());
        let second = schedule.next().await;
        let third = schedule.next().await;
        let mut rest = [second, third];
        rest.sort_by_key(Vec::len);
        assert_eq!(rest[0], [other(1)]);
        let mut all: Vec<TotalKey> = first.into_iter().chain(rest[1].clone()).collect();
        all.sort();
        assert_eq!(all, (0..most + 3).map(key).collect::<Vec<_>>());
        assert_eq!(schedule.next().await, [key(1000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_total_is_returned_alone() {
        let schedule = Schedule::default();
        schedule.add_failing(key(2), Cause::Total);
        tokio::time::advance(Duration::from_secs(1)).await;
        for unit in [1, 3] {
            schedule.add(key(unit), Duration::ZERO);
        }
        assert!(schedule.is_failing(&key(2)) && !schedule.is_failing(&key(1)));
        assert_eq!(schedule.next().await, [key(2)]);
        assert_eq!(schedule.next().await, [key(1), key(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_total_waits_ever_longer_and_delays_no_other() {
        let schedule = Schedule::default();
        for _ in 0..5 {
            schedule.add_failing(key(1), Cause::Total);
            assert_eq!(schedule.next().await, [key(1)]);
        }
        schedule.add_failing(key(1), Cause::Total);
        schedule.add(key(1), Duration::ZERO);
        schedule.add(key(2), Duration::ZERO);
        let start = Instant::now();
        assert_eq!(schedule.next().await, [key(2)]);
        assert_eq!(schedule.next().await, [key(1)]);
        assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
        schedule.clear_failures(&key(1));
        schedule.add(key(1), Duration::ZERO);
        assert_eq!(schedule.next().await, [key(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_that_waits_for_the_database_is_retried_every_second() {
        let schedule = Schedule::default();
        for _ in 0..20 {
            schedule.add_failing(key(1), Cause::Database);
            assert!(schedule.waits_for_the_database(&key(1)));
            let start = Instant::now();
            assert_eq!(schedule.next().await, [key(1)]);
            assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
        }
        assert!(schedule.clear_failures(&key(1)));
        assert!(!schedule.clear_failures(&key(1)));
    }
}
