//! The metrics of the programs. The dashboard, the alert rules and the document name no others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tonghop_tests::{TestApp, Way, broadcasts, corrupt};
use yaml_rust2::YamlLoader;

const DASHBOARD: &str = include_str!("../../../docs/monitoring/grafana.json");
const ALERTS: &str = include_str!("../../../docs/monitoring/alerts.yaml");
const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/monitor.md"));

/// The samples of a page: each name with its labels and one of its values.
#[derive(Default)]
struct Metrics {
    labels: BTreeMap<String, BTreeSet<String>>,
    numbers: BTreeMap<String, f64>,
}

impl Metrics {
    fn by(page: &str) -> Self {
        let mut metrics = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (sample, number) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let names = labels.split("\",").filter_map(|label| label.split_once('='));
            let known = metrics.labels.entry(name.to_owned()).or_default();
            known.extend(names.map(|(name, _)| name.to_owned()));
            metrics.numbers.insert(sample.to_owned(), number.parse().unwrap());
        }
        metrics
    }

    fn number(&self, sample: &str) -> f64 {
        *self.numbers.get(sample).unwrap_or_else(|| panic!("no {sample}"))
    }

    fn names(&self) -> BTreeSet<String> {
        self.labels.keys().cloned().collect()
    }

    fn and(mut self, other: Self) -> Self {
        for (name, labels) in other.labels {
            self.labels.entry(name).or_default().extend(labels);
        }
        self
    }
}

async fn scraped(app: &TestApp, base: &str) -> Metrics {
    let page = app
        .try_ask_at(base, Method::GET, "/metrics", &[], None)
        .await
        .unwrap();
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(page.text.ends_with("# EOF\n"), "{}", page.text);
    Metrics::by(&page.text)
}

