//! All that happened: what was asked, what came of it, and who was away when.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pangea_mcp_auth::oauth::token::{RefreshToken, TokenId, grant_of_code};
use serde::Serialize;

use crate::support::process::artifact;

/// Microseconds since the beginning, by a clock that only goes forward.
pub(super) type Moment = u64;

/// What an actor asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    /// A whole login, up to the code.
    LogIn,
    Redeem {
        code: String,
    },
    Refresh {
        token: String,
    },
    /// By the client: a refresh token with its grant, an access token alone.
    Revoke {
        token: String,
    },
    /// By the operator.
    End {
        grant: String,
    },
    Introspect {
        token: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Code(String),
    Tokens {
        access: String,
        refresh: String,
    },
    Revoked,
    Active(bool),
    /// An answer that says no. `retry_after` is what the header says.
    Refused {
        status: u16,
        error: String,
        retry_after: Option<String>,
    },
    /// No answer: it was done, or not, or will be.
    Lost {
        reason: String,
    },
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub(super) called: Moment,
    pub(super) returned: Moment,
    /// Which daemon answered or broke off; none where the operator acts on the repository itself.
    pub(super) daemon: Option<usize>,
    /// The grant that it is about; none before there is one.
    pub(super) grant: Option<String>,
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
}

/// Who was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Victim {
    Daemon(usize),
    Engine,
}

/// From just before the kill until it served again.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Outage {
    pub(super) victim: Victim,
    pub(super) from: Moment,
    pub(super) to: Moment,
}

/// All that happened, as the checker wants it.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) daemons: usize,
    pub(super) events: Vec<Event>,
    pub(super) outages: Vec<Outage>,
    /// From here on no process is killed, and everything is checked again.
    pub(super) quiet_from: Moment,
}

/// Takes notes while things happen.
#[derive(Debug)]
pub(super) struct Recorder {
    began: Instant,
    events: Mutex<Vec<Event>>,
    outages: Mutex<Vec<Outage>>,
    quiet_from: AtomicU64,
    over: AtomicBool,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::default(),
            outages: Mutex::default(),
            quiet_from: AtomicU64::default(),
            over: AtomicBool::default(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        u64::try_from(self.began.elapsed().as_micros()).unwrap()
    }

    /// Notes a call that has just returned.
    pub(super) fn note(&self, called: Moment, daemon: Option<usize>, operation: Operation, outcome: Outcome) {
        let grant = grant_of(&operation).or_else(|| match &outcome {
            Outcome::Code(code) => Some(grant_of_code(code)?.to_string()),
            _ => None,
        });
        let event = Event { called, returned: self.now(), daemon, grant, operation, outcome };
        self.events.lock().unwrap().push(event);
    }

    pub(super) fn note_outage(&self, victim: Victim, from: Moment) {
        self.outages.lock().unwrap().push(Outage { victim, from, to: self.now() });
    }

    /// From now on no actor begins anything new.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// From now on no process is killed.
    pub(super) fn be_quiet(&self) {
        self.quiet_from.store(self.now(), Ordering::SeqCst);
    }

    /// Everything so far, in the order in which it was called.
    pub(super) fn history(&self, daemons: usize) -> History {
        let mut events = self.events.lock().unwrap().clone();
        events.sort_by_key(|event| event.called);
        let outages = self.outages.lock().unwrap().clone();
        History { daemons, events, outages, quiet_from: self.quiet_from.load(Ordering::SeqCst) }
    }
}

impl History {
    /// Writes it out, one JSON line per entry, problems first. Returns the file.
    pub(super) fn write(&self, name: &str, wrong: &[impl Serialize]) -> PathBuf {
        let folder = artifact("fire");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.jsonl"));
        let mut file = BufWriter::new(fs::File::create(&path).unwrap());
        let mut line = |line: serde_json::Value| writeln!(file, "{line}").unwrap();
        for wrong in wrong {
            line(serde_json::json!({ "violation": wrong }));
        }
        line(serde_json::json!({ "daemons": self.daemons, "quiet_from": self.quiet_from }));
        for outage in &self.outages {
            line(serde_json::json!({ "outage": outage }));
        }
        for event in &self.events {
            line(serde_json::to_value(event).unwrap());
        }
        file.flush().unwrap();
        path
    }

    /// How many calls were under way at the same time, at most.
    pub(super) fn most_at_once(&self) -> usize {
        let begun = self.events.iter().map(|event| (event.called, true));
        let mut turns: Vec<_> =
            begun.chain(self.events.iter().map(|event| (event.returned, false))).collect();
        turns.sort_unstable();
        let (mut now, mut most) = (0_usize, 0);
        for (_, begins) in turns {
            now = if begins { now + 1 } else { now - 1 };
            most = most.max(now);
        }
        most
    }

    /// How many calls came to this.
    pub(super) fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(event)).count()
    }
}

/// This many seconds, in the unit of moments.
pub(super) fn micros(time: Duration) -> Moment {
    u64::try_from(time.as_micros()).unwrap()
}

fn grant_of(operation: &Operation) -> Option<String> {
    match operation {
        Operation::LogIn => None,
        Operation::Redeem { code } => grant_of_code(code).map(|grant| grant.to_string()),
        Operation::Refresh { token } | Operation::Revoke { token } | Operation::Introspect { token } => {
            let refresh = RefreshToken::parse(token).map(|token| token.grant);
            refresh.or_else(|| Some(TokenId::of_access_token(token)?.grant)).map(|grant| grant.to_string())
        }
        Operation::End { grant } => Some(grant.clone()),
    }
}
