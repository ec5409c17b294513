//! The rules of recording and refreshing, driven against a database and a broker that fail by a seed.
//!
//! The code under test is the code that ships: `tonghop_storage::record` and `refresh`, and the aggregator's reading
//! of announcements. Everything around it is simulated: statements and commits fail, answers to commits are lost,
//! messages are lost, doubled, delayed and reordered, and tasks are killed between any two steps. An oracle that knows
//! nothing but the requests and their answers says what must be true in the end, and a recount says what must be true
//! of every total that is not marked, at any moment.
//!
//! `SIMULATION_SEEDS=1000000` runs more seeds; `SIMULATION_SEED=17` runs one.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise, and says where"
)]

mod database;
mod tasks;
mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};

use chrono::TimeDelta;
use tonghop_domain::{Reported, SubmissionKey};

use database::{Database, Faults};
use tasks::{Request, Simulation};
use world::REPORTING;

/// How many seeds one run of the tests tries.
const SEEDS: u64 = 10_000;
/// How many reports the clients send.
const REQUESTS: i64 = 12;
/// Within so many steps everything must be settled once nothing fails any more.
const PATIENCE: usize = 20_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a task does, to start it again after it was killed.
#[derive(Clone, Copy, Debug)]
enum Role {
    Api,
    Relay,
    Worker,
    Sweeper,
}

const ROLES: [Role; 7] = [
    Role::Api,
    Role::Api,
    Role::Relay,
    Role::Relay,
    Role::Worker,
    Role::Worker,
    Role::Sweeper,
];

#[test]
fn no_fault_loses_or_doubles_a_figure() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        simulate(seed.parse().expect("SIMULATION_SEED is a number"));
        return;
    }
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (thread..seeds).step_by(threads as usize) {
                    if catch_unwind(AssertUnwindSafe(|| simulate(seed))).is_err() {
                        // In one piece, for another thread may be speaking too.
                        let sentence = format!("seed {seed} fails; SIMULATION_SEED={seed} runs it alone\n");
                        std::io::stderr()
                            .write_all(sentence.as_bytes())
                            .expect("standard error is open");
                        std::process::exit(101);
                    }
                }
            });
        }
    });
}

/// One story: clients send, everything fails now and then, the storm ends, and all must be right.
fn simulate(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let most = |random: &mut fastrand::Rng, most: u32| random.u32(..=most);
    let faults = Faults {
        statement: most(&mut random, 20),
        commit: most(&mut random, 100),
        answer: most(&mut random, 100),
        message: most(&mut random, 300),
        crash: most(&mut random, 10),
    };
    let simulation = Simulation {
        catalogue: Arc::new(world::catalogue()),
        database: Database::new(seed, faults),
        shared: Arc::default(),
    };
    send_requests(&simulation, &mut random);
    // Sometimes only the broker brings the news, sometimes only the sweep.
    let age = TimeDelta::microseconds(random.i64(0..2000));
    let start = |role: Role| -> Task {
        let simulation = simulation.clone();
        match role {
            Role::Api => Box::pin(simulation.api()),
            Role::Relay => Box::pin(simulation.relay()),
            Role::Worker => Box::pin(simulation.worker()),
            Role::Sweeper => Box::pin(simulation.sweeper(age)),
        }
    };
    let mut tasks: Vec<Task> = ROLES.iter().map(|role| start(*role)).collect();
    let mut context = Context::from_waker(Waker::noop());
    let storm = random.usize(200..1500);
    for step in 0..storm + PATIENCE {
        if step == storm {
            simulation.database.world().faults = Faults::default();
        }
        let at = random.usize(..tasks.len());
        let crash = {
            let mut world = simulation.database.world();
            world.pass(1);
            world.faults.crash
        };
        if random.u32(..1000) < crash {
            tasks[at] = start(ROLES[at]);
        }
        let ended = tasks[at].as_mut().poll(&mut context).is_ready();
        assert!(!ended, "a task has no end");
        if step % 16 == 0 {
            assert_unmarked_totals_are_right(&simulation);
            if step > storm && is_settled(&simulation) {
                break;
            }
        }
    }
    assert!(is_settled(&simulation), "something stays unsettled: {faults:?}");
    assert_unmarked_totals_are_right(&simulation);
    assert_every_request_was_recorded_once(&simulation);
}

