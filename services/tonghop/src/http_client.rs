//! The HTTP client of the commands that talk to a running service.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;
use tonghop_access::Token;
use tonghop_process::Failure;
use tonghop_tls::{InvalidTrust, Trust};

/// The time for a probe to be answered.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to one service.
pub(crate) struct ServiceClient {
    client: Client,
    url: String,
}

impl ServiceClient {
    /// A client that verifies the service's certificate: against an authority in a file, or those of the operating system.
    pub(crate) fn new(url: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let trust = if parse(url)?.scheme() == "https" {
            Trust::in_file_or_system(ca).map_err(|error| match error {
                InvalidTrust::NoneInSystem => {
                    Failure::configuration(format!("{error}, with --ca or TONGHOP_CA"))
                }
                error => Failure::configuration(error),
            })?
        } else {
            // Without TLS there is no certificate.
            Trust::danger_accept_any_certificate().map_err(Failure::runtime)?
        };
        Self::with_trust(url, &trust)
    }

    /// A client that accepts any certificate: for a service on this machine, and for requests without a secret.
    pub(crate) fn local(url: &str) -> Result<Self, Failure> {
        let trust = Trust::danger_accept_any_certificate().map_err(Failure::runtime)?;
        Self::with_trust(url, &trust)
    }

    /// Ignores proxies and redirects, so that a key reaches the configured service only.
    fn with_trust(url: &str, trust: &Trust) -> Result<Self, Failure> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .tls_backend_preconfigured(trust.client_config())
            .build()
            .map_err(Failure::runtime)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, url })
    }

    /// Succeeds if the service answers GET of a path with 2xx.
    pub(crate) async fn check(&self, path: &str) -> Result<(), Failure> {
        let url = format!("{}{path}", self.url);
        let response = self.client.get(&url).timeout(CHECK_TIMEOUT).send().await;
        match response.map_err(|error| no_answer(&url, &error))?.status() {
            status if status.is_success() => Ok(()),
            status => Err(Failure::runtime(format!("{url} answered {status}"))),
        }
    }

    /// Waits until the service is ready; after ten seconds, fails with the reason why it is not.
    pub(crate) async fn wait_until_ready(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            match self.check("/readyz").await {
                Err(_) if begun.elapsed() < Duration::from_secs(10) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                checked => return checked,
            }
        }
    }

    /// Sends submissions as NDJSON and returns the result of each line.
    pub(crate) async fn submit_batch(&self, key: &Token, lines: Vec<u8>) -> Result<Vec<Value>, Failure> {
        let url = &self.url;
        let request = self
            .client
            .post(format!("{url}/v1/submissions/batch.ndjson"))
            .bearer_auth(key.reveal())
            .header("Content-Type", "application/x-ndjson")
            .body(lines);
        let response = request.send().await.map_err(|error| no_answer(url, &error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| no_answer(url, &error))?;
        if !status.is_success() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let reason = describe_problem(&problem);
            return Err(Failure::runtime(format!("{url} answered {status}: {reason}")));
        }
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(Failure::runtime))
            .collect()
    }
}

/// A problem's detail and each of its errors, in one line.
pub(crate) fn describe_problem(problem: &Value) -> String {
    let mut text = problem["detail"]
        .as_str()
        .or(problem["title"].as_str())
        .unwrap_or("no reason given")
        .to_owned();
    for error in problem["errors"].as_array().into_iter().flatten() {
        let member = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        text.push_str(&format!("; {} {}", member("pointer"), member("detail")));
    }
    text
}

/// Whether a URL names this machine by its loopback address.
pub(crate) fn is_loopback(url: &str) -> Result<bool, Failure> {
    let url = parse(url)?;
    Ok(matches!(
        url.host_str(),
        Some("127.0.0.1" | "[::1]" | "localhost")
    ))
}

fn parse(url: &str) -> Result<Url, Failure> {
    url.parse()
        .map_err(|error| Failure::configuration(format!("{url} is not the URL of a service: {error}")))
}

/// The innermost cause says why; the outer errors only say at which step.
fn no_answer(url: &str, error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::runtime(format!("{url} does not answer: {cause}"))
}
