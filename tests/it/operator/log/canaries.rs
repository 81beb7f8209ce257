//! Secrets that come by in the life of a grant, and the search for them.

use reqwest::{Response, header};
use serde_json::json;

use super::contains;
use crate::support::{Browser, Page, Tokens, VERIFIER, body, challenge, http, query};

/// The `state` of every request.
pub(crate) const STATE: &str = "state-that-no-one-may-read";
const REDIRECT_URI: &str = "http://127.0.0.1:4711/callback";
const WRONG_VERIFIER: &str = "wrong-verifier-wrong-verifier-wrong-verifier";
const WRONG_SECRET: &str = "mcp-wrong-secret";

/// Secrets that came by, each with what it is.
#[derive(Debug, Default)]
pub(crate) struct Canaries(Vec<(String, String)>);

impl Canaries {
    /// One more.
    pub(crate) fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 8, "{what} is too short to be found: {secret}");
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    /// Those in a browser's answer: cookies, and what redirects carry.
    pub(crate) fn of_page(&mut self, page: &Page) {
        for set in page.headers.get_all(header::SET_COOKIE) {
            let value = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap().1;
            if value.len() > 8 {
                self.add("cookie", value);
            }
        }
        if let Some(location) = page.location() {
            self.0.push(("redirect".to_owned(), location.clone()));
            for (name, value) in query(&location) {
                if ["code", "state", "nonce"].contains(&&*name) {
                    self.add(&name, &value);
                }
            }
        }
    }

    /// None of them, nor anything like them, is in these bytes.
    pub(crate) fn assert_absent(&self, from: &[u8], place: &str) {
        assert!(self.0.len() > 10, "there was something to find: {self:?}");
        for (what, secret) in &self.0 {
            assert!(!contains(from, secret.as_bytes()), "{what} {secret} is in {place}");
        }
        // What has no fixed text: upstream tokens and codes, JWTs, private keys, and our own prefixes.
        let tokens = ["ptu_", "ptr_", "pmc_", "pck_", "mcp_rt_", "mcp_ac_", "mcp_cs_", "PRIVATE KEY"];
        // `{"alg":`, `{"typ":` and `{"kid":`; what is shorter comes up in sealed values by chance.
        let jwts = ["eyJhbGciOi", "eyJ0eXAiOi", "eyJraWQiOi"];
        for beginning in tokens.into_iter().chain(jwts) {
            assert!(!contains(from, beginning.as_bytes()), "{beginning} is in {place}");
        }
    }
}

/// A client with a secret, and everything else that talks to a server.
struct Party<'a> {
    url: &'a str,
    id: String,
    secret: String,
    canaries: Canaries,
}

/// Everything that a client and its person do with a server: a login, a retry, a reuse, a revocation, and
/// each thing wrongly.
pub(crate) async fn everything(url: &str, resource: &str, resource_server: (&str, &str)) -> Canaries {
    let mut party = Party::register(url).await;
    party.canaries.add("introspection secret", resource_server.1);
    let code = party.sign_in(resource).await;
    let newest = party.redeem_and_refresh(&code).await;
    party.introspect(&newest, resource_server).await;
    party.give_back(&newest, &code).await;
    party.canaries
}

impl<'a> Party<'a> {
    async fn register(url: &'a str) -> Self {
        let metadata = json!({
            "client_name": "Canary", "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let request = http().post(format!("{url}/register")).header("content-type", "application/json");
        let registered = body(request.body(metadata.to_string()).send().await.unwrap()).await;
        let text = |name: &str| registered[name].as_str().unwrap().to_owned();
        let (id, secret) = (text("client_id"), text("client_secret"));
        let mut canaries = Canaries::default();
        for (what, canary) in [
            ("client secret", &*secret),
            ("verifier", VERIFIER),
            ("state", STATE),
            ("wrong verifier", WRONG_VERIFIER),
            ("wrong secret", WRONG_SECRET),
        ] {
            canaries.add(what, canary);
        }
        Self { url, id, secret, canaries }
    }

    /// The code.
    async fn sign_in(&mut self, resource: &str) -> String {
        let challenge = challenge();
        let pairs = [
            ("response_type", "code"),
            ("client_id", &*self.id),
            ("redirect_uri", REDIRECT_URI),
            ("state", STATE),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ];
        let request = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.canaries.add("query of the request", &request);
        let mut browser = Browser::new();
        let mut page = browser.get(&format!("{}/authorize?{request}", self.url)).await;
        self.canaries.of_page(&page);
        self.canaries.add("transaction", &page.transaction());
        page = browser.decide(&page, "approve").await;
        self.canaries.of_page(&page);
        loop {
            let location = page.location().unwrap_or_else(|| panic!("no redirect: {}", page.html));
            if location.starts_with(REDIRECT_URI) {
                return query(&location)["code"].clone();
            }
            page = browser.get(&location).await;
            self.canaries.of_page(&page);
            if location.contains("/pangea/callback") {
                // The browser comes back a second time.
                browser.get(&location).await;
            }
        }
    }

    /// The newest tokens.
    async fn redeem_and_refresh(&mut self, code: &str) -> Tokens {
        assert_eq!(self.redeem(code, VERIFIER, WRONG_SECRET).await.status(), 401);
        assert_eq!(self.redeem(code, WRONG_VERIFIER, &self.secret).await.status(), 400);
        let first = Tokens::of(self.redeem(code, VERIFIER, &self.secret).await).await;
        let second = Tokens::of(self.refresh(&first.refresh).await).await;
        let retried = Tokens::of(self.refresh(&first.refresh).await).await;
        let newest = Tokens::of(self.refresh(&second.refresh).await).await;
        for tokens in [&first, &second, &retried, &newest] {
            self.canaries.add("access token", &tokens.access);
            self.canaries.add("signature", tokens.access.rsplit('.').next().unwrap());
            self.canaries.add("refresh token", &tokens.refresh);
            self.canaries.add("end of a refresh token", &tokens.refresh[tokens.refresh.len() - 43..]);
        }
        newest
    }

    async fn introspect(&self, tokens: &Tokens, (id, secret): (&str, &str)) {
        let token = [("token", &*tokens.access)];
        assert_eq!(body(self.post("/introspect", &token, (id, secret)).await).await["active"], true);
        assert_eq!(self.post("/introspect", &token, (id, WRONG_SECRET)).await.status(), 401);
    }

    async fn give_back(&self, tokens: &Tokens, code: &str) {
        let own = (&*self.id, &*self.secret);
        assert_eq!(self.post("/revoke", &[("token", &tokens.access)], own).await.status(), 200);
        let twice = [("token", &*tokens.access), ("token", &*tokens.refresh)];
        assert_eq!(self.post("/revoke", &twice, own).await.status(), 400);
        assert_eq!(self.redeem(code, VERIFIER, &self.secret).await.status(), 400, "the code comes back");
        assert_eq!(self.refresh(&tokens.refresh).await.status(), 400, "and all has ended");
        assert_eq!(self.post("/revoke", &[("token", &tokens.refresh)], own).await.status(), 200);
    }

    async fn redeem(&self, code: &str, verifier: &str, secret: &str) -> Response {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", verifier),
        ];
        self.post("/token", &pairs, (&self.id, secret)).await
    }

    async fn refresh(&self, token: &str) -> Response {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/token", &pairs, (&self.id, &self.secret)).await
    }

    async fn post(&self, path: &str, pairs: &[(&str, &str)], (id, secret): (&str, &str)) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = http().post(format!("{}{path}", self.url)).basic_auth(id, Some(secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap()
    }
}
