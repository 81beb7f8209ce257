//! The answer to the client at the end of a login, and whether the browser is redirected at once.

use crate::{
    audit::Reference,
    flow::AuthorizationServer,
    oauth::{
        authorization::AuthorizationRequest,
        client::{Client, Origin},
        error::{ErrorCode, OAuthError},
        issuer::Issuer,
        redirect::{Destination, ReturnAddress},
    },
};

/// An answer to the client, at a return address that it registered.
#[derive(Debug)]
pub struct Answered {
    /// Where the browser goes with it.
    pub address: ReturnAddress,
    /// Whether the browser is redirected at once. Otherwise the user follows a link.
    pub by_itself: bool,
    pub ending: Ending,
    /// The client's `state`, unchanged.
    state: Option<String>,
    /// RFC 9207.
    issuer: Issuer,
}

/// How a login ends for the client.
#[derive(Debug)]
pub enum Ending {
    Code(String),
    Declined(OAuthError),
    /// The user took too long.
    TooLate(OAuthError),
    /// The upstream refused the code that the browser brought.
    CodeRefused(OAuthError),
    Failed(OAuthError),
}

impl From<OAuthError> for Ending {
    fn from(error: OAuthError) -> Self {
        Self::Failed(error)
    }
}

impl Ending {
    #[must_use]
    pub const fn error(&self) -> Option<&OAuthError> {
        match self {
            Self::Code(_) => None,
            Self::Declined(error) | Self::TooLate(error) | Self::CodeRefused(error) | Self::Failed(error) => {
                Some(error)
            }
        }
    }

    /// The same ending, marked as an answer to a registered client.
    fn of_a_client(self) -> Self {
        match self {
            Self::Code(code) => Self::Code(code),
            Self::Declined(error) => Self::Declined(error.of_a_client()),
            Self::TooLate(error) => Self::TooLate(error.of_a_client()),
            Self::CodeRefused(error) => Self::CodeRefused(error.of_a_client()),
            Self::Failed(error) => Self::Failed(error.of_a_client()),
        }
    }
}

impl Answered {
    #[must_use]
    pub const fn error(&self) -> Option<&OAuthError> {
        self.ending.error()
    }

    /// The complete URL. An error carries the reference under which it is logged, so that a user who sees
    /// only the client's message can quote it.
    #[must_use]
    pub fn location(&self, reference: Reference) -> String {
        let description;
        let mut parameters = match (&self.ending, self.error()) {
            (Ending::Code(code), _) => vec![("code", code.as_str())],
            (_, Some(error)) => {
                description = format!("{} (reference {reference})", error.description());
                vec![("error", error.code().as_str()), ("error_description", &*description)]
            }
            (_, None) => Vec::new(),
        };
        parameters.extend(self.state.as_deref().map(|state| ("state", state)));
        parameters.push(("iss", self.issuer.as_str()));
        self.address.answer(&parameters)
    }
}

impl AuthorizationServer {
    /// Answers a request; `by_itself` as in [`Answered`].
    pub(super) fn answer(&self, request: &AuthorizationRequest, by_itself: bool, ending: Ending) -> Answered {
        self.answer_at(request.return_address.clone(), by_itself, request.state.clone(), ending)
    }

    /// Answers a request that could not be parsed.
    pub(super) fn answer_at(
        &self,
        address: ReturnAddress,
        by_itself: bool,
        state: Option<String>,
        ending: Ending,
    ) -> Answered {
        let ending = ending.of_a_client();
        Answered { address, by_itself, ending, state, issuer: self.settings.issuer.clone() }
    }

    /// Answers a login that was not finished in time.
    pub(super) fn too_late(&self, client: &Client, request: &AuthorizationRequest) -> Answered {
        let error = OAuthError::new(ErrorCode::AccessDenied, "the sign-in took too long");
        let by_itself = self.is_trusted(client, &request.return_address);
        self.answer(request, by_itself, Ending::TooLate(error))
    }

    /// Whether a browser may be redirected to this address before the user has agreed to anything. Otherwise
    /// anyone who registers a client could use this server as an open redirector (RFC 9700 section 4.11.2).
    #[must_use]
    pub fn is_trusted(&self, client: &Client, address: &ReturnAddress) -> bool {
        let listed = |host: String| self.settings.registration.trusted_hosts.contains(&host);
        client.origin == Origin::Operator
            || address.destination() == Destination::Loopback
            || address.as_str().starts_with("https://") && address.host_name().is_some_and(listed)
    }
}
