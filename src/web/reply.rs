//! Answers as JSON, as a redirect or as a page. The HTTP status of each error code is decided here.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use serde::Serialize;

use super::{
    endpoint::Endpoint,
    https::Https,
    pages::{
        NoticePage,
        brand::Brand,
        style_csp,
        texts::{Notice, Texts},
    },
    refusals::Refusals,
};
use crate::{
    audit::Reference,
    oauth::error::{ErrorCode, OAuthError},
};

/// Browser features that our pages do not use.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), publickey-credentials-get=(), \
     usb=()",
);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Response headers exposed to cross-origin scripts.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Mcp-Session-Id, DPoP-Nonce, Retry-After, X-Request-Id");
/// Request headers that cross-origin scripts may send.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Last-Event-ID, Mcp-Method, \
     Mcp-Name, DPoP",
);

const UNWRITABLE: &str = "the answer cannot be written";
const UNWRITABLE_BODY: &[u8] =
    br#"{"error":"server_error","error_description":"the answer cannot be written"}"#;

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) endpoint: Endpoint,
    /// Joins the answer with its log lines.
    pub(super) reference: Reference,
    pub(super) refusals: Arc<Refusals>,
    pub(super) https: Https,
    pub(super) brand: Arc<Brand>,
    /// The words of pages, in the user's language.
    pub(super) texts: &'static Texts,
}

/// The HTTP status of a code at an endpoint for programs (RFC 6749 section 5.2).
const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidGrant
        | ErrorCode::UnauthorizedClient
        | ErrorCode::UnsupportedGrantType
        | ErrorCode::UnsupportedResponseType
        | ErrorCode::InvalidScope
        | ErrorCode::InvalidTarget
        | ErrorCode::AccessDenied
        | ErrorCode::LoginRequired
        | ErrorCode::RequestNotSupported
        | ErrorCode::RequestUriNotSupported
        | ErrorCode::InvalidRedirectUri
        | ErrorCode::InvalidClientMetadata => StatusCode::BAD_REQUEST,
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
}

impl Reply {
    /// A JSON answer that no cache stores. A value that cannot be written is logged and answered with 500.
    pub(super) fn json(&self, status: StatusCode, value: &impl Serialize) -> Response {
        match serde_json::to_vec(value) {
            Ok(body) => self.json_text(status, body.into()),
            Err(cause) => {
                self.log(&OAuthError::new(ErrorCode::ServerError, UNWRITABLE).caused_by(cause));
                self.json_text(StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(UNWRITABLE_BODY))
            }
        }
    }

    fn json_text(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = self.bare(status, body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }

    /// An error at an endpoint for programs. It is logged here, once.
    pub(super) fn error(&self, error: &OAuthError) -> Response {
        self.error_with_status(status(error.code()), error)
    }

    /// The same with a status that follows from HTTP and not from the code (405, 408, 413).
    pub(super) fn error_with_status(&self, status: StatusCode, error: &OAuthError) -> Response {
        self.log(error);
        self.error_answer(status, error)
    }

    fn error_answer(&self, status: StatusCode, error: &OAuthError) -> Response {
        let body = ErrorBody { error: error.code().as_str(), error_description: error.description() };
        let mut response = self.json(status, &body);
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"pangea-mcp-auth\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    pub(super) fn too_many(&self, wait: Duration) -> Response {
        let error =
            OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many requests; wait as Retry-After says");
        self.refusals.note_limited(self.endpoint.name());
        with_retry_after(self.error_answer(StatusCode::TOO_MANY_REQUESTS, &error), wait)
    }

    pub(super) fn method_not_allowed(&self) -> Response {
        let allow = self.endpoint.allow();
        let error = OAuthError::new(ErrorCode::InvalidRequest, format!("use {allow}"));
        let mut response = self.error_with_status(StatusCode::METHOD_NOT_ALLOWED, &error);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        response
    }

    /// 303: the browser continues with GET.
    pub(super) fn see_other(&self, location: &str) -> Response {
        // Addresses are ASCII by construction.
        let location = match HeaderValue::from_str(location) {
            Ok(location) => location,
            Err(cause) => {
                let error = OAuthError::new(ErrorCode::ServerError, "an address is no header value");
                let went_wrong = self.texts.notices.went_wrong;
                return self.notice(StatusCode::INTERNAL_SERVER_ERROR, went_wrong, &error.caused_by(cause));
            }
        };
        let mut response = self.bare(StatusCode::SEE_OTHER, Bytes::new());
        let headers = response.headers_mut();
        headers.insert(header::LOCATION, location);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    /// A page. Only pages with a form send their origin with the next request (CONSENT-7).
    pub(super) fn page(&self, status: StatusCode, html: String, has_form: bool) -> Response {
        let mut response = self.bare(status, html.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HTML);
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.texts.tag));
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        if let Ok(policy) = HeaderValue::from_str(style_csp(&self.brand)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // No Cross-Origin-Opener-Policy: clients that open a popup wait for it through `window.opener`.
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        );
        headers.insert(HeaderName::from_static("permissions-policy"), PERMISSIONS);
        let referrer = if has_form { "same-origin" } else { "no-referrer" };
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
        response
    }

    /// A page about an error, which is logged here, once, under the reference that the page shows.
    pub(super) fn notice(&self, status: StatusCode, notice: Notice<'_>, error: &OAuthError) -> Response {
        self.log(error);
        self.notice_answer(status, notice)
    }

    pub(super) fn too_many_page(&self, notice: Notice<'_>, wait: Duration) -> Response {
        self.refusals.note_limited(self.endpoint.name());
        with_retry_after(self.notice_answer(StatusCode::TOO_MANY_REQUESTS, notice), wait)
    }

    fn notice_answer(&self, status: StatusCode, notice: Notice<'_>) -> Response {
        let mut response = self.notice_page(status, notice, Some(self.reference));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    /// A page that only informs.
    pub(super) fn notice_page(
        &self,
        status: StatusCode,
        notice: Notice<'_>,
        reference: Option<Reference>,
    ) -> Response {
        let reference = reference.as_ref().map(Reference::as_str);
        let page = NoticePage { texts: self.texts, brand: &self.brand, notice, in_english: None, reference };
        self.page(status, page.render(), false)
    }

    /// Logs a failure in one line. The context of its request adds the rest.
    pub(super) fn log(&self, error: &OAuthError) {
        self.refusals.note(self.endpoint.name(), error);
    }

    /// Adds the reference that clients can quote.
    pub(super) fn under_reference(&self, mut response: Response) -> Response {
        if let Ok(reference) = HeaderValue::from_str(self.reference.as_str()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), reference);
        }
        response
    }

    /// An answer with only the headers that every answer has.
    pub(super) fn bare(&self, status: StatusCode, body: Bytes) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(14);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(policy) = self.https.policy() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, policy);
        }
        response
    }

    /// The answer to a preflight request.
    pub(super) fn preflight(&self, methods: &'static str) -> Response {
        let mut response = self.bare(StatusCode::NO_CONTENT, Bytes::new());
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        response
    }
}

/// Lets scripts of every origin read the answer, without credentials.
pub(super) fn with_cors(mut response: Response) -> Response {
    allow_all_origins(response.headers_mut());
    response
}

pub(super) fn allow_all_origins(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

pub(super) fn with_retry_after(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
