//! `tonghop`: the whole service in one binary, and the administrator's commands.

mod arguments;
mod audit;
mod backup;
mod client;
mod dead_letters;
mod demo;
mod failure;
mod keys;
mod maintenance;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, sentence }) => {
            eprintln!("tonghop: {sentence}");
            ExitCode::from(code)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { settings, command } = arguments;
    settings.start_log()?;
    match command {
        Command::Serve(options) => serve::serve(&settings, &options, None).await,
        Command::Demo(options) => demo::demo(&settings, &options).await,
        Command::Migrate => maintenance::migrate(&settings).await,
        Command::Verify => maintenance::verify(&settings).await,
        Command::Rebuild => maintenance::rebuild(&settings).await,
        Command::Backup { file } => backup::backup(&settings, &file).await,
        Command::Key { action } => keys::keys(&settings, action).await,
        Command::Audit { action, heads } => audit::audit(&settings, action, heads).await,
        Command::DeadLetters { action } => dead_letters::dead_letters(&settings, &action).await,
        Command::Submit {
            file,
            url,
            key,
            trusted,
        } => client::submit(&file, &url, &key, trusted.ca.as_deref()).await,
        Command::Healthcheck { url, trusted } => client::healthcheck(&url, trusted.ca.as_deref()).await,
        Command::ExportOpenapi => {
            failure::print(&tonghop_api::openapi_json());
            Ok(())
        }
    }
}
