//! Scope: read, written and granted without a word that was not there. The first line is what is
//! offered, the second what is asked for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::scope::{Scope, ScopeOffer};

fuzz_target!(|text: &str| {
    let (offered, requested) = text.split_once('\n').unwrap_or((text, ""));
    let (Ok(offered), Ok(requested)) = (Scope::parse(offered), Scope::parse(requested)) else { return };
    assert_eq!(Scope::parse(&offered.to_string()).expect("what was written"), offered);
    let offer = ScopeOffer::Listed { scopes: offered.clone(), default: Scope::default() };
    let granted = offer.grant(Some(&requested));
    for word in granted.words() {
        assert!(requested.contains(word) && (offered.contains(word) || word == "offline_access"));
    }
    if let Some(narrowed) = granted.narrowed_to(&requested) {
        assert!(narrowed.words().all(|word| granted.contains(word)));
    }
});
