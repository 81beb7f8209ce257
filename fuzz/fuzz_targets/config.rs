//! The configuration file: understood, or refused with at least one sentence.

#![no_main]

use std::{collections::BTreeMap, path::Path};

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::config::{self, Directories, Environment, KeyringError};

/// No variable, no keyring, no home.
struct Nowhere;

impl Environment for Nowhere {
    fn variables(&self) -> BTreeMap<String, String> {
        [("A".to_owned(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_owned())].into()
    }

    fn keyring(&self, _name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NoEntry)
    }

    fn directories(&self) -> Option<Directories> {
        None
    }
}

fuzz_target!(|text: &str| {
    // A secret's file may be any file of this machine; those are not the parser's business.
    if text.contains("file") {
        return;
    }
    if let Err(problems) = config::parse(text, Path::new("/nonexistent/config.toml"), &Nowhere) {
        assert!(!problems.to_string().is_empty());
    }
});
