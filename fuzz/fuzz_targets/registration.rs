//! Client metadata: what is answered to a registration can be registered again, unchanged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::{client::ClientMetadata, error::ErrorCode, redirect::PrivateUseSchemes};

fuzz_target!(|body: &[u8]| {
    match ClientMetadata::parse(body, &PrivateUseSchemes::Any) {
        Ok(metadata) => {
            assert!(!metadata.redirect_uris.is_empty());
            let answered = serde_json::to_vec(&metadata).expect("JSON");
            let again = ClientMetadata::parse(&answered, &PrivateUseSchemes::Any);
            assert_eq!(again.expect("what was answered is lawful"), metadata);
        }
        Err(error) => {
            assert!(matches!(error.code(), ErrorCode::InvalidRedirectUri | ErrorCode::InvalidClientMetadata));
            assert!(error.description().bytes().all(|byte| matches!(byte, 0x20..=0x7E)));
        }
    }
});
