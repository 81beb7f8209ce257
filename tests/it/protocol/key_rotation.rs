//! Signing keys rotate, and servers that verify tokens locally never notice.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use pangea_mcp_auth::{
    clock::UnixTime,
    keys::{self, KeyState, Keys, PUBLISHED_MAX_AGE, Turns},
    oauth::{
        issuer::Issuer,
        resource::Resource,
        scope::Scope,
        token::{Claims, PersonClaims, SigningAlgorithm},
    },
    repository::{Kind, MemoryRepository, Record, Repository, SqliteRepository, Write},
    secret::{Sealer, SealingKey, SystemRandom},
};

use crate::support::{Client, Server, Tokens, at_once, body};

const ACCESS: Duration = Duration::from_mins(10);
const DAY: Duration = Duration::from_hours(24);
const TURNS: Turns = Turns { lifetime: DAY.saturating_mul(90), access_lifetime: ACCESS };
/// With these a key is published for ten minutes before it signs.
const QUICK: Turns = Turns { lifetime: Duration::from_mins(40), access_lifetime: ACCESS };
/// How often a daemon reads the keys again.
const RELOAD: u64 = 30;

/// An MCP server as FastMCP makes them: it keeps the keys for an hour, and when it meets one that it
/// does not know it asks again, but not within 30 seconds. Between it and us is a shared cache.
struct Verifier {
    keys: JwkSet,
    asked_at: UnixTime,
}

impl Verifier {
    fn verify(&mut self, token: &str, cache: &mut SharedCache, daemon: &Keys, now: UnixTime) -> bool {
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let age = now.since(self.asked_at);
        let is_unknown = self.keys.find(&kid).is_none();
        if age >= Duration::from_hours(1) || is_unknown && age >= Duration::from_secs(30) {
            *self = Self { keys: cache.get(daemon, now), asked_at: now };
        }
        let Some(key) = self.keys.find(&kid) else { return false };
        let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&["https://r"]);
        validation.validate_exp = false;
        jsonwebtoken::decode::<serde_json::Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
            .is_ok()
    }
}

/// It keeps an answer for as long as that may be kept.
struct SharedCache(Option<(JwkSet, UnixTime)>);

impl SharedCache {
    fn get(&mut self, daemon: &Keys, now: UnixTime) -> JwkSet {
        let fresh = self.0.take().filter(|(_, since)| now.since(*since) < PUBLISHED_MAX_AGE);
        let kept = fresh.unwrap_or_else(|| (published(daemon), now));
        self.0.insert(kept).0.clone()
    }
}

fn published(keys: &Keys) -> JwkSet {
    serde_json::from_slice(&keys.published()).unwrap()
}

fn sign(keys: &Keys, now: UnixTime) -> String {
    let (iss, aud) = (Issuer::parse("https://a").unwrap(), Resource::parse("https://r").unwrap());
    let scope = Scope::parse("user").unwrap();
    let (exp, jti) = (now.plus(ACCESS), "j.1".to_owned());
    keys.sign(
        &Claims {
            iss: &iss,
            sub: "pui_x",
            aud: &aud,
            client_id: "c",
            scope: &scope,
            iat: now,
            exp,
            jti,
            person: PersonClaims::default(),
        },
        now,
    )
    .unwrap()
}

/// Two daemons and the command of an operator on one repository.
async fn processes(now: UnixTime) -> (Arc<dyn Repository>, [Keys; 3]) {
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let load = || Keys::load(Arc::clone(&repository), sealer.clone(), SigningAlgorithm::Es256, now);
    let processes = [load().await.unwrap(), load().await.unwrap(), load().await.unwrap()];
    (repository, processes)
}

