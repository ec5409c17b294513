//! The command line.

use std::error::Error;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};

use crate::environment;
use crate::failure::Failure;

/// Parses the command line and the environment. Prints help, the version and errors of usage itself, and then ends the
/// process; a setting with a wrong value is a [`Failure`] like all others.
pub(crate) fn parse<A: Parser>() -> Result<A, Failure> {
    let parsed = A::try_parse();
    if let Err(error) = &parsed
        && !error.use_stderr()
    {
        error.exit();
    }
    environment::check()?;
    parsed.map_err(|error| match invalid_value(&A::command(), &error) {
        Some(sentence) => Failure::Configuration(sentence),
        None => exit_with_usage(&error),
    })
}

/// The sentence about an option whose value does not parse. clap would name the flag only, even if the value comes from
/// the environment.
fn invalid_value(command: &Command, error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let (argument, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let flag = argument.split_whitespace().next()?;
    let variable = variable(command, flag).map_or_else(String::new, |name| format!(" ({name})"));
    let cause = error.source()?;
    Some(format!("{flag}{variable} cannot be {value:?}: {cause}"))
}

/// The environment variable of a flag.
fn variable(command: &Command, flag: &str) -> Option<String> {
    let is_meant = |argument: &&clap::Arg| argument.get_long() == flag.strip_prefix("--");
    let own = command
        .get_arguments()
        .find(is_meant)
        .and_then(clap::Arg::get_env);
    own.map(|name| name.to_string_lossy().into_owned()).or_else(|| {
        command
            .get_subcommands()
            .find_map(|command| variable(command, flag))
    })
}

/// Errors of usage take several lines. One quotes what it cannot place: of a URL, only the scheme is shown.
fn exit_with_usage(error: &clap::Error) -> ! {
    let lines = error.render().to_string();
    let lines: Vec<String> = lines.lines().map(without_password).collect();
    eprintln!("{}", lines.join("\n"));
    std::process::exit(error.exit_code());
}

fn without_password(line: &str) -> String {
    let Some((before, url)) = line.split_once("://") else {
        return line.to_owned();
    };
    // clap quotes what it does not understand.
    let after = url.rfind('\'').map_or("", |end| &url[end..]);
    format!("{before}://…{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    use crate::settings::Settings;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
        /// A number
        #[arg(long, env = "TONGHOP_KEY_RATE", default_value_t = 100)]
        key_rate: u32,
    }

    fn sentence(arguments: &[&str]) -> Option<String> {
        let arguments = ["tonghop"].iter().chain(arguments);
        let error = Arguments::try_parse_from(arguments).unwrap_err();
        invalid_value(&Arguments::command(), &error)
    }

    #[test]
    fn a_wrong_value_is_named_with_its_flag_its_variable_and_the_reason() {
        assert_eq!(
            sentence(&["--key-rate", "many"]).unwrap(),
            "--key-rate (TONGHOP_KEY_RATE) cannot be \"many\": invalid digit found in string"
        );
        assert_eq!(
            sentence(&["--log", "json"]).unwrap(),
            "--log (TONGHOP_LOG) cannot be \"json\": \"json\" is neither a level (off, error, warn, info, debug, \
             trace) nor TARGET=LEVEL, such as tonghop_api=debug"
        );
        assert_eq!(
            sentence(&["--log-format", "xml"]).unwrap(),
            "--log-format (TONGHOP_LOG_FORMAT) cannot be \"xml\": the formats of the log are text and json"
        );
        assert_eq!(sentence(&["--no-such-flag"]), None);
    }

    #[test]
    fn an_error_of_usage_leaves_the_password_of_a_url_out() {
        let line = "error: unexpected argument 'postgres://u:p@ss@db/x' found";
        assert_eq!(
            without_password(line),
            "error: unexpected argument 'postgres://…' found"
        );
        let line = "error: unexpected argument 'postgres://db/x?user=u&password=secret' found";
        assert!(!without_password(line).contains("secret"));
        let line = "error: unexpected argument 'a@b' found";
        assert_eq!(without_password(line), line);
    }
}
