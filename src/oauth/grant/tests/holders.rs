//! A model of the holders of one grant's refresh tokens: processes of the client, which share a file, lose
//! answers and sleep for days, and a thief with a copy. It shows that the rule never signs the client out
//! and notices the thief, and that it does not show so of similar rules.
//!
//! The model asks two things of the client. No refresh is under way when a grace period ends: a refresh is
//! shorter than the period, and a machine that falls asleep loses it. And an answer is written to the file
//! before the answer after the next is made; where answers are lost, at once.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{Grant, RefreshUse},
    active_until, at, token,
};
use crate::{clock::UnixTime, secret::TokenHash};

const GRACE: Duration = Duration::from_mins(2);
const MONTH: Duration = Duration::from_hours(30 * 24);
/// Worlds that are looked at for each rule. A rule that is wrong is noticed within a few.
const WORLDS: u64 = 2000;

/// A rule by which a token of a generation is judged.
type Rule = fn(&Grant, u64, UnixTime) -> Option<RefreshUse>;

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Broken {
    /// The client was signed out though its token was not copied.
    SignedOut,
    /// Client and thief both went on with what each of them had got.
    Unnoticed,
}

/// Dice that fall the same way for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[usize::try_from(self.below(N as u64)).unwrap()]
    }
}

/// The token endpoint; a token is its generation.
struct Endpoint {
    grant: Grant,
    rule: Rule,
    now: u64,
}

impl Endpoint {
    fn with(rule: Rule) -> Self {
        let grant = active_until(at(100 * MONTH.as_secs()));
        let mut endpoint = Self { grant, rule, now: 0 };
        // A first use, so that the token lives for a month from now on.
        endpoint.exchange(0);
        endpoint
    }

    fn current(&self) -> u64 {
        self.grant.refreshable().unwrap().chain().generation
    }

    fn exchange(&mut self, generation: u64) {
        let token = token(self.grant.issued() + 1, at(self.now));
        let refreshable = self.grant.refreshable().unwrap();
        self.grant = refreshable.rotate(generation, TokenHash::of("next"), MONTH, token);
    }

    /// The successor; `None` when the grant ends.
    fn refresh(&mut self, token: u64) -> Option<u64> {
        match (self.rule)(&self.grant, token, at(self.now))? {
            RefreshUse::Current | RefreshUse::LateRetry => self.exchange(token),
            RefreshUse::Retry => {}
            RefreshUse::Reuse => return None,
        }
        Some(self.current())
    }

    /// Whether this token would be answered with a new successor.
    fn is_exchanged(&self, token: u64) -> bool {
        let judged = (self.rule)(&self.grant, token, at(self.now));
        matches!(judged, Some(RefreshUse::Current | RefreshUse::LateRetry))
    }

    /// Whether a grace period ends in the next `seconds`.
    fn grace_ends_within(&self, seconds: u64) -> bool {
        let chain = self.grant.refreshable().unwrap().chain();
        chain.exchanges.iter().any(|exchange| {
            let end = exchange.at.plus(GRACE);
            at(self.now) < end && end <= at(self.now + seconds)
        })
    }
}

/// Where a process is with its refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Idle,
    /// It has read this token.
    Read(u64),
    /// It got this one, and has not written it yet.
    Got(u64),
}

/// What goes wrong among the processes of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    LostAnswers,
    LateWrites,
}

/// Several processes of one client, which share a file.
struct Sharing {
    endpoint: Endpoint,
    dice: Dice,
    mishap: Mishap,
    file: u64,
    processes: [Process; 4],
}

