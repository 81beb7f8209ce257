//! Machine clients: `grant_type=client_credentials` (RFC 6749 section 4.4).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use pangea_mcp_auth::{
    clock::UnixTime,
    flow::administration::{GrantFilter, NotRotated, Revocation},
    oauth::{client::ClientId, token::TokenId},
    repository::{Kind, MemoryRepository, Page, Record, Repository, Result, Version, Versioned, Write},
    secret::SystemRandom,
};
use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{
    Client, Machine, Options, RS2_SECRET, Server, SigningMachine, TWO_RESOURCES, Tokens, at_once, body,
    claims, operator,
};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn refused(response: Response, status: u16, error: &str, what: &str) {
    let got = response.status().as_u16();
    let body = body(response).await;
    assert_eq!((got, body["error"].as_str()), (status, Some(error)), "{what}: {body}");
    assert!(body.get("access_token").is_none(), "{what}");
}

/// Shows: CC-2, CC-4, CC-5, JWT-4.
#[tokio::test]
async fn a_machine_gets_a_token_for_itself_by_basic_and_by_post() {
    let server = Server::start().await;
    let machine = Machine::usual(&server, "user").await;
    let in_body = [GRANT, ("client_id", &*machine.id), ("client_secret", &*machine.secret)];
    let by_post = server.form("/token", &in_body).send().await.unwrap();
    let by_basic = machine.ask(&server, &[("resource", &server.resource), ("scope", "user")]).await;
    for answer in [by_post, by_basic] {
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let tokens = Tokens::of(answer).await;
        let members: Vec<&String> = tokens.body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"], "no refresh token");
        assert_eq!((&tokens.body["token_type"], &tokens.body["scope"]), (&json!("Bearer"), &json!("user")));
        let claims = claims(&tokens.access);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(machine.id), &json!(machine.id)));
        assert_eq!((&claims["aud"], &claims["scope"]), (&json!(server.resource), &json!("user")));
        for about_people in ["email", "username", "groups"] {
            assert!(claims.get(about_people).is_none(), "{about_people}");
        }
    }
}

