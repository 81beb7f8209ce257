mod chain;
mod holders;

use super::*;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000 + seconds)
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn token(number: u64, now: UnixTime) -> LiveToken {
    let expires_at = now.plus(Duration::from_mins(10));
    LiveToken { number, hash: TokenHash::of(&format!("at{number}")), issued_at: now, expires_at, scope: None }
}

fn chain() -> RefreshChain {
    let current = TokenHash::of("rt0");
    let (exchanges, expires_at) = (Vec::new(), at(3600));
    RefreshChain { seed: String::new(), generation: 0, current, exchanges, expires_at }
}

fn with_code() -> Grant {
    let id = GrantId::of_login("s", at(0));
    let upstream = UpstreamSession { sealed: "sealed".to_owned(), checked_at: at(0), checking_until: None };
    let request = serde_json::json!({
        "client_id": "c", "return_address": "http://localhost:1/cb", "state": null, "scope": "user",
        "resource": "https://h/mcp", "code_challenge": CodeChallenge::of(VERIFIER), "fresh_sign_in": false,
    });
    let person = Person {
        subject: "pui_x".to_owned(),
        email: None,
        unverified_email: None,
        username: None,
        groups: Vec::new(),
    };
    let request = serde_json::from_value(request).unwrap();
    Grant::with_code(id, request, person, upstream, (TokenHash::of("code"), at(60)), (at(0), at(1200)))
}

fn active() -> Grant {
    with_code().redeemed(Some(chain()), token(1, at(1)), at(100_000))
}

fn judge(grant: &Grant, change: impl FnOnce(&mut Redemption<'_>), now: UnixTime) -> Option<CodeUse> {
    let (own, mut redemption);
    own = client("c");
    redemption = Redemption {
        client_id: &own,
        code: "code",
        code_verifier: VERIFIER,
        redirect_uri: Some("http://localhost:1/cb"),
    };
    change(&mut redemption);
    grant.judge_code(redemption, now).ok()
}

#[test]
fn code_2_4_5_8_only_a_redemption_that_fits_counts() {
    let other = client("other");
    for (grant, fits) in [(with_code(), CodeUse::First), (active(), CodeUse::Replay)] {
        assert_eq!(judge(&grant, |_| {}, at(1)), Some(fits));
        assert_eq!(judge(&grant, |r| r.redirect_uri = None, at(1)), Some(fits));
        assert_eq!(judge(&grant, |r| r.code = "other", at(1)), None);
        assert_eq!(judge(&grant, |r| r.code_verifier = "short", at(1)), None);
        assert_eq!(judge(&grant, |r| r.redirect_uri = Some("http://localhost:2/cb"), at(1)), None);
        assert_eq!(judge(&grant, |r| r.client_id = Box::leak(Box::new(other.clone())), at(1)), None);
    }
}

#[test]
fn code_1_a_code_ends_but_its_replay_is_known_for_longer() {
    assert_eq!(judge(&with_code(), |_| {}, at(59)), Some(CodeUse::First));
    assert_eq!(judge(&with_code(), |_| {}, at(60)), None);
    assert_eq!(judge(&active(), |_| {}, at(600)), Some(CodeUse::Replay));
    assert_eq!(judge(&active().revoked(RevokedBy::Client, at(2)), |_| {}, at(3)), None);
}

#[test]
fn live_tokens_are_few_and_known_by_their_text() {
    let mut grant = active();
    for number in 2..=100 {
        grant = grant.with_token(token(number, at(2)));
    }
    assert_eq!(grant.active().unwrap().live.len(), MOST_LIVE_TOKENS);
    for (number, seconds, until) in
        [(1, 3, Some(602)), (68, 3, Some(602)), (69, 3, None), (68, 601, Some(602)), (68, 602, None)]
    {
        assert_eq!(grant.untracked_until(number, at(seconds)), until.map(at), "{number} {seconds}");
    }
    let later = grant.clone().with_token(token(101, at(700)));
    assert_eq!(later.active().unwrap().dropped, None, "they have expired");
    assert!(grant.live_token(100, "at100", at(3)).is_some());
    assert!(grant.live_token(100, "at99", at(3)).is_none());
    assert!(grant.live_token(1, "at1", at(3)).is_none());
    assert!(grant.live_token(100, "at100", at(602)).is_none());
    assert!(grant.clone().without_token(100).live_token(100, "at100", at(3)).is_none());
    assert!(grant.revoked(RevokedBy::Operator, at(3)).live_token(99, "at99", at(3)).is_none());
}

#[test]
fn revoking_forgets_the_upstream_and_keeps_the_first_reason() {
    let grant = active().revoked(RevokedBy::Client, at(5)).revoked(RevokedBy::Operator, at(6));
    assert!(matches!(grant.state, State::Revoked { by: RevokedBy::Client, .. }));
    assert!(grant.upstream.sealed.is_empty());
}
