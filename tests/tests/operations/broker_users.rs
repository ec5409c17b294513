//! The service runs with the users of the broker in docs/secure.md, and with a single user.

use tonghop_testkit::PrivateBroker;
use tonghop_tests::{Options, PROVINCE, TestApp, Way, broadcasts};

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/secure.md"));

/// The commands of the document that create the users.
fn commands() -> String {
    let block = GUIDE
        .split("```sh\n")
        .find(|block| block.starts_with("rabbitmqctl add_user"));
    let commands = block.unwrap().split("```").next().unwrap();
    commands.replace('…', "guest")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_runs_with_the_documented_users_and_with_one_user() {
    let broker = PrivateBroker::start().await;
    broker.run_shell(&commands()).await;
    for amqp_users in [Some(["api1", "aggregator1"]), None] {
        let options = Options {
            amqp_url: Some(broker.url()),
            amqp_users,
            // The documented permissions are for this namespace.
            settings: vec![("TONGHOP_AMQP_NAMESPACE", "tonghop".into())],
            // Only the first sweep runs: later totals need an announcement.
            sweep_interval_ms: 60_000,
            ..Options::default()
        };
        let app = TestApp::start_with(Way::Servers, options).await;
        app.wait_for_queues().await;
        assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
        let totals = app.settled_totals(PROVINCE).await;
        assert_eq!(TestApp::value(&totals, "TT.PT"), 63, "{amqp_users:?}");
    }
    let queues = broker.queues().await;
    let names: Vec<&str> = queues.keys().map(String::as_str).collect();
    assert_eq!(names, ["tonghop.aggregator", "tonghop.dead-letters"]);
}
