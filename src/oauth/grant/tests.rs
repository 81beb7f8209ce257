use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_mins(2);
const IDLE: Duration = Duration::from_hours(1);
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
    RefreshChain { seed: String::new(), generation: 0, current, rotated_at: vec![], expires_at: at(3600) }
}

fn with_code() -> Grant {
    let id = GrantId::of_login("s", at(0));
    let upstream = UpstreamSession { sealed: "sealed".to_owned(), checked_at: at(0), checking_until: None };
    let request = serde_json::json!({
        "client_id": "c", "return_address": "http://localhost:1/cb", "state": null, "scope": "user",
        "resource": "https://h/mcp", "code_challenge": CodeChallenge::of(VERIFIER), "fresh_sign_in": false,
    });
    let person =
        Person { subject: "pui_x".to_owned(), email: None, unverified_email: None, groups: Vec::new() };
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
fn a_predecessor_is_retried_while_its_successor_is_unused_or_grace_runs() {
    let once = active().rotated(TokenHash::of("rt1"), IDLE, at(10));
    let twice = once.clone().rotated(TokenHash::of("rt2"), IDLE, at(1000));
    for (grant, generation, now, expected) in [
        (&active(), 0, at(10), Some(RefreshUse::Current)),
        (&active(), 1, at(10), None),
        (&once, 1, at(11), Some(RefreshUse::Current)),
        (&once, 0, at(11), Some(RefreshUse::Retry)),
        (&once, 0, at(3000), Some(RefreshUse::Retry)),
        (&twice, 2, at(1001), Some(RefreshUse::Current)),
        (&twice, 1, at(3000), Some(RefreshUse::Retry)),
        (&twice, 0, at(1001), Some(RefreshUse::Reuse)),
    ] {
        assert_eq!(grant.judge_refresh(generation, GRACE, now), expected, "{generation} {now:?}");
    }
    let quick = once.rotated(TokenHash::of("rt2"), IDLE, at(20));
    assert_eq!(quick.judge_refresh(0, GRACE, at(129)), Some(RefreshUse::Retry));
    assert_eq!(quick.judge_refresh(0, GRACE, at(130)), Some(RefreshUse::Reuse));
    assert_eq!(quick.judge_refresh(0, Duration::ZERO, at(20)), Some(RefreshUse::Reuse));
}

#[test]
fn refresh_7_idle_and_absolute_ends_hold() {
    assert_eq!(active().judge_refresh(0, GRACE, at(3600)), None);
    let mut grant = active();
    for round in 1..40 {
        grant = grant.rotated(TokenHash::of("x"), IDLE, at(round * 3000));
    }
    let end = grant.active().unwrap().refresh.as_ref().unwrap().expires_at;
    assert_eq!(end, at(100_000));
}

#[test]
fn live_tokens_are_few_and_known_by_their_text() {
    let mut grant = active();
    for number in 2..=100 {
        grant = grant.with_token(token(number, at(2)));
    }
    assert_eq!(grant.active().unwrap().live.len(), MOST_LIVE_TOKENS);
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

proptest! {
    /// However a family is used, an old token is never current again, and a token that was
    /// rotated out of grace with its successor used never gets an answer.
    #[test]
    fn a_family_never_goes_back(steps in prop::collection::vec(0_u64..200, 1..60), probe in 0_u64..60) {
        let (mut grant, mut now, mut rotations) = (active(), 0, Vec::new());
        for step in steps {
            now += step;
            grant = grant.rotated(TokenHash::of("x"), Duration::from_secs(1_000_000), at(now));
            rotations.push(now);
        }
        let generation = rotations.len() as u64;
        let verdict = grant.judge_refresh(probe, GRACE, at(now));
        let expected = match generation.checked_sub(probe) {
            None => None,
            Some(0) => Some(RefreshUse::Current),
            Some(1) => Some(RefreshUse::Retry),
            Some(behind) if usize::try_from(behind).unwrap() > MOST_ROTATIONS => Some(RefreshUse::Reuse),
            Some(_) if now - rotations[usize::try_from(probe).unwrap()] < 120 => Some(RefreshUse::Retry),
            Some(_) => Some(RefreshUse::Reuse),
        };
        prop_assert_eq!(verdict, expected);
    }
}
