//! The users of the broker that docs/secure.md tells to make run the service; and so does one user for all.

use tonghop_testkit::PrivateBroker;
use tonghop_tests::{Options, PROVINCE, TestApp, Way, broadcasts};

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/secure.md"));

/// The commands that make the users, as they stand in the document.
fn commands() -> String {
    let block = GUIDE
        .split("```sh\n")
        .find(|block| block.starts_with("rabbitmqctl add_user"));
    let commands = block.unwrap().split("```").next().unwrap();
    commands.replace('…', "guest")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_users_run_the_service_and_so_does_one_user_for_all() {
    let broker = PrivateBroker::start().await;
    broker.run_shell(&commands()).await;
    for amqp_users in [Some(["api1", "aggregator1"]), None] {
        let options = Options {
            amqp_url: Some(broker.url()),
            amqp_users,
            // The documented rights are about this namespace.
            settings: vec![("TONGHOP_AMQP_NAMESPACE", "tonghop".into())],
            // No sweep but the first: only an announcement brings the total.
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
