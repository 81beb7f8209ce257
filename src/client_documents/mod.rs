//! Client metadata documents, and the key sets that they point to: fetched when a request needs them, cached by the
//! rules of HTTP within bounds, one fetch at a time for each URL. What a document means is decided in
//! [`crate::oauth::client_document`].

mod cache;
mod freshness;
mod known;
mod logo;
mod table;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use url::Url;

use self::{
    cache::Cache,
    logo::{LARGEST_LOGO, Logos},
};
pub use self::{
    known::{Document, Kept, KeySet, Need},
    logo::{KnownLogo, Logo},
};
use crate::{
    clock::UnixTime,
    fetch::{Answer, FetchError, PublicFetch},
    oauth::{
        client_document::{Description, Fetched, InvalidDocument, LARGEST_DOCUMENT},
        client_id::DocumentId,
        client_keys::{ClientKeys, UnusableKeys},
        policy::Rate,
        redirect::PrivateUseSchemes,
    },
    rate_limit::Limiter,
};

/// Most fetches at once. Each needs one file descriptor and at most a few kilobytes.
const MOST_FETCHES: usize = 32;
/// How many of them are kept for clients that users have signed in with.
const MOST_REFETCHES: usize = 8;
/// How long a request waits for its turn to fetch.
const PATIENCE: Duration = Duration::from_secs(2);
/// Fetches from one host.
const PER_HOST: Rate = Rate { per_minute: 60, burst: 60 };
/// Largest key set, in bytes. Some have a certificate with each key.
const LARGEST_KEY_SET: usize = 64 * 1024;
/// Longest time that a key is accepted which the client has removed from its key set.
const LONGEST_KEY_SET_LIFETIME: Duration = Duration::from_hours(1);

/// Why there is no document. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document is wrong.
    #[error("{0}")]
    Invalid(InvalidDocument),
    /// What is at `jwks_uri` is wrong.
    #[error("the key set at jwks_uri cannot be used: {0}")]
    Keys(UnusableKeys),
    /// The host answered with another status than 200.
    #[error("the host answered with status {code}{}", if *.is_bot_wall { ": its bot protection stopped the request" } else { "" })]
    Status {
        /// HTTP status code.
        code: u16,
        /// Whether a bot protection says that it stopped the request.
        is_bot_wall: bool,
    },
    /// There was no answer.
    #[error("{0}")]
    Unreachable(String),
    /// A rate limit stopped the fetch.
    #[error("too many documents are fetched for this network or from this host")]
    TooMany(Duration),
    /// Too many fetches are in progress.
    #[error("too many documents are being fetched")]
    Busy,
}

impl DocumentError {
    /// Whether the document has been removed or has become invalid, so that the last good one is not used either. A host
    /// that is down or that stops programs says nothing about the document.
    #[must_use]
    pub const fn withdraws(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Keys(_) => true,
            Self::Status { code, .. } => !matches!(*code, 403 | 429 | 500..=599),
            Self::Unreachable(_) | Self::TooMany(_) | Self::Busy => false,
        }
    }
}

/// Whether the caller may cause a fetch. The error is how long to wait.
pub type Admission<'a> = &'a (dyn Fn() -> Result<(), Duration> + Send + Sync);

/// The documents that this process knows, and the means to fetch others.
#[derive(Debug)]
pub struct ClientDocuments {
    fetch: PublicFetch,
    schemes: PrivateUseSchemes,
    documents: Cache<Description>,
    key_sets: Cache<ClientKeys>,
    logos: Logos,
    fetches: Semaphore,
    /// For documents of clients that users have signed in with. What strangers invent does not hold these up.
    refetches: Semaphore,
    hosts: Limiter,
}

impl ClientDocuments {
    /// `schemes` may be used in redirect URIs.
    #[must_use]
    pub fn new(fetch: PublicFetch, schemes: PrivateUseSchemes) -> Self {
        Self {
            fetch,
            schemes,
            documents: Cache::default(),
            key_sets: Cache::default(),
            logos: Logos::default(),
            fetches: Semaphore::new(MOST_FETCHES - MOST_REFETCHES),
            refetches: Semaphore::new(MOST_REFETCHES),
            hosts: Limiter::new(PER_HOST),
        }
    }

