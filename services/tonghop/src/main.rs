//! `tonghop`: the whole service in one binary, and the administrator's commands.

mod arguments;
mod audit;
mod backup;
mod database;
mod dead_letters;
mod demo;
mod first_key;
mod healthcheck;
mod http_client;
mod keys;
mod migrate;
mod output;
mod rebuild;
mod serve;
mod submit;
mod verify;

use std::process::ExitCode;
use std::time::Duration;

use tonghop_process::Failure;

use crate::arguments::{Arguments, Command};

/// A request allocates hundreds of small pieces and frees them on another thread; the system's allocator took a fifth of
/// the time of the API. Without huge pages, which take half as much memory again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tonghop_process::run(run)
}

async fn run(Arguments { settings, command }: Arguments) -> Result<(), Failure> {
    settings.start_log();
    match command {
        Command::Serve(options) => serve::serve(&settings, &options, None).await,
        Command::Demo(options) => demo::demo(&settings, &options).await,
        Command::Migrate => migrate::migrate(&settings).await,
        Command::Verify { wait } => verify::verify(&settings, Duration::from_secs(wait)).await,
        Command::Rebuild => rebuild::rebuild(&settings).await,
        Command::Backup { file } => backup::backup(&settings, &file).await,
        Command::Key { action } => keys::keys(&settings, action).await,
        Command::Audit { action, heads } => audit::audit(&settings, action, heads).await,
        Command::DeadLetters { action } => dead_letters::dead_letters(&settings, &action).await,
        Command::Submit {
            file,
            url,
            key,
            trust,
        } => submit::submit(&file, &url, &key, trust.ca.as_deref()).await,
        Command::Healthcheck { url, trust } => healthcheck::healthcheck(&url, trust.ca.as_deref()).await,
        Command::ExportOpenapi => {
            output::print(&tonghop_api::openapi_json());
            Ok(())
        }
    }
}
