//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files that the process may open, connections included, to what the system allows it. Distributions
/// let a process begin with 1,024, for programs that use `select`, and allow it many more.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Some systems allow no more than another limit of theirs. Then the old one stays, about which a service warns.
    setrlimit(Resource::Nofile, raised).ok();
}

/// Warns if the process may open fewer files than this.
pub fn warn_without_open_files(needed: u64) {
    if let Some(allowed) = getrlimit(Resource::Nofile)
        .current
        .filter(|allowed| *allowed < needed)
    {
        tracing::warn!(
            "the system allows {allowed} open files, and the service may need {needed}: raise the limit (ulimit -n, or \
             LimitNOFILE of systemd)"
        );
    }
}