/// Each report is another number, so that it can be told apart; some are sent twice.
fn send_requests(simulation: &Simulation, random: &mut fastrand::Rng) {
    let scope = world::scope(&simulation.catalogue);
    let mut shared = simulation.shared.lock().unwrap_or_else(PoisonError::into_inner);
    for number in 0..REQUESTS {
        let unit = REPORTING[random.usize(..REPORTING.len())];
        let unit = scope.tree.get(unit).expect("a unit").id();
        let key = SubmissionKey {
            form: scope.form.code.clone(),
            period: scope.period,
            unit,
        };
        // Powers of two: no two sets of reports have the same sum.
        let request = Request {
            key,
            value: 1 << number,
        };
        if random.u32(..4) == 0 {
            shared.requests.push_back(request.clone());
        }
        shared.requests.push_back(request);
    }
}

fn is_settled(simulation: &Simulation) -> bool {
    let marked = !simulation.database.world().state.marks.is_empty();
    let shared = simulation.shared.lock().unwrap_or_else(PoisonError::into_inner);
    !marked && shared.requests.is_empty() && shared.answered.len() as i64 == REQUESTS
}

/// At any moment, a total with no mark at or below it is the sum of the reports at or below it.
fn assert_unmarked_totals_are_right(simulation: &Simulation) {
    let scope = world::scope(&simulation.catalogue);
    let world = simulation.database.world();
    let mut said: BTreeMap<_, i64> = BTreeMap::new();
    for (key, head) in &world.state.heads {
        if let Some(revision) = world.state.revisions.get(&(head.id.0, head.revision))
            && let Reported::Value(value) = revision.content.figures[0].reported
        {
            said.insert(key.unit, value);
        }
    }
    for place in scope.tree.places().filter(|place| place.has_children()) {
        let below: Vec<_> = place.at_or_below().map(|unit| unit.id()).collect();
        if world
            .state
            .marks
            .values()
            .any(|(key, _)| below.contains(&key.unit))
        {
            continue;
        }
        let reported: Vec<i64> = below.iter().filter_map(|unit| said.get(unit).copied()).collect();
        let stored = world
            .state
            .totals
            .iter()
            .find(|(key, _)| key.unit == place.id())
            .map(|(_, stored)| &stored.total);
        let served = stored.and_then(|total| total.lines[0].value);
        let right = (!reported.is_empty()).then(|| reported.iter().sum());
        assert_eq!(served, right, "the total of {}", place.code());
        let counted = stored.map_or(0, |total| total.coverage.reported as usize);
        assert_eq!(counted, reported.len(), "the coverage of {}", place.code());
    }
}

/// The revisions of each submission are numbered without gaps, in the order of their times; each request is one of
/// them, the one that its answer named.
fn assert_every_request_was_recorded_once(simulation: &Simulation) {
    let world = simulation.database.world();
    let shared = simulation.shared.lock().unwrap_or_else(PoisonError::into_inner);
    let mut revisions: BTreeMap<&SubmissionKey, Vec<_>> = BTreeMap::new();
    for revision in world.state.revisions.values() {
        revisions.entry(&revision.key).or_default().push(revision);
    }
    let count: usize = revisions.values().map(Vec::len).sum();
    assert_eq!(count as i64, REQUESTS, "as many revisions as requests");
    for (key, history) in revisions {
        assert!(
            history.is_sorted_by(|a, b| a.received_at < b.received_at),
            "times of {key:?}"
        );
        for (at, revision) in history.iter().enumerate() {
            assert_eq!(revision.revision as usize, at + 1, "{key:?}");
            let Reported::Value(value) = revision.content.figures[0].reported else {
                panic!("{revision:?}")
            };
            assert_eq!(shared.answered[&value], (key.clone(), revision.revision));
        }
        assert_eq!(world.state.heads[key].revision as usize, history.len(), "{key:?}");
    }
}
