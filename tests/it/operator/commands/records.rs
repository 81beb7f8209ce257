//! A home whose database holds records that are known beforehand, but for the time.

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::{Clock, SystemClock, UnixTime},
    oauth::{client::Client, grant::Grant},
    repository::{Collection, Entity, Repository, SqliteRepository},
    secret::{TokenHash, encode},
};
use serde_json::{Value, json};

use crate::support::{
    at_once, challenge,
    process::{Daemon, Home, Outcome},
};

/// The address of the daemon of this configuration, which does not run.
const PUBLIC_URL: &str = "http://127.0.0.1:9";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A configured home with a database.
pub(crate) struct Records {
    pub(crate) home: Home,
    /// When the records were made.
    pub(crate) now: UnixTime,
}

impl Records {
    /// An empty database.
    pub(crate) fn none() -> Self {
        let records = Self::absent();
        SqliteRepository::open(&records.home.path("records.sqlite")).unwrap();
        records
    }

    /// A configuration whose database does not exist.
    pub(crate) fn absent() -> Self {
        Self { home: Home::with_configuration(PUBLIC_URL, PUBLIC_URL), now: SystemClock.now() }
    }

    /// Four clients, and grants in every state.
    pub(crate) async fn usual() -> Self {
        let records = Self::none();
        let all = [15, 14, 13, 12, 11].map(|number| records.usual_grant(number));
        records.keep(all.to_vec()).await;
        let claude = ["https://claude.ai/api/mcp/auth_callback"];
        let clients = [
            records.client("mcp_claude", "Claude", &claude, -40 * DAY),
            records.client(
                "mcp_cursor",
                "Cursor",
                &["http://127.0.0.1:4711/callback", "cursor://a/b"],
                -20 * DAY,
            ),
            records.client("mcp_forgotten", "Claude", &claude, -30 * DAY),
            json!({ "client_id": "mcp_backoffice", "origin": "operator", "issued_at": records.at(-DAY),
                "secret": TokenHash::of("mcp_cs_canary"), "metadata": metadata("Back office", &["https://app.example.com/cb"], "client_secret_basic") }),
        ];
        records.keep_clients(clients.to_vec()).await;
        records
    }

    /// This many live grants, each of another user. The first is the oldest.
    pub(crate) async fn many(count: u32) -> Self {
        let records = Self::none();
        let grants = (0..count).map(|number| {
            let mut grant =
                records.active(&format!("{number:08}5k9c3a0m6r0r5o8k8q7j0c2a"), "mcp_many", -HOUR);
            grant["person"] = json!({ "subject": format!("pui_{number}") });
            grant
        });
        records.keep(grants.collect()).await;
        records
    }

    fn usual_grant(&self, number: u64) -> Value {
        let id = &grant(number);
        match number {
            15 => {
                let mut pending = self.active(id, "mcp_cursor", -2 * HOUR);
                pending["state"] = json!({ "code_issued": self.code(id, 90 * MINUTE) });
                pending["issued"] = 0.into();
                pending["last_used_at"] = pending["created_at"].clone();
                pending
            }
            14 => {
                let mut refreshed = self.active(id, "mcp_claude", -3 * DAY);
                refreshed["issued"] = 6.into();
                refreshed["late_retries"] = 2.into();
                refreshed["state"]["active"]["live"] = json!([
                    [
                        5,
                        TokenHash::of(&access_token(14, 5)),
                        self.at(-4 * HOUR),
                        self.at(90 * MINUTE),
                        "user"
                    ],
                    [6, TokenHash::of(&access_token(14, 6)), self.at(-3 * HOUR), self.at(150 * MINUTE), null],
                ]);
                refreshed["last_used_at"] = self.at(-3 * HOUR);
                refreshed
            }
            13 => {
                let mut elsewhere = self.active(id, "mcp_cursor", -5 * DAY);
                elsewhere["resource"] = "https://notes.example.org/mcp".into();
                elsewhere["person"] = json!({ "subject": "pui_grace", "email": "grace@example.com" });
                elsewhere
            }
            12 => {
                let mut revoked = self.active(id, "mcp_claude", -10 * DAY);
                revoked["issued"] = 3.into();
                revoked["last_used_at"] = self.at(-2 * DAY);
                revoked["state"] = json!({ "revoked": { "at": self.at(-DAY), "by": "refresh_reuse" } });
                revoked
            }
            _ => {
                let mut expired = self.active(id, "mcp_claude", -20 * DAY);
                expired["state"]["active"]["refresh"]["expires_at"] = self.at(-HOUR);
                expired["state"]["active"]["live"] = json!([]);
                expired["last_used_at"] = self.at(-19 * DAY);
                expired
            }
        }
    }

