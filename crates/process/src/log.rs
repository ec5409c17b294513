//! The log, on standard error.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

#[cfg(debug_assertions)]
use crate::crash_point;

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Which events are logged: a level, levels of single targets, or both, as in `warn,tonghop_api=debug`. Targets
/// that no directive covers are logged from `info` up.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter(Targets);

/// A text that does not say what to log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a level (off, error, warn, info, debug, trace) nor TARGET=LEVEL, such as tonghop_api=debug"
)]
pub struct InvalidLogFilter(String);

impl FromStr for LogFilter {
    type Err = InvalidLogFilter;

    fn from_str(text: &str) -> Result<Self, InvalidLogFilter> {
        // lapin logs as errors what tonghop-events repairs and logs itself.
        let mut targets = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("lapin", LevelFilter::OFF);
        for directive in text.split(',').map(str::trim) {
            let invalid = || InvalidLogFilter(directive.to_owned());
            targets = match directive.split_once('=') {
                None => targets.with_default(level(directive).ok_or_else(invalid)?),
                Some((target, word)) if is_target(target) => {
                    targets.with_target(target, level(word).ok_or_else(invalid)?)
                }
                Some(_) => return Err(invalid()),
            };
        }
        Ok(Self(targets))
    }
}

fn level(word: &str) -> Option<LevelFilter> {
    let named = |(name, _): &&(&str, _)| word.eq_ignore_ascii_case(name);
    LEVELS.iter().find(named).map(|(_, level)| *level)
}

/// Targets are paths of Rust modules: a crate with a hyphen in its name has an underscore here.
fn is_target(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte))
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event, in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A text that names no format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the formats of the log are text and json")]
pub struct InvalidLogFormat;

impl FromStr for LogFormat {
    type Err = InvalidLogFormat;

    fn from_str(text: &str) -> Result<Self, InvalidLogFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidLogFormat),
        }
    }
}

/// Starts logging to standard error. Call it once.
pub(crate) fn start(filter: &LogFilter, format: LogFormat) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let log = tracing_subscriber::registry().with(lines.with_filter(filter.0.clone()));
    #[cfg(debug_assertions)]
    let log = log.with(crash_point::from_environment());
    log.init();
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn filter(text: &str) -> Targets {
        text.parse::<LogFilter>().unwrap().0
    }

    #[test]
    fn a_level_applies_to_all_but_the_named_targets() {
        let targets = filter("warn, tonghop_api=debug");
        assert!(targets.would_enable("tonghop_events::relay", &Level::WARN));
        assert!(!targets.would_enable("tonghop_events::relay", &Level::INFO));
        assert!(targets.would_enable("tonghop_api::server", &Level::DEBUG));
        assert!(!targets.would_enable("tonghop_api::server", &Level::TRACE));
    }

    #[test]
    fn a_target_alone_leaves_all_others_at_info() {
        let targets = filter("tonghop_api=DEBUG");
        assert!(targets.would_enable("tonghop_api", &Level::DEBUG));
        assert!(targets.would_enable("tonghop_events", &Level::INFO));
        assert!(!targets.would_enable("tonghop_events", &Level::DEBUG));
    }

    #[test]
    fn lapin_is_silent_unless_it_is_named() {
        assert!(!filter("trace").would_enable("lapin::connection", &Level::ERROR));
        assert!(filter("lapin=debug").would_enable("lapin::connection", &Level::DEBUG));
    }

    #[test]
    fn what_is_neither_a_level_nor_a_target_with_a_level_is_rejected() {
        for (text, named) in [
            ("json", "json"),
            ("", ""),
            ("tonghop_api", "tonghop_api"),
            ("info,", ""),
            ("info,verbose", "verbose"),
            ("a=b=c", "a=b=c"),
            ("tonghop_api=loud", "tonghop_api=loud"),
            ("tonghop-api=debug", "tonghop-api=debug"),
            ("=debug", "=debug"),
            ("3", "3"),
            ("tonghop[span]=debug", "tonghop[span]=debug"),
        ] {
            let invalid = text.parse::<LogFilter>().unwrap_err();
            assert_eq!(invalid, InvalidLogFilter(named.into()), "{text}");
            assert!(invalid.to_string().contains("debug"), "{invalid}");
        }
    }

    #[test]
    fn the_formats_are_text_and_json() {
        assert_eq!("text".parse(), Ok(LogFormat::Text));
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert_eq!("JSON".parse::<LogFormat>(), Err(InvalidLogFormat));
    }
}
