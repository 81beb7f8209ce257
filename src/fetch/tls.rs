//! Outbound connections trust the certificate authorities of this machine, or those in a file.

use std::path::Path;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;

/// This machine has no certificate authorities, so no `https` address can be verified.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "this machine has no certificate authorities to verify https addresses with ({0}): install the package \
     ca-certificates, or set SSL_CERT_FILE to a PEM file with the authorities"
)]
pub struct NoAuthorities(String);

/// TLS for the clients, and the error if there are no authorities. Every certificate is then refused.
pub(super) fn config() -> (ClientConfig, Option<NoAuthorities>) {
    match ClientConfig::builder().with_platform_verifier() {
        Ok(config) => (config.with_no_client_auth(), None),
        Err(error) => {
            let untrusting = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
            (untrusting.with_no_client_auth(), Some(NoAuthorities(error.to_string())))
        }
    }
}

/// TLS that trusts only the authorities in a PEM file. The error is a sentence.
pub(super) fn config_with(ca_file: &Path) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca_file).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("the file has no certificate".to_owned());
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
