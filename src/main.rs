//! `pangea-mcp-auth`: parses, runs, exits.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes hundreds of small allocations, which the C library serves at twice the cost.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    pangea_mcp_auth::cli::main()
}
