//! Pages for requests that lead nowhere.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use crate::{
    flow::{CallbackError, DecisionError, DocumentProblem, UnusableDocument},
    oauth::{
        display_text::display_text,
        error::{ErrorCode, OAuthError},
    },
    web::{
        pages::{
            InEnglish, NoticePage,
            texts::{Notice, Notices, fill},
        },
        reply::Reply,
        request::{BodyError, reads, wants_page},
        visit,
    },
};

/// Why a browser gets a page about a failure.
#[derive(Debug)]
pub(in crate::web) enum Failure {
    TooMany(Duration),
    /// The error must not be sent to the client by redirect.
    Request {
        status: StatusCode,
        error: OAuthError,
    },
    /// The client's metadata document cannot be used.
    Document(Box<UnusableDocument>),
    /// A script or a frame made the request.
    NoNavigation,
    /// No click or key sent the form. The form can still be sent.
    Unattended,
    /// The form is not the one that this browser was shown.
    Forged,
    /// The form was sent before.
    Decided,
    /// Too many upstream calls are in progress. The browser can try again.
    Busy,
    /// The browser does not hold the login.
    Lost,
    /// The login was completed before.
    Completed,
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::Request { status: StatusCode::BAD_REQUEST, error }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::Request { status: error.status(), error: error.error(ErrorCode::InvalidRequest) }
    }
}

impl From<DecisionError> for Failure {
    fn from(error: DecisionError) -> Self {
        match error {
            DecisionError::Forged => Self::Forged,
            DecisionError::Used => Self::Decided,
            DecisionError::Page(error) => error.into(),
        }
    }
}

impl From<CallbackError> for Failure {
    fn from(error: CallbackError) -> Self {
        match error {
            CallbackError::Lost => Self::Lost,
            CallbackError::Used => Self::Completed,
            CallbackError::Busy => Self::Busy,
            CallbackError::Page(error) => error.into(),
        }
    }
}

impl visit::Failure for Failure {
    fn answer(self, reply: &Reply) -> Response {
        self.page(reply)
    }

    fn too_many(reply: &Reply, wait: Duration) -> Response {
        reply.too_many_page(reply.texts.notices.too_many, wait)
    }

    /// `GET /consent` is a reload, or an entry of the browser's history.
    fn wrong_method(reply: &Reply, request: &Request) -> Response {
        if !reads(request.method()) || !wants_page(request.headers()) {
            return reply.method_not_allowed();
        }
        let notice = reply.texts.notices.not_to_be_opened;
        let mut response = reply.notice_page(StatusCode::METHOD_NOT_ALLOWED, notice, None);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(reply.endpoint.allow()));
        response
    }
}

impl Failure {
    pub(super) fn page(&self, reply: &Reply) -> Response {
        let notices = &reply.texts.notices;
        match self {
            Self::TooMany(wait) => reply.too_many_page(notices.too_many, *wait),
            Self::Request { status, error } => {
                reply.notice(status_of(error, *status), words(notices, error), error)
            }
            Self::Document(unusable) => document_page(reply, unusable),
            Self::NoNavigation => {
                let error = invalid("the browser reports no top-level navigation");
                reply.notice(StatusCode::FORBIDDEN, notices.no_navigation, &error)
            }
            Self::Unattended => {
                let error = invalid("the browser reports no user activation");
                reply.notice(StatusCode::FORBIDDEN, notices.unattended, &error)
            }
            Self::Forged => reply.notice(
                StatusCode::FORBIDDEN,
                notices.forged,
                &invalid("the form does not fit the browser"),
            ),
            Self::Decided => {
                let error = invalid("the request was answered before").of_a_client();
                reply.notice(StatusCode::BAD_REQUEST, notices.decided, &error)
            }
            Self::Busy => {
                let reason = "too many upstream calls are in progress";
                let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, reason);
                reply.notice(StatusCode::SERVICE_UNAVAILABLE, notices.busy, &error)
            }
            Self::Lost => reply.notice(
                StatusCode::BAD_REQUEST,
                notices.lost,
                &invalid("the browser does not hold this login"),
            ),
            Self::Completed => {
                let error = invalid("the login was completed before").of_a_client();
                reply.notice(StatusCode::BAD_REQUEST, notices.completed, &error)
            }
        }
    }
}

fn invalid(reason: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, reason)
}

/// `otherwise` unless the failure is the server's.
fn status_of(error: &OAuthError, otherwise: StatusCode) -> StatusCode {
    match error.code() {
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => otherwise,
    }
}

/// The page about a metadata document. It tells the client's developer which rule the document breaks, in English,
/// but nothing about the network.
fn document_page(reply: &Reply, unusable: &UnusableDocument) -> Response {
    let UnusableDocument { id, problem, error } = unusable;
    let (url, host) = (display_text(id.as_str(), 200), id.host());
    let texts = &reply.texts.documents;
    let [before, between, after] = texts.invalid_happened;
    let (title, what_happened, what_to_do) = match problem {
        DocumentProblem::Host => (texts.host_title, fill(texts.host_happened, host), texts.host_to_do),
        DocumentProblem::Unavailable => {
            (texts.unavailable_title, fill(texts.unavailable_happened, url), texts.unavailable_to_do)
        }
        DocumentProblem::Invalid(_) => {
            (texts.invalid_title, fill([before, between], url), texts.invalid_to_do)
        }
    };
    let reason = match problem {
        DocumentProblem::Invalid(invalid) => Some(invalid.to_string()),
        DocumentProblem::Host | DocumentProblem::Unavailable => None,
    };
    reply.log(error);
    let page = NoticePage {
        texts: reply.texts,
        brand: &reply.brand,
        notice: Notice { title, what_happened: &what_happened, what_to_do },
        in_english: reason.as_deref().map(|reason| InEnglish { reason, after }),
        reference: Some(reply.reference.as_str()),
    };
    reply.page(StatusCode::BAD_REQUEST, page.render(), false)
}

/// The page for an authorization request that must not be answered by redirect.
const fn words(notices: &Notices, error: &OAuthError) -> Notice<'static> {
    match error.code() {
        ErrorCode::InvalidClient => notices.unknown_app,
        ErrorCode::InvalidRedirectUri => notices.bad_address,
        ErrorCode::TemporarilyUnavailable => notices.unavailable,
        ErrorCode::ServerError => notices.went_wrong,
        _ => notices.unusable,
    }
}
