//! The rate limits of requests, and their keys: networks, or clients and networks.

use crate::{
    oauth::policy::{Rate, Rates},
    rate_limit::Limiter,
};

/// The rate limits. Their budgets are separate.
#[derive(Debug)]
pub struct Limits {
    pub(super) authorize: Limiter,
    pub(super) callback: Limiter,
    pub(super) token: Limiter,
    pub(super) register: Limiter,
    pub(super) introspect: Limiter,
    pub(super) revoke: Limiter,
    /// Failed client authentications, by client and network.
    pub(super) failures: Limiter,
    /// Codes that the upstream refused, by the browser's network.
    pub(super) refused_codes: Limiter,
    /// Client metadata documents that are fetched, by the browser's network.
    pub(super) client_documents: Limiter,
}

/// Browsers bring codes that the upstream issued, so refused codes are rare.
const REFUSED_CODES: Rate = Rate { per_minute: 12, burst: 10 };

/// Most documents are cached, so one network rarely causes a fetch.
const CLIENT_DOCUMENTS: Rate = Rate { per_minute: 30, burst: 30 };

impl Limits {
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        Self {
            authorize: Limiter::new(rates.authorize),
            callback: Limiter::new(rates.callback),
            token: Limiter::new(rates.token),
            register: Limiter::new(rates.register),
            introspect: Limiter::new(rates.introspect),
            revoke: Limiter::new(rates.revoke),
            failures: Limiter::new(rates.failed_authentications),
            refused_codes: Limiter::new(REFUSED_CODES),
            client_documents: Limiter::new(CLIENT_DOCUMENTS),
        }
    }
}
