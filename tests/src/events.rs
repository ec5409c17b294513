//! The change feed as a client of server-sent events receives it.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answer::Answer;
use crate::app::TestApp;
use crate::client::http_client;
use crate::contract::{check_answer, check_value};

/// A response of server-sent events, and what has arrived of it.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    received: String,
    /// The last id that arrived, with an event or without.
    pub last_id: String,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Value,
}

impl TestApp {
    /// Opens a stream of changes at one process, and checks its head.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn follow(&self, base: &str, path: &str, key: &str, headers: &[(&str, &str)]) -> EventStream {
        // Without the deadline of other requests.
        let client = http_client().build().expect("a client");
        let mut request = client.get(format!("{base}{path}")).bearer_auth(key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("the service answers");
        let head = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: String::new(),
        };
        check_answer(&Method::GET, path, &head);
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), "text/event-stream");
        assert_eq!(head.header("content-encoding"), "");
        EventStream {
            response,
            received: String::new(),
            last_id: String::new(),
        }
    }
}

impl EventStream {
    /// The next event, which is as described; none if the stream ends or breaks, or none arrives in time.
    pub async fn next(&mut self, within: Duration) -> Option<Event> {
        let end = Instant::now() + within;
        loop {
            let block = self.next_block(end).await?;
            let field = |name: &str| {
                let mut lines = block.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
            };
            if let Some(id) = field("id") {
                self.last_id = id;
            }
            let Some(data) = field("data") else { continue };
            let data: Value = serde_json::from_str(&data).expect("data in JSON");
            check_value("Change", &data);
            let name = field("event").expect("a name");
            assert_eq!(data["kind"], name.as_str());
            return Some(Event { name, data });
        }
    }

    /// The lines up to the next blank one.
    async fn next_block(&mut self, end: Instant) -> Option<String> {
        loop {
            if let Some(at) = self.received.find("\n\n") {
                return Some(self.received.drain(..at + 2).collect());
            }
            let chunk = timeout_at(end, self.response.chunk()).await.ok()?.ok()??;
            self.received
                .push_str(std::str::from_utf8(&chunk).expect("events are not cut within a character"));
        }
    }

    /// Waits until the stream ends; false if it does not in time.
    pub async fn ends(&mut self, within: Duration) -> bool {
        let end = Instant::now() + within;
        loop {
            match timeout_at(end, self.response.chunk()).await {
                Ok(Ok(Some(_))) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }
}
