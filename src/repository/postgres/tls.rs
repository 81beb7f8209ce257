//! Whom to trust. Certificates are always verified, host names included.

use std::{fs, path::Path, path::PathBuf};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::problem::Problem;

/// A connector that trusts the authorities in `ca_file`, else those of this machine.
pub(super) fn connector(mode: SslMode, ca_file: Option<&Path>) -> Result<MakeRustlsConnect, Problem> {
    let config = ClientConfig::builder();
    let config = match ca_file {
        _ if mode == SslMode::Disable => config.with_root_certificates(RootCertStore::empty()),
        Some(path) => config.with_root_certificates(authorities(path)?),
        None => config.with_platform_verifier().map_err(|error| Problem::NoTrust(error.to_string()))?,
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn authorities(path: &Path) -> Result<RootCertStore, Problem> {
    let unreadable = |reason: String| Problem::CaFile(PathBuf::from(path), reason);
    let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        authorities.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(unreadable("there is none in it".to_owned()));
    }
    Ok(authorities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ca.pem");
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(text) = text {
                fs::write(&path, text).expect("writes");
            }
            let refused = connector(SslMode::Require, Some(&path));
            assert!(matches!(refused, Err(Problem::CaFile(_, _))), "{text:?}");
        }
    }
}
