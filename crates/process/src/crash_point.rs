//! Dying at a named step.

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

/// What `TONGHOP_CRASH_AT` asks for; none when it is not set.
pub(crate) fn from_environment<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let step = std::env::var("TONGHOP_CRASH_AT").ok()?;
    let steps = Targets::new().with_target(STEPS, LevelFilter::TRACE);
    Some(CrashPoint { step }.with_filter(steps))
}

/// Aborts the process, without a chance to put anything in order, when it comes to a step.
struct CrashPoint {
    step: String,
}

impl<S: Subscriber> Layer<S> for CrashPoint {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut here = Here {
            step: &self.step,
            reached: false,
        };
        event.record(&mut here);
        if here.reached {
            std::process::abort();
        }
    }
}

/// Looks whether an event is the step.
struct Here<'a> {
    step: &'a str,
    reached: bool,
}

impl Visit for Here<'_> {
    fn record_str(&mut self, _: &Field, value: &str) {
        self.reached |= value == self.step;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
