//! What this process knows about one URL, and what follows from the outcome of a fetch.

use std::{sync::Arc, time::Duration};

use super::DocumentError;
use crate::{
    clock::UnixTime,
    oauth::{client::DocumentState, client_document::Description, client_keys::ClientKeys},
};

/// How long a failed fetch is not repeated: long enough for a burst, short for a developer who corrects a document.
const PAUSE: Duration = Duration::from_secs(5);
/// The same while the last good document is used, so that no user waits for a host that is down.
const PAUSE_WITH_LAST_GOOD: Duration = Duration::from_mins(1);

/// Valid content of a URL.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    /// What it says.
    pub content: T,
    /// When it was fetched.
    pub state: DocumentState,
}

impl<T> Kept<T> {
    /// Content that was fetched now and stays fresh for this long.
    pub(super) const fn fetched(content: T, lifetime: Duration, now: UnixTime) -> Self {
        let fresh_until = now.plus(lifetime);
        Self { content, state: DocumentState { fetched_at: now, fresh_until, withdrawn: false } }
    }
}

/// A client's metadata document.
pub type Document = Kept<Description>;
/// What is at the `jwks_uri` of a client.
pub type KeySet = Kept<ClientKeys>;

/// What must be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What is no longer fresh.
    Fresh,
    /// Everything that was not fetched just now: what is known did not serve.
    Newer,
}

impl Need {
    /// Whether the content that was fetched in this state will do.
    #[must_use]
    pub fn is_met_by(self, state: DocumentState, now: UnixTime) -> bool {
        match self {
            Self::Fresh => now < state.fresh_until,
            Self::Newer => now < state.fetched_at.plus(PAUSE_WITH_LAST_GOOD),
        }
    }
}

/// The last good content, and the last failure. A failure is forgotten after a pause.
#[derive(Debug)]
pub(super) struct Known<T> {
    last_good: Option<Arc<Kept<T>>>,
    /// What was fetched until then is not used.
    withdrawn_at: Option<UnixTime>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: DocumentError,
    until: UnixTime,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { last_good: None, withdrawn_at: None, failure: None }
    }
}

impl<T> Known<T> {
    /// Notes the outcome of a fetch.
    pub(super) fn note(
        &mut self,
        outcome: Result<Kept<T>, DocumentError>,
        stored: Option<&Arc<Kept<T>>>,
        now: UnixTime,
    ) {
        match outcome {
            Ok(good) => *self = Self { last_good: Some(Arc::new(good)), withdrawn_at: None, failure: None },
            Err(error) => {
                if error.withdraws() {
                    (self.last_good, self.withdrawn_at) = (None, Some(now));
                }
                let pause = if self.usable(stored).is_some() { PAUSE_WITH_LAST_GOOD } else { PAUSE };
                self.failure = Some(Failure { error, until: now.plus(pause) });
            }
        }
    }

    /// The newest content that was not withdrawn, of any age.
    pub(super) fn usable(&self, stored: Option<&Arc<Kept<T>>>) -> Option<Arc<Kept<T>>> {
        // Another process may have seen that it is gone.
        let seen_elsewhere =
            stored.filter(|stored| stored.state.withdrawn).map(|stored| stored.state.fetched_at);
        let withdrawn_at = self.withdrawn_at.max(seen_elsewhere);
        let is_valid = |kept: &&Arc<Kept<T>>| {
            let state = kept.state;
            !state.withdrawn && withdrawn_at.is_none_or(|at| at < state.fetched_at)
        };
        let known = self.last_good.iter().chain(stored).filter(is_valid);
        known.max_by_key(|kept| kept.state.fetched_at).cloned()
    }

