//! From the authorization request to the code. Until the upstream has vouched for the person, all
//! that is known of a login travels sealed with the browser; nothing is stored.

use std::net::IpAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    AuthorizationServer, PATIENCE, RETURN_PATIENCE,
    returns::Return,
    tokens::{ATTEMPTS, too_much_contention},
};
use crate::{
    audit::{self, Event},
    clock::UnixTime,
    oauth::{
        authorization::AuthorizationRequest,
        client::{Client, ClientId, Origin},
        error::{ErrorCode, OAuthError, refuse},
        grant::{Grant, UpstreamSession},
        params::Params,
        redirect::{Destination, ReturnAddress},
        token::{GrantId, code_text},
    },
    repository::RepositoryError,
    secret::{KeyId, TokenHash, encode, random_token, sha256},
    upstream::{SignIn, SignedIn, UpstreamError},
};

/// Longest sealed request, in characters: room for a request line of 8000 octets however it is
/// encoded, and what a browser can still carry in cookies and forms.
const LONGEST_SEALED: usize = 32_000;

/// A request that waits for the person's decision. The browser holds it, sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Transaction {
    id: String,
    /// The key under which all that follows is derived, for the same login must yield the same
    /// grant though another key seals meanwhile.
    derived_under: KeyId,
    requested_at: UnixTime,
    request: AuthorizationRequest,
}

/// A request that the person has approved. The browser holds it, sealed, while it is upstream.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    transaction: Transaction,
    /// Tells one click from another: each is good for one return.
    approval: String,
    approved_at: UnixTime,
    approved_from: Option<IpAddr>,
}

/// What only the upstream and we may know of a login. It needs no place: it is derived anew.
struct UpstreamSecrets {
    state: String,
    nonce: String,
    verifier: String,
}

/// What the person is asked.
#[derive(Debug)]
pub struct Consent {
    /// Who asks.
    pub client: Client,
    /// For what.
    pub request: AuthorizationRequest,
    /// What the form must send back.
    pub sealed: String,
}

/// An answer for the client, at an address that was registered for it.
#[derive(Debug)]
pub struct Answered {
    /// The complete redirect.
    pub location: String,
    /// Where it leads.
    pub address: ReturnAddress,
    /// Whether the browser may go there by itself, or the person must decide.
    pub by_itself: bool,
    /// The error in it, if there is one.
    pub error: Option<OAuthError>,
    /// Whether the upstream refused the code that the browser brought.
    pub code_refused: bool,
}

/// Why an authorization request leads to no consent page.
#[derive(Debug)]
pub enum Refusal {
    /// Client or address is not known: nothing may be redirected.
    Page(OAuthError),
    /// The client gets an error.
    Answer(Box<Answered>),
}

/// The person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonDecides {
    /// Allow.
    Approve,
    /// Decline.
    Deny,
}

