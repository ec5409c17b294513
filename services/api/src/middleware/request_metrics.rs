//! How long requests take, by what they are and how they end.

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

/// What a request is called that is for a page, or for nothing that is there.
const PAGE: &str = "page";
const NONE: &str = "none";

/// The upper ends of what latencies are sorted into, in seconds. A caller may wait for 30.
const LATENCIES: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How long requests take, by what they are and how they end. There are as many kinds as operations and classes of
/// statuses, whatever clients ask for.
#[derive(Debug)]
pub(crate) struct Requests {
    seconds: Family<RequestLabels, Histogram, fn() -> Histogram>,
    /// The operations of each route, by their methods.
    routes: HashMap<String, Vec<(Method, Kind)>>,
    page: Kind,
    none: Kind,
}

/// One kind of request. What is observed once is found again without a look into the family, which all workers share.
#[derive(Debug)]
struct Kind {
    operation: String,
    classes: [OnceLock<Histogram>; CLASSES.len()],
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    status: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Requests {
    /// For the operations of a document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut routes: HashMap<String, Vec<(Method, Kind)>> = HashMap::new();
        for (path, method, operation) in operations(document) {
            let kinds = routes.entry(path.to_owned()).or_default();
            kinds.push((method, Kind::new(operation)));
        }
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCIES)),
            routes,
            page: Kind::new(PAGE),
            none: Kind::new(NONE),
        }
    }

    /// Has them told, and with them how many requests were refused for want of a key.
    pub(crate) fn register(&self, metrics: &Metrics, strangers: &Counter) {
        metrics.register(
            "http_request_duration_seconds",
            "How long requests took until their answer began, by operation and class of status",
            self.seconds.clone(),
        );
        metrics.register(
            "refused_without_key",
            "Requests without a valid key that were refused",
            strangers.clone(),
        );
    }

    /// Notes a request for the route that it matched, if it did.
    pub(crate) fn answered(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let kind = route.map_or(&self.none, |route| self.kind(method, route));
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let histogram = kind.classes[class].get_or_init(|| {
            self.seconds.get_or_create_owned(&RequestLabels {
                operation: kind.operation.clone(),
                status: CLASSES[class],
            })
        });
        histogram.observe(took.as_secs_f64());
    }

    fn kind(&self, method: &Method, route: &str) -> &Kind {
        let Some(kinds) = self.routes.get(route) else {
            return &self.page;
        };
        // HEAD is answered as GET is.
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let found = kinds.iter().find(|(taken, _)| taken == method);
        found.map_or(&self.none, |(_, kind)| kind)
    }
}

impl Kind {
    fn new(operation: &str) -> Self {
        Self {
            operation: operation.to_owned(),
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
    fn requests_are_told_apart_by_operation_and_class_and_by_nothing_that_clients_choose() {
        let requests = Requests::of(&openapi());
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
            (Method::GET, Some("/docs/{_:.*}"), 200),
            (Method::from_bytes(b"NONSENSE").unwrap(), None, 404),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            requests.answered(&method, route, status, took);
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