/// Shows: CC-5, INTRO-3.
#[tokio::test]
async fn introspection_says_that_a_token_is_a_machines() {
    let claims = "[tokens]\nclaims = [\"email\", \"username\", \"groups\"]";
    let server = Server::with(Options { sections: claims, ..Options::default() }).await;
    let machine = Machine::usual(&server, "user").await;
    let tokens = Tokens::of(machine.ask(&server, &[]).await).await;
    let answer = server.introspect(&tokens.access).await;
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    let expected = ["active", "aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "token_type"];
    assert_eq!(members, expected, "nothing about a person");
    assert_eq!((&answer["sub"], &answer["client_id"]), (&json!(machine.id), &json!(machine.id)));
    let person = Client::public(&server).await.login(&server).await;
    let person = server.introspect(&person.access).await;
    assert_ne!(person["sub"], person["client_id"]);
    server.advance(Duration::from_mins(10));
    assert_eq!(server.introspect(&tokens.access).await, json!({ "active": false }));
}

/// Shows: CC-1, DCR-10.
#[tokio::test]
async fn only_a_client_that_the_operator_added_for_it_gets_one() {
    let server = Server::start().await;
    let asked = json!({ "grant_types": ["authorization_code", "client_credentials"] });
    for client in [
        Client::public(&server).await,
        Client::confidential(&server).await,
        Client::registered(&server, asked).await,
    ] {
        let answer = client.token_request(&server, &[GRANT]).await;
        refused(answer, 400, "unauthorized_client", "registered itself").await;
    }
    let machine = Machine::usual(&server, "user").await;
    let basic = |pairs: &[(&str, &str)]| server.form("/token", pairs).basic_auth(&machine.id, Some("wrong"));
    refused(basic(&[GRANT]).send().await.unwrap(), 401, "invalid_client", "a wrong secret").await;
    let nothing = server.form("/token", &[GRANT, ("client_id", &machine.id)]).send().await.unwrap();
    refused(nothing, 401, "invalid_client", "no secret").await;
}

/// A machine has no user, so it neither asks one nor refreshes.
/// Shows: CC-1.
#[tokio::test]
async fn a_machine_can_do_nothing_else() {
    let server = Server::start().await;
    let machine = Machine::usual(&server, "user").await;
    for pairs in [
        [("grant_type", "authorization_code"), ("code", "mcp_ac_x")],
        [("grant_type", "refresh_token"), ("refresh_token", "mcp_rt_x")],
    ] {
        let request = server.form("/token", &pairs).basic_auth(&machine.id, Some(&machine.secret));
        refused(request.send().await.unwrap(), 400, "unauthorized_client", pairs[0].1).await;
    }
    for redirect_uri in ["", "&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcallback"] {
        let path = format!("/authorize?response_type=code&client_id={}{redirect_uri}", machine.id);
        let page = server.get(&path).await;
        assert_eq!((page.status().as_u16(), page.headers().get("location")), (400, None));
    }
}

/// Shows: CC-3.
#[tokio::test]
async fn the_resource_is_one_of_its_own() {
    let options = Options { resources: Some(TWO_RESOURCES), ..Options::default() };
    let server = Server::with(options).await;
    let (one, other) = (format!("{}/mcp", server.origin), format!("{}/other", server.origin));
    let of_other = Machine::added(&server, &[&other], "user").await;
    for spelling in [None, Some(other.clone()), Some(format!("{other}/")), Some(format!("{other}#f"))] {
        let asked: Vec<_> = spelling.iter().map(|url| ("resource", url.as_str())).collect();
        let tokens = Tokens::of(of_other.ask(&server, &asked).await).await;
        assert_eq!(claims(&tokens.access)["aud"], other.as_str(), "{spelling:?}");
    }
    let elsewhere = "https://elsewhere.example/mcp";
    for asked in [
        &[("resource", &*one)][..],
        &[("resource", elsewhere)],
        &[("resource", "/other")],
        &[("resource", &other), ("resource", &one)],
        &[("resource", &other), ("resource", &other)],
    ] {
        refused(of_other.ask(&server, asked).await, 400, "invalid_target", &format!("{asked:?}")).await;
    }
    let of_both = Machine::added(&server, &[&other, &one], "user").await;
    let unnamed = Tokens::of(of_both.ask(&server, &[]).await).await;
    assert_eq!(claims(&unnamed.access)["aud"], one.as_str(), "the default");
    let gone = Machine::added(&server, &["https://gone.example/mcp"], "user").await;
    refused(gone.ask(&server, &[]).await, 400, "invalid_target", "no longer served").await;
    let tokens = Tokens::of(of_other.ask(&server, &[]).await).await;
    assert_eq!(server.introspect(&tokens.access).await["active"], false, "another's token");
    let by_its_own = server.form("/introspect", &[("token", &tokens.access)]);
    let by_its_own = by_its_own.basic_auth("rs-2", Some(RS2_SECRET)).send().await.unwrap();
    assert_eq!(body(by_its_own).await["active"], true);
}

/// Shows: CC-3, TOK-8.
#[tokio::test]
async fn the_scope_is_what_is_asked_and_allowed() {
    let server = Server::start().await;
    let narrow = Machine::usual(&server, "user").await;
    let wide = Machine::usual(&server, "user admin").await;
    let none = Machine::usual(&server, "").await;
    for (machine, asked, granted) in [
        (&wide, None, Some("user admin")),
        (&wide, Some("admin"), Some("admin")),
        (&wide, Some("admin other"), Some("admin")),
        (&wide, Some("admin offline_access"), Some("admin")),
        (&narrow, None, Some("user")),
        (&narrow, Some(""), Some("user")),
        (&narrow, Some("user admin"), Some("user")),
        (&none, None, None),
    ] {
        let pairs: Vec<_> = asked.iter().map(|scope| ("scope", *scope)).collect();
        let tokens = Tokens::of(machine.ask(&server, &pairs).await).await;
        let got = tokens.body.get("scope").and_then(Value::as_str);
        assert_eq!(got, granted, "{asked:?}");
        assert_eq!(claims(&tokens.access).get("scope").and_then(Value::as_str), granted, "{asked:?}");
    }
    for (machine, asked) in [(&narrow, "admin"), (&narrow, "other"), (&none, "user"), (&wide, "a\"b")] {
        refused(machine.ask(&server, &[("scope", asked)]).await, 400, "invalid_scope", asked).await;
    }
}

/// Shows: CC-1, TOK-3.
#[tokio::test]
async fn a_repeated_parameter_is_refused() {
    let server = Server::start().await;
    let machine = Machine::usual(&server, "user").await;
    let twice = [("scope", "user"), ("scope", "user")];
    refused(machine.ask(&server, &twice).await, 400, "invalid_request", "scope").await;
    refused(machine.ask(&server, &[GRANT]).await, 400, "invalid_request", "grant_type").await;
}

/// Shows: REVOKE-3, REVOKE-5.
#[tokio::test]
async fn a_machine_revokes_its_own_token_and_no_other() {
    let server = Server::start().await;
    let (machine, other) = (Machine::usual(&server, "user").await, Machine::usual(&server, "user").await);
    let token = Tokens::of(machine.ask(&server, &[]).await).await.access;
    for (caller, active) in [(&other, true), (&machine, false)] {
        let request = server.form("/revoke", &[("token", &token)]);
        let request = request.basic_auth(&caller.id, Some(&caller.secret));
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(server.introspect(&token).await["active"], active);
    }
}

/// Each token has a grant of its own: any number of processes can share a client.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_share_one_client_and_end_no_token_of_each_other() {
    let first = Server::start().await;
    let second = first.twin().await;
    let servers = [first, second];
    let machine = Machine::usual(&servers[0], "user").await;
    let answers = at_once((0..100).map(|n| machine.ask(&servers[n % 2], &[]))).await;
    let mut tokens = Vec::new();
    for answer in answers {
        tokens.push(Tokens::of(answer).await.access);
    }
    for (n, token) in tokens.iter().enumerate() {
        assert_eq!(servers[(n + 1) % 2].introspect(token).await["active"], true, "token {n}");
    }
    let ids: std::collections::BTreeSet<_> =
        tokens.iter().map(|token| claims(token)["jti"].to_string()).collect();
    assert_eq!(ids.len(), tokens.len());
}

