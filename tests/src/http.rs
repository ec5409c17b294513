//! Requests to a running service.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::app::TestApp;
use crate::contract::check_answer;

impl TestApp {
    /// Sends a request to the api processes in turn.
    ///
    /// # Panics
    /// When there is no response.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.try_ask(method, path, headers, body)
            .await
            .expect("the service answers")
    }

    /// Sends a request to the api processes in turn.
    ///
    /// # Errors
    /// There is no response.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let base = &self.bases[self.turn.fetch_add(1, Ordering::Relaxed) % self.bases.len()];
        self.try_ask_at(base, method, path, headers, body).await
    }

    /// Sends a request to one process, with the administrator's key unless the header fields have another.
    ///
    /// # Errors
    /// There is no response.
    pub async fn try_ask_at(
        &self,
        base: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method.clone(), format!("{base}{path}"));
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            request = request.bearer_auth(&self.admin_key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer {
            status,
            headers,
            text: response.text().await?,
        };
        // The document is about the api.
        if !self.aggregator_bases.iter().any(|other| other == base) {
            check_answer(&method, path, &answer);
        }
        Ok(answer)
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    /// Sends a submission.
    pub async fn post(&self, body: &Value) -> Answer {
        self.post_with(body, &[]).await
    }

    /// Sends a submission with header fields.
    pub async fn post_with(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        self.ask(Method::POST, "/v1/submissions", &all, Some(body.to_string()))
            .await
    }
}
