//! Whether it stays as quick with a million grants as with a thousand: refreshes, introspections and pages
//! of a list over *all* grants evenly, on SQLite, without HTTP. `cargo bench --bench scale` does so for
//! 1,000, 100,000 and 1,000,000 grants; numbers behind `--` are taken in their place.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pangea_mcp_auth::{
    clock::{Clock, ManualClock, UnixTime},
    config::{self, Directories, Environment, KeyringError},
    daemon,
    flow::{AuthorizationServer, Introspected, TokenRequest},
    oauth::{
        authorization::{AuthorizationRequest, CodeChallenge},
        client::ClientId,
        credentials::Credentials,
        grant::{Consent, Grant, NewCode, Person, UpstreamId, UpstreamSession},
        params::Params,
        redirect::{PrivateUseSchemes, RedirectUri},
        resource::Resource,
        scope::Scope,
        token::{GrantId, code_text},
    },
    repository::{Collection, Order, Page, Repository, SqliteRepository},
    secret::{SystemRandom, TokenHash, encode},
};
use tokio::task::JoinSet;

const START: UnixTime = UnixTime::from_secs(1_800_000_000);
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const RETURN_ADDRESS: &str = "http://127.0.0.1:4711/cb";
const RESOURCE: &str = "http://localhost:9000/mcp";
/// Requests at once, as many clients have.
const CALLERS: usize = 64;
const WINDOW: Duration = Duration::from_secs(8);
const CONFIGURATION: &str = r#"
public_url = "http://localhost:8000"
[authn]
issuer_url = "http://localhost:8001"
client_id = "psa_bench"
client_secret = { env = "PANGEA_SECRET" }
scopes = ["user"]
[[resources]]
url = "http://localhost:9000/mcp"
scopes = ["user"]
introspection = { client_id = "rs", client_secret = { env = "RS_SECRET" } }
[repository]
path = "/given/to/the/server/as/it/is.sqlite"
[keys]
sealing = { env = "SEALING_KEY" }
"#;

#[tokio::main]
async fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![1_000, 100_000, 1_000_000] } else { given };
    let folder = tempfile::tempdir().unwrap();
    let house = Arc::new(House::new(&folder.path().join("scale.sqlite")).await);
    println!(
        "grants     refreshes/s  CPU ms   introspections/s  CPU ms   first page ms  last page ms  file MiB"
    );
    for size in sizes {
        let (exchanges, to_a_commit) = house.fill(size).await;
        let refreshes = house.measure(House::refresh).await;
        let introspections = house.measure(House::introspect).await;
        let (first, last) =
            (house.page(Order::Descending, size).await, house.page(Order::Ascending, size).await);
        let file = fs::metadata(folder.path().join("scale.sqlite")).unwrap().len() >> 20;
        println!(
            "{size:>9}  {refreshes}  {introspections:>28}  {first:>12.2}  {last:>12.2}  {file:>8}   (filled at {exchanges:.0} code exchanges/s, {to_a_commit:.1} to a commit)"
        );
    }
}

/// A server without listeners, and a client that has all its tokens.
struct House {
    server: Arc<AuthorizationServer>,
    repository: Arc<SqliteRepository>,
    grants: Collection<Grant>,
    clock: Arc<ManualClock>,
    client_id: String,
    held: Mutex<Vec<Held>>,
}

/// What the client holds of one grant.
#[derive(Clone)]
struct Held {
    refresh_token: String,
    access_token: String,
}

/// Operations in a second, and what each cost.
struct Pace {
    per_second: f64,
    cpu_ms: f64,
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:>11.0}  {:>6.3}", self.per_second, self.cpu_ms))
    }
}

impl House {
    async fn new(file: &Path) -> Self {
        let config = config::parse(CONFIGURATION, Path::new("scale.toml"), &Secrets).unwrap();
        let repository = Arc::new(SqliteRepository::open(file).unwrap());
        let clock = Arc::new(ManualClock::at(START));
        let assembled = daemon::assemble_with(
            &config,
            Arc::clone(&repository) as Arc<dyn Repository>,
            Arc::clone(&clock) as _,
            Arc::new(SystemRandom),
        );
        let server = assembled.await.unwrap().server;
        let metadata = format!(
            r#"{{"redirect_uris":["{RETURN_ADDRESS}"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}}"#
        );
        let registered = serde_json::to_value(server.register(metadata.as_bytes()).await.unwrap()).unwrap();
        let client_id = registered["client_id"].as_str().unwrap().to_owned();
        let grants = Collection::new(Arc::clone(&repository) as _);
        Self { server, repository, grants, clock, client_id, held: Mutex::default() }
    }

