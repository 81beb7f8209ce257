//! Client metadata documents: a line with the URL, then the body. What is accepted is what registration would accept.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::oauth::{
    client::AuthenticationMethod,
    client_document::{Description, Fetched, LARGEST_DOCUMENT},
    client_id::ClientId,
    redirect::{PrivateUseSchemes, RedirectUri},
};

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (url, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Some(id) = std::str::from_utf8(url).ok().and_then(ClientId::of_document) else { return };
    let document = id.document().expect("it is of a document");
    assert_eq!(document.as_str().as_bytes(), url);
    assert!(!document.host().is_empty() && document.url().query().is_none());
    let fetched = Fetched { content_type: Some("application/json"), body };
    if let Ok(Description { metadata, jwks }) =
        Description::of_document(document, fetched, &PrivateUseSchemes::Any)
    {
        assert!(body.len() <= LARGEST_DOCUMENT && metadata.client_name.is_some());
        let keys = usize::from(jwks.is_some()) + usize::from(metadata.jwks_uri.is_some());
        match metadata.token_endpoint_auth_method {
            AuthenticationMethod::None => assert!(keys <= 1),
            AuthenticationMethod::PrivateKeyJwt => assert_eq!(keys, 1),
            other => panic!("{other:?} needs a secret"),
        }
        assert!(!metadata.redirect_uris.is_empty());
        assert!(metadata.redirect_uris.iter().all(RedirectUri::is_acceptable));
    }
});
