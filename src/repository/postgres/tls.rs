//! TLS to the server. Certificates are always verified, host names included.

use std::path::Path;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::problem::Problem;
use crate::repository::authorities::Authorities;

/// A connector that trusts the authorities in `ca_file`, or without one those of this machine.
pub(super) fn connector(mode: SslMode, ca_file: Option<&Path>) -> Result<MakeRustlsConnect, Problem> {
    let config = ClientConfig::builder();
    let config = match ca_file {
        _ if mode == SslMode::Disable => config.with_root_certificates(RootCertStore::empty()),
        Some(path) => config.with_root_certificates(Authorities::read(path)?.store),
        None => config.with_platform_verifier().map_err(|error| Problem::NoTrust(error.to_string()))?,
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}
