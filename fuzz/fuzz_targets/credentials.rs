//! Credentials in the header and the body. Lines are `Authorization` headers, the last one the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::{credentials::{Credentials, Proof}, error::ErrorCode, params::Params};

fuzz_target!(|bytes: &[u8]| {
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let Some(Ok(body)) = lines.pop().map(Params::parse) else { return };
    match Credentials::of_request(&lines, &body) {
        Ok(credentials) => {
            assert!(!credentials.client_id.is_empty());
            assert_ne!(credentials.proof, Proof::of_body(Some("")));
            assert!(lines.len() <= 1, "several headers were accepted");
            let alone = |name| body.one(name).is_ok_and(|value| value.is_none());
            assert!(lines.is_empty() || alone("client_secret") && alone("client_assertion"));
            assert!(alone("client_secret") || alone("client_assertion"));
        }
        Err(error) => {
            assert!(matches!(error.code(), ErrorCode::InvalidClient | ErrorCode::InvalidRequest));
        }
    }
});
