//! A simulation of the rules of recording and refreshing, against a database and a broker with faults drawn from a
//! seed.
//!
//! The code under test is production code: group commit and its recorders, `record` and `refresh`, the relay, the
//! worker's handler, schedule and sweep, and the channel of an embedded service. Everything around it is simulated:
//! time is paused while any task can run; statements stall, statements and commits fail, responses to commits are lost;
//! messages are lost, duplicated, corrupted, delayed and reordered; connections break, clients disconnect, and
//! processes are killed between any two steps and restarted. An oracle that knows only the requests and their responses
//! says what must be true in the end, and a recount says what must be true of every unmarked total after every commit.
//! Clients that follow the reports and the change feed must see all of them.
//!
//! `SIMULATION_SEEDS=1000000` runs more seeds; `SIMULATION_SEED=17` runs one.

mod broker;
mod database;
mod executor;
mod oracle;
mod processes;
mod reader;
mod unit_of_work;
mod world;

use std::future::poll_fn;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep_until};
use tonghop_domain::SubmissionKey;

use database::{Database, Faults};
use executor::Executor;
use oracle::assert_unmarked_totals_are_right;
use processes::{Request, Role, Simulation};
use reader::Reader;
use world::REPORTING;

/// The number of seeds of one test run.
const SEEDS: u64 = 50_000;
/// The number of reports that the clients send.
const REQUESTS: usize = 12;
/// After the last fault, everything must be settled within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// More steps than any valid simulation takes.
const MOST_STEPS: u32 = 200_000;

#[test]
fn no_fault_loses_or_duplicates_a_figure() {
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
                        // As one string, since another thread may print as well.
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

#[test]
fn a_seed_replays_the_same_simulation() {
    for seed in 0..50 {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
}

/// The parameters of a simulation.
#[derive(Debug, PartialEq, Eq)]
struct Story {
    steps: u32,
    commits: u64,
    ends_at: DateTime<Utc>,
}

/// Runs a simulation: clients send, faults occur, the storm ends, and everything must be right.
fn simulate(seed: u64) -> Story {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // The jitter of back-off uses the generator of this thread.
    fastrand::seed(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let faults = draw_faults(&mut random);
    let embedded = random.u8(..4) == 0;
    let roles: &[Role] = match embedded {
        true => &[Role::Embedded],
        false => &[Role::Api, Role::Api, Role::Aggregator, Role::Aggregator],
    };
    runtime.block_on(tokio::task::unconstrained(async {
        let database = Database::new(seed, faults, embedded);
        let sweep_interval = Duration::from_millis(random.u64(100..5000));
        let simulation = Simulation::new(database, sweep_interval);
        let mut executor = Executor::default();
        for (process, role) in roles.iter().enumerate() {
            simulation.start(&mut executor, process, *role);
        }
        let storm = Duration::from_millis(random.u64(50..10_000));
        send_requests(&simulation, &mut executor, &mut random, storm);
        let reader = Reader::new(simulation.database.clone());
        executor.spawn(None, Box::pin(reader.clone().follow()));
        let steps = weather(&simulation, &mut executor, &mut random, roles, storm).await;
        reader.read().await;
        reader.assert_nothing_was_missed();
        let scope = world::scope(&simulation.catalogue);
        let world = simulation.database.world();
        let oracle = simulation.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        oracle.assert_every_request_was_recorded_once(&world.state);
        oracle.assert_every_revision_is_in_the_trail(&world.state);
        oracle.assert_totals_are_what_was_acknowledged(&world.state, &scope);
        let (commits, ends_at) = (world.commits, world.now());
        Story {
            steps,
            commits,
            ends_at,
        }
    }))
}

fn draw_faults(random: &mut fastrand::Rng) -> Faults {
    let mut most = |most: u32| random.u32(..=most);
    let mut faults = Faults {
        statement: most(20),
        stall: most(20),
        commit: most(100),
        answer: most(100),
        message: most(300),
        line: most(100),
        hang_up: most(200),
        crash: most(10),
    };
    if random.u8(..16) == 0 {
        // The broker is down: nothing arrives.
        faults.message = 1000;
    }
    faults
}

/// Each report has a different number, so that they can be distinguished; some are sent twice at once.
fn send_requests(
    simulation: &Simulation,
    executor: &mut Executor,
    random: &mut fastrand::Rng,
    storm: Duration,
) {
    let scope = world::scope(&simulation.catalogue);
    for number in 0..REQUESTS {
        let unit = REPORTING[random.usize(..REPORTING.len())];
        let key = SubmissionKey {
            form: scope.form.code.clone(),
            period: scope.period,
            unit: scope.tree.get(unit).expect("a unit").id(),
        };
        // Powers of two: no two sets of reports have the same sum.
        let request = Request {
            key,
            value: 1 << number,
        };
        let first_at = storm.mul_f64(random.f64());
        let copies = if random.u8(..4) == 0 { 2 } else { 1 };
        for _ in 0..copies {
            let client = simulation.clone().send(request.clone(), first_at);
            executor.spawn(None, Box::pin(client));
        }
    }
}

/// Runs all tasks and kills processes until the storm is over and everything is settled. Returns the number of steps.
async fn weather(
    simulation: &Simulation,
    executor: &mut Executor,
    random: &mut fastrand::Rng,
    roles: &[Role],
    storm: Duration,
) -> u32 {
    let scope = world::scope(&simulation.catalogue);
    let calm = Instant::now() + storm;
    let end = calm + PATIENCE;
    for at in [calm, end] {
        // Time advances to these moments even if nothing else would happen.
        executor.spawn(None, Box::pin(sleep_until(at)));
    }
    let (mut steps, mut commits) = (0, 0);
    loop {
        let crash = simulation.database.world().faults.crash;
        if random.u32(..1000) < crash {
            let process = random.usize(..roles.len());
            executor.kill(process);
            simulation.start(executor, process, roles[process]);
        }
        poll_fn(|context| executor.poll_one(context, random)).await;
        steps += 1;
        assert!(steps < MOST_STEPS, "it does not come to rest");
        if Instant::now() >= calm {
            simulation.database.world().faults = Faults::default();
            if is_settled(simulation) {
                return steps;
            }
            assert!(Instant::now() < end, "something stays unsettled");
        }
        let world = simulation.database.world();
        if world.commits > commits {
            commits = world.commits;
            assert_unmarked_totals_are_right(&world.state, &scope);
        }
    }
}

fn is_settled(simulation: &Simulation) -> bool {
    let world = simulation.database.world();
    let oracle = simulation.oracle.lock().unwrap_or_else(PoisonError::into_inner);
    oracle.answered() == REQUESTS
        && world.state.marks.is_empty()
        && world.state.outbox.is_empty()
        && simulation.broker.is_empty()
}
