//! Measures how long requests take, by operation and class of status.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tonghop_metrics::Metrics;
use utoipa::openapi::OpenApi;

use crate::openapi::operations::operations;

/// The operation of a request for a page.
const PAGE: &str = "page";
/// The operation of a request that matches no route.
const NONE: &str = "none";

/// The upper bounds of the histogram's buckets, in seconds. A caller may wait for 30.
const BUCKETS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The durations of requests. There is one series per operation and class of status, whatever clients send.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    seconds: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// The operations of each route, by method.
    routes: HashMap<String, Vec<(Method, Operation)>>,
    page: Operation,
    none: Operation,
}

/// One operation. Its histograms are looked up once, because all workers share the family.
#[derive(Debug)]
struct Operation {
    id: String,
    classes: [OnceLock<Histogram>; CLASSES.len()],
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    status: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl RequestMetrics {
    /// Metrics for the operations of a document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut routes: HashMap<String, Vec<(Method, Operation)>> = HashMap::new();
        for (path, method, id) in operations(document) {
            let operations = routes.entry(path.to_owned()).or_default();
            operations.push((method, Operation::new(id)));
        }
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            routes,
            page: Operation::new(PAGE),
            none: Operation::new(NONE),
        }
    }

    /// Registers them, together with the counter of rejected requests without a valid key.
    pub(crate) fn register(&self, metrics: &Metrics, rejected_without_key: &Counter) {
        metrics.register(
            "http_request_duration_seconds",
            "Time from a request to the start of its response, by operation and class of status",
            self.seconds.clone(),
        );
        metrics.register(
            "refused_without_key",
            "Rejected requests without a valid key",
            rejected_without_key.clone(),
        );
    }

    /// Counts a request for the route that it matched, if any.
    pub(crate) fn observe(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let operation = route.map_or(&self.none, |route| self.operation(method, route));
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let histogram = operation.classes[class].get_or_init(|| {
            self.seconds.get_or_create_owned(&RequestLabels {
                operation: operation.id.clone(),
                status: CLASSES[class],
            })
        });
        histogram.observe(took.as_secs_f64());
    }

    fn operation(&self, method: &Method, route: &str) -> &Operation {
        let Some(operations) = self.routes.get(route) else {
            return &self.page;
        };
        // A HEAD request is handled as GET.
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let found = operations.iter().find(|(known, _)| known == method);
        found.map_or(&self.none, |(_, operation)| operation)
    }
}

impl Operation {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            classes: Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::server::router::openapi;

    #[test]
    fn series_differ_by_operation_and_class_and_by_nothing_clients_send() {
        let requests = RequestMetrics::of(&openapi());
        let took = Duration::from_millis(3);
        let submissions = Some("/v1/submissions");
        for (method, route, status) in [
            (Method::POST, submissions, 201),
            (Method::POST, submissions, 200),
            (Method::POST, submissions, 422),
            (Method::GET, submissions, 200),
            (Method::HEAD, submissions, 200),
            (Method::PUT, submissions, 405),
            (Method::DELETE, Some("/v1/submissions/{id}"), 503),
            (Method::GET, Some("/docs/{file:.*}"), 200),
            (Method::from_bytes(b"NONSENSE").unwrap(), None, 404),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            requests.observe(&method, route, status, took);
        }
        let mut registry = Registry::default();
        registry.register("seconds", "Seconds", requests.seconds.clone());
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        let mut counts: Vec<&str> = page.lines().filter(|line| line.contains("_count")).collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [
                "seconds_count{operation=\"create_submission\",status=\"2xx\"} 2",
                "seconds_count{operation=\"create_submission\",status=\"4xx\"} 1",
                "seconds_count{operation=\"list_submissions\",status=\"2xx\"} 2",
                "seconds_count{operation=\"none\",status=\"4xx\"} 2",
                "seconds_count{operation=\"page\",status=\"2xx\"} 1",
                "seconds_count{operation=\"withdraw_submission\",status=\"5xx\"} 1",
            ]
        );
        let bucket = "seconds_bucket{le=\"0.005\",operation=\"create_submission\",status=\"2xx\"} 2";
        assert!(page.lines().any(|line| line == bucket), "{page}");
    }
}
