//! From the authorization request to the code. Nothing is stored until the upstream has vouched for the
//! person and the user has agreed: the browser holds the login, encrypted.

mod after_sign_in;
mod answer;
mod granting;
mod page_sign_in;
mod upstream_leg;

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use self::{
    after_sign_in::Question,
    answer::{Answered, Ending},
    page_sign_in::ToUpstream,
};
use self::{
    after_sign_in::SignedInLogin,
    upstream_leg::{Approval, Vouched},
};
use super::{
    AuthorizationServer, PATIENCE, RETURN_PATIENCE, UPSTREAM_PATIENCE,
    directory::{NoClient, UnusableDocument},
    returns::{Return, Round},
    visitor::Visitor,
};
use crate::{
    audit::{self, Event},
    client_documents::{Admission, Logo},
    clock::UnixTime,
    oauth::{
        authorization::AuthorizationRequest,
        client::Client,
        error::{ErrorCode, OAuthError},
        params::Params,
        redirect::ReturnAddress,
        token::GrantId,
    },
    secret::{KeyId, encode, random_token, sha256},
};

/// Longest sealed request, in characters: room for a request line of 8000 octets however it is
/// encoded, and what a browser can still carry in cookies and forms.
const LONGEST_SEALED: usize = 32_000;

/// A request that waits for the user's decision. The consent form holds it, encrypted.
#[derive(Debug, Serialize, Deserialize)]
struct Transaction {
    id: String,
    /// The key that everything else of this login is derived from: the login must yield the same grant even
    /// if another key becomes current meanwhile.
    derived_under: KeyId,
    requested_at: UnixTime,
    request: AuthorizationRequest,
}

/// A request that the user has approved. A cookie holds it, encrypted, while the browser is at the upstream.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    transaction: Transaction,
    /// Identifies the click on "Allow". Each click allows one return from the upstream.
    approval: String,
    approved_at: UnixTime,
    approved_from: Option<IpAddr>,
    /// The `User-Agent`, hashed. Absent in a login that an earlier release approved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    approved_with: Option<String>,
    /// The approval of the previous sign-in, if the user returned from it to use another account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    after: Option<String>,
}

/// What the consent page asks.
#[derive(Debug)]
pub struct Consent {
    pub client: Box<Client>,
    pub request: AuthorizationRequest,
    /// What the form must send back.
    pub sealed: String,
    /// Of a client with a document.
    pub logo: Option<Arc<Logo>>,
}

/// Why the user gets no consent page.
#[derive(Debug)]
pub enum Refusal {
    /// The client or its return address is unknown: the browser must not be redirected.
    Page(OAuthError),
    /// The client's metadata document cannot be used.
    Document(Box<UnusableDocument>),
    /// Too many documents are fetched; how long to wait.
    TooMany(Duration),
    Answer(Box<Answered>),
}

/// The user's answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonDecides {
    Approve,
    /// Allow, with another account than the one that is signed in upstream.
    ApproveOtherAccount,
    Deny,
}

impl PersonDecides {
    /// The value of the form's `decision`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::ApproveOtherAccount => "approve_other_account",
            Self::Deny => "deny",
        }
    }
}

/// What follows from the user's answer.
#[derive(Debug)]
pub enum Decision {
    SignIn {
        location: String,
        /// Names the cookie of this login.
        flow: String,
        /// What the browser must bring back.
        sealed: String,
    },
    Answered {
        answered: Answered,
        /// Names the cookie of this login, which the browser deletes.
        flow: String,
    },
}

/// Why an answer to a question is refused.
#[derive(Debug)]
pub enum DecisionError {
    /// The form was made for another browser, or was changed.
    Forged,
    Used,
    Page(OAuthError),
}

/// What follows when the browser returns from the upstream.
#[derive(Debug)]
pub enum Returned {
    Answered(Answered),
    /// The user must answer a question first.
    Asked {
        /// For a cookie: the login, encrypted.
        sealed: String,
    },
    /// The user signed in to the page of connected clients.
    ToConnections {
        /// For a cookie: the token of the session.
        session: String,
    },
    /// The user could not be signed in to that page. The ending is an error.
    NotSignedIn {
        ending: Ending,
    },
}

