//! What the process asks of the operating system for itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as the daemon can make use of.
const USEFUL_FILES: u64 = 16_384;

/// Prepares this process for serving: it may open more files, and leaves no copy of its memory, which
/// holds keys, on a disk or to a debugger. What the system refuses is logged; the daemon runs without.
pub(crate) fn prepare_process() {
    let files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(USEFUL_FILES, |hard| hard.min(USEFUL_FILES));
    if files.current.is_some_and(|soft| soft < wanted) {
        let raised = Rlimit { current: Some(wanted), ..files };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, no_core) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "the memory of this process cannot be closed to debuggers");
    }
}

/// How many files this process may have open.
pub(super) fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
