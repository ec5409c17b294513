//! Aborting at a named step, for tests.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The target of the events that are steps.
const STEPS: &str = "tonghop::step";

/// The crash point that `TONGHOP_CRASH_AT` names, if it is set.
pub(crate) fn from_environment<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let step = std::env::var("TONGHOP_CRASH_AT").ok()?;
    let steps = Targets::new().with_target(STEPS, LevelFilter::TRACE);
    Some(CrashPoint { step }.with_filter(steps))
}

/// Aborts the process at a step, without any clean-up.
struct CrashPoint {
    step: String,
}

impl<S: Subscriber> Layer<S> for CrashPoint {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut search = Search {
            step: &self.step,
            found: false,
        };
        event.record(&mut search);
        if search.found {
            std::process::abort();
        }
    }
}

/// Searches the fields of an event for the name of the step.
struct Search<'a> {
    step: &'a str,
    found: bool,
}

impl Visit for Search<'_> {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.found |= value == self.step;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