/// Why the client gets no answer when the browser returns from the upstream.
#[derive(Debug)]
pub enum CallbackError {
    /// The cookie of the login is missing: another browser, too late, or used before.
    Lost,
    Used,
    /// Too many calls of the upstream are under way. The same return can be tried again.
    Busy,
    Page(OAuthError),
}

/// What came of a return after the upstream was asked.
enum Outcome {
    Code(String),
    Used,
    Asked(Vouched),
}

/// Names the cookie of an approved login. Derived from the upstream `state`, so that parallel logins have
/// cookies of their own.
#[must_use]
pub fn flow_name(state: &str) -> String {
    encode(&sha256(state.as_bytes())[..12])
}

fn unclear() -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the sign-in could not be completed")
}

fn key_is_gone() -> OAuthError {
    unclear().caused_by("the sealing key is gone under which this login began")
}

fn declined() -> Ending {
    Ending::Declined(OAuthError::new(ErrorCode::AccessDenied, "the person declined"))
}

/// Records what the user decided about this request, which leads to this grant.
fn audit_decision(request: &AuthorizationRequest, decision: PersonDecides, grant: &GrantId) {
    audit::about(grant);
    Event::Consent { decision: decision.as_str(), scope: &request.scope }.record();
}

impl From<NoClient> for Refusal {
    fn from(error: NoClient) -> Self {
        match error {
            NoClient::Refused(error) => Self::Page(error),
            NoClient::Document(unusable) => Self::Document(unusable),
            NoClient::TooMany(wait) => Self::TooMany(wait),
        }
    }
}

impl From<OAuthError> for Refusal {
    fn from(error: OAuthError) -> Self {
        Self::Page(error)
    }
}

impl Pending {
    /// Whether the returning browser could be the one that approved.
    fn was_approved_by(&self, visitor: &Visitor) -> bool {
        let approver = Visitor { address: self.approved_from, user_agent: self.approved_with.clone() };
        visitor.resembles(&approver)
    }
}

impl AuthorizationServer {
    /// Judges an authorization request and prepares the consent page. `admission` decides whether the caller may cause
    /// a fetch of the client's document.
    ///
    /// # Errors
    ///
    /// A page for the user, or an answer to the client.
    pub async fn begin_login(
        &self,
        params: &Params<'_>,
        browser: &str,
        admission: Admission<'_>,
    ) -> Result<Consent, Refusal> {
        let now = self.now();
        let (client, address) = self.who_asks(params, admission, now).await?;
        let request = AuthorizationRequest::parse(
            params,
            client.client_id.clone(),
            address.clone(),
            &self.settings.resources,
        )
        .map_err(|error| {
            let state = params.one("state").ok().flatten().map(str::to_owned);
            let by_itself = self.is_trusted(&client, &address);
            Refusal::Answer(Box::new(self.answer_at(address, by_itself, state, Ending::Failed(error))))
        })?;
        tracing::debug!(
            resource = %request.resource, scope = %request.scope, trusted = self.is_trusted(&client, &request.return_address),
            fresh_sign_in = request.fresh_sign_in, "the request can be put to the user"
        );
        let transaction = Transaction {
            id: random_token(self.random()),
            derived_under: self.sealer.key_id(),
            requested_at: now,
            request,
        };
        let sealed = self.seal(&["consent", browser], &transaction).map_err(Refusal::Page)?;
        if sealed.len() > LONGEST_SEALED {
            return Err(Refusal::Page(OAuthError::new(ErrorCode::InvalidRequest, "the request is too long")));
        }
        let logo = self.logo(&client, admission, now).await;
        Ok(Consent { client, request: transaction.request, sealed, logo })
    }

