//! Concurrent writers, refreshers and readers: a total is never older than its `as_of`, and all totals are right in the
//! end.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tonghop_domain::{
    Change, Content, Figure, Outbox as _, Precondition, Reported, SubmissionId, SubmissionKey, TotalKey,
};
use tonghop_storage::{Store, StoreError, Write};

use crate::support::figures::flow;
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    a_total_includes_everything_recorded_before_its_as_of,
    concurrent_reports_and_refreshes_end_with_exact_totals,
    concurrent_reports_withdrawals_and_refreshes_end_exact,
);

/// The reports of one unit, each one higher than the one before.
#[derive(Default)]
struct Ledger {
    sent: AtomicI64,
    acknowledged: Mutex<Vec<(DateTime<Utc>, i64)>>,
}

impl Ledger {
    fn acknowledge(&self, recorded: DateTime<Utc>, value: i64) {
        self.acknowledged.lock().unwrap().push((recorded, value));
    }

    /// The highest acknowledged number that was recorded before `time`.
    fn least(known: &[(DateTime<Utc>, i64)], time: DateTime<Utc>) -> i64 {
        let before = known.iter().filter(|(recorded, _)| *recorded < time);
        before.map(|(_, value)| *value).max().unwrap_or(0)
    }
}

const WRITERS: [&str; 5] = ["01-A-1", "01-A-2", "01-B-1", "01-X", "02-A"];

struct Arena {
    store: TestStore,
    ledgers: [Ledger; 5],
    /// During a calm nobody writes, so that totals come to rest.
    is_calm: AtomicBool,
    is_over: AtomicBool,
    /// How often each reader saw its total at rest.
    rests: [AtomicI64; 3],
}

