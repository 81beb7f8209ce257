//! The certificate authorities in the file that `ca_file` names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why `ca_file` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no certificate can be read from {} (`ca_file`): {reason}", path.display())]
pub(super) struct CaFileError {
    path: PathBuf,
    reason: String,
}

/// At least one certificate authority.
#[derive(Debug)]
pub(super) struct Authorities {
    /// The file as it is.
    pub(super) pem: Vec<u8>,
    pub(super) store: RootCertStore,
}

impl Authorities {
    pub(super) fn read(path: &Path) -> Result<Self, CaFileError> {
        let unreadable = |reason: String| CaFileError { path: path.to_owned(), reason };
        let pem = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(unreadable("the file has no certificate".to_owned()));
        }
        Ok(Self { pem, store })
    }
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
            assert!(Authorities::read(&path).is_err(), "{text:?}");
        }
    }
}
