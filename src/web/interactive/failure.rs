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
        pages::NoticePage,
        reply::{Reply, WENT_WRONG},
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
        reply.too_many_page(TOO_MANY, wait)
    }

    /// `GET /consent` is a reload, or an entry of the browser's history.
    fn wrong_method(reply: &Reply, request: &Request) -> Response {
        if !reads(request.method()) || !wants_page(request.headers()) {
            return reply.method_not_allowed();
        }
        let mut response = reply.page(StatusCode::METHOD_NOT_ALLOWED, NOT_TO_BE_OPENED.render(), false);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(reply.endpoint.allow()));
        response
    }
}

impl Failure {
    pub(super) fn page(&self, reply: &Reply) -> Response {
        match self {
            Self::TooMany(wait) => reply.too_many_page(TOO_MANY, *wait),
            Self::Request { status, error } => reply.notice(status_of(error, *status), words(error), error),
            Self::Document(unusable) => document_page(reply, unusable),
            Self::NoNavigation => {
                let error = invalid("the browser reports no top-level navigation");
                reply.notice(StatusCode::FORBIDDEN, NO_NAVIGATION, &error)
            }
            Self::Unattended => {
                let error = invalid("the browser reports no user activation");
                reply.notice(StatusCode::FORBIDDEN, UNATTENDED, &error)
            }
            Self::Forged => {
                reply.notice(StatusCode::FORBIDDEN, FORGED, &invalid("the form does not fit the browser"))
            }
            Self::Decided => {
                let error = invalid("the request was answered before").of_a_client();
                reply.notice(StatusCode::BAD_REQUEST, DECIDED, &error)
            }
            Self::Busy => {
                let reason = "too many upstream calls are in progress";
                let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, reason);
                reply.notice(StatusCode::SERVICE_UNAVAILABLE, BUSY, &error)
            }
            Self::Lost => {
                reply.notice(StatusCode::BAD_REQUEST, LOST, &invalid("the browser does not hold this login"))
            }
            Self::Completed => {
                let error = invalid("the login was completed before").of_a_client();
                reply.notice(StatusCode::BAD_REQUEST, COMPLETED, &error)
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

/// The page about a metadata document. It tells the client's developer which rule the document breaks, but
/// nothing about the network.
fn document_page(reply: &Reply, unusable: &UnusableDocument) -> Response {
    let UnusableDocument { id, problem, error } = unusable;
    let (url, host) = (display_text(id.as_str(), 200), id.host());
    let (title, what_happened, what_to_do) = match problem {
        DocumentProblem::Host => (
            "This app is not accepted here",
            format!("The operator of this service does not accept apps of {host}."),
            "If you need this app, ask the operator of this service.",
        ),
        DocumentProblem::Unavailable => (
            "This app cannot be looked up",
            format!(
                "The app describes itself at {url}. This server could not get that document: it must be on a public \
                 https address, and be answered within five seconds with status 200, without a redirect."
            ),
            "Wait a minute, then try again from the app. If it happens again, send this page to the makers of the app.",
        ),
        DocumentProblem::Invalid(invalid) => (
            "This app describes itself wrongly",
            format!("The app describes itself at {url}. That document cannot be used: {invalid}."),
            "Send this page to the makers of the app. They must correct the document.",
        ),
    };
    let page = NoticePage { title, what_happened: &what_happened, what_to_do, reference: None };
    reply.notice(StatusCode::BAD_REQUEST, page, error)
}

/// The page for an authorization request that must not be answered by redirect.
fn words(error: &OAuthError) -> NoticePage<'static> {
    match error.code() {
        ErrorCode::InvalidClient => UNKNOWN_APP,
        ErrorCode::InvalidRedirectUri => BAD_ADDRESS,
        ErrorCode::TemporarilyUnavailable => UNAVAILABLE,
        ErrorCode::ServerError => WENT_WRONG,
        _ => UNUSABLE,
    }
}

const TOO_MANY: NoticePage<'_> = NoticePage {
    title: "Too many requests",
    what_happened: "More sign-ins come from your network than usual.",
    what_to_do: "Wait a moment, then try again.",
    reference: None,
};

const UNKNOWN_APP: NoticePage<'_> = NoticePage {
    title: "This app is not known here",
    what_happened: "The app that sent you is not registered with this server. Its registration may have expired.",
    what_to_do: "Go back to the app, remove this connection and add it again. The app then registers again.",
    reference: None,
};

const BAD_ADDRESS: NoticePage<'_> = NoticePage {
    title: "This app's return address is not accepted",
    what_happened: "This server no longer sends anyone to the address that the app registered. Following it could \
                    start another program or change the answer.",
    what_to_do: "Update the app, remove this connection and add it again. If that does not help, send the code below \
                 to the makers of the app.",
    reference: None,
};

const UNAVAILABLE: NoticePage<'_> = NoticePage {
    title: "Not available right now",
    what_happened: "The server cannot look up the app at the moment.",
    what_to_do: "Wait a moment, then try again from the app.",
    reference: None,
};

const UNUSABLE: NoticePage<'_> = NoticePage {
    title: "This request cannot be used",
    what_happened: "The app that sent you made a request that this server cannot answer safely.",
    what_to_do: "Go back to the app and start again. If it happens again, send the code below to the makers of the app.",
    reference: None,
};

const NOT_TO_BE_OPENED: NoticePage<'_> = NoticePage {
    title: "There is no page here",
    what_happened: "This address only takes your answer to an earlier question.",
    what_to_do: "If an app sent you here, go back to it and start the sign-in again.",
    reference: None,
};

const FORGED: NoticePage<'_> = NoticePage {
    title: "This form does not belong to this browser",
    what_happened: "Your answer did not come from the page that this browser was shown, or the browser does not keep \
                    cookies.",
    what_to_do: "Allow cookies for this site, then go back to the app and start the sign-in again.",
    reference: None,
};

const DECIDED: NoticePage<'_> = NoticePage {
    title: "This request has been answered",
    what_happened: "You have already answered this request. Each request can be answered only once.",
    what_to_do: "If the app is not connected yet, go back to it and start the sign-in again.",
    reference: None,
};

const UNATTENDED: NoticePage<'_> = NoticePage {
    title: "Please press the button yourself",
    what_happened: "Your browser did not confirm that you pressed a button, so nothing has been decided.",
    what_to_do: "Go back one page and press the button again.",
    reference: None,
};

const NO_NAVIGATION: NoticePage<'_> = NoticePage {
    title: "This page opens only in its own window",
    what_happened: "Another page requested it in a script or a frame.",
    what_to_do: "Go back to the app and start the sign-in again.",
    reference: None,
};

const BUSY: NoticePage<'_> = NoticePage {
    title: "Too many sign-ins at the moment",
    what_happened: "The server is completing as many sign-ins as it can.",
    what_to_do: "Wait a few seconds, then reload this page.",
    reference: None,
};

const LOST: NoticePage<'_> = NoticePage {
    title: "This sign-in cannot be completed",
    what_happened: "It was started in another browser, took too long, or has already been completed.",
    what_to_do: "If the app is not connected yet, go back to it and start the sign-in again in this browser.",
    reference: None,
};

const COMPLETED: NoticePage<'_> = NoticePage {
    title: "This sign-in has been completed",
    what_happened: "Each sign-in can be completed only once.",
    what_to_do: "If the app is not connected yet, go back to it and start the sign-in again.",
    reference: None,
};