impl Arena {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    async fn write(&self, process: &Store, unit: usize) {
        let ledger = &self.ledgers[unit];
        while self.goes_on() {
            let value = ledger.sent.fetch_add(1, Ordering::SeqCst) + 1;
            let write = self.store.write(WRITERS[unit], [flow(value)]);
            let revision = recorded(process.record(write).await.unwrap());
            assert_eq!(i64::from(revision.revision), value);
            ledger.acknowledge(revision.received_at, value);
            while self.is_calm.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    async fn refresh(&self, process: &Store) {
        while self.goes_on() {
            refresh_stale(process).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Reads one total repeatedly.
    async fn read(&self, process: &Store, reader: usize, unit: &str, parts: &[usize]) {
        let (scope, unit) = (self.store.scope(PERIOD), unit.parse().unwrap());
        while self.goes_on() {
            let known: Vec<Vec<_>> = parts
                .iter()
                .map(|part| self.ledgers[*part].acknowledged.lock().unwrap().clone())
                .collect();
            let read = process.total(&scope, &unit).await.unwrap();
            let as_of = read.freshness.as_of;
            let least: i64 = known.iter().map(|known| Ledger::least(known, as_of)).sum();
            let most: i64 = parts
                .iter()
                .map(|part| self.ledgers[*part].sent.load(Ordering::SeqCst))
                .sum();
            let value = read.total.rows[0].value.unwrap_or(0);
            assert!(
                (least..=most).contains(&value),
                "{unit}: {least} {value} {most}, {:?}",
                read.freshness
            );
            let is_at_rest = read.freshness.pending == 0;
            self.rests[reader].fetch_add(i64::from(is_at_rest), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Alternates storms and calms. A calm ends when each reader has seen its total at rest.
    async fn conduct(&self) {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            self.is_calm.store(true, Ordering::SeqCst);
            let start = Instant::now();
            for rests in &self.rests {
                rests.store(0, Ordering::SeqCst);
            }
            while self.rests.iter().any(|rests| rests.load(Ordering::SeqCst) == 0) {
                assert!(start.elapsed() < Duration::from_secs(20), "no rest in the calm");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            self.is_calm.store(false, Ordering::SeqCst);
        }
        self.is_over.store(true, Ordering::SeqCst);
    }
}

async fn refresh_stale(process: &Store) {
    let soon = process.now().await.unwrap() + chrono::Duration::seconds(1);
    let mut keys = process.stale(soon, 100).await.unwrap();
    keys.sort();
    for refreshed in process.refresh_all(&keys).await {
        match refreshed {
            Ok(_) | Err(StoreError::Contention(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_total_includes_everything_recorded_before_its_as_of(store: TestStore) {
    let processes = store.processes().await;
    let [first, second] = &processes;
    let arena = Arena {
        store,
        ledgers: Default::default(),
        is_calm: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        rests: Default::default(),
    };
    let writers = async {
        let write = |unit| arena.write(&processes[unit % 2], unit);
        tokio::join!(write(0), write(1), write(2), write(3), write(4));
    };
    let refreshers =
        async { tokio::join!(arena.refresh(first), arena.refresh(second), arena.refresh(second)) };
    let readers = async {
        tokio::join!(
            arena.read(first, 0, "VN", &[0, 1, 2, 3, 4]),
            arena.read(second, 1, "01", &[0, 1, 2, 3]),
            arena.read(first, 2, "01-A", &[0, 1])
        )
    };
    tokio::join!(writers, refreshers, readers, arena.conduct());

    let store = arena.store;
    store.drain().await;
    let sum: i64 = arena
        .ledgers
        .iter()
        .map(|ledger| ledger.sent.load(Ordering::SeqCst))
        .sum();
    assert_eq!(store.value("VN").await, Some(sum));
    store.assert_verified(PERIOD).await;
}

/// The province of the built-in catalogue: 14 concurrent reports race with refreshes of their common total.
async fn concurrent_reports_and_refreshes_end_with_exact_totals(store: TestStore) {
    let built_in = || tonghop_catalogue::built_in().unwrap();
    let store = store.adopting(built_in).await;
    let processes = if store.is_postgres() {
        [store.handle(), Store::open(&store.url, built_in()).await.unwrap()]
    } else {
        [store.handle(), store.handle()]
    };
    let form = "ngay-30-7";
    let scope = store.catalogue().scope(form, "2021-07".parse().unwrap()).unwrap();
    let province = scope.tree.get("87").unwrap();
    let units: Vec<_> = province.children().map(|child| child.id()).collect();
    assert_eq!(units.len(), 14);
    let key = TotalKey {
        form: scope.form.code.clone(),
        period: scope.period,
        unit: province.id(),
    };
    let indicator = scope
        .form
        .reportable()
        .position(|one| one.code.as_str() == "TT.PT");
    let start = Instant::now();
    for round in 1.. {
        let value = |at: usize| round * 100 + at as i64;
        let report = |(at, unit)| {
            let figure = Figure {
                indicator: "TT.PT".parse().unwrap(),
                reported: Reported::Value(value(at)),
                cells: Vec::new(),
            };
            let write = Write {
                new_id: SubmissionId::generate(),
                key: SubmissionKey {
                    form: key.form.clone(),
                    period: key.period,
                    unit,
                },
                change: Change::Report(Arc::new(Content {
                    figures: vec![figure],
                    note: None,
                })),
                condition: Precondition::None,
                idempotency: None,
                origin: tonghop_domain::Origin::OPERATOR,
                action: "create_submission".into(),
            };
            let process = processes[at % 2].clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(at as u64 * 400)).await;
                recorded(process.record(write).await.unwrap());
            })
        };
        let refresh = |at: usize| {
            let (process, key) = (processes[at % 2].clone(), key.clone());
            tokio::spawn(async move {
                for _ in 0..3 {
                    process.refresh(&key).await.unwrap();
                }
            })
        };
        let reports: Vec<_> = units.iter().copied().enumerate().map(report).collect();
        let refreshes: Vec<_> = (0..4).map(refresh).collect();
        for done in join_all(reports)
            .await
            .into_iter()
            .chain(join_all(refreshes).await)
        {
            done.unwrap();
        }
        store.drain().await;
        let read = store.total(&scope, &"87".parse().unwrap()).await.unwrap();
        let sum: i64 = (0..units.len()).map(value).sum();
        assert_eq!(
            indicator.and_then(|at| read.total.rows[at].value),
            Some(sum),
            "round {round}"
        );
        if round >= 10 && start.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    let verification = store.verify(&scope, &"VN".parse().unwrap()).await.unwrap();
    assert_eq!(verification.differing, []);
}

async fn concurrent_reports_withdrawals_and_refreshes_end_exact(store: TestStore) {
    let processes = store.processes().await;
    let units = [
        "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X",
    ];
    for round in 0..8 {
        let change = |at: usize| {
            let write = match (at + round) % 4 {
                0 => store.withdrawal(units[at % 8]),
                _ => store.write(units[at % 8], [flow((at + round) as i64)]),
            };
            let process = processes[at % 2].clone();
            tokio::spawn(async move { process.record(write).await.map(drop).unwrap() })
        };
        let refresh = |at: usize| {
            let process = processes[at % 2].clone();
            tokio::spawn(async move {
                refresh_stale(&process).await;
                refresh_stale(&process).await;
            })
        };
        let tasks: Vec<_> = (0..40).map(change).chain((0..4).map(refresh)).collect();
        for done in join_all(tasks).await {
            done.unwrap();
        }
        store.drain().await;
        store.assert_verified(PERIOD).await;
        assert_eq!(store.pending().await.unwrap(), 0);
    }
    let claimed = store.claim(10_000).await.unwrap();
    assert!(claimed.len() as i64 == store.rows("outbox").await);
}
