//! The texts of codes, refresh tokens and access tokens: taken apart as they were put together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pangea_mcp_auth::{
    oauth::token::{GrantId, RefreshToken, TokenId, code_text, grant_of_code},
    secret::encode,
};

fuzz_target!(|text: &str| {
    if let Some(grant) = grant_of_code(text) {
        assert_eq!(code_text(&grant, &text[text.len() - 43..]), text);
    }
    if let Some(token) = RefreshToken::parse(text) {
        assert_eq!(RefreshToken::parse(&token.text(&text[text.len() - 43..])), Some(token));
    }
    if let Some(id) = TokenId::parse(text) {
        assert_eq!(TokenId::parse(&id.to_string()), Some(id));
    }
    let _ = TokenId::of_access_token(text);
    if let Some(id) = TokenId::of_access_token(&format!("h.{}.s", encode(text.as_bytes()))) {
        assert!(GrantId::parse(id.grant.as_str()).is_some());
    }
});
