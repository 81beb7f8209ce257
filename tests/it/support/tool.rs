//! Programs of others that tests run; `tests/setup` installs them and says where they are.

use std::path::PathBuf;

/// The program that an environment variable names. A test that needs one and has none fails.
pub fn tool(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path = path.unwrap_or_else(|| {
        panic!("{variable} is not set: use tests/run, or run tests/setup and source tests/.cache/env")
    });
    assert!(path.exists(), "{variable} names {}, which is not there: run tests/setup", path.display());
    path
}
