//! Limits and protections of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that the daemon can use.
const USEFUL_FILES: u64 = 16_384;

/// Raises the limit of open files, and protects the keys in memory: no core dumps, no debuggers. If the system
/// refuses something, a warning is logged.
pub(crate) fn prepare_process() {
    let files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(USEFUL_FILES, |hard| hard.min(USEFUL_FILES));
    if files.current.is_some_and(|soft| soft < wanted) {
        let raised = Rlimit { current: Some(wanted), ..files };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    let no_core = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, no_core) {
        tracing::warn!(%error, "cannot disable core dumps");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "cannot protect the memory of this process from debuggers");
    }
}

/// How many files this process may have open.
pub(super) fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