    /// Takes the user's answer to the consent page, or to the question after the sign-in.
    ///
    /// # Errors
    ///
    /// When the form is another browser's, or was used.
    pub async fn decide(
        &self,
        browser: &str,
        sealed: &str,
        decision: PersonDecides,
        visitor: &Visitor,
    ) -> Result<Decision, DecisionError> {
        let now = self.now();
        let Some(transaction) = self.open(&["consent", browser], sealed) else {
            let login = self.open(&["signed in", browser], sealed).ok_or(DecisionError::Forged)?;
            return self.decide_after_sign_in(browser, login, decision, visitor, now).await;
        };
        self.decide_before_sign_in(browser, transaction, decision, visitor, now).await
    }

    async fn decide_before_sign_in(
        &self,
        browser: &str,
        transaction: Transaction,
        decision: PersonDecides,
        visitor: &Visitor,
        now: UnixTime,
    ) -> Result<Decision, DecisionError> {
        let request = &transaction.request;
        let client = self.still_registered(request, now).await.map_err(DecisionError::Page)?;
        let secrets = self
            .upstream_secrets(transaction.derived_under, &transaction.id)
            .map_err(|_| DecisionError::Forged)?;
        let grant_id = GrantId::of_login(&secrets.state, transaction.requested_at);
        let flow = flow_name(&secrets.state);
        let made = self.made(&grant_id, now).await.map_err(DecisionError::Page)?;
        let is_too_late = now.since(transaction.requested_at) >= PATIENCE;
        if made.is_some_and(|made| is_too_late || decision == PersonDecides::Deny || !made.is_on_its_way(now))
        {
            return Err(DecisionError::Used);
        }
        if is_too_late {
            return Ok(Decision::Answered { answered: self.too_late(&client, request), flow });
        }
        audit_decision(request, decision, &grant_id);
        if decision == PersonDecides::Deny {
            let by_itself = self.is_trusted(&client, &request.return_address);
            return Ok(Decision::Answered { answered: self.answer(request, by_itself, declined()), flow });
        }
        let other_account = decision == PersonDecides::ApproveOtherAccount;
        let approval = Approval { browser, visitor, other_account, after: None };
        self.to_upstream(transaction, secrets, approval, now).await
    }

    /// Takes the browser back from the upstream. `held` reads the cookie of a login by its name.
    ///
    /// # Errors
    ///
    /// When the browser is not the one that approved, or the client cannot be answered.
    pub async fn complete_login(
        &self,
        params: &Params<'_>,
        browser: &str,
        visitor: &Visitor,
        held: impl Fn(&str) -> Option<String>,
    ) -> Result<Returned, CallbackError> {
        let now = self.now();
        let state = params.one("state").ok().flatten().ok_or(CallbackError::Lost)?;
        let sealed = held(&flow_name(state)).ok_or(CallbackError::Lost)?;
        let Some(pending) = self.open::<Pending>(&["login", browser, state], &sealed) else {
            return self.complete_page_sign_in(params, browser, visitor, state, &sealed).await;
        };
        let id = GrantId::of_login(state, pending.transaction.requested_at);
        if now.since(pending.approved_at) >= UPSTREAM_PATIENCE {
            return self.returned_too_late(&pending, &id, now).await;
        }
        // Held until everything is stored, whether or not the browser waits for that.
        let turn = self.upstream_turn(RETURN_PATIENCE).await;
        let _turn = turn.ok_or(CallbackError::Busy)?;
        let round = Round { login: id.clone(), after: pending.after.clone() };
        let returned =
            Return { approval: &pending.approval, until: pending.approved_at.plus(UPSTREAM_PATIENCE) };
        if !self.returns.admit(&round, returned, now) {
            return Err(CallbackError::Used);
        }
        audit::about(&id);
        let request = &pending.transaction.request;
        let approved_here =
            pending.was_approved_by(visitor) && !self.settings.public_url.shares_host_with(&request.resource);
        let client = match self.still_registered(request, now).await {
            Ok(client) => client,
            Err(error) if error.is_ours() => {
                return Ok(Returned::Answered(self.answer(request, approved_here, Ending::Failed(error))));
            }
            Err(error) => return Err(CallbackError::Page(error)),
        };
        // A user who approved has seen where the answer goes.
        let by_itself = approved_here || self.is_trusted(&client, &request.return_address);
        let outcome = self.signed_in(params, &client, &pending, id, approved_here, now).await;
        let ending = match outcome {
            Ok(Outcome::Code(code)) => Ending::Code(code),
            Ok(Outcome::Used) => return Err(CallbackError::Used),
            Ok(Outcome::Asked(vouched)) => {
                let login = SignedInLogin::new(pending, vouched, approved_here, now);
                return match self.seal(&["signed in", browser], &login) {
                    Ok(sealed) if sealed.len() <= LONGEST_SEALED => Ok(Returned::Asked { sealed }),
                    Ok(_) => {
                        Err(CallbackError::Page(unclear().caused_by("the upstream's tokens are too long")))
                    }
                    Err(error) => Err(CallbackError::Page(error)),
                };
            }
            Err(ending) => ending,
        };
        Ok(Returned::Answered(self.answer(request, by_itself, ending)))
    }