/// The metrics of processes in which every metric occurs.
async fn full(way: Way) -> (Metrics, Metrics) {
    let app = TestApp::start(way).await;
    app.wait_for_queues().await;
    assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
    app.settled_totals("VN").await;
    corrupt(&app.database_url, "UPDATE revisions SET figures = '~' || figures").await;
    for _ in 0..app.bases.len() {
        assert_eq!(app.post(&broadcasts("867", 7)).await.status / 100, 2);
    }
    let refreshes = app.aggregator_bases.first().unwrap_or(&app.bases[0]);
    let start = Instant::now();
    loop {
        let metrics = scraped(&app, refreshes).await;
        if metrics.labels.contains_key("tonghop_failing_totals") {
            return (scraped(&app, &app.bases[0]).await, metrics);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "nothing fails");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The words of an expression.
fn words(expression: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split(move |c| !is_part(c))
        .filter(|word| !word.is_empty())
}

fn metrics_in(text: &str) -> BTreeSet<String> {
    let ours = words(text).filter(|word| word.starts_with("tonghop_"));
    ours.map(str::to_owned).collect()
}

/// The labels by which an expression groups or selects.
fn labels_in(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for grouped in expression.split("by (").skip(1) {
        labels.extend(words(grouped.split(')').next().unwrap()).map(str::to_owned));
    }
    for chosen in expression.split('{').skip(1) {
        let chosen = chosen.split('}').next().unwrap();
        let names = chosen.split(',').filter_map(|label| words(label).next());
        labels.extend(names.map(str::to_owned));
    }
    labels
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let own = dashboard.get("expr").and_then(Value::as_str).map(str::to_owned);
    let below: Vec<&Value> = match dashboard {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    own.into_iter()
        .chain(below.into_iter().flat_map(expressions))
        .collect()
}

fn asked_for() -> Vec<String> {
    let mut asked = expressions(&serde_json::from_str(DASHBOARD).unwrap());
    assert!(asked.len() > 20, "{asked:?}");
    let alerts = YamlLoader::load_from_str(ALERTS).unwrap().remove(0);
    let rules = alerts["groups"][0]["rules"].as_vec().unwrap();
    asked.extend(rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()));
    asked
}

/// The metric of a sample, as the document names it.
fn documented(sample: &str) -> &str {
    let parts = ["_bucket", "_count", "_sum"];
    parts
        .iter()
        .find_map(|part| sample.strip_suffix(part))
        .unwrap_or(sample)
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_alerts_and_document_name_existing_metrics() {
    let (api, aggregator) = full(Way::Servers).await;
    for (name, metrics) in [("api", &api), ("aggregator", &aggregator)] {
        for common in [
            "tonghop_marks",
            "tonghop_oldest_mark_age_seconds",
            "tonghop_outbox_rows",
            "tonghop_oldest_outbox_row_age_seconds",
            "tonghop_database_connections",
            "tonghop_database_waiting",
            "tonghop_broker_connected",
            "tonghop_broker_reconnects_total",
        ] {
            assert!(metrics.labels.contains_key(common), "{name}: no {common}");
        }
    }
    let metrics = api.and(aggregator);
    let labels: BTreeSet<&str> = metrics.labels.values().flatten().map(String::as_str).collect();
    for expression in asked_for() {
        for name in metrics_in(&expression) {
            assert!(metrics.labels.contains_key(&name), "{name} in {expression}");
        }
        for label in labels_in(&expression) {
            // Labels that Prometheus adds.
            let known = ["instance", "job"].contains(&label.as_str()) || labels.contains(label.as_str());
            assert!(known, "{label} in {expression}");
        }
    }
    let section = GUIDE.split("\n## Metrics\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let names = metrics.names();
    let names: BTreeSet<&str> = names.iter().map(|name| documented(name)).collect();
    let in_table = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let in_table: Vec<String> = in_table
        .flat_map(|row| metrics_in(row.split('|').next().unwrap()))
        .collect();
    assert_eq!(
        in_table.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        names
    );

    // An embedded service has the same metrics except those of queues.
    let (embedded, _) = full(Way::Embedded).await;
    let mut expected = metrics.names();
    assert!(expected.remove("tonghop_queue_messages"));
    assert_eq!(embedded.names(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_of_all_programs_have_the_same_body() {
    let app = TestApp::start(Way::Servers).await;
    for base in app.bases.iter().chain(&app.aggregator_bases) {
        for probe in ["/livez", "/readyz"] {
            let response = app.try_ask_at(base, Method::GET, probe, &[], None).await.unwrap();
            assert_eq!(response.status, 200, "{base}{probe}: {}", response.text);
            assert_eq!(response.text, r#"{"status":"ok"}"#, "{base}{probe}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let app = TestApp::start(Way::Servers).await;
    app.wait_for_queues().await;
    let (base, aggregators) = (app.bases[0].clone(), app.aggregator_bases.clone());
    let post = async |body: Value| {
        let headers = [("Content-Type", "application/json")];
        let sent = app.try_ask_at(
            &base,
            Method::POST,
            "/v1/submissions",
            &headers,
            Some(body.to_string()),
        );
        sent.await.unwrap().status
    };
    for number in 1..=3 {
        assert_eq!(post(broadcasts("866", number)).await, 201);
    }
    assert_eq!(post(broadcasts("nowhere", 1)).await, 422);
    assert_eq!(
        app.try_ask_at(&base, Method::GET, "/nothing", &[], None)
            .await
            .unwrap()
            .status,
        404
    );
    app.settled_totals("VN").await;
    let metrics = scraped(&app, &base).await;
    assert!(
        metrics.numbers.values().all(|number| !number.is_nan()),
        "{:?}",
        metrics.numbers
    );
    let count = |labels: &str| {
        metrics.number(&format!(
            "tonghop_http_request_duration_seconds_count{{{labels}}}"
        ))
    };
    assert_eq!(count("operation=\"create_submission\",status=\"2xx\""), 3.0);
    assert_eq!(count("operation=\"create_submission\",status=\"4xx\""), 1.0);
    assert_eq!(count("operation=\"none\",status=\"4xx\""), 1.0);
    assert_eq!(metrics.number("tonghop_commit_changes_sum"), 3.0);
    assert_eq!(metrics.number("tonghop_commit_changes_count"), 3.0);
    assert_eq!(metrics.number("tonghop_commit_duration_seconds_count"), 3.0);
    let seconds = metrics.number("tonghop_commit_duration_seconds_sum");
    assert!(seconds > 0.0 && seconds < 30.0, "{seconds}");
    // The page is rendered outside a transaction.
    let connections = |state| {
        metrics.number(&format!(
            "tonghop_database_connections{{pool=\"postgres\",state=\"{state}\"}}"
        ))
    };
    assert!(connections("idle") >= 1.0);
    assert_eq!(
        connections("idle") + connections("in_use") + connections("free"),
        16.0
    );

    let mut refreshes = [0.0; 2];
    for base in &aggregators {
        let metrics = scraped(&app, base).await;
        assert_eq!(
            metrics.number("tonghop_queue_messages{queue=\"aggregator\"}"),
            0.0
        );
        assert_eq!(
            metrics.number("tonghop_queue_messages{queue=\"dead-letters\"}"),
            0.0
        );
        refreshes[0] += metrics.number("tonghop_refresh_duration_seconds_count");
        let outcomes = metrics
            .numbers
            .iter()
            .filter(|(name, _)| name.starts_with("tonghop_refreshes_total"));
        refreshes[1] += outcomes.map(|(_, number)| number).sum::<f64>();
    }
    assert!(refreshes[0] >= 2.0, "{refreshes:?}");
    assert_eq!(refreshes[0], refreshes[1]);
}