impl Sharing {
    fn live(seed: u64, rule: Rule, mishap: Mishap) -> Result<(), Broken> {
        let endpoint = Endpoint::with(rule);
        let file = endpoint.current();
        let processes = [Process::Idle; 4];
        let mut client = Self { endpoint, dice: Dice(seed), mishap, file, processes };
        for _ in 0..200 {
            if client.dice.one_in(6) {
                client.wait();
            } else {
                let who = client.dice.of([0, 1, 2, 3]);
                client.step(who)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, who: usize) -> Result<(), Broken> {
        self.processes[who] = match self.processes[who] {
            Process::Idle => Process::Read(self.file),
            Process::Read(token) => self.send(token)?,
            Process::Got(token) => self.write(token),
        };
        Ok(())
    }

    fn send(&mut self, token: u64) -> Result<Process, Broken> {
        if self.endpoint.is_exchanged(token) {
            let current = self.endpoint.current();
            self.write_what_is_older_than(current);
        }
        let answer = self.endpoint.refresh(token).ok_or(Broken::SignedOut)?;
        Ok(match self.mishap {
            Mishap::LostAnswers if self.dice.one_in(4) => Process::Idle,
            Mishap::LostAnswers => self.write(answer),
            Mishap::LateWrites => Process::Got(answer),
        })
    }

    const fn write(&mut self, token: u64) -> Process {
        self.file = token;
        Process::Idle
    }

    fn write_what_is_older_than(&mut self, generation: u64) {
        for who in 0..self.processes.len() {
            if let Process::Got(token) = self.processes[who]
                && token < generation
            {
                self.processes[who] = self.write(token);
            }
        }
    }

    /// Seconds or days go by.
    fn wait(&mut self) {
        let seconds = self.dice.of([1, 10, 50, 119, 121, 600, 86_400, 5 * 86_400]);
        if self.endpoint.grace_ends_within(seconds) {
            self.write_what_is_older_than(u64::MAX);
            self.processes = [Process::Idle; 4];
        }
        self.endpoint.now += seconds;
    }
}

/// The client or the thief.
#[derive(Debug, Clone, Copy)]
struct Holder {
    token: u64,
    /// Whether the token is one that the holder got itself, since there are two of them.
    is_own: bool,
    /// Whether such a token was answered.
    went_on: bool,
}

impl Holder {
    const fn of(token: u64) -> Self {
        Self { token, is_own: false, went_on: false }
    }

    /// Refreshes, and may lose the answer; `None` when the grant ends.
    fn refresh(&mut self, endpoint: &mut Endpoint, is_lost: bool) -> Option<()> {
        let answer = endpoint.refresh(self.token)?;
        self.went_on |= self.is_own;
        if !is_lost {
            (self.token, self.is_own) = (answer, true);
        }
        Some(())
    }
}

/// A client whose token is copied at some time. Both refresh at random times, but not within the grace
/// period of each other: then they are answered like processes that share a login.
fn stolen(seed: u64, rule: Rule) -> Result<(), Broken> {
    let (mut endpoint, mut dice) = (Endpoint::with(rule), Dice(seed));
    let mut client = Holder::of(endpoint.current());
    for _ in 0..dice.below(6) {
        endpoint.now += dice.of([1, 121, 86_400]);
        let is_lost = dice.one_in(3);
        client.refresh(&mut endpoint, is_lost).ok_or(Broken::SignedOut)?;
    }
    let mut thief = Holder::of(client.token);
    client = Holder::of(client.token);
    for _ in 0..100 {
        endpoint.now += dice.of([120, 150, 600, 86_400]);
        let (holder, is_lost) =
            if dice.one_in(2) { (&mut client, dice.one_in(4)) } else { (&mut thief, false) };
        if holder.refresh(&mut endpoint, is_lost).is_none() {
            return Ok(());
        }
        if client.went_on && thief.went_on {
            return Err(Broken::Unnoticed);
        }
    }
    Err(Broken::Unnoticed)
}

/// What breaks under a rule, in all worlds.
fn broken_under(rule: Rule) -> BTreeSet<Broken> {
    let worlds = (1..=WORLDS).flat_map(|seed| {
        let lossy = Sharing::live(seed, rule, Mishap::LostAnswers);
        let late = Sharing::live(seed, rule, Mishap::LateWrites);
        [lossy, late, stolen(seed, rule)]
    });
    worlds.filter_map(Result::err).collect()
}

fn ours(grant: &Grant, generation: u64, now: UnixTime) -> Option<RefreshUse> {
    grant.refreshable()?.judge(generation, GRACE, now)
}

/// Shows: REFRESH-2, REFRESH-3.
#[test]
fn a_client_is_never_signed_out_and_a_thief_is_noticed_when_both_have_used_what_they_got() {
    assert_eq!(broken_under(ours), BTreeSet::new());
}

#[test]
fn a_rule_that_is_kinder_or_harsher_is_found_out() {
    let late_retries_get_the_same_successor: Rule = |grant, generation, now| {
        ours(grant, generation, now).map(|judged| match judged {
            RefreshUse::LateRetry => RefreshUse::Retry,
            other => other,
        })
    };
    let what_was_replaced_is_answered: Rule = |grant, generation, now| {
        let chain = grant.refreshable()?.chain();
        let was_replaced = chain.exchanges.last().is_some_and(|parent| parent.generation < generation);
        match ours(grant, generation, now)? {
            RefreshUse::Reuse if was_replaced => Some(RefreshUse::Retry),
            other => Some(other),
        }
    };
    let everything_is_answered: Rule = |grant, generation, now| {
        ours(grant, generation, now).map(|judged| match judged {
            RefreshUse::Reuse => RefreshUse::Retry,
            other => other,
        })
    };
    let late_retries_end_the_grant: Rule = |grant, generation, now| {
        ours(grant, generation, now).map(|judged| match judged {
            RefreshUse::LateRetry => RefreshUse::Reuse,
            other => other,
        })
    };
    let late_retries_do_not_converge: Rule = |grant, generation, now| {
        let chain = grant.refreshable()?.chain();
        let parent = chain.exchanges.last()?;
        match ours(grant, generation, now)? {
            RefreshUse::Retry
                if chain.generation > parent.generation + 1 && parent.generation == generation =>
            {
                Some(RefreshUse::LateRetry)
            }
            other => Some(other),
        }
    };
    let strict: Rule = |grant, generation, now| grant.refreshable()?.judge(generation, Duration::ZERO, now);
    for (name, rule, expected) in [
        ("same successor", late_retries_get_the_same_successor, Broken::Unnoticed),
        ("replaced", what_was_replaced_is_answered, Broken::Unnoticed),
        ("everything", everything_is_answered, Broken::Unnoticed),
        ("no late retries", late_retries_end_the_grant, Broken::SignedOut),
        ("late retries apart", late_retries_do_not_converge, Broken::SignedOut),
        ("strict", strict, Broken::SignedOut),
    ] {
        assert!(broken_under(rule).contains(&expected), "{name}");
    }
}