/// Shows: JWKS-2.
#[tokio::test]
async fn no_verifier_fails_over_three_rotations_that_overlap() {
    let start = UnixTime::from_secs(1_800_000_000);
    let (repository, [one, two, operator]) = processes(start).await;
    let daemons = [one, two];
    let mut cache = SharedCache(None);
    // They have asked at different times, one right before the first rotation.
    let mut verifiers: Vec<Verifier> =
        (0..4).map(|_| Verifier { keys: published(&daemons[0]), asked_at: start }).collect();
    let mut tokens: Vec<(String, UnixTime)> = Vec::new();
    for second in (0..4 * 3600).step_by(10) {
        let now = start.plus(Duration::from_secs(second));
        // The daemons do not read at the same time, and the rotations happen in neither of them.
        for (daemon, offset) in daemons.iter().zip([0, 20]) {
            if second % RELOAD == offset {
                daemon.reload(now).await.unwrap();
            }
        }
        if [1000, 1060, 1500].contains(&second) {
            verifiers[0] = Verifier { keys: published(&daemons[1]), asked_at: now };
            operator.rotate(QUICK, now).await.unwrap();
        }
        let turn = usize::try_from(second / 10 % 2).unwrap();
        tokens.push((sign(&daemons[turn], now), now));
        tokens.retain(|(_, issued)| now.since(*issued) < ACCESS);
        for (at, verifier) in verifiers.iter_mut().enumerate() {
            // One that is idle most of the time meets old and new keys at once.
            if at == 3 && second % 1800 != 0 {
                continue;
            }
            for (token, _) in
                [tokens.first(), tokens.get(tokens.len() / 2), tokens.last()].into_iter().flatten()
            {
                assert!(
                    verifier.verify(token, &mut cache, &daemons[1 - turn], now),
                    "verifier {at} at {second} s"
                );
            }
        }
    }
    let left = keys::list(&repository, start.plus(Duration::from_hours(4))).await.unwrap();
    assert_eq!(
        left.iter().map(|key| key.state).collect::<Vec<_>>(),
        [KeyState::Signing],
        "the old ones are gone"
    );
}

/// Some verifiers keep the keys for a day and do not ask again when they meet an unknown one.
///
/// Shows: JWKS-2.
#[tokio::test]
async fn a_verifier_that_keeps_the_keys_for_most_of_a_day_never_meets_an_unknown_one() {
    let start = UnixTime::from_secs(1_800_000_000);
    let (_, [daemon, operator, _]) = processes(start).await;
    let kept = DAY.saturating_sub(PUBLISHED_MAX_AGE).saturating_sub(Duration::from_secs(RELOAD));
    let mut verifiers: Vec<(JwkSet, UnixTime)> = Vec::new();
    let mut kids = std::collections::BTreeSet::new();
    for step in 0..4 * 144 {
        let now = start.plus(Duration::from_mins(10) * step);
        daemon.reload(now).await.unwrap();
        if step % 12 == 0 && step < 144 {
            verifiers.push((published(&daemon), now));
        }
        for (keys, asked_at) in &mut verifiers {
            if now.since(*asked_at) >= kept {
                (*keys, *asked_at) = (published(&daemon), now);
            }
        }
        if step == 150 {
            operator.rotate(TURNS, now).await.unwrap();
        }
        let kid = jsonwebtoken::decode_header(sign(&daemon, now)).unwrap().kid.unwrap();
        let know = verifiers.iter().all(|(keys, _)| keys.find(&kid).is_some());
        assert!(know, "after {} hours", step / 6);
        kids.insert(kid);
    }
    assert_eq!(kids.len(), 2, "the new key signs");
}

#[test]
fn a_key_is_published_a_day_ahead_and_at_most_a_quarter_of_the_rotation() {
    let hour = Duration::from_hours(1);
    for (lifetime, ahead) in [(DAY * 90, DAY), (DAY * 4, DAY), (DAY * 2, 12 * hour), (hour, hour / 4)] {
        let turns = Turns { lifetime, ..TURNS };
        assert_eq!(turns.published_before(), ahead, "{lifetime:?}");
        assert!(ahead > PUBLISHED_MAX_AGE + Duration::from_secs(RELOAD), "caches are fresh by then");
    }
}

#[tokio::test]
async fn of_many_who_rotate_at_once_one_makes_the_key() {
    let now = UnixTime::from_secs(1_800_000_000);
    let (repository, daemons) = processes(now).await;
    let late = now.plus(Duration::from_hours(24 * 90));
    let due = |daemon| Keys::rotate_when_due(daemon, TURNS, late);
    at_once(daemons.iter().chain(&daemons).map(due)).await.into_iter().for_each(|made| _ = made.unwrap());
    let keys = keys::list(&repository, late).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.state).collect::<Vec<_>>(), [KeyState::Next, KeyState::Signing]);
    assert_eq!(keys[0].expires_at, None);
    assert_eq!(keys[0].signs_from, late.plus(DAY));
    // A day until the new one signs, the life of the last token, and an hour.
    assert_eq!(keys[1].expires_at, Some(late.plus(DAY + Duration::from_mins(10 + 60))));
}

