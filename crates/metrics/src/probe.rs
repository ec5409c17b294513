//! The body of liveness and readiness probes.

use serde::Serialize;

/// The JSON body with which every program answers `/livez` and `/readyz` if all is well. A program that is not ready answers
/// with a problem document instead.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProbeBody {
    status: &'static str,
}

impl ProbeBody {
    /// Returns the only body there is.
    pub fn ok() -> Self {
        Self { status: "ok" }
    }

    /// The status of the program.
    pub fn status(self) -> &'static str {
        self.status
    }
}