    /// A grant whose code was redeemed at once, with a token that lives on. Times ahead leave room for a
    /// test that takes its time.
    pub(crate) fn active(&self, id: &str, client: &str, created: i64) -> Value {
        let live = json!([[
            1,
            TokenHash::of(&access_token_of(id, 1)),
            self.at(created),
            self.at(90 * MINUTE),
            null
        ]]);
        let refresh = json!({ "seed": "c2VlZA", "generation": 0, "current": TokenHash::of(&refresh_token(id)),
            "rotated_at": [], "expires_at": self.at(25 * DAY + HOUR) });
        json!({
            "id": id, "client_id": client, "resource": format!("{PUBLIC_URL}/mcp"), "scope": "user",
            "person": { "subject": "pui_ada", "email": "ada@example.com" },
            "return_address": "http://127.0.0.1:4711/callback",
            "created_at": self.at(created), "last_used_at": self.at(created), "expires_at": self.at(90 * DAY),
            "consented_from": "192.0.2.7", "issued": 1,
            "upstream": { "sealed": "", "checked_at": self.at(created) },
            "state": { "active": { "code": self.code(id, created + MINUTE), "refresh": refresh, "live": live } },
        })
    }

    fn code(&self, id: &str, expires: i64) -> Value {
        json!({ "hash": TokenHash::of(&code(id)), "challenge": challenge(), "expires_at": self.at(expires) })
    }

    pub(crate) fn client(&self, id: &str, name: &str, redirect_uris: &[&str], issued: i64) -> Value {
        json!({ "client_id": id, "origin": "self_registered", "issued_at": self.at(issued),
            "expires_at": self.at(60 * DAY + HOUR), "metadata": metadata(name, redirect_uris, "none") })
    }

    /// A time as records hold it.
    fn at(&self, seconds: i64) -> Value {
        self.now.as_secs().checked_add_signed(seconds).unwrap().into()
    }

    /// Stores grants.
    pub(crate) async fn keep(&self, grants: Vec<Value>) {
        self.store::<Grant>(grants).await;
    }

    /// Stores clients.
    pub(crate) async fn keep_clients(&self, clients: Vec<Value>) {
        self.store::<Client>(clients).await;
    }

    async fn store<T: Entity + 'static>(&self, values: Vec<Value>) {
        let path = self.home.path("records.sqlite");
        let repository: Arc<dyn Repository> = Arc::new(SqliteRepository::open(&path).unwrap());
        let all = Collection::<T>::new(repository);
        let writes = values.into_iter().map(|value| {
            let value: T = serde_json::from_value(value).unwrap();
            let all = &all;
            async move { assert!(all.insert(value, self.now).await.unwrap().is_some()) }
        });
        at_once(writes).await;
    }

    /// Runs the program with this home's configuration.
    pub(crate) fn run(&self, arguments: &str) -> Outcome {
        Daemon::start(&mut self.command(arguments)).wait()
    }

    /// The program with this home's configuration.
    pub(crate) fn command(&self, arguments: &str) -> std::process::Command {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = self.home.command(&arguments);
        command.env("PANGEA_MCP_AUTH_CONFIG", "config.toml");
        command
    }

    /// What the program prints as JSON.
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// The text with every time in it as its distance from when the records were made.
    pub(crate) fn without_times(&self, text: &str) -> String {
        let (mut rest, mut result) = (text, String::new());
        while let Some(c) = rest.chars().next() {
            if let Some(time) = rest.get(..20).filter(|text| text.ends_with('Z')).and_then(UnixTime::parse) {
                result.extend(["<", &self.distance(time), ">"]);
                rest = &rest[20..];
            } else {
                result.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        result
    }

    fn distance(&self, time: UnixTime) -> String {
        let (after, before) = (time.since(self.now), self.now.since(time));
        // Whatever happens in a test happens now, and what it makes lasts from then on.
        let slack = Duration::from_secs(after.as_secs() % 600);
        let (sign, length) = match after.checked_sub(slack) {
            _ if before > Duration::ZERO => ("-", before),
            Some(Duration::ZERO) => return "now".to_owned(),
            Some(length) => ("+", length),
            None => unreachable!("the remainder is no longer than the whole"),
        };
        let (seconds, minutes) = (length.as_secs(), length.as_secs() / 60);
        match (minutes % 1440, minutes % 60) {
            (0, _) => format!("{sign}{}d", minutes / 1440),
            (_, 0) => format!("{sign}{}h", minutes / 60),
            _ if seconds % 60 == 0 => format!("{sign}{minutes}m"),
            _ => format!("{sign}{seconds}s"),
        }
    }
}

fn metadata(name: &str, redirect_uris: &[&str], method: &str) -> Value {
    json!({ "client_name": name, "redirect_uris": redirect_uris, "token_endpoint_auth_method": method,
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"] })
}

/// The id of one of the usual grants, 11 to 15, the newest of which is the last.
pub(crate) fn grant(number: u64) -> String {
    format!("{number}5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v")
}

/// The text of an access token of a usual grant.
pub(crate) fn access_token(number: u64, token: u64) -> String {
    access_token_of(&grant(number), token)
}

fn access_token_of(grant: &str, token: u64) -> String {
    let claims = encode(format!(r#"{{"jti":"{grant}.{token}"}}"#).as_bytes());
    format!("{}.{claims}.c2lnbmF0dXJl", encode(br#"{"alg":"ES256"}"#))
}

/// The text of the current refresh token of a grant.
pub(crate) fn refresh_token(grant: &str) -> String {
    format!("mcp_rt_{grant}0_{}", "r".repeat(43))
}

/// The text of the code of a grant.
pub(crate) fn code(grant: &str) -> String {
    format!("mcp_ac_{grant}{}", "c".repeat(43))
}
