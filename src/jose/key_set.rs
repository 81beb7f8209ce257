//! The key set of another server (RFC 7517 section 5), fetched when an unknown key is needed.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    clock::UnixTime,
    fetch::{Fetch, Kept, Sender, Target},
};

/// How long an unknown `kid` does not cause another fetch after a good one.
const AGAIN: Duration = Duration::from_secs(30);
/// How long a key set is not requested again after a failed fetch.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Why there is no key. The texts are for the log.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// No key set could be fetched.
    #[error("{0}")]
    Unavailable(String),
    #[error("the token's key is not in the upstream's key set")]
    Unknown,
}

/// A key set at a URL that the caller gives with each call, because it may change.
#[derive(Debug, Default)]
pub struct RemoteKeySet(Kept<JwkSet>);

impl RemoteKeySet {
    /// The key of this `kid`; without a `kid`, the only key of the set. A known key is found without waiting.
    /// Only one task at a time fetches, from the first of `targets` that answers with a key set.
    ///
    /// # Errors
    ///
    /// When the key set cannot be fetched or does not have the key.
    pub async fn key(
        &self,
        kid: Option<&str>,
        targets: &[Target],
        fetch: &Fetch,
        now: UnixTime,
    ) -> Result<Jwk, NoKey> {
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let _turn = self.0.turn().await;
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        if self.0.is_due(now) {
            match fetched(targets, fetch).await {
                Ok(keys) => self.0.note(Some(Arc::new(keys)), now.plus(AGAIN)),
                Err(error) => {
                    self.0.note(None, now.plus(BACK_OFF));
                    return Err(error);
                }
            }
        }
        match self.known(kid) {
            Some(key) => Ok(key),
            None if self.0.document().is_some() => Err(NoKey::Unknown),
            None => Err(unreadable()),
        }
    }

    fn known(&self, kid: Option<&str>) -> Option<Jwk> {
        let keys = self.0.document()?;
        match (kid, keys.keys.as_slice()) {
            (Some(kid), _) => keys.find(kid).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }
}

/// The key set without the keys whose type is unknown here (RFC 7517 section 5).
async fn fetched(targets: &[Target], fetch: &Fetch) -> Result<JwkSet, NoKey> {
    #[derive(Deserialize)]
    struct Document {
        keys: Vec<Value>,
    }
    for target in targets {
        let answer = fetch.get(target, Sender::Anonymous).await;
        let answer = answer.map_err(|error| NoKey::Unavailable(error.to_string()))?;
        let Ok(document) = serde_json::from_slice::<Document>(&answer.body) else { continue };
        if answer.status == 200 {
            let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
            return Ok(JwkSet { keys: keys.collect() });
        }
    }
    Err(unreadable())
}

fn unreadable() -> NoKey {
    NoKey::Unavailable("the upstream's key set cannot be read".to_owned())
}
