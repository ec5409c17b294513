//! A description of the machine.

use std::process::Command;

use chrono::{SecondsFormat, Utc};

use crate::ground::Ground;

/// Machine, versions, date and command line.
pub(crate) async fn about(ground: &Ground) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut about = vec![
        ("date", Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)),
        ("processor", first_of("/proc/cpuinfo", "model name")),
        ("cores", cores.to_string()),
        ("memory", first_of("/proc/meminfo", "MemTotal")),
        (
            "system",
            std::fs::read_to_string("/proc/version").unwrap_or_default(),
        ),
        (
            "profile",
            if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
        ),
        (
            "revision",
            said(Command::new("git").args(["describe", "--always", "--dirty"])),
        ),
        ("rustc", said(Command::new("rustc").arg("--version"))),
        ("PostgreSQL", ground.postgres_setting("server_version").await),
        ("RabbitMQ", ground.broker_version().await),
    ];
    for setting in [
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "shared_buffers",
        "max_wal_size",
    ] {
        about.push((setting, ground.postgres_setting(setting).await));
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    about.push(("arguments", arguments.join(" ")));
    for (_, value) in &mut about {
        *value = value.trim().to_owned();
    }
    about
}

/// The value of the first line with this name.
fn first_of(file: &str, field: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    let value = line.and_then(|line| line.split_once(':'));
    value
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

/// The output of a program; empty if it is not installed.
fn said(command: &mut Command) -> String {
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
