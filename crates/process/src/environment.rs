//! The `TONGHOP_*` environment variables.

use std::collections::BTreeSet;

use clap::Command;

use crate::failure::Failure;

const PREFIX: &str = "TONGHOP_";

/// Every variable that one of the programs reads. All programs accept all of them, so that one environment serves the
/// service and the administrator's commands. Each program tests that its options are in this list.
pub const VARIABLES: [&str; 22] = [
    "TONGHOP_AMQP_CA",
    "TONGHOP_AMQP_NAMESPACE",
    "TONGHOP_AMQP_URL",
    "TONGHOP_AUDIT_HEADS",
    "TONGHOP_CA",
    "TONGHOP_CATALOGUE",
    "TONGHOP_CORS_ORIGINS",
    "TONGHOP_DATABASE_CA",
    "TONGHOP_DATABASE_URL",
    "TONGHOP_KEY",
    "TONGHOP_KEY_RATE",
    "TONGHOP_LISTEN",
    "TONGHOP_LOG",
    "TONGHOP_LOG_FORMAT",
    "TONGHOP_MAX_KEYS_PER_UNIT",
    "TONGHOP_MAX_KEY_DAYS",
    "TONGHOP_PROXY_PROTOCOL",
    "TONGHOP_SWEEP_INTERVAL_MS",
    "TONGHOP_TLS_CERT",
    "TONGHOP_TLS_KEY",
    "TONGHOP_TRUSTED_PROXIES",
    "TONGHOP_URL",
];

/// The variable of test builds that [`crate`] describes.
const CRASH_POINT: &str = "TONGHOP_CRASH_AT";

/// The environment variables of a command's options and of its subcommands' options.
pub fn variables_of(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(variables_of))
        .collect()
}

/// Rejects variables that no program knows: a typo in a setting's name would otherwise mean its default, such as a new
/// SQLite file.
pub(crate) fn check() -> Result<(), Failure> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    match unknown(names).as_slice() {
        [] => Ok(()),
        unknown => Err(Failure::Configuration(unknown.join("; "))),
    }
}

/// A clause about each unknown variable.
fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<String> = names.filter(|name| name.starts_with(PREFIX)).collect();
    let is_known = |name: &&String| {
        VARIABLES.contains(&name.as_str())
            || (cfg!(debug_assertions) && name.as_str() == CRASH_POINT)
            || is_of_kubernetes(name, &names)
    };
    let unknown = names.iter().filter(|name| !is_known(name));
    unknown
        .map(|name| {
            let nearest = nearest(name).unwrap_or_default();
            format!("the environment variable {name} is unknown; did you mean {nearest}?")
        })
        .collect()
}

/// Whether Kubernetes set the variable to describe a service: one called `tonghop-api` gives every pod
/// `TONGHOP_API_SERVICE_HOST`, `TONGHOP_API_PORT` and more.
fn is_of_kubernetes(name: &str, names: &BTreeSet<String>) -> bool {
    let mut services = names.iter().filter_map(|name| name.strip_suffix("_SERVICE_HOST"));
    services.any(|service| {
        let rest = name.strip_prefix(service);
        rest.is_some_and(|rest| rest.starts_with("_SERVICE_") || rest.starts_with("_PORT"))
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    VARIABLES
        .into_iter()
        .min_by_key(|known| strsim::damerau_levenshtein(known, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown_of(names: &[&str]) -> Vec<String> {
        unknown(names.iter().map(ToString::to_string))
    }

    #[test]
    fn known_variables_and_those_of_other_programs_pass() {
        assert_eq!(unknown_of(&VARIABLES), [""; 0]);
        assert_eq!(unknown_of(&["PATH", "tonghop_log", "POSTGRES_PASSWORD"]), [""; 0]);
    }

    #[test]
    fn an_unknown_variable_is_named_with_the_nearest_known_one() {
        for (typo, meant) in [
            ("TONGHOP_DATABSE_URL", "TONGHOP_DATABASE_URL"),
            ("TONGHOP_DB_URL", "TONGHOP_URL"),
            ("TONGHOP_LISTEN_", "TONGHOP_LISTEN"),
            ("TONGHOP_AMPQ_URL", "TONGHOP_AMQP_URL"),
            ("TONGHOP_LOG_FROMAT", "TONGHOP_LOG_FORMAT"),
            ("TONGHOP_SWEEP_INTERVAL", "TONGHOP_SWEEP_INTERVAL_MS"),
        ] {
            let expected = format!("the environment variable {typo} is unknown; did you mean {meant}?");
            assert_eq!(unknown_of(&[typo, "TONGHOP_LOG"]), [expected]);
        }
    }

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_pass() {
        let of_service = [
            "TONGHOP_API_SERVICE_HOST",
            "TONGHOP_API_SERVICE_PORT",
            "TONGHOP_API_SERVICE_PORT_HTTP",
            "TONGHOP_API_PORT",
            "TONGHOP_API_PORT_8080_TCP_ADDR",
        ];
        assert_eq!(unknown_of(&of_service), [""; 0]);
        assert_eq!(unknown_of(&["TONGHOP_API_PORT"]).len(), 1);
    }
}
