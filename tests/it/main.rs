//! Everything that is tested through HTTP or from outside, in one binary. A test names the rows of the
//! requirements that it shows in a line `/// Shows: …`; `docs/requirements.md` is made from them.

#![expect(unreachable_pub, reason = "the binary is its own world")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod stage;
mod support;

mod documents;
mod operator;
mod promises;
mod protocol;
mod storage;