/// A newly configured algorithm takes effect: as late as after every rotation, and once.
#[tokio::test]
async fn another_algorithm_is_a_reason_to_make_a_key() {
    let now = UnixTime::from_secs(1_800_000_000);
    let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
    let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let load =
        async |algorithm| Keys::load(Arc::clone(&repository), sealer.clone(), algorithm, now).await.unwrap();
    let before = load(SigningAlgorithm::Es256).await;
    let after = load(SigningAlgorithm::Rs256).await;
    let due = async |keys: &Keys, now| {
        keys.reload(now).await.unwrap();
        keys.rotate_when_due(Turns { lifetime: DAY, ..TURNS }, now).await.unwrap()
    };
    assert!(due(&after, now).await);
    assert!(!due(&after, now.plus(Duration::from_secs(RELOAD))).await);
    // One that still runs with the old configuration does not undo it every half minute.
    assert!(!due(&before, now.plus(Duration::from_secs(RELOAD))).await);
    // A quarter of a day.
    for (minutes, algorithm) in [(359, jsonwebtoken::Algorithm::ES256), (360, jsonwebtoken::Algorithm::RS256)]
    {
        let token = sign(&after, now.plus(Duration::from_mins(minutes)));
        assert_eq!(jsonwebtoken::decode_header(token).unwrap().alg, algorithm, "after {minutes} minutes");
    }
    assert_eq!(keys::list(&repository, now).await.unwrap().len(), 2);
}

/// A verifier that asks a process which cannot publish a key fails when that key signs: no balancer
/// may send one there.
#[tokio::test]
async fn who_cannot_open_a_signing_key_is_not_ready() {
    let server = Server::start().await;
    server.server.keep_keys().await.unwrap();
    let ready = async || {
        // An answer is repeated within a second.
        server.advance(Duration::from_secs(1));
        server.get("/readyz").await.status().as_u16()
    };
    assert_eq!(ready().await, 200);
    let repository: Arc<dyn Repository> =
        Arc::new(SqliteRepository::open(&server.folder.path().join("test.sqlite")).unwrap());
    let elsewhere = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let others = Keys::unopened(Arc::clone(&repository), elsewhere, SigningAlgorithm::Es256);
    others.rotate(TURNS, server.server.now()).await.unwrap_err();
    server.server.keep_keys().await.unwrap_err();
    assert_eq!(ready().await, 503);
    assert_eq!(server.get("/jwks.json").await.status(), 200, "what it has it publishes");
    let taken = repository.take(Kind::Key, "00000002", server.server.now()).await.unwrap();
    assert!(taken.is_some());
    server.server.keep_keys().await.unwrap();
    assert_eq!(ready().await, 200);
}

/// A process that dies between making a key and dating the old one leaves nothing that stays for good.
#[tokio::test]
async fn a_rotation_that_was_cut_short_is_brought_to_its_end() {
    let now = UnixTime::from_secs(1_800_000_000);
    let (repository, [one, two, _]) = processes(now).await;
    one.rotate(TURNS, now).await.unwrap();
    let dated = keys::list(&repository, now).await.unwrap();
    let old = repository.get(Kind::Key, "00000001", now).await.unwrap().unwrap();
    let mut undated: serde_json::Value = serde_json::from_str(&old.record.value).unwrap();
    undated.as_object_mut().unwrap().remove("expires_at").unwrap();
    let undated = Record { value: undated.to_string(), expires_at: None, ..old.record };
    assert_ne!(repository.replace(Kind::Key, &undated, old.version, now).await.unwrap(), Write::Conflict);
    assert_ne!(keys::list(&repository, now).await.unwrap(), dated);
    assert!(!two.rotate_when_due(TURNS, now).await.unwrap());
    assert_eq!(keys::list(&repository, now).await.unwrap(), dated);
}

#[tokio::test]
async fn a_key_that_somebody_stole_is_gone_at_once_and_everywhere() {
    let now = UnixTime::from_secs(1_800_000_000);
    let (repository, [one, two, _]) = processes(now).await;
    one.rotate(TURNS, now).await.unwrap();
    let stolen = sign(&two, now);
    one.rotate_at_once(now).await.unwrap();
    two.reload(now).await.unwrap();
    assert_eq!(
        keys::list(&repository, now).await.unwrap().len(),
        1,
        "nor does one wait that was made before"
    );
    let kid = jsonwebtoken::decode_header(&stolen).unwrap().kid.unwrap();
    for daemon in [&one, &two] {
        assert!(published(daemon).find(&kid).is_none());
        let new = jsonwebtoken::decode_header(sign(daemon, now)).unwrap().kid.unwrap();
        assert!(published(daemon).find(&new).is_some());
    }
}

