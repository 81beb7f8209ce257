mod chain;
mod holders;

use super::*;
use crate::oauth::authorization::CodeChallenge;

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
    let session = UpstreamSession::new("sealed".to_owned(), at(0));
    let request = serde_json::json!({
        "client_id": "c", "return_address": "http://localhost:1/cb", "state": null, "scope": "user",
        "resource": "https://h/mcp", "code_challenge": CodeChallenge::of(VERIFIER), "fresh_sign_in": false,
    });
    let person = Person {
        upstream: UpstreamId::PANGEA,
        subject: "pui_x".to_owned(),
        email: None,
        unverified_email: None,
        username: None,
        groups: Vec::new(),
    };
    let request = serde_json::from_value(request).unwrap();
    let consent = Consent { request, person, from: None, at: at(0) };
    let code = NewCode { hash: TokenHash::of("code"), expires_at: at(60), approval: None };
    Grant::with_code(id, consent, session, code, at(1200))
}

fn active() -> Grant {
    active_until(at(100_000))
}

fn active_until(expires_at: UnixTime) -> Grant {
    let grant = with_code();
    let State::CodeIssued(code) = &grant.state else { panic!("the code is not on its way") };
    CodeIssued { grant: &grant, code }.redeem(Some(chain()), token(1, at(1)), expires_at)
}

/// The grant after a retry got one more access token.
fn with_token(grant: &Grant, token: LiveToken) -> Grant {
    grant.refreshable().unwrap().repeat(token)
}

fn revoked(by: RevokedBy) -> Grant {
    active().revoked(by, at(3)).unwrap()
}

/// What a code that fits may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fits {
    First,
    Replay,
}

