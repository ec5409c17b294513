//! Which faults occur, where and when: a function of the seed alone.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    KillApi,
    KillAggregator,
    FreezeApi,
    FreezeAggregator,
    RestartDatabase,
    KillDatabase,
    RestartBroker,
    KillBroker,
    BrokerAlarm,
    CutDatabase,
    StallDatabase,
    HalfOpenDatabase,
    CutBroker,
    StallBroker,
    HalfOpenBroker,
    Duplicates,
}

/// The part that a fault affects. Two faults never affect the same part at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Apis,
    Aggregators,
    Database,
    Broker,
    DatabaseLinks,
    BrokerLinks,
    Clients,
}

/// The processes that a fault affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    One(usize),
    All,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// For a process or its connections.
    pub(crate) reach: Reach,
    pub(crate) lasts: Duration,
}

/// One fault, or two of which the second begins before the first has ended; then a pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Episode {
    pub(crate) first: Fault,
    pub(crate) second: Option<(Duration, Fault)>,
    pub(crate) calm: Duration,
}

/// The api processes are 0 and 1, the aggregators 2 and 3.
pub(crate) const PARTS: usize = 4;

impl Kind {
    /// Every kind with its name, its frequency, and its shortest and longest duration in milliseconds. A restart of the
    /// broker takes longest, so it is the rarest.
    const ALL: [(Kind, &str, u32, (u64, u64)); 16] = [
        (Kind::KillApi, "kill -9 of an api", 4, (0, 1000)),
        (Kind::KillAggregator, "kill -9 of an aggregator", 4, (0, 1000)),
        (Kind::FreezeApi, "an api is frozen (SIGSTOP)", 3, (1000, 5000)),
        (
            Kind::FreezeAggregator,
            "an aggregator is frozen (SIGSTOP)",
            3,
            (1000, 5000),
        ),
        (Kind::RestartDatabase, "restart of the database", 2, (0, 1500)),
        (Kind::KillDatabase, "crash of the database", 2, (0, 1500)),
        (Kind::RestartBroker, "restart of the broker", 1, (0, 1500)),
        (Kind::KillBroker, "kill -9 of the broker", 1, (0, 1500)),
        (Kind::BrokerAlarm, "memory alarm of the broker", 2, (500, 3000)),
        (Kind::CutDatabase, "cut to the database", 3, (300, 3000)),
        (Kind::StallDatabase, "stall to the database", 3, (300, 4000)),
        (
            Kind::HalfOpenDatabase,
            "half-open connections to the database",
            4,
            (0, 0),
        ),
        (Kind::CutBroker, "cut to the broker", 3, (300, 3000)),
        (Kind::StallBroker, "stall to the broker", 3, (300, 4000)),
        (
            Kind::HalfOpenBroker,
            "half-open connections to the broker",
            4,
            (0, 0),
        ),
        (
            Kind::Duplicates,
            "every request sent twice at once",
            2,
            (500, 2000),
        ),
    ];

    fn row(self) -> (&'static str, u32, (u64, u64)) {
        let row = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        row.map(|(_, name, weight, lasts_ms)| (*name, *weight, *lasts_ms))
            .expect("every kind is in the list")
    }

    fn subject(self) -> Subject {
        match self {
            Self::KillApi | Self::FreezeApi => Subject::Apis,
            Self::KillAggregator | Self::FreezeAggregator => Subject::Aggregators,
            Self::RestartDatabase | Self::KillDatabase => Subject::Database,
            Self::RestartBroker | Self::KillBroker | Self::BrokerAlarm => Subject::Broker,
            Self::CutDatabase | Self::StallDatabase | Self::HalfOpenDatabase => Subject::DatabaseLinks,
            Self::CutBroker | Self::StallBroker | Self::HalfOpenBroker => Subject::BrokerLinks,
            Self::Duplicates => Subject::Clients,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

impl Fault {
    fn of(kind: Kind, random: &mut Rng) -> Self {
        let (least, most) = kind.row().2;
        let reach = match kind.subject() {
            Subject::Apis => Reach::One(random.usize(0..2)),
            Subject::Aggregators => Reach::One(random.usize(2..PARTS)),
            Subject::DatabaseLinks | Subject::BrokerLinks if random.u32(..3) > 0 => {
                Reach::One(random.usize(..PARTS))
            }
            _ => Reach::All,
        };
        Self {
            kind,
            reach,
            lasts: Duration::from_millis(random.u64(least..=most)),
        }
    }
}

/// This many faults, in episodes, of the kinds whose name contains `only`. Each kind occurs once before any occurs
/// again, and a longer schedule begins like a shorter one of the same seed.
pub(crate) fn schedule(seed: u64, count: usize, only: &str) -> Vec<Episode> {
    let mut random = Rng::with_seed(seed);
    let wanted = || Kind::ALL.iter().filter(|(_, name, ..)| name.contains(only));
    let mut first: Vec<Kind> = wanted().map(|(kind, ..)| *kind).collect();
    assert!(!first.is_empty(), "no kind of fault has {only} in its name");
    random.shuffle(&mut first);
    let urn: Vec<Kind> = wanted()
        .flat_map(|(kind, _, weight, _)| vec![*kind; *weight as usize])
        .collect();
    let fault = |at: usize| {
        let again = urn[random.usize(..urn.len())];
        Fault::of(*first.get(at).unwrap_or(&again), &mut random)
    };
    let faults: Vec<Fault> = (0..count).map(fault).collect();
    pair(&faults, &mut Rng::with_seed(!seed))
}

/// Lets some faults begin before the previous one has ended.
fn pair(faults: &[Fault], random: &mut Rng) -> Vec<Episode> {
    let mut episodes = Vec::new();
    let mut rest = faults;
    while let [first, others @ ..] = rest {
        let together = others
            .first()
            .filter(|second| second.kind.subject() != first.kind.subject() && random.u32(..4) == 0);
        rest = &others[usize::from(together.is_some())..];
        episodes.push(Episode {
            first: *first,
            second: together.map(|second| (first.lasts.mul_f64(random.f64()), *second)),
            calm: Duration::from_millis(random.u64(100..800)),
        });
    }
    episodes
}

#[test]
fn a_seed_has_one_schedule_in_which_every_kind_occurs() {
    let printed = |seed: u64, count: usize| {
        let episodes = schedule(seed, count, "").into_iter();
        episodes
            .map(|episode| format!("{episode:?}"))
            .collect::<Vec<String>>()
    };
    assert_eq!(printed(17, 200), printed(17, 200));
    assert_ne!(printed(17, 200), printed(18, 200));
    let short = printed(17, 20);
    assert!(printed(17, 200).starts_with(&short[..short.len() - 1]));
    for seed in 0..100 {
        let episodes = schedule(seed, 20, "");
        let seconds = episodes.iter().filter_map(|episode| episode.second);
        let mut kinds: Vec<Kind> = episodes.iter().map(|episode| episode.first.kind).collect();
        kinds.extend(seconds.map(|(_, fault)| fault.kind));
        assert_eq!(kinds.len(), 20);
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), Kind::ALL.len());
    }
}