    /// Brings the number of grants to `size`, by code exchanges; how many came to a second, and how
    /// many to a commit, though each comes with the insert of its grant.
    async fn fill(self: &Arc<Self>, size: usize) -> (f64, f64) {
        let (have, started) = (self.held.lock().unwrap().len(), Instant::now());
        let commits = self.repository.commits();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let house = Arc::clone(self);
            callers.spawn(async move {
                for number in (have + caller..size).step_by(CALLERS) {
                    let held = house.exchange(number).await;
                    house.held.lock().unwrap().push(held);
                }
            });
        }
        callers.join_all().await;
        let commits = usize::try_from(self.repository.commits() - commits).unwrap();
        (ratio(size - have, started.elapsed().as_secs_f64()), ratio(size - have, ratio(commits, 1.0)))
    }

    /// A grant as a login leaves it, and its code exchanged.
    async fn exchange(&self, number: usize) -> Held {
        let now = self.clock.now();
        let id = GrantId::of_login(&format!("state-{number}"), now);
        let code = code_text(&id, &guessable(number));
        let address = RedirectUri::parse(RETURN_ADDRESS, &PrivateUseSchemes::Any).unwrap();
        let request = AuthorizationRequest {
            client_id: ClientId::parse(&self.client_id).unwrap(),
            return_address: address.itself(),
            state: None,
            scope: Scope::parse("user").unwrap(),
            resource: Resource::parse(RESOURCE).unwrap(),
            code_challenge: CodeChallenge::of(VERIFIER),
            fresh_sign_in: false,
            login_hint: None,
        };
        let person = Person {
            upstream: UpstreamId::PANGEA,
            subject: format!("pui_{number:032}"),
            email: Some(format!("person-{number}@example.com")),
            unverified_email: None,
            username: None,
            groups: Vec::new(),
        };
        let session = UpstreamSession::new("x".repeat(400), now);
        let ends = now.plus(Duration::from_mins(1));
        let consent = Consent { request, person, from: None, at: now };
        let new_code = NewCode { hash: TokenHash::of(&code), expires_at: ends, approval: None };
        let grant = Grant::with_code(id, consent, session, new_code, ends);
        assert!(self.grants.insert(grant, now).await.unwrap().is_some());
        self.token(&format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}")).await
    }

    async fn refresh(self: Arc<Self>, held: Held) -> Held {
        self.token(&format!("grant_type=refresh_token&refresh_token={}", held.refresh_token)).await
    }

    async fn introspect(self: Arc<Self>, held: Held) -> Held {
        let body = Params::parse(b"client_id=rs&client_secret=rs-secret").unwrap();
        let credentials = Credentials::of_request(&[], &body).unwrap();
        let answer = self.server.introspect(&credentials, &held.access_token).await.unwrap();
        assert!(matches!(answer, Introspected::Active(_)));
        held
    }

    async fn token(&self, form: &str) -> Held {
        let form = format!("{form}&client_id={}", self.client_id);
        let params = Params::parse(form.as_bytes()).unwrap();
        let credentials = Credentials::of_request(&[], &params).unwrap();
        let answer = serde_json::to_value(
            self.server.token(TokenRequest::of(&params).unwrap(), &credentials).await.unwrap(),
        )
        .unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Held { refresh_token: text("refresh_token"), access_token: text("access_token") }
    }

    /// Callers work for a while, each on grants of its own, one after the other in no order.
    async fn measure<F>(
        self: &Arc<Self>,
        operation: impl Fn(Arc<Self>, Held) -> F + Copy + Send + 'static,
    ) -> Pace
    where
        F: Future<Output = Held> + Send,
    {
        let (started, cpu) = (Instant::now(), cpu_ms());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let house = Arc::clone(self);
            callers.spawn(async move {
                let own = house.held.lock().unwrap().len() / CALLERS;
                let (mut done, mut place) = (0, caller);
                while started.elapsed() < WINDOW {
                    // A stride that shares no factor with any number of grants here visits them all.
                    place = (place + 1_299_709) % own;
                    let index = place * CALLERS + caller;
                    let held = house.held.lock().unwrap()[index].clone();
                    let held = operation(Arc::clone(&house), held).await;
                    house.held.lock().unwrap()[index] = held;
                    done += 1;
                }
                done
            });
        }
        let done: usize = callers.join_all().await.into_iter().sum();
        Pace {
            per_second: ratio(done, started.elapsed().as_secs_f64()),
            cpu_ms: (cpu_ms() - cpu) / ratio(done, 1.0),
        }
    }

    /// What a page costs behind all others, in this order; a hundred grants, the median of nine, in ms.
    async fn page(&self, order: Order, size: usize) -> f64 {
        let now = self.clock.now();
        let mut last = Page { after: None, order, limit: 100, parent: None };
        if order == Order::Ascending {
            // The end of the list is where the other order begins.
            let newest = Page { after: None, order: Order::Descending, limit: 101.min(size), parent: None };
            last.after =
                self.grants.list(&newest, now).await.unwrap().pop().map(|grant| grant.id().to_string());
        }
        let mut times = Vec::new();
        for _ in 0..9 {
            let started = Instant::now();
            assert!(!self.grants.list(&last, now).await.unwrap().is_empty());
            times.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }
}

/// What stands in the place of randomness, for a benchmark has no secrets.
fn guessable(number: usize) -> String {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    encode(&bytes)
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
fn ratio(count: usize, by: f64) -> f64 {
    count as f64 / by
}

/// CPU time of this process so far.
fn cpu_ms() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: usize = fields[11].parse::<usize>().unwrap() + fields[12].parse::<usize>().unwrap();
    // Linux counts a hundred of them in a second.
    ratio(ticks * 10, 1.0)
}

/// Secrets for the configuration, and nothing of this machine.
#[derive(Debug)]
struct Secrets;

impl Environment for Secrets {
    fn variables(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("PANGEA_SECRET", "pck_bench"),
            ("RS_SECRET", "rs-secret-of-more-than-32-characters"),
            ("SEALING_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn keyring(&self, _name: &str) -> Result<String, KeyringError> {
        Err(KeyringError::NoEntry)
    }

    fn directories(&self) -> Option<Directories> {
        None
    }
}