    /// The document of a client. `stored` is what the repository has. What meets the need is returned without waiting.
    /// Otherwise the document is fetched, after `admission`.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched and the last good one cannot be used.
    pub async fn document(
        &self,
        id: &DocumentId,
        stored: Option<&Arc<Document>>,
        need: Need,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<Arc<Document>, DocumentError> {
        let fetch = async {
            admission().map_err(DocumentError::TooMany)?;
            let _turn = self.turn_for(id.host(), stored.is_some()).await?;
            self.fetched(id, now).await
        };
        self.documents.current(id.as_str(), stored, need, now, fetch).await
    }

    /// The newest document of a client that can be used, of any age.
    #[must_use]
    pub fn known(&self, id: &DocumentId, stored: Option<&Arc<Document>>) -> Option<Arc<Document>> {
        self.documents.known(id.as_str(), stored)
    }

    /// The keys at the `jwks_uri` of a client that users have signed in with. `stored` is the repository's copy,
    /// however old.
    ///
    /// # Errors
    ///
    /// When they cannot be fetched and none are known.
    pub async fn key_set(
        &self,
        uri: &str,
        stored: Option<&Arc<KeySet>>,
        need: Need,
        now: UnixTime,
    ) -> Result<Arc<KeySet>, DocumentError> {
        self.key_sets.current(uri, stored, need, now, self.fetched_keys(uri, now)).await
    }

    /// The right to fetch from a host, until it is dropped.
    async fn turn_for(&self, host: &str, has_users: bool) -> Result<SemaphorePermit<'_>, DocumentError> {
        self.hosts.admit((host, has_users)).map_err(DocumentError::TooMany)?;
        let fetches = if has_users { &self.refetches } else { &self.fetches };
        match timeout(PATIENCE, fetches.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(DocumentError::Busy),
        }
    }

    /// What is known about the logo at this URL. If it is due, the caller is to fetch it.
    #[must_use]
    pub fn known_logo(&self, url: &Url, now: UnixTime) -> KnownLogo {
        self.logos.known(url.as_str(), now)
    }

    /// Fetches a logo. A page without a logo is complete, so failures are not explained.
    pub async fn fetch_logo(&self, url: &Url, now: UnixTime) -> Option<Arc<Logo>> {
        // Without a turn nothing is fetched, so nothing is noted. The logo is due again in a minute.
        let _turn = self.turn_for(url.host_str()?, false).await.ok()?;
        let logo = self.fetched_logo(url).await.map(Arc::new);
        self.logos.note(url.as_str(), logo.clone(), now);
        logo
    }

    async fn fetched_logo(&self, url: &Url) -> Option<Logo> {
        let answer = self.fetch.get(url, "image/png, image/jpeg, image/webp", LARGEST_LOGO).await.ok()?;
        (answer.status == 200 && !is_compressed(&answer))
            .then(|| Logo::of(answer.header("content-type"), &answer.body))?
    }

    async fn fetched(&self, id: &DocumentId, now: UnixTime) -> Result<Document, DocumentError> {
        let too_large = DocumentError::Invalid(InvalidDocument::TooLarge);
        let answer = self.answer(id.url(), "application/json", LARGEST_DOCUMENT, too_large).await?;
        let content = self.read(id, &answer).map_err(DocumentError::Invalid)?;
        Ok(Kept::fetched(content, freshness::lifetime(&answer.headers, now), now))
    }

    async fn fetched_keys(&self, uri: &str, now: UnixTime) -> Result<KeySet, DocumentError> {
        let url = Url::parse(uri).map_err(|error| DocumentError::Unreachable(error.to_string()))?;
        let _turn = self.turn_for(url.host_str().unwrap_or_default(), true).await?;
        let too_large = DocumentError::Keys(UnusableKeys::TooMany);
        let accept = "application/jwk-set+json, application/json";
        let answer = self.answer(&url, accept, LARGEST_KEY_SET, too_large).await?;
        let content = ClientKeys::parse(&answer.body).map_err(DocumentError::Keys)?;
        let lifetime = freshness::lifetime(&answer.headers, now).min(LONGEST_KEY_SET_LIFETIME);
        Ok(Kept::fetched(content, lifetime, now))
    }

    /// An answer with status 200.
    async fn answer(
        &self,
        url: &Url,
        accept: &'static str,
        largest: usize,
        too_large: DocumentError,
    ) -> Result<Answer, DocumentError> {
        match self.fetch.get(url, accept, largest).await {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => {
                let is_bot_wall = answer.header("cf-mitigated").is_some();
                Err(DocumentError::Status { code: answer.status, is_bot_wall })
            }
            Err(FetchError::TooLarge { status: 200, .. }) => Err(too_large),
            Err(FetchError::TooLarge { status: code, .. }) => {
                Err(DocumentError::Status { code, is_bot_wall: false })
            }
            Err(error) => Err(DocumentError::Unreachable(error.to_string())),
        }
    }

