use super::*;
use crate::{
    flow::grants::refresh_text,
    oauth::token::{RefreshToken, TokenId},
    secret::encode,
};

/// A text that looks like the access token with this ID. Its signature does not matter.
fn access_text(id: &TokenId) -> String {
    format!("{}.{}.c2ln", encode(b"{}"), encode(json!({ "jti": id.to_string() }).to_string().as_bytes()))
}

/// Shows who a leaked text is traced to.
async fn traced(office: &Office, text: &str) -> String {
    match office.desk.trace(text).await.unwrap() {
        Leak::Of(grant) => format!("of {}", grant.id()),
        Leak::OfRevoked(grant) => format!("of revoked {}", grant.id()),
        Leak::Unproven(id) => format!("unproven {id}"),
        Leak::Unknown => "unknown".to_owned(),
    }
}

#[tokio::test]
async fn a_leaked_code_or_token_names_its_grant_only_as_a_whole() {
    let office = Office::open();
    let chain = RefreshChain {
        seed: "seed".to_owned(),
        generation: 0,
        current: TokenHash::of("not yet known"),
        exchanges: Vec::new(),
        expires_at: START.plus(DAY),
    };
    let new = active(&DRAFT, Some(chain.clone()), START);
    let refresh = |generation| refresh_text(&office.sealer, new.id(), &chain, generation);
    let access = access_text(&TokenId { grant: new.id().clone(), number: 2 });
    let token = LiveToken { hash: TokenHash::of(&access), ..access_token(2, MINUTE, START) };
    let current = TokenHash::of(&refresh(1));
    let grant = new.refreshable().unwrap().rotate(0, current, DAY, token);
    office.keep(grant.clone()).await;
    let waiting = office.pending(&DRAFT).await;

    let made_up = |generation| RefreshToken { grant: grant.id().clone(), generation }.text(&"x".repeat(43));
    for genuine in [code_of(grant.id()), refresh(0), refresh(1), access.clone()] {
        assert_eq!(traced(&office, &genuine).await, format!("of {}", grant.id()), "{genuine}");
    }
    assert_eq!(traced(&office, &code_of(waiting.id())).await, format!("of {}", waiting.id()));
    let other_access = access_text(&TokenId { grant: grant.id().clone(), number: 1 });
    for unproven in [code_text(grant.id(), &"x".repeat(43)), made_up(0), made_up(1), other_access] {
        assert_eq!(traced(&office, &unproven).await, format!("unproven {}", grant.id()), "{unproven}");
    }
    let absent = GrantId::of_login("absent", START);
    for unknown in ["nothing", &code_of(&absent)] {
        assert_eq!(traced(&office, unknown).await, "unknown", "{unknown}");
    }

    office.clock.advance(MINUTE);
    assert_eq!(traced(&office, &access).await, format!("unproven {}", grant.id()), "it has expired");
    office.desk.revoke_grant(grant.id()).await.unwrap();
    for text in [code_of(grant.id()), made_up(0), access] {
        assert_eq!(traced(&office, &text).await, format!("of revoked {}", grant.id()), "{text}");
    }
}
