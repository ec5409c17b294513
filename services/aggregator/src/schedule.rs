//! Which totals are due for a refresh, and when. In memory: what is lost with it, the sweep finds again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tonghop_domain::TotalKey;

/// The longest a total that keeps failing waits for its next try.
const MAX_BACK_OFF: Duration = Duration::from_secs(30);
/// The same when the fault is not the total's own: it may be over at any moment.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Totals by the time at which they are due. Each stands in it once.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: BTreeMap<(Instant, TotalKey), ()>,
    times: HashMap<TotalKey, Instant>,
    failures: HashMap<TotalKey, u32>,
}

impl Schedule {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a total due after `wait`, or earlier if it is due earlier already. One that keeps failing is left alone
    /// until its own time.
    pub(crate) fn add(&self, key: TotalKey, wait: Duration) {
        let mut state = self.state();
        if !state.failures.contains_key(&key) {
            state.put(key, Instant::now() + wait);
            self.changed.notify_one();
        }
    }

    /// Makes a total that failed due again, each time later than the last; one that failed for want of a database, or
    /// that another worker held, within a second.
    pub(crate) fn failed(&self, key: TotalKey, may_pass: bool) -> u32 {
        let mut state = self.state();
        let failures = state.failures.entry(key.clone()).or_insert(0);
        *failures += 1;
        let count = *failures;
        let wait = Duration::from_millis(100)
            .saturating_mul(1 << count.min(10))
            .min(if may_pass { MAX_PAUSE } else { MAX_BACK_OFF });
        state.put(key, Instant::now() + wait);
        self.changed.notify_one();
        count
    }

    pub(crate) fn succeeded(&self, key: &TotalKey) {
        self.state().failures.remove(key);
    }

    /// Waits for the next total to be due and takes it out.
    pub(crate) async fn next(&self) -> TotalKey {
        loop {
            let changed = self.changed.notified();
            let first = self.state().due.first_key_value().map(|((time, _), ())| *time);
            match first {
                Some(time) if time <= Instant::now() => {
                    if let Some(key) = self.state().take_first() {
                        return key;
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

    fn take_first(&mut self) -> Option<TotalKey> {
        let ((_, key), ()) = self.due.pop_first()?;
        self.times.remove(&key);
        Some(key)
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
    async fn totals_come_when_they_are_due_and_each_once() {
        let schedule = Schedule::default();
        schedule.add(key(1), Duration::from_millis(500));
        schedule.add(key(2), Duration::from_millis(50));
        schedule.add(key(1), Duration::from_millis(10));
        schedule.add(key(1), Duration::from_millis(900));
        let start = Instant::now();
        assert_eq!(schedule.next().await, key(1));
        assert_eq!(schedule.next().await, key(2));
        assert!(start.elapsed() >= Duration::from_millis(50));
        let nothing = tokio::time::timeout(Duration::from_secs(5), schedule.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_that_keeps_failing_waits_longer_and_holds_up_no_other() {
        let schedule = Schedule::default();
        for _ in 0..5 {
            schedule.failed(key(1), false);
            assert_eq!(schedule.next().await, key(1));
        }
        schedule.failed(key(1), false);
        schedule.add(key(1), Duration::ZERO);
        schedule.add(key(2), Duration::ZERO);
        let start = Instant::now();
        assert_eq!(schedule.next().await, key(2));
        assert_eq!(schedule.next().await, key(1));
        assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
        schedule.succeeded(&key(1));
        schedule.add(key(1), Duration::ZERO);
        assert_eq!(schedule.next().await, key(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_total_that_lacked_a_database_for_long_is_due_within_a_second() {
        let schedule = Schedule::default();
        for _ in 0..20 {
            schedule.failed(key(1), true);
            let start = Instant::now();
            assert_eq!(schedule.next().await, key(1));
            assert!(
                start.elapsed() <= Duration::from_millis(1100),
                "{:?}",
                start.elapsed()
            );
        }
    }
}
