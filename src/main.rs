//! `pangea-mcp-auth`.

fn main() {}
