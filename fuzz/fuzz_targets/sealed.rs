//! Sealed values, as cookies and forms bring them back: a stranger's text opens under no context,
//! and what was sealed opens under its own alone.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::secret::{Sealer, SealingKey, SystemRandom, encode};

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let key = SealingKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").expect("a key");
    Sealer::new(&key, Arc::new(SystemRandom))
});

fuzz_target!(|bytes: &[u8]| {
    let context = ["consent", "browser"];
    // The key's id may be public; what follows is what a forger would have to guess.
    let id = SEALER.seal(&context, b"")[..5].to_owned();
    let text = String::from_utf8_lossy(bytes);
    for forged in [text.to_string(), encode(bytes), format!("{id}{text}"), format!("{id}{}", encode(bytes))] {
        assert!(SEALER.open(&context, &forged).is_none());
    }
    let sealed = SEALER.seal(&context, bytes);
    assert_eq!(SEALER.open(&context, &sealed).expect("its own context").as_slice(), bytes);
    assert!(SEALER.open(&["consentbrowser"], &sealed).is_none());
    assert!(SEALER.open(&["consent", &text], &sealed).is_none() || text == "browser");
});
