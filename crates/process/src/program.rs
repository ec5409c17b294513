//! The body of `main`.

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::parse;
use crate::failure::Failure;
use crate::open_files;

/// Runs a program: parses its arguments, works, and reports why it failed, in one sentence on standard error.
pub fn run<A, F>(work: impl FnOnce(A) -> F) -> ExitCode
where
    A: Parser,
    F: Future<Output = Result<(), Failure>>,
{
    open_files::raise();
    match parse().and_then(|arguments| block_on(work(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}: {failure}", A::command().get_name());
            failure.exit_code()
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::runtime(format!("cannot start threads: {error}")))?
        .block_on(work)
}
