//! Client metadata documents: fetched when an authorization request needs them, cached by the rules of HTTP within
//! bounds, one fetch at a time for each URL. What a document means is decided in [`crate::oauth::client_document`].

mod freshness;
mod known;
mod logo;
mod table;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};
use url::Url;

pub use self::{
    known::Document,
    logo::{KnownLogo, Logo},
};
use self::{
    known::Known,
    logo::{LARGEST_LOGO, Logos},
    table::{Entry, Table},
};
use crate::{
    clock::UnixTime,
    fetch::{Answer, FetchError, PublicFetch},
    oauth::{
        client::{ClientMetadata, DocumentState},
        client_document::{Fetched, InvalidDocument, LARGEST_DOCUMENT},
        client_id::DocumentId,
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
/// How long a request waits for another that fetches the same document: its turn, and the fetch.
const FETCH_PATIENCE: Duration = Duration::from_secs(8);
/// Fetches from one host.
const PER_HOST: Rate = Rate { per_minute: 60, burst: 60 };

/// Why there is no document. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document is wrong.
    #[error("{0}")]
    Invalid(InvalidDocument),
    /// The host answered with another status than 200.
    #[error("the host of the document answered with status {code}{}", if *.is_bot_wall { ": its bot protection stopped the request" } else { "" })]
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
            Self::Invalid(_) => true,
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
    table: Table,
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
            table: Table::default(),
            logos: Logos::default(),
            fetches: Semaphore::new(MOST_FETCHES - MOST_REFETCHES),
            refetches: Semaphore::new(MOST_REFETCHES),
            hosts: Limiter::new(PER_HOST),
        }
    }

    /// The document of a client for an authorization request. `stored` is what the repository has. A fresh document is
    /// returned without waiting. Otherwise it is fetched, after `admission`.
    ///
    /// # Errors
    ///
    /// When it cannot be fetched and the last good one cannot be used.
    pub async fn current(
        &self,
        id: &DocumentId,
        stored: Option<&Arc<Document>>,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<Arc<Document>, DocumentError> {
        if let Some(fresh) = self.known(id, stored).filter(|known| known.is_fresh(now)) {
            return Ok(fresh);
        }
        let busy = || self.known(id, stored).ok_or(DocumentError::Busy);
        let Some(entry) = self.table.entry(id) else { return busy() };
        let Ok(_turn) = timeout(FETCH_PATIENCE, entry.turn.lock()).await else { return busy() };
        // The previous holder of the turn may have fetched it.
        if let Some(settled) = entry.known().settled(stored, now) {
            return settled;
        }
        match self.admitted_fetch(id, stored.is_some(), admission, now).await {
            Ok(outcome) => {
                let mut known = entry.known();
                known.note(outcome, stored, now);
                known.settled(stored, now).unwrap_or(Err(DocumentError::Busy))
            }
            // Nothing was fetched, so nothing is noted.
            Err(refused) => entry.known().usable(stored).ok_or(refused),
        }
    }

    /// The newest document of a client that can be used, of any age.
    #[must_use]
    pub fn known(&self, id: &DocumentId, stored: Option<&Arc<Document>>) -> Option<Arc<Document>> {
        match self.table.existing(id) {
            Some(entry) => entry.known().usable(stored),
            None => Known::default().usable(stored),
        }
    }

    async fn admitted_fetch(
        &self,
        id: &DocumentId,
        has_users: bool,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<Result<Document, DocumentError>, DocumentError> {
        admission()
            .and_then(|()| self.hosts.admit((id.host(), has_users)))
            .map_err(DocumentError::TooMany)?;
        let fetches = if has_users { &self.refetches } else { &self.fetches };
        let _turn = turn(fetches).await.ok_or(DocumentError::Busy)?;
        let outcome = self.fetched(id, now).await;
        tracing::debug!(
            client_id = id.as_str(),
            error = outcome.as_ref().err().map(tracing::field::display),
            "document fetched"
        );
        Ok(outcome)
    }

    /// What is known about the logo at this URL. If it is due, the caller is to fetch it.
    #[must_use]
    pub fn known_logo(&self, url: &Url, now: UnixTime) -> KnownLogo {
        self.logos.known(url.as_str(), now)
    }

    /// Fetches a logo. A page without a logo is complete, so failures are not explained.
    pub async fn fetch_logo(&self, url: &Url, now: UnixTime) -> Option<Arc<Logo>> {
        let logo = self.fetched_logo(url).await.map(Arc::new);
        self.logos.note(url.as_str(), logo.clone(), now);
        logo
    }

    async fn fetched_logo(&self, url: &Url) -> Option<Logo> {
        self.hosts.admit((url.host_str()?, false)).ok()?;
        let _turn = turn(&self.fetches).await?;
        let answer = self.fetch.get(url, "image/png, image/jpeg, image/webp", LARGEST_LOGO).await.ok()?;
        (answer.status == 200 && !is_compressed(&answer))
            .then(|| Logo::of(answer.header("content-type"), &answer.body))?
    }

    async fn fetched(&self, id: &DocumentId, now: UnixTime) -> Result<Document, DocumentError> {
        let answer = match self.fetch.get(id.url(), "application/json", LARGEST_DOCUMENT).await {
            Ok(answer) => answer,
            Err(FetchError::TooLarge { status: 200, .. }) => {
                return Err(DocumentError::Invalid(InvalidDocument::TooLarge));
            }
            Err(FetchError::TooLarge { status: code, .. }) => {
                return Err(DocumentError::Status { code, is_bot_wall: false });
            }
            Err(error) => return Err(DocumentError::Unreachable(error.to_string())),
        };
        if answer.status != 200 {
            let is_bot_wall = answer.header("cf-mitigated").is_some();
            return Err(DocumentError::Status { code: answer.status, is_bot_wall });
        }
        let metadata = self.read(id, &answer).map_err(DocumentError::Invalid)?;
        let fresh_until = now.plus(freshness::lifetime(&answer.headers, now));
        Ok(Document { metadata, state: DocumentState { fetched_at: now, fresh_until, withdrawn: false } })
    }

    fn read(&self, id: &DocumentId, answer: &Answer) -> Result<ClientMetadata, InvalidDocument> {
        if is_compressed(answer) {
            return Err(InvalidDocument::Compressed);
        }
        let fetched = Fetched { content_type: answer.header("content-type"), body: &answer.body };
        ClientMetadata::of_document(id, fetched, &self.schemes)
    }
}

async fn turn(fetches: &Semaphore) -> Option<SemaphorePermit<'_>> {
    timeout(PATIENCE, fetches.acquire()).await.ok()?.ok()
}

/// No compression was asked for, and none is undone.
fn is_compressed(answer: &Answer) -> bool {
    answer.header("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
}

impl Entry {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