fn judge(grant: &Grant, change: impl FnOnce(&mut Redemption<'_>), now: UnixTime) -> Option<Fits> {
    let (own, mut redemption);
    own = client("c");
    redemption = Redemption {
        client_id: &own,
        code: "code",
        code_verifier: VERIFIER,
        redirect_uri: Some("http://localhost:1/cb"),
    };
    change(&mut redemption);
    Some(match grant.judge_code(redemption, now).ok()? {
        CodeUse::First(_) => Fits::First,
        CodeUse::Replay => Fits::Replay,
    })
}

#[test]
fn code_2_4_5_8_only_a_redemption_that_fits_counts() {
    let other = client("other");
    for (grant, fits) in [(with_code(), Fits::First), (active(), Fits::Replay)] {
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
    assert_eq!(judge(&with_code(), |_| {}, at(59)), Some(Fits::First));
    assert_eq!(judge(&with_code(), |_| {}, at(60)), None);
    assert_eq!(judge(&active(), |_| {}, at(600)), Some(Fits::Replay));
    assert_eq!(judge(&revoked(RevokedBy::Client), |_| {}, at(4)), None);
}

#[test]
fn live_tokens_are_few_and_known_by_their_text() {
    let mut grant = active();
    for number in 2..=100 {
        grant = with_token(&grant, token(number, at(2)));
    }
    assert_eq!(grant.active().unwrap().tokens.live.len(), MOST_LIVE_TOKENS);
    for (number, seconds, until) in
        [(1, 3, Some(602)), (68, 3, Some(602)), (69, 3, None), (68, 601, Some(602)), (68, 602, None)]
    {
        assert_eq!(grant.untracked_until(number, at(seconds)), until.map(at), "{number} {seconds}");
    }
    let later = with_token(&grant, token(101, at(700)));
    assert_eq!(later.active().unwrap().tokens.dropped, None, "they have expired");
    assert!(grant.live_token(100, "at100", at(3)).is_some());
    assert!(grant.live_token(100, "at99", at(3)).is_none());
    assert!(grant.live_token(1, "at1", at(3)).is_none());
    assert!(grant.live_token(100, "at100", at(602)).is_none());
    assert!(grant.active().unwrap().without_token(100).live_token(100, "at100", at(3)).is_none());
    assert!(grant.revoked(RevokedBy::Operator, at(3)).unwrap().live_token(99, "at99", at(3)).is_none());
}

#[test]
fn revoking_forgets_the_upstream_and_keeps_the_first_reason() {
    let grant = revoked(RevokedBy::Client);
    assert!(grant.revoked(RevokedBy::Operator, at(6)).is_none());
    assert_eq!(grant.revocation().unwrap().by, RevokedBy::Client);
    assert!(grant.held_session().is_none() && grant.session().is_some());
}

#[test]
fn codes_and_tokens_end_at_the_second_that_they_name() {
    let waiting = with_code();
    assert_eq!([59, 60].map(|now| waiting.standing(at(now))), [Standing::Pending, Standing::Expired]);
    let grant = active();
    assert_eq!([3599, 3600].map(|now| grant.standing(at(now))), [Standing::Active, Standing::Expired]);
    assert_eq!([600, 601].map(|now| grant.live_tokens(at(now)).count()), [1, 0]);
    for grant in [grant, revoked(RevokedBy::Client)] {
        assert_eq!([600, 601].map(|now| grant.accepted_until(at(now))), [Some(at(601)), None]);
    }
    assert_eq!(waiting.accepted_until(at(1)), None);
}

#[test]
fn a_session_is_resealed_without_a_check() {
    let grant = active();
    let before = grant.session().unwrap().checked_at();
    let resealed = grant.held_session().unwrap().resealed("other".to_owned());
    assert_eq!(resealed.held_session().unwrap().sealed(), "other");
    assert_eq!(resealed.session().unwrap().checked_at(), before);
}

#[test]
fn each_standing_has_its_word_and_two_of_them_are_live() {
    for (standing, word, live) in [
        (Standing::Pending, "pending", true),
        (Standing::Active, "active", true),
        (Standing::Expired, "expired", false),
        (Standing::Revoked, "revoked", false),
    ] {
        assert_eq!((standing.as_str(), standing.is_live()), (word, live));
    }
}

#[test]
fn a_session_is_checked_once_a_minute_by_one_process() {
    let grant = active();
    let due = |grant: &Grant, seconds| grant.held_session().unwrap().is_due(at(seconds));
    assert!(!due(&grant, 59) && due(&grant, 60));
    let claimed = grant.held_session().unwrap().claimed(at(100));
    assert!(!due(&claimed, 99) && due(&claimed, 100));
    let checked = claimed.held_session().unwrap().checked(at(60), Some("renewed"));
    assert!(!due(&checked, 119) && due(&checked, 120));
    assert_eq!(checked.held_session().unwrap().sealed(), "renewed");
    let checked = claimed.held_session().unwrap().checked(at(60), None);
    assert_eq!(checked.held_session().unwrap().sealed(), "sealed");
}

/// Records of the release before access tokens were objects: `read` is as it was stored then.
#[test]
fn a_grant_of_an_earlier_release_is_read_and_its_record_changes_in_its_tokens_alone() {
    let code = serde_json::json!({
        "hash": TokenHash::of("code"), "challenge": CodeChallenge::of(VERIFIER), "expires_at": at(60),
    });
    let live = TokenHash::of("at1");
    let active = serde_json::json!({
        "code": code, "live": [[1, live, at(1), at(601), null], [2, live, at(2), at(602), "user"]],
        "refresh": {
            "seed": "s", "generation": 1, "current": TokenHash::of("rt1"), "rotated_at": [at(2)],
            "expires_at": at(3600),
        },
        "dropped": { "last": 7, "expires_at": at(90) },
    });
    let mut issued = code.clone();
    issued["approval"] = "click".into();
    for (state, standing) in [
        (serde_json::json!({ "code_issued": issued }), Standing::Pending),
        (serde_json::json!({ "active": active }), Standing::Active),
        (
            serde_json::json!({ "revoked": { "at": at(3), "by": "code_replay", "live_until": at(601) } }),
            Standing::Revoked,
        ),
    ] {
        let mut stored = serde_json::json!({
            "id": GrantId::of_login("s", at(0)), "client_id": "c",
            "person": { "subject": "pui_x", "email": "ada@example.com", "groups": ["staff"] },
            "resource": "https://h/mcp", "scope": "user admin", "return_address": "http://localhost:1/cb",
            "created_at": at(0), "consented_from": "2001:db8::1", "last_used_at": at(2),
            "expires_at": at(1200), "issued": 2, "late_retries": 1,
            "upstream": { "sealed": "sealed", "checked_at": at(0), "checking_until": at(9) },
            "state": state,
            "operated": { "action": "token_revoked", "at": at(2), "user": "ada", "host": "h" },
        });
        let read: Grant = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(read.standing(at(3)), standing);
        assert_eq!(read.terms().subject.person().unwrap().upstream, UpstreamId::PANGEA);
        if standing == Standing::Active {
            stored["state"]["active"]["live"] = serde_json::json!([
                { "n": 1, "h": live, "i": at(1) },
                { "n": 2, "h": live, "i": at(2), "s": "user" },
            ]);
        }
        assert_eq!(serde_json::to_value(&read).unwrap(), stored);
    }
}
