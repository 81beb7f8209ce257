//! Client assertions and key sets. The first line is a key set, the rest header, claims and signature of a JWT in
//! clear, with an empty line between them.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::{
    clock::UnixTime,
    jose::is_signed,
    oauth::{
        assertion::{Assertion, LONGEST_LIFE},
        client::ClientId,
        client_keys::ClientKeys,
        error::ErrorCode,
        issuer::Issuer,
    },
    secret::encode,
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fuzz_target!(|bytes: &[u8]| {
    let (set, parts) = bytes.split_at(bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len()));
    let _ = Assertion::parse(&String::from_utf8_lossy(parts));
    let keys = ClientKeys::parse(set);
    if let Ok(keys) = &keys {
        let stored = serde_json::to_vec(keys).expect("JSON");
        assert_eq!(&serde_json::from_slice::<ClientKeys>(&stored).expect("what was stored is lawful"), keys);
    }
    match Assertion::parse(&text(parts)) {
        Ok(assertion) => judge(&assertion, keys.ok().as_ref()),
        Err(error) => assert_eq!(error.code(), ErrorCode::InvalidClient),
    }
});

fn text(parts: &[u8]) -> String {
    let mut encoded = Vec::new();
    let mut rest = parts.strip_prefix(b"\n").unwrap_or(parts);
    while let Some(end) = rest.windows(2).position(|two| two == b"\n\n").filter(|_| encoded.len() < 2) {
        encoded.push(encode(&rest[..end]));
        rest = &rest[end + 2..];
    }
    encoded.push(encode(rest));
    encoded.join(".")
}

fn judge(assertion: &Assertion, keys: Option<&ClientKeys>) {
    assert!(!assertion.client_id().is_empty());
    let issuer = Issuer::parse("https://auth.example.org").expect("an issuer");
    let Some(client) = ClientId::parse(assertion.client_id()) else { return };
    let Some(keys) = keys else { return };
    // A fuzzer cannot make a signature. What would follow from one is judged as well.
    let _ = assertion.verified(keys, is_signed);
    let Ok(verified) = assertion.verified(keys, |_, _, _, _| true) else { return };
    match verified.judge(&client, &issuer, NOW) {
        Ok(accepted) => {
            assert!(NOW < accepted.expires_at && accepted.expires_at <= NOW.plus(LONGEST_LIFE));
            let later = NOW.plus(LONGEST_LIFE + Duration::from_secs(1));
            assert!(verified.judge(&client, &issuer, later).is_err(), "it expires");
        }
        Err(error) => assert_eq!(error.code(), ErrorCode::InvalidClient),
    }
}