    fn read(&self, id: &DocumentId, answer: &Answer) -> Result<Description, InvalidDocument> {
        if is_compressed(answer) {
            return Err(InvalidDocument::Compressed);
        }
        let fetched = Fetched { content_type: answer.header("content-type"), body: &answer.body };
        Description::of_document(id, fetched, &self.schemes)
    }
}

/// No compression was asked for, and none is undone.
fn is_compressed(answer: &Answer) -> bool {
    answer.header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_id::ClientId;

    const NOTHING_LISTENS: &str = "https://127.0.0.1:1/";

    /// Fetches that reach this machine fail at once, because its addresses are not public.
    fn documents() -> ClientDocuments {
        ClientDocuments::new(PublicFetch::new(&[], None).unwrap(), PrivateUseSchemes::default())
    }

    fn url() -> Url {
        Url::parse(NOTHING_LISTENS).unwrap()
    }

    fn at(second: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + second)
    }

    async fn key_set(documents: &ClientDocuments) -> DocumentError {
        documents.key_set(NOTHING_LISTENS, None, Need::Fresh, at(0)).await.unwrap_err()
    }

    #[tokio::test]
    async fn cimd_13_a_logo_that_gets_no_turn_has_not_failed() {
        for is_rate_limit in [true, false] {
            let documents = documents();
            let turns = documents.fetches.try_acquire_many(24).unwrap();
            if is_rate_limit {
                drop(turns);
                documents.hosts.charge(("127.0.0.1", false), 1_000);
            }
            assert_eq!(documents.known_logo(&url(), at(0)), KnownLogo::Due);
            assert_eq!(documents.fetch_logo(&url(), at(0)).await, None);
            assert_eq!(documents.known_logo(&url(), at(60)), KnownLogo::Due, "rate limit: {is_rate_limit}");
        }
        let documents = documents();
        assert_eq!(documents.known_logo(&url(), at(0)), KnownLogo::Due);
        assert_eq!(documents.fetch_logo(&url(), at(0)).await, None);
        assert_eq!(documents.known_logo(&url(), at(3599)), KnownLogo::Shown(None), "its host failed");
    }

    #[tokio::test]
    async fn cimd_15_key_sets_have_their_share_of_all_fetches_and_of_those_from_a_host() {
        let documents = documents();
        let turns = documents.refetches.try_acquire_many(8).unwrap();
        assert_eq!(key_set(&documents).await, DocumentError::Busy);
        drop(turns);
        documents.hosts.charge(("127.0.0.1", true), 1_000);
        assert!(matches!(key_set(&documents).await, DocumentError::TooMany(_)));
    }

    /// Strangers can neither take all turns nor use up the budget of a host.
    #[tokio::test]
    async fn cimd_15_documents_of_strangers_do_not_hold_up_key_sets() {
        let documents = documents();
        let _turns = documents.fetches.try_acquire_many(24).unwrap();
        documents.hosts.charge(("127.0.0.1", false), 1_000);
        assert!(matches!(key_set(&documents).await, DocumentError::Unreachable(_)));
        let id = ClientId::of_document("https://127.0.0.1:1/client.json").unwrap();
        let document = documents.document(id.document().unwrap(), None, Need::Fresh, &|| Ok(()), at(0)).await;
        assert!(matches!(document, Err(DocumentError::TooMany(_))));
    }

    #[tokio::test]
    async fn cimd_15_a_fetch_that_was_refused_here_is_no_failure_of_the_host() {
        for is_rate_limit in [true, false] {
            let documents = documents();
            let turns = documents.refetches.try_acquire_many(8).unwrap();
            if is_rate_limit {
                documents.hosts.charge(("127.0.0.1", true), 1_000);
            }
            let refused = key_set(&documents).await;
            assert!(matches!(refused, DocumentError::TooMany(_) | DocumentError::Busy), "{refused:?}");
            drop(turns);
            documents.hosts.forgive(("127.0.0.1", true));
            assert!(
                matches!(key_set(&documents).await, DocumentError::Unreachable(_)),
                "it is asked at once"
            );
        }
    }
}