    /// A code, unless the user must answer a question first.
    async fn signed_in(
        &self,
        params: &Params<'_>,
        client: &Client,
        pending: &Pending,
        id: GrantId,
        approved_here: bool,
        now: UnixTime,
    ) -> Result<Outcome, Ending> {
        let code = if let Some(made) = self.made(&id, now).await? {
            self.code_again(&made, pending, now)?
        } else {
            match self.vouched(params, &pending.transaction, now).await? {
                Vouched::Admitted(admitted) if approved_here => {
                    self.issue(client, pending, admitted, id, now).await?
                }
                vouched => return Ok(Outcome::Asked(vouched)),
            }
        };
        Ok(code.map_or(Outcome::Used, Outcome::Code))
    }

    /// Answers without asking the upstream. A login that was completed meanwhile stays completed.
    async fn returned_too_late(
        &self,
        pending: &Pending,
        id: &GrantId,
        now: UnixTime,
    ) -> Result<Returned, CallbackError> {
        let request = &pending.transaction.request;
        let client = self.still_registered(request, now).await.map_err(CallbackError::Page)?;
        if self.made(id, now).await.map_err(CallbackError::Page)?.is_some() {
            return Err(CallbackError::Used);
        }
        Ok(Returned::Answered(self.too_late(&client, request)))
    }

    /// The client and its return address. Until both are known, the browser must not be redirected.
    async fn who_asks(
        &self,
        params: &Params<'_>,
        admission: Admission<'_>,
        now: UnixTime,
    ) -> Result<(Box<Client>, ReturnAddress), Refusal> {
        let client = self.asking_client(params.required("client_id")?, admission, now).await?;
        audit::about(&client);
        let address = client.return_address(params.one("redirect_uri")?).map_err(OAuthError::of_a_client)?;
        audit::about(&address);
        Ok((client, address))
    }

    /// The client, if it is still known with this return address.
    async fn still_registered(
        &self,
        request: &AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Box<Client>, OAuthError> {
        audit::about(request);
        let known = self.registered(request, now).await.map_err(OAuthError::of_a_client);
        known.inspect(audit::about)
    }

    async fn registered(
        &self,
        request: &AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Box<Client>, OAuthError> {
        let client = self.known_client(&request.client_id, now).await?;
        client.still_has(&request.return_address)?;
        Ok(client)
    }

    fn seal(&self, context: &[&str], value: &impl Serialize) -> Result<String, OAuthError> {
        let plain = serde_json::to_vec(value).map_err(|error| unclear().caused_by(error))?;
        Ok(self.sealer.seal(context, &plain))
    }

    fn open<T: DeserializeOwned>(&self, context: &[&str], sealed: &str) -> Option<T> {
        serde_json::from_slice(&self.sealer.open(context, sealed)?).ok()
    }
}
