//! Child processes that do not outlive their test.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// The output of a program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

impl Process {
    /// Starts a program. Its log goes to this test's standard error.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        Self {
            child: command.stdin(Stdio::null()).spawn().expect("the program starts"),
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends SIGTERM if the process has not ended yet.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn terminate_if_running(&mut self) {
        if self.is_running() {
            self.terminate();
        }
    }

    /// Whether the process has not ended yet.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("the program can be waited for");
        ended.is_none()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success(), "SIG{name} is sent");
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    /// When that takes more than 40 seconds.
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                return status;
            }
            assert!(
                start.elapsed() < Duration::from_secs(40),
                "the program does not end"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A program of this workspace, built by `cargo build --workspace --bins` before the tests, in the profile of the caller.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program knows where it is");
    let mut folders = this.ancestors().skip(1);
    let mut folder = folders.next().expect("a program lies in a folder");
    // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
    if folder.ends_with("deps") {
        folder = folders.next().expect("tests lie in target/PROFILE/deps");
    }
    let built = folder.join(name);
    assert!(
        built.exists(),
        "{} is missing: run `cargo build --workspace --bins` first",
        built.display()
    );
    built
}

/// A command that runs a program of this workspace. Unless the test sets an address, the program listens on a free port,
/// because the default port may be in use.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("TONGHOP_LISTEN", "127.0.0.1:0");
    command
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run_to_end(command: &mut Command) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    Ended {
        code: status.code(),
        output: text(stdout),
        error: text(stderr),
    }
}
