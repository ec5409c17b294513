//! `tonghop submit`: sends a file of submissions to a running service.

use std::path::Path;

use serde_json::Value;
use tonghop_access::Token;
use tonghop_process::Failure;

use crate::http_client::{ServiceClient, describe_problem};
use crate::output::print;

/// Sends one submission as JSON, or one per line as NDJSON, and prints the result of each.
pub(crate) async fn submit(file: &Path, url: &str, key: &str, ca: Option<&Path>) -> Result<(), Failure> {
    // clap would quote an invalid key.
    let key: Token = key
        .parse()
        .map_err(|error| Failure::configuration(format!("--key (TONGHOP_KEY): {error}")))?;
    let lines = read_lines(file)?;
    let results = ServiceClient::new(url, ca)?.submit_batch(&key, lines).await?;
    let mut rejected = 0;
    for result in &results {
        let line = &result["line"];
        if let Some(submission) = result.get("submission") {
            let (unit, revision) = (&submission["unit"], &submission["revision"]);
            let outcome = match result["status"].as_u64() {
                Some(201) => "recorded",
                _ => "unchanged",
            };
            print(&format!(
                "line {line}: {outcome}, unit {unit}, revision {revision}\n"
            ));
        } else {
            rejected += 1;
            let reason = describe_problem(&result["problem"]);
            print(&format!("line {line}: rejected, {reason}\n"));
        }
    }
    match rejected {
        0 => Ok(()),
        rejected => Err(Failure::runtime(format!(
            "{rejected} of {} lines were rejected",
            results.len()
        ))),
    }
}

/// The submissions of a file, one per line. A file that is one JSON value is one submission, however many lines it has.
fn read_lines(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map_err(Failure::runtime)?
    } else {
        std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?
    };
    Ok(match serde_json::from_str::<Value>(&text) {
        Ok(one) => one.to_string(),
        Err(_) => text,
    })
}