/// No daemon waits for its next regular look at the keys, twin daemons included.
#[tokio::test]
async fn a_daemon_signs_with_no_removed_key_and_publishes_none_a_second_later() {
    let server = Server::start().await;
    let (signing, publishing) = (server.twin().await, server.twin().await);
    let client = Client::public(&server).await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let stolen = client.login(&server).await;
    let kid_of_stolen = kid(&stolen.access);
    // All have looked this second.
    for daemon in [&server, &signing, &publishing] {
        assert!(body(daemon.get("/jwks.json").await).await.to_string().contains(&kid_of_stolen));
    }
    server.server.keys().rotate_at_once(server.server.now()).await.unwrap();
    server.advance(Duration::from_secs(1));
    // Each of them finds out by itself.
    let again = Tokens::of(client.refresh(&signing, &stolen.refresh).await).await;
    assert_ne!(kid(&again.access), kid_of_stolen);
    let published = body(publishing.get("/jwks.json").await).await.to_string();
    assert!(!published.contains(&kid_of_stolen), "{published}");
    assert!(published.contains(&kid(&again.access)), "and the new one is published");
}

/// The keys cost one read a second, however many tokens are signed.
#[tokio::test]
async fn the_signing_key_is_looked_for_once_a_second_and_again_after_a_failure() {
    let now = UnixTime::from_secs(1_800_000_000);
    let (repository, [one, ..]) = processes(now).await;
    one.refresh(now).await.unwrap();
    let first = keys::list(&repository, now).await.unwrap();
    assert!(repository.take(Kind::Key, "00000001", now).await.unwrap().is_some());
    one.refresh(now).await.unwrap();
    sign(&one, now);
    let later = now.plus(Duration::from_secs(1));
    let elsewhere = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let other = Keys::load(Arc::clone(&repository), elsewhere, SigningAlgorithm::Es256, now).await.unwrap();
    assert_ne!(published(&other).keys[0].common.key_id.as_deref(), Some(&*first[0].kid));
    for _ in 0..2 {
        one.refresh(later).await.expect_err("the key that is there now cannot be opened here");
    }
}

#[tokio::test]
async fn keys_that_nobody_can_open_or_read_any_more_give_way_to_a_new_one() {
    let now = UnixTime::from_secs(1_800_000_000);
    let (repository, [one, ..]) = processes(now).await;
    one.rotate(TURNS, now).await.unwrap();
    let damaged = repository.get(Kind::Key, "00000002", now).await.unwrap().unwrap();
    let record = Record { value: "{}".to_owned(), ..damaged.record };
    assert_ne!(repository.replace(Kind::Key, &record, damaged.version, now).await.unwrap(), Write::Conflict);
    let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
    let load = || Keys::load(Arc::clone(&repository), sealer.clone(), SigningAlgorithm::Es256, now);
    load().await.unwrap_err();
    let unopened = Keys::unopened(Arc::clone(&repository), sealer.clone(), SigningAlgorithm::Es256);
    unopened.rotate_at_once(now).await.unwrap();
    let left = keys::list(&repository, now).await.unwrap();
    assert_eq!(left.iter().map(|key| key.state).collect::<Vec<_>>(), [KeyState::Signing]);
    let signed = jsonwebtoken::decode_header(sign(&load().await.unwrap(), now)).unwrap().kid;
    assert_eq!(signed.as_ref(), Some(&left[0].kid));
}

/// Daemons do it by themselves, with what is configured.
#[tokio::test]
async fn after_ninety_days_there_is_another_key_and_both_daemons_use_it() {
    let server = Server::start().await;
    let twin = server.twin().await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let client = Client::public(&server).await;
    let before = client.login(&server).await;
    server.advance(DAY * 89);
    for daemon in [&server, &twin] {
        daemon.server.keep_keys().await.unwrap();
        assert_eq!(published(daemon.server.keys()).keys.len(), 1);
    }
    server.advance(DAY);
    for daemon in [&server, &twin, &server] {
        daemon.server.keep_keys().await.unwrap();
        assert_eq!(published(daemon.server.keys()).keys.len(), 2, "one more, and no third");
    }
    let client = Client::public(&server).await;
    let meanwhile = client.login(&server).await;
    assert_eq!(kid(&meanwhile.access), kid(&before.access), "everybody is to know it first");
    server.advance(DAY);
    for daemon in [&server, &twin] {
        let after = Tokens::of(client.refresh(daemon, &meanwhile.refresh).await).await;
        assert_ne!(kid(&after.access), kid(&before.access));
    }
    server.advance(Duration::from_mins(70));
    twin.server.keep_keys().await.unwrap();
    let left = published(twin.server.keys());
    assert!(left.keys.len() == 1 && left.find(&kid(&before.access)).is_none());
}
