//! The question that the user may have to answer after the sign-in at the upstream.
//!
//! The upstream's one-time code has been redeemed by then, but nothing is stored before the user agrees. The
//! browser holds the outcome, upstream tokens included, encrypted.

use serde::{Deserialize, Serialize};

use super::{
    CallbackError, Decision, DecisionError, Ending, Pending, PersonDecides, flow_name,
    granting::Admitted,
    upstream_leg::{Approval, Vouched},
};
use crate::{
    audit,
    clock::UnixTime,
    flow::{AuthorizationServer, PATIENCE, visitor::Visitor},
    oauth::{
        authorization::AuthorizationRequest,
        client::Client,
        error::{ErrorCode, OAuthError},
        grant::{Grant, Person},
        token::GrantId,
    },
    secret::random_token,
    upstream::UpstreamTokens,
};

/// A login whose person is known, and which waits for the user's decision.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignedInLogin {
    pending: Pending,
    person: Person,
    vouched_at: UnixTime,
    /// Absent for a person whom `[access]` does not admit.
    tokens: Option<UpstreamTokens>,
    /// Whether this browser resembles the one that approved.
    approved_here: bool,
}

/// What the page after the sign-in asks.
#[derive(Debug)]
pub struct Question {
    pub client: Box<Client>,
    pub request: AuthorizationRequest,
    pub person: Person,
    pub is_admitted: bool,
    /// What the form must send back.
    pub sealed: String,
}

impl SignedInLogin {
    pub(super) fn new(pending: Pending, vouched: Vouched, approved_here: bool, now: UnixTime) -> Self {
        let (person, tokens) = match vouched {
            Vouched::Admitted(Admitted { person, tokens, .. }) => (person, Some(tokens)),
            Vouched::Stranger(person) => (person, None),
        };
        Self { pending, person, vouched_at: now, tokens, approved_here }
    }

    const fn request(&self) -> &AuthorizationRequest {
        &self.pending.transaction.request
    }

    fn is_too_late(&self, now: UnixTime) -> bool {
        now.since(self.vouched_at) >= PATIENCE
    }
}

impl AuthorizationServer {
    /// Reads the login that the browser holds, for the page that asks.
    ///
    /// # Errors
    ///
    /// When the browser holds no login that waits for an answer.
    pub async fn question(&self, browser: &str, sealed: String) -> Result<Question, CallbackError> {
        let now = self.now();
        let login = self
            .open::<SignedInLogin>(&["signed in", browser], &sealed)
            .filter(|login| !login.is_too_late(now))
            .ok_or(CallbackError::Lost)?;
        let client = self.still_registered(login.request(), now).await.map_err(CallbackError::Page)?;
        audit::about_person(&login.person.subject, login.person.email.as_deref());
        let SignedInLogin { pending, person, tokens, .. } = login;
        let request = pending.transaction.request;
        Ok(Question { client, request, person, is_admitted: tokens.is_some(), sealed })
    }

    /// Takes the user's answer. Like the consent form, it can be sent twice within moments, because people
    /// double-click.
    pub(super) async fn decide_after_sign_in(
        &self,
        browser: &str,
        mut login: SignedInLogin,
        decision: PersonDecides,
        visitor: &Visitor,
        now: UnixTime,
    ) -> Result<Decision, DecisionError> {
        let client = self.still_registered(login.request(), now).await.map_err(DecisionError::Page)?;
        let transaction = &login.pending.transaction;
        let secrets =
            self.upstream_secrets(transaction.derived_under, &transaction.id).map_err(DecisionError::Page)?;
        let id = GrantId::of_login(&secrets.state, transaction.requested_at);
        let flow = flow_name(&secrets.state);
        let made = self.made(&id, now).await.map_err(DecisionError::Page)?;
        if login.is_too_late(now) && made.is_none() {
            return Ok(Decision::Answered { answered: self.too_late(&client, login.request()), flow });
        }
        audit::about_person(&login.person.subject, login.person.email.as_deref());
        super::audit_decision(login.request(), decision, &id);
        // A user who never saw the first page has not agreed to the return address either.
        let by_itself = login.approved_here || self.is_trusted(&client, &login.request().return_address);
        let ending = match decision {
            PersonDecides::Approve => {
                login.pending.approval = random_token(self.random());
                login.pending.approved_from = visitor.address;
                let code =
                    self.agreed(&client, &mut login, made, id, now).await?.ok_or(DecisionError::Used)?;
                let answered = self.answer(login.request(), true, Ending::Code(code));
                return Ok(Decision::Answered { answered, flow });
            }
            _ if made.is_some() => return Err(DecisionError::Used),
            PersonDecides::ApproveOtherAccount => {
                let Pending { transaction, approval: after, .. } = login.pending;
                let approval = Approval { browser, visitor, other_account: true, after: Some(&after) };
                return self.to_upstream(transaction, secrets, approval, now).await;
            }
            PersonDecides::Deny if login.tokens.is_some() => super::declined(),
            PersonDecides::Deny => Ending::Failed(OAuthError::new(
                ErrorCode::AccessDenied,
                "this person is not allowed to sign in here",
            )),
        };
        Ok(Decision::Answered { answered: self.answer(login.request(), by_itself, ending), flow })
    }

    /// The code; `None` if the login has been completed.
    async fn agreed(
        &self,
        client: &Client,
        login: &mut SignedInLogin,
        made: Option<Box<Grant>>,
        id: GrantId,
        now: UnixTime,
    ) -> Result<Option<String>, DecisionError> {
        if let Some(made) = made {
            return self.code_again(&made, &login.pending, now).map_err(DecisionError::Page);
        }
        let Some(tokens) = login.tokens.take() else {
            let error = OAuthError::new(ErrorCode::InvalidRequest, "this person cannot be let in");
            return Err(DecisionError::Page(error));
        };
        let admitted = Admitted { person: login.person.clone(), tokens, vouched_at: login.vouched_at };
        self.issue(client, &login.pending, admitted, id, now).await.map_err(DecisionError::Page)
    }
}
