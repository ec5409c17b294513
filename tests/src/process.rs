//! Child processes that do not outlive their test.

use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// A running program. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// What a program said until it ended.
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

    /// Asks it to stop, as an operator would.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks it to stop, if it has not ended yet.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn terminate_if_running(&mut self) {
        if self.is_running() {
            self.terminate();
        }
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("the program can be waited for");
        ended.is_none()
    }

    /// The process's number.
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

    /// Waits until it has ended.
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
