//! Redirect URIs: a request is answered at the registered place, the port of a loopback URI aside.
//! The first line is registered, the second requested.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::redirect::{Destination, PrivateUseSchemes, RedirectUri};
use url::Url;

fuzz_target!(|text: &str| {
    let (registered, requested) = text.split_once('\n').unwrap_or((text, text));
    let Ok(uri) = RedirectUri::parse(registered, &PrivateUseSchemes::Any) else { return };
    let Some(address) = uri.matched(requested) else {
        assert_ne!(registered, requested, "a URI matches itself");
        return;
    };
    assert_eq!(address.as_str(), requested);
    assert_eq!(address.destination(), uri.destination());
    let own = Url::parse(registered).expect("a registered URI is one");
    let answer = Url::parse(&address.answer(&[("code", "c\n&")])).expect("an answer is a URI");
    assert_eq!(
        (own.scheme(), own.host_str(), own.path()),
        (answer.scheme(), answer.host_str(), answer.path())
    );
    assert!(answer.username().is_empty() && answer.password().is_none() && answer.fragment().is_none());
    assert!(answer.query_pairs().last().is_some_and(|(name, value)| name == "code" && value == "c\n&"));
    assert_eq!(answer.query_pairs().filter(|(name, _)| name.eq_ignore_ascii_case("code")).count(), 1);
    if uri.destination() != Destination::Loopback {
        assert_eq!(registered, requested);
    }
});
