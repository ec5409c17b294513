//! The demonstration that a reader of the documentation starts.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tonghop_testkit::free_port;
use tonghop_tests::command;

/// A running `tonghop demo` with its output. Stopped when dropped.
pub(crate) struct Demo {
    child: Child,
    /// Its host and port.
    pub(crate) address: String,
    /// What it has printed.
    pub(crate) printed: String,
}

impl Demo {
    pub(crate) fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = command("tonghop");
        command
            .args(["demo", "--listen", &address, "--log", "warn"])
            .stdout(Stdio::piped());
        let mut child = command.env_remove("TONGHOP_DATABASE_URL").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = String::new();
        // The correction is the last line of its output.
        while !printed.contains("Prefer: wait") {
            let line = lines
                .next()
                .expect("the demonstration prints its commands")
                .unwrap();
            printed.push_str(&line);
            printed.push('\n');
        }
        Self {
            child,
            address,
            printed,
        }
    }

    /// The key that the demonstration exports by this name.
    pub(crate) fn key(&self, name: &str) -> String {
        let export = format!("export {name}=");
        let mut lines = self.printed.lines();
        let key = lines.find_map(|line| line.trim().strip_prefix(&export));
        key.expect("the demonstration prints its keys").to_owned()
    }

    /// What a command prints, in a shell with the demonstration's keys and in the top folder of the repository.
    ///
    /// # Panics
    /// Panics if the command fails.
    pub(crate) fn shell(&self, command: &str) -> String {
        let command = command.replace("127.0.0.1:8080", &self.address);
        // A user runs these lines first.
        let keys = self.printed.lines().map(str::trim);
        let keys: Vec<&str> = keys.filter(|line| line.starts_with("export ")).collect();
        let script = format!("{}\n{command}", keys.join("\n"));
        let output = Command::new("bash")
            .args(["-eo", "pipefail", "-c", &script])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether an answer matches the document; "…" matches anything.
pub(crate) fn agrees(shown: &Value, real: &Value) -> bool {
    match (shown, real) {
        (Value::String(any), _) if any == "…" => !real.is_null(),
        (Value::Object(shown), Value::Object(real)) => {
            shown.len() == real.len()
                && shown
                    .iter()
                    .all(|(key, value)| real.get(key).is_some_and(|real| agrees(value, real)))
        }
        (Value::Array(shown), Value::Array(real)) => {
            shown.len() == real.len() && shown.iter().zip(real).all(|(shown, real)| agrees(shown, real))
        }
        _ => shown == real,
    }
}
