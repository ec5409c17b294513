//! Commands that talk to a running service over HTTP.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tonghop_access::Token;
use tonghop_tls::{InvalidTrust, Trust};

use crate::failure::{Failure, failed, print, wrong_setting};

/// Sends one submission as JSON, or one a line as NDJSON, and prints what became of each.
pub(crate) async fn submit(file: &Path, url: &str, key: &str, ca: Option<&Path>) -> Result<(), Failure> {
    // Not read by clap, which quotes what it cannot read.
    let key: Token = key
        .parse()
        .map_err(|error| wrong_setting(format!("TONGHOP_KEY: {error}")))?;
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map_err(failed)?
    } else {
        std::fs::read_to_string(file).map_err(|error| failed(format!("{}: {error}", file.display())))?
    };
    // One JSON value is a submission, however many lines it takes; anything else is read line by line.
    let lines = match serde_json::from_str::<Value>(&text) {
        Ok(one) => one.to_string(),
        Err(_) => text,
    };
    let url = url.trim_end_matches('/');
    let client = client(trusting(url, ca)?)?;
    let results = submit_lines(&client, url, &key, lines).await?;
    let mut refused = 0;
    for result in &results {
        let line = &result["line"];
        if let Some(submission) = result.get("submission") {
            let (unit, revision) = (&submission["unit"], &submission["revision"]);
            let word = if result["status"] == 201 {
                "recorded"
            } else {
                "unchanged"
            };
            print(&format!(
                "line {line}: {word}, unit {unit}, revision {revision}\n"
            ));
        } else {
            refused += 1;
            print(&format!(
                "line {line}: refused, {}\n",
                described(&result["problem"])
            ));
        }
    }
    if refused > 0 {
        Err(failed(format!(
            "{refused} of {} lines were refused",
            results.len()
        )))
    } else {
        Ok(())
    }
}

/// A problem's detail and each of its errors, in one line.
fn described(problem: &Value) -> String {
    let mut text = problem["detail"]
        .as_str()
        .or(problem["title"].as_str())
        .unwrap_or("no reason given")
        .to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let word = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!("; {} {}", word("pointer"), word("detail")));
    }
    text
}

/// Sends NDJSON and answers the results, one a line.
async fn submit_lines(client: &Client, url: &str, key: &Token, lines: String) -> Result<Vec<Value>, Failure> {
    let request = client
        .post(format!("{url}/v1/submissions/batch"))
        .bearer_auth(key.reveal())
        .header("Content-Type", "application/x-ndjson")
        .body(lines);
    let response = request.send().await.map_err(|error| unreachable(url, &error))?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if !status.is_success() {
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        return Err(failed(format!(
            "{url} answered {status}: {}",
            described(&problem)
        )));
    }
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(failed))
        .collect()
}

/// Succeeds if the service answers 200. It is told no secret: so on this machine, which the names in a certificate are
/// not about, it need not show one to be believed.
pub(crate) async fn healthcheck(url: &str, ca: Option<&Path>) -> Result<(), Failure> {
    let trust = match ca {
        None if is_this_machine(&parsed(url)?) => {
            Trust::danger_accept_any_certificate().map_err(wrong_setting)?
        }
        ca => trusting(url, ca)?,
    };
    ask_whether_ready(&client(trust)?, url).await
}

async fn ask_whether_ready(client: &Client, url: &str) -> Result<(), Failure> {
    let response: Response = client
        .get(url)
        .send()
        .await
        .map_err(|error| unreachable(url, &error))?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(failed(format!("{url} answered {status}"))),
    }
}

/// A client for a service in this very process, whatever its certificate says.
pub(crate) struct LocalClient(Client);

impl LocalClient {
    pub(crate) fn new() -> Result<Self, Failure> {
        client(Trust::danger_accept_any_certificate().map_err(failed)?).map(Self)
    }

    /// Waits until the service is ready, ten seconds at the most.
    pub(crate) async fn wait_until_ready(&self, url: &str) -> Result<(), Failure> {
        let ready = format!("{url}/readyz");
        let mut last = failed("it was never asked");
        for _ in 0..100 {
            match ask_whether_ready(&self.0, &ready).await {
                Ok(()) => return Ok(()),
                Err(failure) => last = failure,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(last)
    }

    /// Sends NDJSON and answers the results, one a line.
    pub(crate) async fn submit_lines(
        &self,
        url: &str,
        key: &Token,
        lines: String,
    ) -> Result<Vec<Value>, Failure> {
        submit_lines(&self.0, url, key, lines).await
    }
}

/// Whom to trust who answers at an address.
fn trusting(url: &str, ca: Option<&Path>) -> Result<Trust, Failure> {
    if parsed(url)?.scheme() == "https" {
        return Trust::in_file_or_system(ca).map_err(|error| match error {
            InvalidTrust::NoneInSystem => wrong_setting(format!("{error}, by --ca or TONGHOP_CA")),
            error => wrong_setting(error),
        });
    }
    // Without TLS nobody is asked for a certificate.
    Trust::danger_accept_any_certificate().map_err(wrong_setting)
}

fn parsed(url: &str) -> Result<Url, Failure> {
    url.parse()
        .map_err(|error| wrong_setting(format!("{url} is no address of a service: {error}")))
}

fn is_this_machine(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
}

/// A client that sends nothing to others than it was told to.
fn client(trust: Trust) -> Result<Client, Failure> {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .tls_backend_preconfigured(trust.client_config())
        .build()
        .map_err(failed)
}

fn unreachable(url: &str, error: &reqwest::Error) -> Failure {
    // The outer errors only say where it went wrong.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    failed(format!("{url} does not answer: {cause}"))
}