/// A record is written once and read never again, and it goes away with its token.
/// Shows: LIM-2.
#[tokio::test]
async fn a_grant_is_deleted_soon_after_its_token_has_expired() {
    let server = Server::start().await;
    let machine = Machine::usual(&server, "user").await;
    Tokens::of(machine.ask(&server, &[]).await).await;
    let stored = server.stored_grants();
    assert_eq!((stored.len(), stored[0].get("person"), stored[0].get("upstream")), (1, None, None));
    server.advance(Duration::from_mins(11) + pangea_mcp_auth::clock::SKEW);
    server.server.purge().await.unwrap();
    assert!(server.stored_grants().is_empty());
}

/// Shows: CC-5.
#[tokio::test]
async fn operators_find_and_end_the_tokens_of_a_machine() {
    let server = Server::start().await;
    let (machine, person) = (Machine::usual(&server, "user").await, Client::public(&server).await);
    let token = Tokens::of(machine.ask(&server, &[]).await).await.access;
    let theirs = person.login(&server).await.access;
    let operator = operator(&server);
    let as_user = GrantFilter { user: Some(machine.id.clone()), ..GrantFilter::default() };
    assert!(!operator.has_any(&as_user).await.unwrap(), "a machine is no user");
    let as_client = GrantFilter { client: ClientId::parse(&machine.id), ..GrantFilter::default() };
    assert!(operator.has_any(&as_client).await.unwrap());
    let grant = TokenId::of_access_token(&token).unwrap().grant;
    assert!(matches!(operator.revoke_grant(&grant).await.unwrap(), Revocation::Done(_)));
    assert_eq!(server.introspect(&token).await["active"], false);
    assert_eq!(server.introspect(&theirs).await["active"], true);
}

/// The operator has the last word: no token that is issued at the same moment outlives its client.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_outlives_the_removal_of_its_client() {
    let first = Server::start().await;
    let second = first.twin().await;
    let servers = [first, second];
    for _ in 0..8 {
        let machine = Machine::usual(&servers[0], "user").await;
        let (operator, id) = (operator(&servers[0]), ClientId::parse(&machine.id).unwrap());
        let mut tally = pangea_mcp_auth::flow::administration::Tally::default();
        let asking = at_once((0..20).map(|n| machine.ask(&servers[n % 2], &[])));
        let (answers, removed) = tokio::join!(asking, operator.revoke_client(&id, &mut tally, &|_| {}));
        assert!(removed.unwrap());
        for answer in answers {
            if answer.status() == 200 {
                let token = Tokens::of(answer).await.access;
                assert_eq!(servers[0].introspect(&token).await["active"], false);
            } else {
                refused(answer, 401, "invalid_client", "removed").await;
            }
        }
        refused(machine.ask(&servers[1], &[]).await, 401, "invalid_client", "removed").await;
    }
}

/// Shows: CAUTH-9.
#[tokio::test]
async fn a_secret_is_rotated_without_an_outage() {
    let server = Server::start().await;
    let machine = Machine::usual(&server, "user").await;
    let id = ClientId::parse(&machine.id).unwrap();
    let rotate = async |overlap| {
        let rotated = operator(&server).rotate_secret(&id, overlap, &SystemRandom).await.unwrap();
        Machine { id: machine.id.clone(), secret: rotated.secret.unwrap() }
    };
    let works = async |machine: &Machine| {
        let answer = machine.ask(&server, &[]).await;
        let status = answer.status().as_u16();
        assert!(status == 200 || body(answer).await["error"] == "invalid_client");
        status == 200
    };
    let second = rotate(Duration::from_hours(1)).await;
    assert!(second.secret.starts_with("mcp_cs_") && second.secret != machine.secret);
    assert!(works(&machine).await && works(&second).await, "both, during the overlap");
    server.advance(Duration::from_secs(3599));
    assert!(works(&machine).await);
    server.advance(Duration::from_secs(1));
    assert!(!works(&machine).await && works(&second).await, "the old one has ended");
    let third = rotate(Duration::from_hours(1)).await;
    let fourth = rotate(Duration::from_hours(1)).await;
    assert!(!works(&second).await, "only one old secret is accepted");
    assert!(works(&third).await && works(&fourth).await);
    let fifth = rotate(Duration::ZERO).await;
    assert!(!works(&fourth).await && works(&fifth).await, "without overlap the old one ends at once");
}

