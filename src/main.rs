//! `pangea-mcp-auth`: parses, runs, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    pangea_mcp_auth::cli::main()
}
