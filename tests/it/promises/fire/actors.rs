//! What everybody does, two hundred at a time: log in, refresh, race, revoke, replay, ask, begin again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use pangea_mcp_auth::oauth::token::{RefreshToken, grant_of_code};
use tokio::{task::JoinSet, time::sleep};

use super::{
    history::{Moment, Outcome, micros},
    site::{Site, is_answered},
};
use crate::support::{Chance, at_once};

/// How many are at work at the same time.
pub(super) const ACTORS: usize = 200;
/// How long an actor without an answer waits before it asks again.
const PAUSE: Duration = Duration::from_millis(50);
/// With three callers at a time, fewer tokens than a grant remembers, so that none is evicted.
const MOST_REFRESHES: usize = 5;
/// After so long a revocation must be seen everywhere.
const VISIBLE: Duration = Duration::from_secs(1);

/// All actors, until the load ends. `seed` decides which actor does what.
pub(super) fn work(site: &Arc<Site>, seed: u64) -> JoinSet<()> {
    let mut working = JoinSet::new();
    for number in 0..ACTORS as u64 {
        let (site, chance) = (Arc::clone(site), Chance::of(seed * 1000 + number));
        working.spawn(Actor { site, chance, over: Vec::new() }.work());
    }
    working
}

/// Uses the newest refresh token of each grant, then asks every daemon about each access token.
pub(super) async fn look_at_everything(site: &Arc<Site>) {
    let mut newest = BTreeMap::new();
    for event in site.recorder.history(0).events {
        if let (Some(grant), Outcome::Tokens { refresh, .. }) = (event.grant, event.outcome) {
            let generation = RefreshToken::parse(&refresh).map(|token| token.generation);
            let kept = newest.entry(grant).or_insert((generation, refresh.clone()));
            if kept.0 < generation {
                *kept = (generation, refresh);
            }
        }
    }
    let refresh_tokens = newest.into_values().map(|(_, token)| token).collect();
    share_out(site, refresh_tokens, |site, token| async move {
        until_answered(|| site.refresh(&token)).await;
    })
    .await;
    let mut questions = Vec::new();
    for event in site.recorder.history(0).events {
        if let Outcome::Tokens { access, .. } = event.outcome {
            questions.extend((0..site.daemons.len()).map(|daemon| (daemon, access.clone())));
        }
    }
    share_out(site, questions, |site, (daemon, token)| async move {
        until_answered(|| site.introspect(daemon, &token)).await;
    })
    .await;
}

/// One client with its person.
struct Actor {
    site: Arc<Site>,
    chance: Chance,
    /// What was told to be over, and when.
    over: Vec<(Moment, TokenSet)>,
}

#[derive(Debug, Clone)]
struct TokenSet {
    access: String,
    refresh: String,
}

/// How a grant ends, or a part of it.
enum End {
    Client,
    Operator,
    Replay,
    AccessToken,
}

impl Actor {
    async fn work(mut self) {
        while !self.site.recorder.is_over() {
            self.look_at_what_is_over().await;
            let Outcome::Code(code) = self.site.log_in().await else {
                // The person would begin again.
                sleep(PAUSE).await;
                continue;
            };
            if let Some(first) = self.redeem(&code).await {
                self.live(&code, first).await;
            }
        }
    }

    /// `None` when the code came twice, so that nothing of it may work.
    async fn redeem(&mut self, code: &str) -> Option<TokenSet> {
        let times = if self.chance.below(8) == 0 { 2 } else { 1 };
        let calls = (0..times).map(|_| until_answered(|| self.site.redeem(code)));
        let yielded = at_once(calls).await.into_iter().find_map(TokenSet::of)?;
        if times == 1 {
            return Some(yielded);
        }
        self.over.push((self.site.recorder.now(), yielded));
        None
    }

    async fn live(&mut self, code: &str, first: TokenSet) {
        let (mut newest, mut all) = (first.clone(), vec![first]);
        for _ in 0..self.chance.below(MOST_REFRESHES + 1) {
            if self.site.recorder.is_over() {
                return;
            }
            let times = 1 + self.chance.below(3);
            all.extend(self.refresh(&newest.refresh, times).await);
            let Some(latest) = all.iter().max_by_key(|tokens| tokens.generation()) else { return };
            newest = latest.clone();
            let asked = &all[self.chance.below(all.len())];
            self.site.introspect(self.chance.below(self.site.daemons.len()), &asked.access).await;
        }
        let end = match self.chance.below(8) {
            0 | 1 => End::Client,
            2 => End::Operator,
            3 => End::Replay,
            4 => End::AccessToken,
            _ => return,
        };
        self.end(end, code, newest).await;
    }

    /// This many callers with one refresh token at once. Each retries until it has an answer.
    async fn refresh(&self, token: &str, times: usize) -> Vec<TokenSet> {
        let calls = (0..times).map(|_| until_answered(|| self.site.refresh(token)));
        at_once(calls).await.into_iter().filter_map(TokenSet::of).collect()
    }

    /// Ends something while another actor still uses it.
    async fn end(&mut self, end: End, code: &str, newest: TokenSet) {
        let site = &self.site;
        let racing = self.refresh(&newest.refresh, self.chance.clone().below(2));
        let ending = async {
            match end {
                End::Client => until_answered(|| site.revoke(&newest.refresh)).await,
                End::Operator => {
                    let grant = grant_of_code(code).expect("a code");
                    until_answered(|| site.end(&grant)).await
                }
                End::Replay => until_answered(|| site.redeem(code)).await,
                End::AccessToken => until_answered(|| site.revoke(&newest.access)).await,
            }
        };
        let _ = tokio::join!(racing, ending);
        self.over.push((site.recorder.now(), newest));
    }

    /// A second after it was told to be over, it is so at every daemon.
    async fn look_at_what_is_over(&mut self) {
        let now = self.site.recorder.now();
        let (due, later) = self.over.drain(..).partition(|(at, _)| at + micros(VISIBLE) <= now);
        self.over = later;
        let due: Vec<(Moment, TokenSet)> = due;
        for (_, tokens) in due {
            let daemons = 0..self.site.daemons.len();
            at_once(daemons.map(|daemon| self.site.introspect(daemon, &tokens.access))).await;
            self.site.refresh(&tokens.refresh).await;
        }
    }
}

impl TokenSet {
    fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Tokens { access, refresh } => Some(Self { access, refresh }),
            _ => None,
        }
    }

    fn generation(&self) -> Option<u64> {
        RefreshToken::parse(&self.refresh).map(|token| token.generation)
    }
}

async fn until_answered<F: Future<Output = Outcome>>(mut ask: impl FnMut() -> F) -> Outcome {
    loop {
        let outcome = ask().await;
        if is_answered(&outcome) {
            return outcome;
        }
        sleep(PAUSE).await;
    }
}

/// Everything that is to be done, by everybody.
async fn share_out<T, F>(
    site: &Arc<Site>,
    all: Vec<T>,
    each: impl Fn(Arc<Site>, T) -> F + Clone + Send + 'static,
) where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let waiting = Arc::new(Mutex::new(all.into_iter()));
    let mut working = JoinSet::new();
    for _ in 0..ACTORS {
        let (site, waiting, each) = (Arc::clone(site), Arc::clone(&waiting), each.clone());
        working.spawn(async move {
            loop {
                let next = waiting.lock().unwrap().next();
                let Some(next) = next else { return };
                each(Arc::clone(&site), next).await;
            }
        });
    }
    working.join_all().await;
}
