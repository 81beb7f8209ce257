//! Before a refresh, the upstream is asked whether the person's session still stands: at most once a minute
//! for each grant, by one process at a time. An upstream that is slow or down ends no session.

use std::{sync::Arc, time::Duration};

use super::AuthorizationServer;
use crate::{
    clock::{SKEW, UnixTime},
    flow::grants::{open_session, seal_session},
    oauth::{
        error::{ErrorCode, OAuthError, refuse},
        grant::{Active, Grant, RevokedBy},
        token::GrantId,
    },
    repository::{Change, Stored},
    upstream::{SessionCheck, UpstreamTokens},
};

/// How long a client waits for the upstream. Many clients give up after five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a claimed check keeps other processes from asking, if the one that claimed it dies. It allows for
/// clocks that are ahead, because the upstream's one-time tokens must not be used twice.
pub(super) const CLAIM: Duration = SKEW.saturating_add(Duration::from_mins(2));
/// How long a check waits until fewer calls of the upstream are under way.
const TURN_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    GoesOn,
    Ended,
}

impl AuthorizationServer {
    /// Asks the upstream about a grant whose check is claimed. The client waits for a few seconds at most. The
    /// answer is stored whenever it comes, because it may bring a new one-time token.
    pub(super) async fn check_upstream(
        self: &Arc<Self>,
        read: Stored<Grant>,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let (id, server) = (read.value.id().clone(), Arc::clone(self));
        let asking = async move { server.ask_upstream(read, now).await };
        match self.background.within(PATIENCE, asking).await.transpose()? {
            Some(Verdict::GoesOn) => {}
            Some(Verdict::Ended) => {
                return refuse(ErrorCode::InvalidGrant, "the sign-in session has ended; sign in again");
            }
            None => tracing::warn!(grant = %id, "the upstream takes long to say whether the session is good"),
        }
        Ok(())
    }

    async fn ask_upstream(&self, read: Stored<Grant>, now: UnixTime) -> Result<Verdict, OAuthError> {
        let id = read.value.id().clone();
        let tokens = open_session(&self.sealer, &read.value)?;
        match self.check_in_turn(&tokens, now).await {
            SessionCheck::Good(tokens) => {
                tracing::debug!(renewed = tokens.is_some(), "the upstream says that its session is good");
                self.note_session(&id, tokens, now).await?;
            }
            SessionCheck::Unknown(reason) => {
                tracing::warn!(reason, "the upstream cannot say whether the session is good");
                self.note_session(&id, None, now).await?;
            }
            SessionCheck::Ended => {
                self.end(read, RevokedBy::Upstream, now).await?;
                return Ok(Verdict::Ended);
            }
        }
        Ok(Verdict::GoesOn)
    }

    /// Asks once fewer than [`MOST_UPSTREAM_CALLS`](crate::flow::MOST_UPSTREAM_CALLS) are under way.
    async fn check_in_turn(&self, tokens: &UpstreamTokens, now: UnixTime) -> SessionCheck {
        match self.upstream_turn(TURN_PATIENCE).await {
            Some(_turn) => self.upstream.check(tokens, now).await,
            None => SessionCheck::Unknown("too many calls of the upstream are under way".to_owned()),
        }
    }

    /// Stores that the session was checked, and the upstream's new tokens if it gave any.
    async fn note_session(
        &self,
        id: &GrantId,
        tokens: Option<UpstreamTokens>,
        now: UnixTime,
    ) -> Result<(), OAuthError> {
        let sealed = tokens.map(|tokens| seal_session(&self.sealer, id, &tokens)).transpose()?;
        let noted = self.grants.update(id.as_str(), now, |grant| {
            let session = grant.active().and_then(Active::session);
            session.map_or(Change::Leave(()), |session| {
                Change::Write(session.checked(now, sealed.as_deref()), ())
            })
        });
        noted.await?;
        Ok(())
    }
}
