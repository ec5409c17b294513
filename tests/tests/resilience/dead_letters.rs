//! Dead letters: what happens to the totals, and what the administrator sees.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tonghop_domain::Announcement;
use tonghop_events::{AmqpSettings, Bus, Disposition, Handler, Health, consume};
use tonghop_testkit::{amqp_url, namespace};
use tonghop_tests::{Ended, PROVINCE, Process, TestApp, Way, broadcasts, command, run_to_end};

/// Rejects every announcement.
struct RejectAll;

impl Handler for RejectAll {
    async fn handle(&self, _: &[Announcement]) -> Disposition {
        Disposition::DeadLetter
    }
}

fn dead_letters(app: &TestApp, arguments: &[&str]) -> Ended {
    run_to_end(app.command("tonghop").arg("dead-letters").args(arguments))
}

/// Lists the dead letters until there are this many.
async fn listed(app: &TestApp, count: usize) -> String {
    let begin = Instant::now();
    loop {
        let ended = dead_letters(app, &["list"]);
        if ended.output.lines().count() == count + 1 {
            return ended.output;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{} {}",
            ended.output,
            ended.error
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends two reports whose announcements become dead letters while no aggregator runs.
async fn report_into_dead_letters(app: &mut TestApp) -> String {
    app.aggregators.iter().for_each(Process::terminate);
    for aggregator in &mut app.aggregators {
        aggregator.wait();
    }
    let settings = AmqpSettings::parse(
        app.setting("TONGHOP_AMQP_URL"),
        app.setting("TONGHOP_AMQP_NAMESPACE"),
    );
    let (bus, stop) = (Bus::Amqp(settings.unwrap()), CancellationToken::new());
    let rejecting = tokio::spawn({
        let stop = stop.clone();
        async move { consume(&bus, &RejectAll, &Health::default(), &stop).await }
    });
    for (unit, number) in [("866", 63), ("867", 7)] {
        assert_eq!(app.post(&broadcasts(unit, number)).await.status, 201);
    }
    let output = listed(app, 2).await;
    stop.cancel();
    rejecting.await.unwrap();
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_right_although_its_announcements_are_dead_letters() {
    let mut app = TestApp::start(Way::Servers).await;
    let output = report_into_dead_letters(&mut app).await;
    let expected = format!(
        " rejected x1 in {}.aggregator: vn.tonghop.submission.recorded.v1, form ngay-30-7, period 2021-07, province 87, id ",
        app.setting("TONGHOP_AMQP_NAMESPACE")
    );
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[..2].iter().all(|line| line.contains(&expected)), "{output}");
    assert_eq!(lines[2], "2 dead letters.");
    let before = app.totals(PROVINCE).await;
    assert!(
        TestApp::value(&before, "TT.PT").is_null() && before["freshness"]["pending"] != 0,
        "nothing has refreshed it: {before}"
    );

    app.start_aggregator();
    assert_eq!(TestApp::value(&app.settled_totals("VN").await, "TT.PT"), 70);
    app.assert_verified("VN").await;
    listed(&app, 2).await;

    let id = lines[0].split(" id ").nth(1).unwrap().split(',').next().unwrap();
    let dropped = dead_letters(&app, &["drop", "--id", id]);
    assert_eq!(dropped.output, "1 dead letter dropped.\n", "{}", dropped.error);
    let again = dead_letters(&app, &["drop", "--id", id]);
    assert!(
        again.code == Some(1) && again.error == format!("tonghop: no dead letter has the id {id}\n"),
        "{}",
        again.error
    );
    assert!(!listed(&app, 1).await.contains(id));
    assert_eq!(dead_letters(&app, &["drop"]).output, "1 dead letter dropped.\n");
    assert_eq!(dead_letters(&app, &["list"]).output, "0 dead letters.\n");
    assert_eq!(TestApp::value(&app.settled_totals("VN").await, "TT.PT"), 70);
}

#[test]
fn dead_letters_need_a_broker_and_no_database() {
    let run = |settings: &[(&str, String)]| {
        let mut command = command("tonghop");
        command.args(["dead-letters", "list", "--database-url", "sqlite:/nowhere/x.db"]);
        run_to_end(
            command
                .env_remove("TONGHOP_AMQP_URL")
                .envs(settings.iter().cloned()),
        )
    };
    let embedded = run(&[]);
    assert_eq!(
        (embedded.code, embedded.output.as_str()),
        (
            Some(0),
            "Without a broker, announcements stay inside the service: there are no dead letters.\n"
        )
    );
    let nothing_ran = run(&[
        ("TONGHOP_AMQP_URL", amqp_url()),
        ("TONGHOP_AMQP_NAMESPACE", namespace()),
    ]);
    assert!(
        nothing_ran.code == Some(1) && nothing_ran.error.contains("no aggregator has run there"),
        "{}",
        nothing_ran.error
    );
    let unreachable = run(&[("TONGHOP_AMQP_URL", "amqp://u:secret@127.0.0.1:1".into())]);
    assert!(
        unreachable.code == Some(1)
            && unreachable.error.starts_with("tonghop: the broker: ")
            && unreachable.error.lines().count() == 1
            && !unreachable.error.contains("secret"),
        "{}",
        unreachable.error
    );
}
