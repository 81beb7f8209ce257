//! `grant_type=authorization_code` (RFC 6749 section 4.1.3).

use super::{AuthenticatedClient, AuthorizationServer, Issue, Signed, record_issue};
use crate::{
    audit::{self, Issued},
    clock::UnixTime,
    flow::grants::refresh_text,
    oauth::{
        client::GrantType,
        error::{ErrorCode, OAuthError, refuse},
        grant::{CHECK_EVERY, CodeIssued, CodeUse, Grant, Redemption, RefreshChain, RevokedBy, unknown_code},
        params::Params,
        token::GrantId,
    },
    repository::Change,
    secret::{TokenHash, encode},
};

/// What came of a code that fits.
enum Redeemed {
    Issued(Issue),
    Replayed,
}

struct FirstRefreshToken {
    text: String,
    chain: RefreshChain,
}

impl AuthorizationServer {
    pub(super) async fn redeem(
        &self,
        params: &Params<'_>,
        client: &AuthenticatedClient,
        now: UnixTime,
    ) -> Result<Issue, OAuthError> {
        let redemption = Redemption {
            client_id: client.id(),
            code: params.required("code")?,
            code_verifier: params.required("code_verifier")?,
            redirect_uri: params.one("redirect_uri")?,
        };
        let read = self.grant_with_code(redemption.code, now).await?;
        self.keys.refresh(self.now()).await?;
        let updated = self.grants.update_from(read, now, |grant| {
            let code_use = grant.judge_code(redemption, now)?;
            audit::about(grant);
            let is_replay = matches!(code_use, CodeUse::Replay);
            tracing::debug!(is_replay, "the code fits its grant, client and verifier");
            self.require_resource(grant, params.all("resource"))?;
            match code_use {
                CodeUse::First(code) => self.redeemed(grant, code, client, now),
                CodeUse::Replay => Ok(Change::Leave(Redeemed::Replayed)),
            }
        });
        let updated = updated.await?.ok_or_else(unknown_code)?;
        match updated.outcome {
            Redeemed::Issued(issue) => {
                record_issue(Issued::Tokens, &updated.stored.value, &issue.scope);
                Ok(issue)
            }
            Redeemed::Replayed => {
                self.end(updated.stored, RevokedBy::CodeReplay, now).await?;
                refuse(ErrorCode::InvalidGrant, "the code was used before; what it yielded has been revoked")
            }
        }
    }

    fn redeemed(
        &self,
        grant: &Grant,
        code: CodeIssued<'_>,
        client: &AuthenticatedClient,
        now: UnixTime,
    ) -> Result<Change<Grant, Redeemed>, OAuthError> {
        let ends = now.plus(self.settings.lifetimes.grant);
        let first = client.registration().may_use(GrantType::RefreshToken).then(|| {
            let idle = now.plus(self.settings.lifetimes.refresh).min(ends);
            self.first_refresh_token(grant.id(), idle)
        });
        let Signed { text: access_token, live } =
            self.access_token(&grant.next_token(), grant.terms(), None, now)?;
        let (refresh_token, chain) = first.map(|first| (first.text, first.chain)).unzip();
        // Without a refresh token the record is kept while its access token or a replay of its code can come.
        let last_use = live.expires_at.plus(CHECK_EVERY).max(grant.expires_at());
        let kept_until = if chain.is_some() { ends } else { last_use };
        let issue = Issue { access_token, refresh_token, scope: grant.terms().scope.clone() };
        Ok(Change::Write(code.redeem(chain, live, kept_until), Redeemed::Issued(issue)))
    }

    fn first_refresh_token(&self, id: &GrantId, expires_at: UnixTime) -> FirstRefreshToken {
        let mut seed = [0; 16];
        self.random.fill(&mut seed);
        let mut chain = RefreshChain {
            seed: encode(&seed),
            generation: 0,
            current: TokenHash::of(""),
            exchanges: Vec::new(),
            expires_at,
        };
        let text = refresh_text(&self.sealer, id, &chain, 0);
        chain.current = TokenHash::of(&text);
        FirstRefreshToken { text, chain }
    }
}
