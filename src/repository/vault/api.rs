//! Calls of the Vault API: envelope, statuses, retries, and tokens that change.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    TokenSource, VaultSettings,
    status::{Failed, Verdict, judge},
};
use crate::{
    fetch::{Answer, Fetch, Sender},
    repository::{RepositoryError, Result},
    secret::Secret,
};

/// Pause before the second try. Each further pause is twice as long.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Most tries of a call that Vault did not answer, or answered with a server error.
pub(super) const MOST_TRIES: u32 = 3;

/// What to do if the answer to a call is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Send it again: twice has the effect of once.
    Freely,
    /// Return the failure. The caller checks what happened.
    Never,
}

/// The Vault service.
#[derive(Debug)]
pub(super) struct Api {
    base: String,
    source: Box<dyn TokenSource>,
    token: RwLock<Secret>,
    fetch: Fetch,
}

impl Api {
    pub(super) fn new(settings: VaultSettings, fetch: Fetch) -> Result<Self> {
        let token = settings.token.token().map_err(RepositoryError::Unusable)?;
        Ok(Self {
            base: settings.api_url.as_str().trim_end_matches('/').to_owned(),
            source: settings.token,
            token: RwLock::new(token),
            fetch,
        })
    }

    /// The deadline for retries of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.fetch.timeout() * 2
    }

    /// Posts to an action such as `get_bulk`, and reads the result.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        body: &Value,
        repeat: Repeat,
        deadline: Instant,
    ) -> std::result::Result<T, Failed> {
        let url = self.url(&format!("v2/{action}"))?;
        let (mut pause, mut tries, mut fresh_token) = (FIRST_WAIT, 1, false);
        loop {
            let token = self.token();
            let answer = self.fetch.post_json(&url, Sender::Bearer(&token), body).await;
            let verdict = match answer {
                Ok(answer) => self.settled(answer, &token, deadline).await,
                Err(error) => Verdict::Lost(error.to_string()),
            };
            let wait = match verdict {
                Verdict::Success(result) => return read(result),
                Verdict::Failed(failed) => return Err(failed),
                Verdict::Accepted(_) => return Err(Failed::Pending),
                Verdict::Unauthorized if !fresh_token && self.renew_token(&token)? => {
                    fresh_token = true;
                    continue;
                }
                Verdict::Unauthorized => return Err(Failed::unauthorized()),
                // Refused before anything happened.
                Verdict::TooMany(wait) => wait.unwrap_or(pause),
                Verdict::Lost(reason) if repeat == Repeat::Never || tries == MOST_TRIES => {
                    return Err(Failed::Lost(reason));
                }
                Verdict::Lost(_) => {
                    tries += 1;
                    pause
                }
            };
            if Instant::now() + wait >= deadline {
                return Err(Failed::impatient());
            }
            sleep(wait).await;
            pause *= 2;
        }
    }

    /// Polls the result of an accepted request (202) with the token of that request, because Vault refuses others.
    async fn settled(&self, answer: Answer, token: &Secret, deadline: Instant) -> Verdict {
        let mut verdict = judge(&answer);
        let Verdict::Accepted(request_id) = &verdict else { return verdict };
        // The URL is built from our own, and not taken from the answer, so that the token goes nowhere else.
        let Ok(url) = self.url(&format!("request/{request_id}")) else { return verdict };
        for round in 1_u32.. {
            let wait = Duration::from_secs(u64::from(round * round));
            if Instant::now() + wait >= deadline {
                break;
            }
            sleep(wait).await;
            let Ok(answer) = self.fetch.get(&url, Sender::Bearer(token)).await else { continue };
            match judge(&answer) {
                // A token that may not poll says nothing about the request.
                Verdict::Accepted(_) | Verdict::TooMany(_) | Verdict::Lost(_) | Verdict::Unauthorized => {}
                settled => {
                    verdict = settled;
                    break;
                }
            }
        }
        verdict
    }

    fn token(&self) -> Secret {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the token again. True if it differs from the refused one.
    fn renew_token(&self, refused: &Secret) -> std::result::Result<bool, Failed> {
        let token =
            self.source.token().map_err(|sentence| Failed::Final(RepositoryError::Unusable(sentence)))?;
        let is_new = token.expose() != refused.expose();
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(is_new)
    }

    fn url(&self, path: &str) -> std::result::Result<Url, Failed> {
        Url::parse(&format!("{}/{path}", self.base)).map_err(|error| {
            Failed::Final(RepositoryError::Unusable(format!("api_url cannot be used: {error}")))
        })
    }
}

fn read<T: DeserializeOwned>(result: Value) -> std::result::Result<T, Failed> {
    serde_json::from_value(result).map_err(|_| {
        let sentence = "Vault gave an answer of an unknown form; see whether api_url names Pangea Vault";
        Failed::Final(RepositoryError::Unusable(sentence.to_owned()))
    })
}
