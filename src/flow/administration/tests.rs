//! Operators' use cases on a repository in memory, with a clock that the tests set.

mod clients;
mod leaked;
mod listing;
mod revoking;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{
    clock::ManualClock,
    oauth::{
        authorization::CodeChallenge,
        grant::{
            CodeUse, Consent, LiveToken, NewCode, Person, Redemption, RefreshChain, UpstreamId,
            UpstreamSession,
        },
        token::{GrantId, code_text},
    },
    repository::{Kind, MemoryRepository, Record, Write},
    secret::{SealingKey, SystemRandom, TokenHash, random_token},
};

const START: UnixTime = UnixTime::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A repository, and an operator who administers it.
struct Office {
    repository: Arc<dyn Repository>,
    clock: Arc<ManualClock>,
    sealer: Sealer,
    desk: Administration,
}

/// What a new grant says, and how long its tokens last.
#[derive(Clone)]
struct Draft {
    client: &'static str,
    user: &'static str,
    resource: &'static str,
    /// Of its access tokens.
    lifetime: Duration,
}

const DRAFT: Draft =
    Draft { client: "notes", user: "ada", resource: "https://mcp.example/mcp", lifetime: MINUTE };

impl Office {
    fn open() -> Self {
        let repository: Arc<dyn Repository> = Arc::new(MemoryRepository::default());
        let clock = Arc::new(ManualClock::at(START));
        let sealer = Sealer::new(&SealingKey::generate(&SystemRandom), Arc::new(SystemRandom));
        let desk = Administration::new(&repository, Some(sealer.clone()), clock.clone()).used_by(operator());
        Self { repository, clock, sealer, desk }
    }

    async fn keep<T: Entity>(&self, value: T) {
        let stored =
            Collection::new(Arc::clone(&self.repository)).insert(value, self.desk.now()).await.unwrap();
        assert!(stored.is_some(), "the key is taken");
    }

    /// A record that no release can parse.
    async fn keep_damaged(&self, kind: Kind, key: &str, parent: Option<&str>) {
        let record = Record {
            key: key.to_owned(),
            value: "{}".to_owned(),
            parent: parent.map(str::to_owned),
            expires_at: None,
        };
        let written = self.repository.insert(kind, &record, self.desk.now()).await.unwrap();
        assert!(matches!(written, Write::Done(_)), "the key is taken");
    }

    /// A client that registered itself now.
    async fn client(&self, id: &str, name: Option<&str>) -> Client {
        let client = json!({
            "client_id": id, "origin": "self_registered", "issued_at": self.desk.now(),
            "metadata": {
                "client_name": name, "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code"], "response_types": ["code"],
            },
        });
        let client: Client = serde_json::from_value(client).unwrap();
        self.keep(client.clone()).await;
        client
    }

    /// A grant whose code is on its way for a minute.
    async fn pending(&self, draft: &Draft) -> Grant {
        let grant = pending(draft, &random_token(&SystemRandom), self.desk.now());
        self.keep(grant.clone()).await;
        grant
    }

    /// A grant with one access token. Its client cannot refresh.
    async fn active(&self, draft: &Draft) -> Grant {
        let grant = active(draft, None, self.desk.now());
        self.keep(grant.clone()).await;
        grant
    }

    /// The record as it is now.
    async fn stored(&self, grant: &Grant) -> Grant {
        *self.desk.grants.get(grant.id().as_str(), self.desk.now()).await.unwrap().unwrap().value
    }
}

fn operator() -> Operator {
    Operator { user: "root".to_owned(), sudo_user: None, host: "auth-1".to_owned() }
}

fn pending(draft: &Draft, state: &str, now: UnixTime) -> Grant {
    let id = GrantId::of_login(state, now);
    let request = json!({
        "client_id": draft.client, "return_address": "http://localhost:1/cb", "state": null, "scope": "user",
        "resource": draft.resource, "code_challenge": CodeChallenge::of(VERIFIER), "fresh_sign_in": false,
    });
    let person = Person {
        upstream: UpstreamId::PANGEA,
        subject: format!("pui_{}", draft.user),
        email: Some(format!("{}@example.com", draft.user)),
        unverified_email: None,
        username: None,
        groups: Vec::new(),
    };
    let consent = Consent { request: serde_json::from_value(request).unwrap(), person, from: None, at: now };
    let code = NewCode { hash: TokenHash::of(&code_of(&id)), expires_at: now.plus(MINUTE), approval: None };
    let session = UpstreamSession::new("sealed".to_owned(), now);
    Grant::with_code(id, consent, session, code, now.plus(365 * DAY))
}

fn active(draft: &Draft, refresh: Option<RefreshChain>, now: UnixTime) -> Grant {
    let grant = pending(draft, &random_token(&SystemRandom), now);
    let redemption = Redemption {
        client_id: &grant.terms().client_id,
        code: &code_of(grant.id()),
        code_verifier: VERIFIER,
        redirect_uri: None,
    };
    let Ok(CodeUse::First(code)) = grant.judge_code(redemption, now) else { panic!("the code does not fit") };
    code.redeem(refresh, access_token(1, draft.lifetime, now), now.plus(365 * DAY))
}

/// The code of a grant that these tests make.
fn code_of(id: &GrantId) -> String {
    code_text(id, &"c".repeat(43))
}

fn access_token(number: u64, lifetime: Duration, now: UnixTime) -> LiveToken {
    let hash = TokenHash::of(&number.to_string());
    LiveToken { number, hash, issued_at: now, expires_at: now.plus(lifetime), scope: None }
}

fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}