impl PersonDecides {
    /// The value of the form's `decision`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// What follows from the person's answer.
#[derive(Debug)]
pub enum Decision {
    /// On to the upstream.
    SignIn {
        /// Where to.
        location: String,
        /// The name of the flow, for its cookie.
        flow: String,
        /// What the browser must bring back.
        sealed: String,
    },
    /// The client hears of the refusal.
    Declined {
        /// How.
        answered: Answered,
        /// The name of the flow, which the browser forgets if it was approved before.
        flow: String,
    },
}

/// Why a decision is not taken.
#[derive(Debug)]
pub enum DecisionError {
    /// The form was not made for this browser, or was changed.
    Forged,
    /// The person took too long.
    Expired,
    /// This login has been completed.
    Used,
    /// Something else is wrong.
    Page(OAuthError),
}

/// Why nothing can be answered to the client when the browser comes back from the upstream.
#[derive(Debug)]
pub enum CallbackError {
    /// The browser does not hold what it should: another browser, too late, or used before.
    Lost,
    /// This login has been completed.
    Used,
    /// Too many calls of the upstream are under way. The login is as good as before.
    Busy,
    /// Something else is wrong.
    Page(OAuthError),
}

/// Why there is no code for the client.
struct NotGranted {
    error: OAuthError,
    code_refused: bool,
}

impl From<OAuthError> for NotGranted {
    fn from(error: OAuthError) -> Self {
        Self { error, code_refused: false }
    }
}

impl From<RepositoryError> for NotGranted {
    fn from(error: RepositoryError) -> Self {
        OAuthError::from(error).into()
    }
}

/// The name under which the browser keeps an approved login: derived from the upstream `state`,
/// so that parallel logins stay apart.
#[must_use]
pub fn flow_name(state: &str) -> String {
    encode(&sha256(state.as_bytes())[..12])
}

impl AuthorizationServer {
    /// Judges an authorization request.
    ///
    /// # Errors
    ///
    /// A page, or an answer to the client.
    pub async fn begin_login(&self, params: &Params<'_>, browser: &str) -> Result<Consent, Refusal> {
        let now = self.now();
        let (client, address) = self.who_asks(params, now).await.map_err(Refusal::Page)?;
        let request = AuthorizationRequest::parse(
            params,
            client.client_id.clone(),
            address.clone(),
            &self.settings.resources,
        )
        .map_err(|error| {
            let state = params.one("state").ok().flatten();
            let by_itself = self.is_trusted(&client, &address);
            Refusal::Answer(Box::new(self.error_answer(address, by_itself, state, error)))
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
        Ok(Consent { client, request: transaction.request, sealed })
    }

    /// Takes the person's answer to the consent page.
    ///
    /// # Errors
    ///
    /// When the form is not this browser's, is too old or was used.
    pub async fn decide(
        &self,
        browser: &str,
        sealed: &str,
        decision: PersonDecides,
        from: Option<IpAddr>,
    ) -> Result<Decision, DecisionError> {
        let now = self.now();
        let transaction: Transaction =
            self.open(&["consent", browser], sealed).ok_or(DecisionError::Forged)?;
        if now.since(transaction.requested_at) >= PATIENCE {
            return Err(DecisionError::Expired);
        }
        let request = &transaction.request;
        audit::about(request);
        let client = self.still_registered(request, now).await;
        let client = client.map_err(|error| DecisionError::Page(error.of_a_client()))?;
        audit::about(&client);
        let UpstreamSecrets { state, nonce, verifier } =
            self.upstream_secrets(&transaction).ok_or(DecisionError::Forged)?;
        let grant_id = GrantId::of_login(&state, transaction.requested_at);
        let made =
            self.grants.get(grant_id.as_str(), now).await.map_err(|e| DecisionError::Page(e.into()))?;
        if made.is_some_and(|made| decision == PersonDecides::Deny || !made.value.is_on_its_way(now)) {
            return Err(DecisionError::Used);
        }
        audit::about(&grant_id);
        Event::Consent { decision: decision.as_str(), scope: &request.scope }.record();
        let flow = flow_name(&state);
        if decision == PersonDecides::Deny {
            let error = OAuthError::new(ErrorCode::AccessDenied, "the person declined");
            let (address, client_state) = (request.return_address.clone(), request.state.as_deref());
            let by_itself = self.is_trusted(&client, &address);
            let answered = self.error_answer(address, by_itself, client_state, error);
            return Ok(Decision::Declined { answered, flow });
        }
        let sign_in =
            SignIn { state: &state, nonce: &nonce, code_verifier: &verifier, fresh: request.fresh_sign_in };
        let location = self.upstream.authorization_url(sign_in, now).await;
        let approval = random_token(self.random());
        let pending = Pending { transaction, approval, approved_at: now, approved_from: from };
        let sealed = self.seal(&["login", browser, &state], &pending).map_err(DecisionError::Page)?;
        Ok(Decision::SignIn { location, flow, sealed })
    }

    /// Takes the browser back from the upstream. `held` gives what the browser holds for a flow.
    ///
    /// # Errors
    ///
    /// When the browser is not the one that approved, or nobody can be answered.
    pub async fn complete_login(
        &self,
        params: &Params<'_>,
        browser: &str,
        held: impl Fn(&str) -> Option<String>,
    ) -> Result<Answered, CallbackError> {
        let now = self.now();
        let state = params.one("state").ok().flatten().ok_or(CallbackError::Lost)?;
        let pending: Pending = held(&flow_name(state))
            .and_then(|sealed| self.open(&["login", browser, state], &sealed))
            .filter(|pending: &Pending| now.since(pending.approved_at) < PATIENCE)
            .ok_or(CallbackError::Lost)?;
        let id = GrantId::of_login(state, pending.transaction.requested_at);
        // Held until everything is stored, whether or not the browser waits for that.
        let turn = self.upstream_turn(RETURN_PATIENCE).await;
        let _turn = turn.ok_or(CallbackError::Busy)?;
        let returned = Return { approval: &pending.approval, until: pending.approved_at.plus(PATIENCE) };
        if !self.returns.admit(&id, returned, now) {
            return Err(CallbackError::Used);
        }
        let request = &pending.transaction.request;
        audit::about(request);
        audit::about(&id);
        // The person has seen and approved where the answer goes, and it was registered then.
        let (address, by_itself) = (request.return_address.clone(), true);
        let client_state = request.state.as_deref();
        let granted = match self.still_registered(request, now).await {
            Ok(client) => {
                audit::about(&client);
                self.grant(params, &client, &pending, id, now).await
            }
            Err(error) if error.is_ours() => Err(error.into()),
            Err(error) => return Err(CallbackError::Page(error.of_a_client())),
        };
        match granted {
            Ok(Some(code)) => {
                let location = self.location(&address, &[("code", &code)], client_state);
                Ok(Answered { location, address, by_itself, error: None, code_refused: false })
            }
            Ok(None) => Err(CallbackError::Used),
            Err(NotGranted { error, code_refused }) => {
                let answered = self.error_answer(address, by_itself, client_state, error);
                Ok(Answered { code_refused, ..answered })
            }
        }
    }

    /// Client first, address second; until both are known nothing may be redirected.
    async fn who_asks(
        &self,
        params: &Params<'_>,
        now: UnixTime,
    ) -> Result<(Client, ReturnAddress), OAuthError> {
        let unknown =
            || OAuthError::new(ErrorCode::InvalidClient, "the client is unknown; it must register again");
        let client_id = ClientId::parse(params.required("client_id")?).ok_or_else(unknown)?;
        let client = self.clients.get(client_id.as_str(), now).await?.ok_or_else(unknown)?.value;
        audit::about(&client);
        let address = client.return_address(params.one("redirect_uri")?).map_err(OAuthError::of_a_client)?;
        audit::about(&address);
        Ok((client, address))
    }

    /// The client, if it is still there and its address still its own.
    async fn still_registered(
        &self,
        request: &AuthorizationRequest,
        now: UnixTime,
    ) -> Result<Client, OAuthError> {
        let Some(client) = self.clients.get(request.client_id.as_str(), now).await? else {
            return refuse(ErrorCode::InvalidClient, "the client is unknown; it must register again");
        };
        client.value.return_address(Some(request.return_address.as_str()))?;
        Ok(client.value)
    }

    /// The code of a new grant; `None` if this login has yielded one before, which is not to be sent again.
    async fn grant(
        &self,
        params: &Params<'_>,
        client: &Client,
        pending: &Pending,
        id: GrantId,
        now: UnixTime,
    ) -> Result<Option<String>, NotGranted> {
        let transaction = &pending.transaction;
        let gone = || unclear().caused_by("the sealing key is gone under which this login began");
        let code = self.code(transaction, &id).ok_or_else(gone)?;
        let again = |made: &Grant| made.may_send_again(&code, &pending.approval, now).then(|| code.clone());
        if let Some(made) = self.grants.get(id.as_str(), now).await? {
            return Ok(again(&made.value));
        }
        let signed_in_code = upstream_code(params)?;
        let UpstreamSecrets { nonce, verifier, .. } = self.upstream_secrets(transaction).ok_or_else(gone)?;
        let signed_in = SignedIn {
            code: &signed_in_code,
            iss: params.one("iss").map_err(|_| unclear())?,
            nonce: &nonce,
            code_verifier: &verifier,
        };
        let (identity, tokens) = self.upstream.redeem(signed_in, now).await.map_err(sign_in_failed)?;
        audit::about_person(&identity.subject, identity.email.as_deref());
        tracing::debug!(groups = identity.groups.len(), "the upstream vouches for the user");
        if !self.settings.access.admits(identity.email.as_deref(), &identity.groups) {
            Event::PolicyDenial.record();
            let error =
                OAuthError::new(ErrorCode::AccessDenied, "this person is not allowed to sign in here");
            return Err(error.into());
        }
        let tokens = serde_json::to_vec(&tokens).map_err(|error| unclear().caused_by(error))?;
        let upstream = UpstreamSession {
            sealed: self.sealer.seal(&["upstream tokens", id.as_str()], &tokens),
            checked_at: now,
            checking_until: None,
        };
        let lifetimes = &self.settings.lifetimes;
        let person = self.settings.access.person(identity);
        // The record outlives the code by as long as the browser could come back once more.
        let ends = now.plus(PATIENCE * 2).plus(lifetimes.code);
        let code_ends = (TokenHash::of(&code), now.plus(lifetimes.code));
        let mut grant =
            Grant::with_code(id, transaction.request.clone(), person, upstream, code_ends, (now, ends))
                .approved_by(&pending.approval);
        grant.consented_from = pending.approved_from;
        let id = grant.id.clone();
        // Before the grant exists, so that a client with a grant is never taken for an unused one.
        self.keep_client(client, now).await?;
        if self.grants.insert(grant, now).await?.is_none() {
            let made = self.grants.get(id.as_str(), now).await?;
            return Ok(made.and_then(|made| again(&made.value)));
        }
        Event::Code.record();
        Ok(Some(code))
    }

    /// Makes a self-registered client outlive the grant that it is about to be given, which begins when
    /// the code is redeemed, but not its secret. The client no longer counts as unused.
    async fn keep_client(&self, client: &Client, now: UnixTime) -> Result<(), OAuthError> {
        let policy = &self.settings.registration;
        let lifetimes = &self.settings.lifetimes;
        let until = now.plus(lifetimes.code).plus(lifetimes.grant).plus(policy.idle);
        let until = client.secret_expires_at.map_or(until, |ends| ends.min(until));
        let worth_a_write = |expires_at: UnixTime| until.since(expires_at) >= policy.idle / 10;
        if !client.unused && !client.expires_at.is_some_and(worth_a_write) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let Some(read) = self.clients.get(client.client_id.as_str(), now).await? else { return Ok(()) };
            if !read.value.unused && !read.value.expires_at.is_some_and(worth_a_write) {
                // Another process was faster.
                return Ok(());
            }
            let expires_at = read.value.expires_at.map(|ends| ends.max(until));
            let kept = Client { expires_at, unused: false, ..read.value.clone() };
            if self.clients.replace(read, kept, now).await?.is_some() {
                self.unused.forget(&client.client_id);
                return Ok(());
            }
        }
        Err(too_much_contention())
    }

    fn error_answer(
        &self,
        address: ReturnAddress,
        by_itself: bool,
        state: Option<&str>,
        error: OAuthError,
    ) -> Answered {
        let error = error.of_a_client();
        let parameters = [("error", error.code().as_str()), ("error_description", error.description())];
        let location = self.location(&address, &parameters, state);
        Answered { location, address, by_itself, error: Some(error), code_refused: false }
    }

    /// The address with the answer, the client's own `state` and our name (RFC 9207).
    fn location(&self, address: &ReturnAddress, parameters: &[(&str, &str)], state: Option<&str>) -> String {
        let mut all = parameters.to_vec();
        all.extend(state.map(|state| ("state", state)));
        all.push(("iss", self.settings.issuer.as_str()));
        address.answer(&all)
    }

    /// Whether a browser may be sent to this address before the person has agreed to anything:
    /// else anybody who registers a client could use us to send people wherever they like
    /// (RFC 9700 section 4.11.2).
    #[must_use]
    pub fn is_trusted(&self, client: &Client, address: &ReturnAddress) -> bool {
        let listed = |host: String| self.settings.registration.trusted_hosts.contains(&host);
        client.origin == Origin::Operator
            || address.destination() == Destination::Loopback
            || address.as_str().starts_with("https://") && address.host_name().is_some_and(listed)
    }

    /// The code of a login. It is derived, so that an answer which the browser dropped can be given again;
    /// `None` when the key is gone.
    fn code(&self, transaction: &Transaction, id: &GrantId) -> Option<String> {
        let unguessable = self.sealer.derive_under(transaction.derived_under, &["code", &transaction.id])?;
        Some(code_text(id, &unguessable))
    }

    /// `None` when the key is gone under which they were first derived.
    fn upstream_secrets(&self, transaction: &Transaction) -> Option<UpstreamSecrets> {
        let derive = |what| self.sealer.derive_under(transaction.derived_under, &[what, &transaction.id]);
        Some(UpstreamSecrets {
            state: derive("upstream state")?,
            nonce: derive("upstream nonce")?,
            verifier: derive("upstream verifier")?,
        })
    }

    fn seal(&self, context: &[&str], value: &impl Serialize) -> Result<String, OAuthError> {
        let plain = serde_json::to_vec(value).map_err(|error| unclear().caused_by(error))?;
        Ok(self.sealer.seal(context, &plain))
    }

    fn open<T: DeserializeOwned>(&self, context: &[&str], sealed: &str) -> Option<T> {
        serde_json::from_slice(&self.sealer.open(context, sealed)?).ok()
    }
}

/// The code that the browser brought, or the error that the client gets in its place. What the
/// upstream says of an error is not passed on.
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

fn unclear() -> OAuthError {
    OAuthError::new(ErrorCode::ServerError, "the sign-in could not be completed")
}

fn sign_in_failed(error: UpstreamError) -> NotGranted {
    let code_refused = matches!(error, UpstreamError::Refused(_));
    let error = OAuthError::new(error.code(), "the sign-in could not be completed").caused_by(error);
    NotGranted { error, code_refused }
}
