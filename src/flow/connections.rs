//! What a person sees and ends on the page of connected clients.
//!
//! The page has a session of ten minutes. Its token is in a cookie and is stored only as a hash. The session is a
//! record, so that every daemon serves it and signing out ends it, wherever the cookie has been copied to.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{AuthorizationServer, person_index::Stretch, visitor::Visitor};
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{
        client::Client,
        error::OAuthError,
        grant::{Grant, Person, RevokedBy},
        token::GrantId,
    },
    repository::{Entity, Kind},
    secret::{encode, random_token, sha256},
};

/// How long a person stays signed in to the page.
const LIFETIME: Duration = Duration::from_mins(10);
/// Most stretches of grants that one request disconnects.
const MOST_STRETCHES: usize = 20;

/// The session of a person on the page.
#[derive(Debug, Serialize, Deserialize)]
pub struct PageSession {
    key: String,
    person: Person,
    opened_from: Option<IpAddr>,
    /// The `User-Agent`, hashed.
    opened_with: Option<String>,
    expires_at: UnixTime,
}

/// A client that a person has connected.
#[derive(Debug)]
pub struct Connection {
    pub grant: Grant,
    /// `None` if its registration is gone or cannot be read.
    pub client: Option<Client>,
}

/// Some of a person's connections, newest first.
#[derive(Debug)]
pub struct Connections {
    pub shown: Vec<Connection>,
    /// Where to go on. `None` if there are no more.
    pub until: Option<GrantId>,
}

impl Entity for PageSession {
    const KIND: Kind = Kind::Replay;

    fn key(&self) -> &str {
        &self.key
    }

    fn expires_at(&self) -> Option<UnixTime> {
        Some(self.expires_at)
    }
}

impl PageSession {
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.person
    }

    fn is_of(&self, visitor: &Visitor) -> bool {
        visitor.resembles(&Visitor { address: self.opened_from, user_agent: self.opened_with.clone() })
    }
}

fn key_of(token: &str) -> String {
    format!("session.{}", encode(&sha256(token.as_bytes())))
}

impl AuthorizationServer {
    /// Opens a session for a person for whom the upstream vouched, and returns its token.
    pub(super) async fn open_page_session(
        &self,
        person: Person,
        visitor: &Visitor,
        now: UnixTime,
    ) -> Result<String, OAuthError> {
        let token = random_token(self.random());
        let person = Person { groups: Vec::new(), ..person };
        let session = PageSession {
            key: key_of(&token),
            person,
            opened_from: visitor.address,
            opened_with: visitor.user_agent.clone(),
            expires_at: now.plus(LIFETIME),
        };
        if self.page_sessions.insert(session, now).await?.is_none() {
            return Err(OAuthError::internal("the new session token is taken"));
        }
        Event::ConnectionsSignIn.record();
        Ok(token)
    }

    /// The session with this token, if it has not ended and this visitor opened it. Cookies ignore ports: an MCP server
    /// with our host name sees the token, and has neither the network nor the browser.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn page_session(
        &self,
        token: &str,
        visitor: &Visitor,
    ) -> Result<Option<PageSession>, OAuthError> {
        let read = self.page_sessions.get(&key_of(token), self.now()).await?;
        let session = read.map(|read| *read.value).filter(|session| session.is_of(visitor));
        if let Some(PageSession { person, .. }) = &session {
            audit::about_person(&person.subject, person.email.as_deref());
        }
        Ok(session)
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn close_page_session(&self, token: &str) -> Result<(), OAuthError> {
        self.page_sessions.remove(&key_of(token), self.now()).await?;
        Ok(())
    }

    /// The clients that the session's person has connected, before a grant or from the newest on.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn connections(
        &self,
        session: &PageSession,
        before: Option<&GrantId>,
    ) -> Result<Connections, OAuthError> {
        let now = self.now();
        let Stretch { grants, until } = self.person_index.live_grants(session.person(), before, now).await?;
        let mut shown = Vec::with_capacity(grants.len());
        for grant in grants {
            let read = self.clients.look(grant.terms().client_id.key(), now).await?;
            let client = read.and_then(Result::ok).map(|read| *read.value);
            shown.push(Connection { grant, client });
        }
        Ok(Connections { shown, until })
    }

    /// Ends a grant of the session's person. A grant of anyone else is left alone, as if it did not exist.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn disconnect(&self, session: &PageSession, grant: &GrantId) -> Result<(), OAuthError> {
        let now = self.now();
        let read = self.grants.get(grant.as_str(), now).await?;
        let Some(read) = read.filter(|read| read.value.is_of(session.person())) else { return Ok(()) };
        audit::about(&read.value);
        self.end(read, RevokedBy::User, now).await
    }

    /// Ends the grants of the session's person, before a grant or from the newest on. Returns where to go on, if
    /// one request cannot do all of it.
    ///
    /// # Errors
    ///
    /// When the repository does not answer.
    pub async fn disconnect_all(
        &self,
        session: &PageSession,
        mut before: Option<GrantId>,
    ) -> Result<Option<GrantId>, OAuthError> {
        for _ in 0..MOST_STRETCHES {
            let stretch =
                self.person_index.live_grants(session.person(), before.as_ref(), self.now()).await?;
            for grant in stretch.grants {
                self.disconnect(session, grant.id()).await?;
            }
            before = stretch.until;
            if before.is_none() {
                break;
            }
        }
        Ok(before)
    }
}