#[tokio::test]
async fn only_a_secret_that_an_operator_made_is_rotated() {
    let server = Server::start().await;
    let client = Client::confidential(&server).await;
    let rotate = async |id: &str| {
        let id = ClientId::parse(id).unwrap();
        operator(&server).rotate_secret(&id, Duration::ZERO, &SystemRandom).await
    };
    assert!(matches!(rotate(&client.id).await, Err(NotRotated::SelfRegistered)));
    assert!(matches!(rotate("mcp_unknown").await, Err(NotRotated::Absent)));
    assert_eq!(client.token_request(&server, &[GRANT]).await.status(), 400, "its secret is as it was");
}

/// A repository that writes down what it is asked, and in which an operator can remove a client at the worst moment.
#[derive(Debug, Default)]
struct Watched {
    inner: MemoryRepository,
    asked: Mutex<Vec<(&'static str, Kind)>>,
    removes_clients: AtomicBool,
}

impl Watched {
    fn note(&self, call: &'static str, kind: Kind) {
        self.asked.lock().unwrap().push((call, kind));
    }

    fn asked(&self) -> Vec<(&'static str, Kind)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Repository for Watched {
    async fn get(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Versioned>> {
        self.note("get", kind);
        self.inner.get(kind, key, now).await
    }

    async fn insert(&self, kind: Kind, record: &Record, now: UnixTime) -> Result<Write> {
        self.note("insert", kind);
        if kind == Kind::Grant && self.removes_clients.load(Ordering::SeqCst) {
            self.inner.take(Kind::Client, record.parent.as_deref().unwrap(), now).await?;
        }
        self.inner.insert(kind, record, now).await
    }

    async fn replace(&self, kind: Kind, record: &Record, read: Version, now: UnixTime) -> Result<Write> {
        self.note("replace", kind);
        self.inner.replace(kind, record, read, now).await
    }

    async fn take(&self, kind: Kind, key: &str, now: UnixTime) -> Result<Option<Record>> {
        self.note("take", kind);
        self.inner.take(kind, key, now).await
    }

    async fn list(&self, kind: Kind, page: &Page, now: UnixTime) -> Result<Vec<Record>> {
        self.inner.list(kind, page, now).await
    }

    async fn purge_expired(&self, now: UnixTime) -> Result<u64> {
        self.inner.purge_expired(now).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

async fn watched() -> (Server, Arc<Watched>) {
    let watched = Arc::new(Watched::default());
    let repository: Arc<dyn Repository> = Arc::<Watched>::clone(&watched);
    (Server::with(Options { repository: Some(repository), ..Options::default() }).await, watched)
}

/// The client is read before and after, so that its removal at the same moment is noticed.
#[tokio::test]
async fn a_token_costs_one_write_and_an_assertion_one_more() {
    let (server, watched) = watched().await;
    let machine = Machine::usual(&server, "user").await;
    let signing = SigningMachine::usual(&server, "ES256").await;
    let assertion = signing.assertion(&server);
    // The signing key is read at most once a second.
    Tokens::of(machine.ask(&server, &[]).await).await;
    watched.asked();
    Tokens::of(machine.ask(&server, &[]).await).await;
    let client = ("get", Kind::Client);
    assert_eq!(watched.asked(), [client, ("insert", Kind::Grant), client]);
    Tokens::of(signing.ask(&server, &assertion).await).await;
    assert_eq!(watched.asked(), [client, ("insert", Kind::Replay), ("insert", Kind::Grant), client]);
    refused(signing.ask(&server, &assertion).await, 401, "invalid_client", "used").await;
    let expected = [client, ("insert", Kind::Replay), ("insert", Kind::Grant), ("take", Kind::Grant)];
    assert_eq!(watched.asked(), expected, "the grant is taken back");
}

#[tokio::test]
async fn a_token_whose_client_is_removed_meanwhile_is_taken_back() {
    let (server, watched) = watched().await;
    let machine = Machine::usual(&server, "user").await;
    watched.removes_clients.store(true, Ordering::SeqCst);
    refused(machine.ask(&server, &[]).await, 401, "invalid_client", "removed meanwhile").await;
    let left = watched.list(Kind::Grant, &Page { limit: 9, ..Page::default() }, UnixTime::from_secs(0)).await;
    assert!(left.unwrap().is_empty(), "no grant is left");
}
