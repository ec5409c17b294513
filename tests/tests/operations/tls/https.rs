//! HTTPS for clients and administrators.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_rustls::rustls::ProtocolVersion;
use tonghop_testkit::{free_port, sqlite_database};
use tonghop_tests::{
    Authority, Options, Process, TestApp, Way, broadcasts, command, http_client, http_client_trusting,
    run_to_end,
};

use super::raw::Raw;

/// Starts a service with a certificate of an authority.
pub(crate) async fn served(way: Way, authority: &Authority, folder: &Path) -> TestApp {
    let options = Options {
        settings: authority.sign(&["127.0.0.1"]).write(folder),
        ..Options::default()
    };
    TestApp::start_with(way, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_to_clients_that_trust_the_authority() {
    for way in [Way::Embedded, Way::Servers] {
        let (authority, other_authority) = (Authority::new(), Authority::new());
        let folder = tempfile::tempdir().unwrap();
        let app = served(way, &authority, folder.path()).await;
        assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
        let base = &app.bases[0];
        assert!(base.starts_with("https://"), "{base}");
        let client = http_client_trusting(&authority.trust()).build().unwrap();
        let answer = client.get(format!("{base}/readyz")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        let client = http_client_trusting(&other_authority.trust()).build().unwrap();
        let refused = client.get(format!("{base}/readyz")).send().await;
        assert!(format!("{refused:?}").contains("UnknownIssuer"), "{refused:?}");
        let plain = base.replace("https://", "http://");
        let refused = http_client().build().unwrap().get(plain).send().await;
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_3_and_1_2_are_spoken_and_http_1_1_inside() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let app = served(Way::Embedded, &authority, folder.path()).await;
    let address = app.bases[0].trim_start_matches("https://");
    let mut raw = Raw::connect(address, &authority.trust()).await.unwrap();
    assert_eq!(raw.version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(raw.protocol(), Some(b"http/1.1".as_slice()));
    assert!(raw.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let mut raw = Raw::connect_by_tls_1_2(address, &authority).await.unwrap();
    assert_eq!(raw.version(), Some(ProtocolVersion::TLSv1_2));
    assert!(raw.get("/livez").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let refused = Raw::connect(&address.replace("127.0.0.1", "localhost"), &authority.trust()).await;
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("not valid for name"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_speak_https_with_a_private_authority() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let app = served(Way::Embedded, &authority, folder.path()).await;
    let file = folder.path().join("report.json");
    std::fs::write(&file, broadcasts("866", 63).to_string()).unwrap();
    let submit = |ca: &str| {
        let mut command = app.command("tonghop");
        command.arg("submit").arg(&file).args(["--url", &app.bases[0]]);
        run_to_end(command.env("TONGHOP_KEY", &app.admin_key).env("TONGHOP_CA", ca))
    };
    let refused = submit(&other_authority.setting());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .error
            .contains("does not answer: invalid peer certificate: UnknownIssuer"),
        "{refused:?}"
    );
    let missing = submit("no-such.pem");
    assert_eq!(
        (missing.code, missing.error.lines().count()),
        (Some(2), 1),
        "{missing:?}"
    );
    assert!(missing.error.contains("no-such.pem: No such file"), "{missing:?}");
    let done = submit(&authority.setting());
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        TestApp::value(&app.settled_totals("866").await, "TT.PT"),
        json!(63)
    );
    let ready = format!("{}/readyz", app.bases[0]);
    let healthy =
        |more: &[&str]| run_to_end(app.command("tonghop").args(["healthcheck", &ready]).args(more)).code;
    assert_eq!(
        healthy(&[]),
        Some(0),
        "on this machine the certificate is not verified"
    );
    assert_eq!(healthy(&["--ca", &authority.setting()]), Some(0));
    assert_eq!(healthy(&["--ca", &other_authority.setting()]), Some(1));
}

#[test]
fn an_unusable_certificate_ends_the_start_with_one_sentence() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut pair = authority.sign(&["127.0.0.1"]).write(folder.path());
    let foreign = authority.sign(&["127.0.0.1"]).write(other.path());
    let database = sqlite_database();
    let cases = [
        (vec![pair[0].clone()], "belong together: set both, or neither"),
        (vec![pair[1].clone()], "belong together: set both, or neither"),
        (
            vec![pair[0].clone(), foreign[1].clone()],
            "do not belong together",
        ),
        (
            vec![("TONGHOP_TLS_CERT", "gone.pem".into()), pair.remove(1)],
            "gone.pem: No such file",
        ),
    ];
    for (settings, message) in cases {
        for (name, arguments) in [
            ("tonghop", ["serve"].as_slice()),
            ("tonghop", &["demo"]),
            ("tonghop-api", &[]),
        ] {
            let mut command = command(name);
            let ended = run_to_end(
                command
                    .args(arguments)
                    .env("TONGHOP_LISTEN", format!("127.0.0.1:{}", free_port()))
                    // Neither server is contacted.
                    .env("TONGHOP_AMQP_URL", "amqp://127.0.0.1:1")
                    .env(
                        "TONGHOP_DATABASE_URL",
                        if name == "tonghop" {
                            database.url()
                        } else {
                            "postgres://127.0.0.1:1"
                        },
                    )
                    .envs(settings.iter().cloned()),
            );
            assert_eq!(ended.code, Some(2), "{name} {arguments:?}: {ended:?}");
            assert!(
                ended.error.contains(message) && ended.error.lines().count() == 1,
                "{ended:?}"
            );
        }
    }
}

/// The log of a service until it is ready.
async fn logged(address: &str, settings: Vec<(&'static str, String)>) -> String {
    let database = sqlite_database();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = command("tonghop");
    let port = address.rsplit(':').next().unwrap();
    let scheme = if settings.is_empty() { "http" } else { "https" };
    command
        .args([
            "serve",
            "--database-url",
            database.url(),
            "--listen",
            address,
            "--log",
            "warn",
        ])
        .envs(settings)
        .stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    let _service = Process::start(&mut command);
    let client = http_client().build().unwrap();
    let start = Instant::now();
    while client
        .get(format!("{scheme}://127.0.0.1:{port}/readyz"))
        .send()
        .await
        .is_err()
    {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it does not become ready"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::read_to_string(log).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_tls_on_the_network_logs_a_warning() {
    let warning = "serving HTTP without TLS beyond this machine";
    let folder = tempfile::tempdir().unwrap();
    let pair = Authority::new().sign(&["127.0.0.1"]).write(folder.path());
    let everywhere = || format!("0.0.0.0:{}", free_port());
    assert!(logged(&everywhere(), Vec::new()).await.contains(warning));
    assert!(!logged(&everywhere(), pair).await.contains(warning));
    let here = format!("127.0.0.1:{}", free_port());
    assert!(!logged(&here, Vec::new()).await.contains(warning));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_can_use_https() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    // The certificate's name differs from the address, as on a server.
    let pair = Authority::new().sign(&["tonghop.example"]).write(folder.path());
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = command("tonghop");
    command
        .args(["demo", "--listen", &address, "--log", "warn"])
        .envs(pair);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let message: Vec<String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.contains("/docs"))
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        message
            .iter()
            .any(|line| line.contains("14 illustrative submissions")),
        "{message:?}"
    );
}