    /// The answer that needs no fetch; `None` if it is time to fetch.
    pub(super) fn settled(
        &self,
        stored: Option<&Arc<Kept<T>>>,
        need: Need,
        now: UnixTime,
    ) -> Option<Result<Arc<Kept<T>>, DocumentError>> {
        let usable = self.usable(stored);
        if let Some(enough) = usable.as_ref().filter(|kept| need.is_met_by(kept.state, now)) {
            return Some(Ok(Arc::clone(enough)));
        }
        let failure = self.failure.as_ref().filter(|failure| now < failure.until)?;
        Some(usable.ok_or_else(|| failure.error.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{
        client::ClientMetadata, client_document::InvalidDocument, redirect::PrivateUseSchemes,
    };

    const HOUR: Duration = Duration::from_hours(1);

    fn at(second: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + second)
    }

    fn fetched(second: u64) -> Document {
        let body = br#"{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"none"}"#;
        let metadata = ClientMetadata::parse(body, &PrivateUseSchemes::default()).unwrap();
        Document::fetched(Description { metadata, jwks: None }, HOUR, at(second))
    }

    fn status(code: u16) -> DocumentError {
        DocumentError::Status { code, is_bot_wall: false }
    }

    /// When the document that is answered was fetched; the error if there is none.
    fn answer(
        known: &Known<Description>,
        stored: Option<&Arc<Document>>,
        second: u64,
    ) -> Option<Result<UnixTime, DocumentError>> {
        known
            .settled(stored, Need::Fresh, at(second))
            .map(|settled| settled.map(|document| document.state.fetched_at))
    }

    #[test]
    fn cimd_11_a_document_is_used_while_it_is_fresh() {
        let mut known = Known::<Description>::default();
        assert_eq!(answer(&known, None, 0), None);
        known.note(Ok(fetched(0)), None, at(0));
        assert_eq!(answer(&known, None, 3599), Some(Ok(at(0))));
        assert_eq!(answer(&known, None, 3600), None);
    }

    #[test]
    fn cimd_11_a_failure_is_no_cache_entry() {
        for error in [status(404), status(500), DocumentError::Invalid(InvalidDocument::NotAnObject)] {
            let mut known = Known::<Description>::default();
            known.note(Err(error.clone()), None, at(0));
            assert_eq!(answer(&known, None, 4), Some(Err(error)), "it is not fetched again at once");
            assert_eq!(answer(&known, None, 5), None, "it is fetched again");
            known.note(Ok(fetched(5)), None, at(5));
            assert_eq!(answer(&known, None, 5), Some(Ok(at(5))));
        }
    }

    #[test]
    fn cimd_12_the_last_good_document_outlives_what_says_nothing_about_it() {
        for (error, survives) in [
            (DocumentError::Unreachable("no answer".to_owned()), true),
            (status(403), true),
            (status(429), true),
            (status(500), true),
            (status(503), true),
            (status(404), false),
            (status(410), false),
            (status(301), false),
            (status(204), false),
            (status(401), false),
            (DocumentError::Invalid(InvalidDocument::OtherClient), false),
        ] {
            for stored in [None, Some(Arc::new(fetched(0)))] {
                let (stored, mut known) = (stored.as_ref(), Known::<Description>::default());
                if stored.is_none() {
                    known.note(Ok(fetched(0)), None, at(0));
                }
                known.note(Err(error.clone()), stored, at(4000));
                let expected = if survives { Ok(at(0)) } else { Err(error.clone()) };
                assert_eq!(answer(&known, stored, 4001), Some(expected), "{error:?}");
                assert_eq!(answer(&known, stored, 4059).is_some(), survives, "{error:?}");
                // What was withdrawn does not come back because the host is down.
                known.note(Err(status(500)), stored, at(4100));
                assert_eq!(known.usable(stored).is_some(), survives, "{error:?}");
            }
        }
    }

    #[test]
    fn the_newest_document_counts() {
        let (mut known, older, newer) =
            (Known::<Description>::default(), Arc::new(fetched(0)), Arc::new(fetched(20)));
        known.note(Ok(fetched(10)), None, at(10));
        assert_eq!(answer(&known, Some(&older), 30), Some(Ok(at(10))));
        assert_eq!(answer(&known, Some(&newer), 30), Some(Ok(at(20))));
        let mut withdrawn = fetched(20);
        withdrawn.state.withdrawn = true;
        let withdrawn = Arc::new(withdrawn);
        assert_eq!(answer(&known, Some(&withdrawn), 30), None, "another process saw later that it is gone");
        known.note(Err(status(503)), Some(&withdrawn), at(30));
        assert_eq!(answer(&known, Some(&withdrawn), 31), Some(Err(status(503))));
        known.note(Ok(fetched(40)), Some(&withdrawn), at(40));
        assert_eq!(answer(&known, Some(&withdrawn), 41), Some(Ok(at(40))));
    }
}
