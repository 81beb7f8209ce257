//! Judges refresh tokens: which tokens of a grant can still be used.
//!
//! Using a token makes its successor. A client that lost the answer uses its token again, and so do processes
//! that share a login. So the parent of the current token still works: within the grace period it gets the
//! same successor, later a new one. The successor that is replaced was unused; using it later ends the grant.
//! Two holders of one token are therefore detected, at the latest when both have used what they got.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::UnixTime, secret::TokenHash};

/// Exchanges that are remembered for the grace period.
pub(super) const MOST_EXCHANGES: usize = 32;

/// The refresh token of a grant: a chain of generations, each derived from the seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "StoredChain", into = "StoredChain")]
pub struct RefreshChain {
    /// Random. Every generation is derived from it and the sealing key.
    pub seed: String,
    /// The generation of the current token, counted from 0.
    pub generation: u64,
    /// Of the current token.
    pub current: TokenHash,
    /// Tokens that were exchanged for a successor, latest last. The last one is the parent of the current
    /// token. Tokens that were replaced unused are not included.
    pub exchanges: Vec<Exchange>,
    /// When the current token expires without use.
    pub expires_at: UnixTime,
}

/// A token that was exchanged for a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Of the token that was exchanged.
    pub generation: u64,
    /// When it was last exchanged.
    pub at: UnixTime,
}

/// What a genuine refresh token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshUse {
    Current,
    /// It was exchanged within the grace period: the client gets the current one.
    Retry,
    /// It is the parent of the current one, which is unused, after the grace period: the client gets a
    /// new successor, and the current one ends.
    LateRetry,
    /// It has ended, so there must be a copy.
    Reuse,
}

impl RefreshChain {
    /// `None` when the chain has expired or has no such token yet.
    pub(super) fn judge(&self, generation: u64, grace: Duration, now: UnixTime) -> Option<RefreshUse> {
        if now >= self.expires_at || generation > self.generation {
            return None;
        }
        if generation == self.generation {
            return Some(RefreshUse::Current);
        }
        let mut latest_first = self.exchanges.iter().rev();
        let is_parent = latest_first.clone().next().is_some_and(|parent| parent.generation == generation);
        let exchange = latest_first.find(|exchange| exchange.generation == generation);
        Some(match exchange {
            Some(exchange) if now.since(exchange.at) < grace => RefreshUse::Retry,
            Some(_) if is_parent && !grace.is_zero() => RefreshUse::LateRetry,
            _ => RefreshUse::Reuse,
        })
    }

    /// The token of `generation`, the current one or its parent, was exchanged for `successor`.
    pub(super) fn exchange(&mut self, generation: u64, successor: TokenHash, now: UnixTime) {
        if generation != self.generation {
            self.exchanges.pop();
        }
        let surplus = (self.exchanges.len() + 1).saturating_sub(MOST_EXCHANGES);
        self.exchanges.drain(..surplus);
        self.exchanges.push(Exchange { generation, at: now });
        self.generation += 1;
        self.current = successor;
    }
}

/// The stored form. The generations of the exchanges are left out if they are consecutive up to the current
/// one, as they always were before there were late retries.
#[derive(Serialize, Deserialize)]
struct StoredChain {
    seed: String,
    generation: u64,
    current: TokenHash,
    rotated_at: Vec<UnixTime>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    rotated: Vec<u64>,
    expires_at: UnixTime,
}

/// The generations of `count` exchanges without a late retry between them.
fn consecutive(count: usize, current: u64) -> impl Iterator<Item = u64> {
    current.saturating_sub(count as u64)..current
}

impl From<StoredChain> for RefreshChain {
    fn from(stored: StoredChain) -> Self {
        let StoredChain { seed, generation, current, rotated_at, mut rotated, expires_at } = stored;
        if rotated.len() != rotated_at.len() {
            rotated = consecutive(rotated_at.len(), generation).collect();
        }
        let exchanges = rotated.into_iter().zip(rotated_at);
        let exchanges = exchanges.map(|(generation, at)| Exchange { generation, at }).collect();
        Self { seed, generation, current, exchanges, expires_at }
    }
}

impl From<RefreshChain> for StoredChain {
    fn from(chain: RefreshChain) -> Self {
        let RefreshChain { seed, generation, current, exchanges, expires_at } = chain;
        let rotated_at = exchanges.iter().map(|exchange| exchange.at).collect();
        let generations = exchanges.iter().map(|exchange| exchange.generation);
        let rotated = if generations.clone().eq(consecutive(exchanges.len(), generation)) {
            Vec::new()
        } else {
            generations.collect()
        };
        Self { seed, generation, current, rotated_at, rotated, expires_at }
    }
}
