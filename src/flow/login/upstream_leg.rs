//! To the upstream and back.

use super::{
    Decision, DecisionError, Ending, Pending, Transaction, flow_name, granting::Admitted, key_is_gone,
    unclear,
};
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    flow::{AuthorizationServer, visitor::Visitor},
    oauth::{
        client::ClientId,
        error::{ErrorCode, OAuthError, refuse},
        grant::{Person, UpstreamId},
        params::Params,
        policy::AccessPolicy,
    },
    secret::{KeyId, random_token},
    upstream::{Identity, SignIn, SignedIn, UpstreamError, UpstreamTokens},
};

/// Secrets between this server and the upstream. They are derived whenever they are needed.
pub(super) struct UpstreamSecrets {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// How the user approved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approval<'a> {
    /// The cookie that identifies the browser.
    pub(super) browser: &'a str,
    /// Network and user agent of the browser.
    pub(super) visitor: &'a Visitor,
    /// Whether the user wants another account than the one that is signed in upstream.
    pub(super) other_account: bool,
    /// The approval of the previous sign-in, if the user returned from it to use another account.
    pub(super) after: Option<&'a str>,
}

/// A person for whom the upstream vouched.
pub(super) enum Vouched {
    /// `[access]` admits the person.
    Admitted(Admitted),
    /// `[access]` does not.
    Stranger(Person),
}

impl AuthorizationServer {
    pub(super) async fn to_upstream(
        &self,
        transaction: Transaction,
        secrets: UpstreamSecrets,
        approval: Approval<'_>,
        now: UnixTime,
    ) -> Result<Decision, DecisionError> {
        let UpstreamSecrets { state, nonce, verifier } = secrets;
        let Approval { browser, visitor, other_account, after } = approval;
        let request = &transaction.request;
        let sign_in = SignIn {
            state: &state,
            nonce: &nonce,
            code_verifier: &verifier,
            fresh: request.fresh_sign_in || other_account,
            login_hint: request.login_hint.as_deref().filter(|_| !other_account),
        };
        let location = self.upstream.authorization_url(sign_in, now).await;
        let pending = Pending {
            transaction,
            approval: random_token(self.random()),
            approved_at: now,
            approved_from: visitor.address,
            approved_with: visitor.user_agent.clone(),
            after: after.map(str::to_owned),
        };
        let sealed = self.seal(&["login", browser, &state], &pending).map_err(DecisionError::Page)?;
        Ok(Decision::SignIn { location, flow: flow_name(&state), sealed })
    }

    /// Redeems the code that the browser brought, and judges the person.
    pub(super) async fn vouched(
        &self,
        params: &Params<'_>,
        transaction: &Transaction,
        now: UnixTime,
    ) -> Result<Vouched, Ending> {
        let secrets = self.upstream_secrets(transaction.derived_under, &transaction.id)?;
        let (identity, tokens) = self.redeemed_upstream(params, &secrets, now).await?;
        audit::about_person(&identity.subject, identity.email.as_deref());
        tracing::debug!(groups = identity.groups.len(), "the upstream vouches for the user");
        let access = &self.settings.access;
        let is_client = could_be_client(&identity.subject, &transaction.request.client_id);
        if !is_client && access.admits(identity.email.as_deref(), &identity.groups) {
            let person = remembered(identity, access);
            return Ok(Vouched::Admitted(Admitted { person, tokens, vouched_at: now }));
        }
        Event::PolicyDenial.record();
        Ok(Vouched::Stranger(remembered(identity, access)))
    }

    /// The person whom the upstream vouches for. `[access]` is not asked.
    pub(super) async fn identified(
        &self,
        params: &Params<'_>,
        secrets: &UpstreamSecrets,
        now: UnixTime,
    ) -> Result<(Person, UpstreamTokens), Ending> {
        let (identity, tokens) = self.redeemed_upstream(params, secrets, now).await?;
        Ok((remembered(identity, &self.settings.access), tokens))
    }

    /// Redeems the code that the browser brought, once.
    async fn redeemed_upstream(
        &self,
        params: &Params<'_>,
        secrets: &UpstreamSecrets,
        now: UnixTime,
    ) -> Result<(Identity, UpstreamTokens), Ending> {
        let code = upstream_code(params)?;
        let signed_in = SignedIn {
            code: &code,
            iss: params.one("iss").map_err(|_| unclear())?,
            nonce: &secrets.nonce,
            code_verifier: &secrets.verifier,
        };
        self.upstream.redeem(signed_in, now).await.map_err(sign_in_failed)
    }

    /// The secrets of the sign-in with this ID. Fails when the sealing key that they were first derived from has
    /// been removed.
    pub(super) fn upstream_secrets(
        &self,
        derived_under: KeyId,
        id: &str,
    ) -> Result<UpstreamSecrets, OAuthError> {
        let derive = |what| self.sealer.derive_under(derived_under, &[what, id]);
        let secrets = || {
            Some(UpstreamSecrets {
                state: derive("upstream state")?,
                nonce: derive("upstream nonce")?,
                verifier: derive("upstream verifier")?,
            })
        };
        secrets().ok_or_else(key_is_gone)
    }
}

/// The code that the browser brought, or the error for the client. The upstream's description of an error is
/// not passed on.
fn upstream_code(params: &Params<'_>) -> Result<String, OAuthError> {
    match (params.one("code"), params.one("error")) {
        (Ok(Some(code)), Ok(None)) => Ok(code.to_owned()),
        (Ok(None), Ok(Some("access_denied"))) => refuse(ErrorCode::AccessDenied, "the sign-in was declined"),
        (Ok(None), Ok(Some("temporarily_unavailable"))) => {
            refuse(ErrorCode::TemporarilyUnavailable, "the sign-in service is busy; try again")
        }
        (Ok(None), Ok(Some(error))) => Err(unclear().caused_by(format!("the upstream answered {error:?}"))),
        _ => Err(unclear().caused_by("the upstream's answer has no code or several")),
    }
}

/// Whether tokens of this person could be taken for a machine client's, whose `sub` is a client ID.
fn could_be_client(subject: &str, asking: &ClientId) -> bool {
    ClientId::is_made_like(subject) || subject == asking.as_str()
}

/// What a grant keeps of a person, so that each refresh can judge them again. Groups that the operator did not list
/// are left out.
fn remembered(identity: Identity, access: &AccessPolicy) -> Person {
    let Identity { subject, email, unverified_email, username, mut groups } = identity;
    groups.retain(|group| access.groups.contains(group));
    Person { upstream: UpstreamId::PANGEA, subject, email, unverified_email, username, groups }
}

fn sign_in_failed(error: UpstreamError) -> Ending {
    let ending =
        if matches!(error, UpstreamError::Refused(_)) { Ending::CodeRefused } else { Ending::Failed };
    ending(OAuthError::new(error.code(), "the sign-in could not be completed").caused_by(error))
}
