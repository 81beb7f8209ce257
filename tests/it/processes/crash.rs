//! Two daemons on one file, and `kill -9` while everybody is at work.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{
    Upstream,
    visitor::{Failed, Tokens, Visitor, introspect},
};
use crate::support::process::{Daemon, Home, RS_SECRET, artifact, configuration, free_port};

/// How often one of the two is killed.
const KILLS: usize = 12;
/// How many answers come between two kills.
const ANSWERS: usize = 60;
/// Clients at work at the same time.
const CLIENTS: usize = 6;
/// Longer than this nothing takes here.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a daemon said, or failed to say.
#[derive(Debug, Serialize)]
enum Event {
    Redeemed {
        code: String,
        tokens: Tokens,
    },
    Replayed {
        code: String,
    },
    Refreshed {
        presented: String,
        tokens: Tokens,
    },
    Revoked {
        token: String,
    },
    /// No answer, or one that promises nothing.
    Lost {
        asked: &'static str,
        status: u16,
    },
    /// An answer that no lawful request gets.
    Wrong {
        asked: &'static str,
        status: u16,
        error: String,
    },
}

/// What must be true of a token at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Alive,
    Over,
}

/// All that happened, in order.
struct History {
    events: Mutex<Vec<Event>>,
    /// By access token.
    fates: Mutex<BTreeMap<String, Fate>>,
    acknowledged: watch::Sender<usize>,
    over: AtomicBool,
}

impl History {
    fn new() -> Arc<Self> {
        let (events, fates) = (Mutex::default(), Mutex::default());
        Arc::new(Self { events, fates, acknowledged: watch::Sender::new(0), over: AtomicBool::new(false) })
    }

    fn note(&self, event: Event) {
        if !matches!(event, Event::Lost { .. }) {
            self.acknowledged.send_modify(|count| *count += 1);
        }
        self.events.lock().unwrap().push(event);
    }

    fn note_wrong(&self, asked: &'static str, (status, error): Failed) {
        self.note(Event::Wrong { asked, status, error });
    }

    fn decide(&self, access: &str, fate: Fate) {
        self.fates.lock().unwrap().insert(access.to_owned(), fate);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    async fn wait_for(&self, acknowledged: usize) {
        let mut counter = self.acknowledged.subscribe();
        counter.wait_for(|count| *count >= acknowledged).await.unwrap();
    }

    /// Asks until somebody answers. A refusal comes with whether an earlier answer was lost, so that
    /// the request may have been served.
    async fn ask<T, F>(
        &self,
        asked: &'static str,
        mut request: impl FnMut() -> F,
    ) -> Result<T, (Failed, bool)>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let mut lost = false;
        loop {
            match request().await {
                Err((status @ (0 | 503), _)) => self.note(Event::Lost { asked, status }),
                outcome => return outcome.map_err(|failed| (failed, lost)),
            }
            lost = true;
        }
    }
}

/// Shows: CODE-6, REFRESH-2, REFRESH-3, REFRESH-9, REVOKE-5.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_undone_by_kill_9() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let upstream = Upstream::start(&url).await;
    let home = Home::with_configuration(&url, &upstream.url);
    let listen = [free_port(), free_port()];
    let mut daemons = [0, 1].map(|number| {
        let address = format!("127.0.0.1:{}", listen[number]);
        home.write(&format!("config-{number}.toml"), &configuration(&url, &upstream.url, &address));
        Some(serve(&home, number))
    });
    tokio::spawn(balance(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap(), listen));

    let history = History::new();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let visitor = Visitor::register_with(impatient(), &url, &format!("{url}/mcp")).await;
        clients.spawn(work(visitor, number, Arc::clone(&history)));
    }
    for kill in 0..KILLS {
        timeout(PATIENCE, history.wait_for((kill + 1) * ANSWERS)).await.expect("daemons that answer");
        daemons[kill % 2].take().unwrap().kill();
        daemons[kill % 2] = Some(tokio::task::block_in_place(|| serve(&home, kill % 2)));
    }
    history.over.store(true, Ordering::Relaxed);
    while let Some(client) =
        timeout(PATIENCE, clients.join_next()).await.expect("clients that come to an end")
    {
        client.unwrap();
    }
    // All memory goes; what is left is in the file.
    for (number, daemon) in daemons.iter_mut().enumerate() {
        daemon.take().unwrap().kill();
        *daemon = Some(tokio::task::block_in_place(|| serve(&home, number)));
    }
    let violations = violations(&history, listen).await;
    if !violations.is_empty() {
        let path = artifact("kill-9.jsonl");
        fs::write(&path, told(&history, &violations)).unwrap();
        panic!(
            "{} promises were broken, the first: {}; see {}",
            violations.len(),
            violations[0],
            path.display()
        );
    }
}

