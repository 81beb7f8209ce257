//! The error of the protocol: a code of a standard, a description for the client's developer, and a cause for
//! the log alone.

use std::borrow::Cow;

/// Error codes, each with the section that defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    InvalidRequest,
    /// RFC 6749 section 5.2.
    InvalidClient,
    /// RFC 6749 section 5.2.
    InvalidGrant,
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    UnauthorizedClient,
    /// RFC 6749 section 5.2.
    UnsupportedGrantType,
    /// RFC 6749 section 4.1.2.1.
    UnsupportedResponseType,
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    InvalidScope,
    /// RFC 8707 section 2.
    InvalidTarget,
    /// RFC 6749 section 4.1.2.1.
    AccessDenied,
    /// RFC 6749 section 4.1.2.1.
    ServerError,
    /// RFC 6749 section 4.1.2.1.
    TemporarilyUnavailable,
    /// OpenID Connect Core section 3.1.2.6.
    LoginRequired,
    /// OpenID Connect Core section 3.1.2.6.
    RequestNotSupported,
    /// OpenID Connect Core section 3.1.2.6.
    RequestUriNotSupported,
    /// RFC 7591 section 3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 section 3.2.2.
    InvalidClientMetadata,
}

impl ErrorCode {
    /// As in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
        }
    }
}

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    code: ErrorCode,
    description: Cow<'static, str>,
    of_known_client: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl OAuthError {
    /// An error with a description for the receiver. Characters that RFC 6749 does not allow in
    /// `error_description` (all but %x20-21 %x23-5B %x5D-7E) become `'` or `?`.
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self { code, description: allowed(description.into()), of_known_client: false, source: None }
    }

    /// A failure of this server. The client gets `server_error`; the cause is for the log alone.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::ServerError, "something went wrong here").caused_by(cause)
    }

    /// Whether it is a failure of this server or its repository, and not the caller's fault.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self.code, ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable)
    }

    /// Marks an answer to a registered client. Refusals of strangers are logged at a lower level.
    #[must_use]
    pub const fn of_a_client(mut self) -> Self {
        self.of_known_client = true;
        self
    }

    /// See [`OAuthError::of_a_client`].
    #[must_use]
    pub const fn is_of_known_client(&self) -> bool {
        self.of_known_client
    }

    /// Adds a cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// For the log alone.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync)> {
        self.source.as_deref()
    }
}

pub(crate) fn refuse<T>(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Result<T, OAuthError> {
    Err(OAuthError::new(code, description))
}

fn allowed(text: Cow<'static, str>) -> Cow<'static, str> {
    let fits = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    if text.chars().all(fits) {
        return text;
    }
    let replaced = text.chars().map(|c| match c {
        '"' | '\\' => '\'',
        c if fits(c) => c,
        _ => '?',
    });
    replaced.take(500).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_keep_to_the_allowed_characters() {
        let error = OAuthError::new(ErrorCode::InvalidScope, "scope \"a\\b\"\r\nSet-Cookie: ü".to_owned());
        assert_eq!(error.description(), "scope 'a'b'??Set-Cookie: ?");
    }
}
