//! What the machine can do without tonghop.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ConnectionProperties};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tonghop_testkit::{free_port, namespace, postgres_database_at};
use tonghop_tests::{Process, run_to_end};

use crate::client::{Target, Wanted};
use crate::country::Reporters;
use crate::ground::{Ground, connect};
use crate::plan::Arguments;
use crate::reports::months;
use crate::results::{Results, median};
use crate::scenarios::{CONNECTIONS, submit};

const WINDOW: usize = 512;
/// About the size of an announcement of a recorded submission.
const MESSAGE: [u8; 400] = [b'x'; 400];

/// The median of several repetitions of each.
pub(super) async fn run(ground: &Ground, plan: &Arguments, results: &mut Results) {
    let time = plan.time(10.0);
    let (mut inserts, mut no_op, mut windows, mut singles) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.repeat() {
        inserts.push(one_row_inserts(ground, time).await);
        no_op.push(no_op_requests(plan).await);
        windows.push(confirmed_publishes(ground, WINDOW, time).await);
        singles.push(confirmed_publishes(ground, 1, time).await);
    }
    let limits = &mut results.limits;
    limits.inserts = Some(median(inserts));
    limits.no_op = Some(median(no_op));
    limits.confirms_in_windows = Some(median(windows));
    limits.confirms_one_by_one = Some(median(singles));
    println!("{limits:.0?}");
}

/// pgbench with default settings: 64 clients, two threads, one INSERT per transaction.
pub(super) async fn one_row_inserts(ground: &Ground, time: Duration) -> f64 {
    let database = postgres_database_at(&ground.postgres_url).await;
    let client = connect(database.url()).await;
    client
        .batch_execute("CREATE TABLE report (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, unit int, figures text)")
        .await
        .expect("a table can be made");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let script = folder.path().join("insert.sql");
    let figures = "TT.PT=63;".repeat(10);
    let text = format!(
        "\\set unit random(1, 705)\nINSERT INTO report (unit, figures) VALUES (:unit, '{figures}');\n"
    );
    std::fs::write(&script, text).expect("a file is written");
    let seconds = (time.as_secs_f64().round() as u64).max(1).to_string();
    let ran = run_to_end(
        Command::new(pgbench())
            .args([
                "--no-vacuum",
                "--client=64",
                "--jobs=2",
                "--time",
                &seconds,
                "--file",
            ])
            .arg(&script)
            .arg(database.url()),
    );
    assert_eq!(ran.code, Some(0), "{}{}", ran.output, ran.error);
    let rate = ran.output.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate
        .and_then(|rate| rate.split(' ').next())
        .and_then(|rate| rate.parse().ok());
    rate.unwrap_or_else(|| panic!("pgbench tells no rate: {}", ran.output))
}

/// pgbench beside the server's programs, or in the PATH.
fn pgbench() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../servers/postgres");
    let found = run_to_end(Command::new(script).arg("find"));
    if found.code == Some(0) {
        format!("{}/pgbench", found.output.trim())
    } else {
        "pgbench".to_owned()
    }
}

async fn no_op_requests(plan: &Arguments) -> f64 {
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let this = std::env::current_exe().expect("a program knows where it is");
    let _server = Process::start(Command::new(this).arg(format!("--serve-no-op={address}")));
    let start = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the no-op handler is not served"
        );
        sleep(Duration::from_millis(10)).await;
    }
    let target = Target {
        address,
        token: "th_of-nobody".to_owned(),
    };
    let reports = plan.country(Reporters::Districts).reports(10, &months(1));
    submit(
        &target,
        CONNECTIONS,
        plan.saturated(),
        Wanted::CREATED,
        &reports,
        0,
    )
    .await
    .per_second()
}

/// Persistent messages to a quorum queue: sends a window, then awaits each confirm.
async fn confirmed_publishes(ground: &Ground, window: usize, time: Duration) -> f64 {
    let connection = lapin::Connection::connect(&ground.amqp_url, ConnectionProperties::default()).await;
    let connection = connection.expect("the broker can be reached");
    let channel = connection.create_channel().await.expect("a channel");
    let options = ConfirmSelectOptions::default();
    channel
        .confirm_select(options)
        .await
        .expect("confirms can be asked for");
    let queue = namespace();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.as_str().into(), durable, arguments)
        .await;
    declared.expect("a queue can be declared");
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        publish(&channel, &queue, window).await;
        count += window;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let deleted = channel
        .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
        .await;
    assert_eq!(
        deleted.expect("the queue can be deleted"),
        u32::try_from(count).expect("few")
    );
    connection
        .close(200, "OK".into())
        .await
        .expect("the broker lets go");
    rate
}

async fn publish(channel: &Channel, queue: &str, window: usize) {
    let mut confirms = Vec::with_capacity(window);
    for _ in 0..window {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.into(), options, &MESSAGE, persistent);
        confirms.push(sent.await.expect("a message is sent"));
    }
    for confirm in confirms {
        let confirm = confirm.await.expect("the broker answers");
        assert!(matches!(confirm, Confirmation::Ack(_)), "{confirm:?}");
    }
}