fn serve(home: &Home, number: usize) -> Daemon {
    let mut daemon =
        Daemon::start(&mut home.command(&["serve", "--config", &format!("config-{number}.toml")]));
    daemon.err.wait_for("ready public_url=");
    daemon
}

/// One connection for each request, so that they go to both daemons.
#[expect(clippy::disallowed_methods, reason = "the other end of the wire")]
fn impatient() -> reqwest::Client {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap()
}

/// Connections go to the two ports in turn, to the other one where nobody listens.
async fn balance(listener: TcpListener, ports: [u16; 2]) {
    let turn = AtomicUsize::new(0);
    while let Ok((mut client, _)) = listener.accept().await {
        let first = turn.fetch_add(1, Ordering::Relaxed) % 2;
        tokio::spawn(async move {
            for port in [ports[first], ports[1 - first]] {
                if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}

/// One client, which logs in again and again and does something else with each grant.
async fn work(visitor: Visitor, number: usize, history: Arc<History>) {
    for round in number.. {
        if history.is_over() {
            return;
        }
        let code = match visitor.try_code().await {
            Ok(code) => code,
            // The person would begin again.
            Err((status @ (0 | 303 | 503), _)) => {
                history.note(Event::Lost { asked: "login", status });
                continue;
            }
            Err(failed) => {
                history.note_wrong("login", failed);
                continue;
            }
        };
        if let Some(tokens) = redeem(&visitor, &code, &history).await {
            live(&visitor, round, &code, tokens, &history).await;
        }
    }
}

/// `None` when the answer was lost and asking again was, as it must be, a replay.
async fn redeem(visitor: &Visitor, code: &str, history: &History) -> Option<Tokens> {
    match history.ask("redeem", || visitor.redeem(code)).await {
        Ok(tokens) => {
            history.note(Event::Redeemed { code: code.to_owned(), tokens: tokens.clone() });
            return Some(tokens);
        }
        Err(((400, _), true)) => history.note(Event::Replayed { code: code.to_owned() }),
        Err((failed, _)) => history.note_wrong("redeem", failed),
    }
    None
}

/// The life of a grant.
async fn live(visitor: &Visitor, round: usize, code: &str, first: Tokens, history: &History) {
    let mut all = vec![first];
    if !round.is_multiple_of(4) {
        refresh_in_pairs(visitor, &mut all, history).await;
    }
    let refresh = all[all.len() - 1].refresh.clone();
    let fate = match round % 4 {
        1 => {
            revoke(visitor, &refresh, history).await;
            Fate::Over
        }
        2 => {
            replay(visitor, code, history).await;
            Fate::Over
        }
        _ => Fate::Alive,
    };
    if fate == Fate::Over {
        match history.ask("refresh of what is over", || visitor.refresh(&refresh)).await {
            Err(((400, _), _)) => {}
            Err((failed, _)) => history.note_wrong("refresh of what is over", failed),
            Ok(_) => history.note_wrong("refresh of what is over", (200, String::new())),
        }
    }
    for tokens in &all {
        history.decide(&tokens.access, fate);
    }
    if round % 4 == 3 {
        revoke(visitor, &all[0].access, history).await;
        history.decide(&all[0].access, Fate::Over);
    }
}

/// Three times the same refresh token twice at once, as clients with two connections do.
async fn refresh_in_pairs(visitor: &Visitor, all: &mut Vec<Tokens>, history: &History) {
    for _ in 0..3 {
        let presented = all[all.len() - 1].refresh.clone();
        let ask = || history.ask("refresh", || visitor.refresh(&presented));
        let (one, two) = tokio::join!(ask(), ask());
        for outcome in [one, two] {
            match outcome {
                Ok(tokens) => {
                    all.push(tokens.clone());
                    history.note(Event::Refreshed { presented: presented.clone(), tokens });
                }
                Err((failed, _)) => history.note_wrong("refresh", failed),
            }
        }
    }
}

async fn revoke(visitor: &Visitor, token: &str, history: &History) {
    let request = || async {
        let status = visitor.revoke(token).await;
        if status == 200 { Ok(()) } else { Err((status, String::new())) }
    };
    match history.ask("revoke", request).await {
        Ok(()) => history.note(Event::Revoked { token: token.to_owned() }),
        Err((failed, _)) => history.note_wrong("revoke", failed),
    }
}

async fn replay(visitor: &Visitor, code: &str, history: &History) {
    match history.ask("replay", || visitor.redeem(code)).await {
        Err(((400, _), _)) => history.note(Event::Replayed { code: code.to_owned() }),
        Err((failed, _)) => history.note_wrong("replay", failed),
        Ok(tokens) => history.note(Event::Redeemed { code: code.to_owned(), tokens }),
    }
}

/// Every promise that was broken, and the count of what was promised.
async fn violations(history: &History, ports: [u16; 2]) -> Vec<String> {
    let mut found = Vec::new();
    let (mut redeemed, mut successors) = (BTreeMap::<_, usize>::new(), BTreeMap::<_, BTreeSet<_>>::new());
    let (mut revoked, mut lost) = (0, 0);
    for event in history.events.lock().unwrap().iter() {
        match event {
            Event::Redeemed { code, .. } => *redeemed.entry(code.clone()).or_default() += 1,
            Event::Refreshed { presented, tokens } => {
                successors.entry(presented.clone()).or_default().insert(tokens.refresh.clone());
            }
            Event::Revoked { .. } => revoked += 1,
            Event::Lost { .. } => lost += 1,
            Event::Replayed { .. } => {}
            Event::Wrong { .. } => found.push(format!("{event:?}")),
        }
    }
    let few = [("codes", redeemed.len()), ("refreshes", successors.len()), ("revocations", revoked)];
    found.extend(few.iter().filter(|(_, n)| *n < KILLS).map(|few| format!("the load was no load: {few:?}")));
    if lost == 0 {
        found.push("no answer was lost: nothing was killed at work".to_owned());
    }
    let twice = redeemed.iter().filter(|(_, times)| **times > 1);
    found.extend(twice.map(|(code, times)| format!("{code} was redeemed {times} times")));
    let forked = successors.iter().filter(|(_, next)| next.len() > 1);
    found.extend(forked.map(|(refresh, next)| format!("{refresh} has the successors {next:?}")));
    let fates = history.fates.lock().unwrap().clone();
    for (access, fate) in fates {
        for port in ports {
            let url = format!("http://127.0.0.1:{port}");
            let active = introspect(&url, ("rs-1", RS_SECRET), &access).await["active"] == true;
            if active != (fate == Fate::Alive) {
                found.push(format!("{access} was {fate:?}, and now active is {active} at {port}"));
            }
        }
    }
    found
}

/// For whoever looks into it: what was broken, then all that happened.
fn told(history: &History, violations: &[String]) -> String {
    let mut lines: Vec<_> = violations.iter().map(|broken| json!({ "Broken": broken }).to_string()).collect();
    let events = history.events.lock().unwrap();
    lines.extend(events.iter().map(|event| serde_json::to_string(event).unwrap()));
    lines.join("\n")
}
