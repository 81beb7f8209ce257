//! The daemon with a repository of your own.

mod directory;

use std::{error::Error, path::Path, sync::Arc};

use directory::DirectoryRepository;
use pangea_mcp_auth::{
    clock::SystemClock,
    config::{self, Overrides, Source, SystemEnvironment},
    daemon,
    secret::SystemRandom,
    telemetry,
};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).map(Into::into);
    let source = Source { file, environment: &SystemEnvironment, overrides: Overrides::default(), dev: None };
    let config = config::load(&source)?;
    telemetry::start(&config.log);

    let repository = Arc::new(DirectoryRepository::open(Path::new("records"))?);
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let assembled = daemon::assemble_with(&config, repository, clock, random).await?;

    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(daemon::listen(*address).await?);
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon::run(assembled, listeners, Arc::default(), stop.clone()));
    tracing::info!(public_url = %config.public_url, "ready");

    tokio::signal::ctrl_c().await?;
    stop.cancel();
    running.await?;
    Ok(())
}
