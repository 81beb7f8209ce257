//! The only place that prints: data to standard output, words to standard error.

use std::io::{self, Write};

/// Prints data. A reader that went away is no failure of ours.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says why a command failed.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {message}");
}
