//! TLS to PostgreSQL, by the URL and the certificate authority.

use tokio_postgres::NoTls;
use tonghop_testkit::{PrivatePostgres, namespace, postgres_database};
use tonghop_tests::{Authority, Ended, Options, TestApp, Way, broadcasts, command, run_to_end};

/// Starts a server with a certificate for its address.
async fn server(authority: &Authority) -> PrivatePostgres {
    let pair = authority.sign(&["127.0.0.1"]);
    PrivatePostgres::start_with_tls(&pair.certificate, &pair.key).await
}

fn migrate(url: &str, authority: Option<&str>) -> Ended {
    let mut command = command("tonghop");
    command.args(["migrate", "--database-url", url]);
    if let Some(file) = authority {
        command.args(["--database-ca", file]);
    }
    // The authorities of the operating system, which do not include ours.
    run_to_end(&mut command)
}

/// The numbers of encrypted and of unencrypted sessions of the service in a database.
async fn sessions(url: &str) -> (i64, i64) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let counted = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl \
                   JOIN pg_stat_activity USING (pid) \
                   WHERE application_name = 'tonghop' AND datname = current_database()";
    let row = client.query_one(counted, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_of_every_program_is_encrypted_and_verified() {
    let authority = Authority::new();
    let postgres = server(&authority).await;
    let options = Options {
        database_url: Some(format!("{}?sslmode=require", postgres.url())),
        settings: vec![("TONGHOP_DATABASE_CA", authority.setting())],
        ..Options::default()
    };
    let app = TestApp::start_with(Way::Servers, options).await;
    assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
    app.settled_totals("VN").await;
    let (encrypted, plain) = sessions(&postgres.url()).await;
    assert!(
        encrypted >= 4 && plain == 0,
        "{encrypted} encrypted, {plain} plain"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_rejected_with_one_sentence() {
    let (authority, other_authority) = (Authority::new(), Authority::new());
    let postgres = server(&authority).await;
    let url = postgres.url();
    let other_name = url.replace("127.0.0.1", "localhost");
    for (url, authority, message) in [
        (url.clone(), Some(other_authority.setting()), "UnknownIssuer"),
        (
            format!("{url}?sslmode=require"),
            Some(other_authority.setting()),
            "UnknownIssuer",
        ),
        (
            format!("{url}?sslmode=verify-full"),
            Some(other_authority.setting()),
            "UnknownIssuer",
        ),
        (other_name, Some(authority.setting()), "not valid for name"),
    ] {
        let refused = migrate(&url, authority.as_deref());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.error.contains(message) && refused.error.lines().count() == 1,
            "{refused:?}"
        );
        assert!(refused.error.contains("certificate"), "{refused:?}");
    }
    // By the authorities of the operating system; a small container has none, and the error says so.
    for mode in ["require", "verify-full"] {
        let refused = migrate(&format!("{url}?sslmode={mode}"), None);
        assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
        let message = ["UnknownIssuer", "no list of certificate authorities"];
        assert!(
            message.iter().any(|message| refused.error.contains(message)),
            "{refused:?}"
        );
    }
    assert_eq!(migrate(&url, Some(&authority.setting())).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_is_honoured() {
    let authority = Authority::new();
    let postgres = server(&authority).await;
    for (mode, encrypted) in [("disable", false), ("prefer", true)] {
        let database = fresh(&postgres).await;
        let url = format!("{database}?sslmode={mode}");
        assert_eq!(migrate(&url, None).code, Some(0), "{url}");
        let options = Options {
            database_url: Some(url),
            ..Options::default()
        };
        let app = TestApp::start_with(Way::Embedded, options).await;
        assert_eq!(app.post(&broadcasts("866", 63)).await.status, 201);
        let (tls, plain) = sessions(&database).await;
        let message = format!("{mode}: {tls} with TLS, {plain} without");
        assert_eq!((tls > 0, plain > 0), (encrypted, !encrypted), "{message}");
    }
}

/// Creates an empty database on the server.
async fn fresh(postgres: &PrivatePostgres) -> String {
    let url = postgres.url();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let name = namespace();
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    format!("{}/{name}", url.strip_suffix("/postgres").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_rejected_only_where_tls_is_required() {
    let (database, authority) = (postgres_database().await, Authority::new());
    let url = database.url();
    assert_eq!(migrate(url, None).code, Some(0));
    for (url, authority) in [
        (url.to_owned(), Some(authority.setting())),
        (format!("{url}?sslmode=prefer"), Some(authority.setting())),
        (format!("{url}?sslmode=require"), Some(authority.setting())),
    ] {
        let refused = migrate(&url, authority.as_deref());
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.error.contains("server does not support TLS"),
            "{refused:?}"
        );
    }
}

#[test]
fn an_unusable_authority_ends_the_start_with_one_sentence() {
    let authority = Authority::new();
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().display().to_string();
    for (url, file, message) in [
        ("postgres://127.0.0.1:1/x", "gone.pem", "gone.pem: No such file"),
        (
            "postgres://127.0.0.1:1/x",
            empty.as_str(),
            "contains no certificate",
        ),
        (
            "postgres://127.0.0.1:1/x?sslmode=disable",
            &authority.setting(),
            "sslmode=disable",
        ),
    ] {
        let mut commands = vec![command("tonghop"), command("tonghop-api")];
        commands[0].arg("migrate");
        commands.push(command("tonghop-aggregator"));
        for mut command in commands {
            let settings = [
                ("TONGHOP_DATABASE_URL", url),
                ("TONGHOP_DATABASE_CA", file),
                ("TONGHOP_AMQP_URL", "amqp://127.0.0.1:1"),
            ];
            let ended = run_to_end(command.envs(settings));
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(
                ended.error.contains(message) && ended.error.lines().count() == 1,
                "{ended:?}"
            );
        }
    }
}
