//! Endpoints that a person's browser visits: authorize, consent, and the way back from the upstream.

mod questions;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use self::questions::{consent_page, signed_in_page};
use super::{
    SIGNED_IN, Web,
    fetch_metadata::{FetchMetadata, Submission},
    limits::Limiter,
    pages::{ContinuePage, NoticePage},
    reply::Reply,
    request::{LARGEST_FORM, body, limit, reads, wants_page},
    visit::Visit,
};
use crate::{
    flow::{
        Answered, CallbackError, Decision, DecisionError, Ending, PersonDecides, Refusal, Returned, Visitor,
        flow_name,
    },
    oauth::{
        error::{ErrorCode, OAuthError},
        params::Params,
    },
    secret::{encode, sha256},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// `GET` and `POST /authorize`. Asking twice is harmless: nothing is stored.
pub(super) async fn authorize(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    let reply = &visit.reply;
    if let Some(response) = overload(&visit, &web.limits.authorize) {
        return response;
    }
    let headers = request.headers().clone();
    if !FetchMetadata::of(&headers).may_be_navigation() {
        return no_navigation(reply);
    }
    let encoded = match *request.method() {
        ref method if reads(method) => request.uri().query().unwrap_or_default().as_bytes().to_vec(),
        Method::POST => match body(request, FORM, LARGEST_FORM).await {
            Ok(body) => body.to_vec(),
            Err(error) => {
                let (status, error) = error.explained();
                return refused(reply, status, &error);
            }
        },
        _ => return reply.method_not_allowed("GET, POST"),
    };
    let params = match Params::parse(&encoded) {
        Ok(params) => params,
        Err(error) => return refused(reply, 400, &error),
    };
    let (browser, set_cookie) = web.cookies(&headers).name_browser(web.server.random());
    match web.server.begin_login(&params, &browser).await {
        Ok(consent) => {
            let page = reply.page(StatusCode::OK, consent_page(&web, &consent), true);
            with_cookies(page, set_cookie)
        }
        Err(Refusal::Page(error)) => refused(reply, 400, &error),
        Err(Refusal::Answer(answered)) => answer(reply, &answered),
    }
}

/// `POST /consent`: the person's decision, on the consent page or after the sign-in.
pub(super) async fn consent(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    let reply = &visit.reply;
    if let Some(response) = overload(&visit, &web.limits.authorize) {
        return response;
    }
    if request.method() != Method::POST {
        if reads(request.method()) && wants_page(request.headers()) {
            return not_to_be_opened(reply);
        }
        return reply.method_not_allowed("POST");
    }
    let headers = request.headers().clone();
    let visitor = visitor(&visit, &headers);
    let body = match body(request, FORM, LARGEST_FORM).await {
        Ok(body) => body,
        Err(error) => {
            let (status, error) = error.explained();
            return refused(reply, status, &error);
        }
    };
    let cookies = web.cookies(&headers);
    let (decision, sealed) = match Params::parse(&body).and_then(|params| decision(&params)) {
        Ok(decided) => decided,
        Err(error) => return refused(reply, 400, &error),
    };
    let Some(browser) = cookies.browser().filter(|_| comes_from_us(&web, &headers)) else {
        return undecided(reply, &DecisionError::Forged);
    };
    let declined = encode(&sha256(sealed.as_bytes())[..12]);
    let now = web.server.now();
    match FetchMetadata::of(&headers).submission() {
        Submission::Genuine => web.attended.note(&declined, decision, now),
        Submission::Unattended if web.attended.repeats(&declined, decision, now) => {}
        Submission::Forged => return undecided(reply, &DecisionError::Forged),
        Submission::Unattended => return unattended(reply),
    }
    if decision != PersonDecides::Deny && cookies.has_declined(&declined) {
        return undecided(reply, &DecisionError::Used);
    }
    match web.server.decide(browser, &sealed, decision, &visitor).await {
        Ok(Decision::SignIn { location, flow, sealed }) => {
            with_cookies(reply.see_other(&location), cookies.hold_login(&flow, &sealed))
        }
        Ok(Decision::Answered { answered, flow }) => {
            let remembered = cookies.remember_declined(&declined).filter(|_| decision == PersonDecides::Deny);
            let response = with_cookies(answer(reply, &answered), remembered);
            with_cookies(response, cookies.forget_login(&flow))
        }
        Err(error) => undecided(reply, &error),
    }
}

/// `GET /pangea/callback`: the browser comes back from the upstream.
pub(super) async fn callback(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    let reply = &visit.reply;
    if let Some(response) = turned_away(&web, &visit, &request) {
        return response;
    }
    let network = visit.caller.network;
    let refused_codes = &web.limits.refused_codes;
    if let Some(Err(wait)) = network.map(|network| refused_codes.would_admit(network)) {
        return too_many(reply, wait);
    }
    let cookies = web.cookies(request.headers());
    let params = match Params::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        Ok(params) => params,
        Err(error) => return uncompleted(reply, &CallbackError::Page(error)),
    };
    let Some(browser) = cookies.browser() else { return uncompleted(reply, &CallbackError::Lost) };
    let flow = flow_name(params.one("state").ok().flatten().unwrap_or_default());
    let visitor = visitor(&visit, request.headers());
    let returned = web.server.complete_login(&params, browser, &visitor, |flow| cookies.login(flow)).await;
    match (network, &returned) {
        (Some(network), Ok(Returned::Answered(Answered { ending: Ending::CodeRefused(_), .. }))) => {
            refused_codes.charge(network, 1);
        }
        (
            Some(network),
            Ok(Returned::Asked { .. } | Returned::Answered(Answered { ending: Ending::Code(_), .. })),
        ) => refused_codes.forgive(network),
        _ => {}
    }
    let response = match returned {
        Ok(Returned::Asked { sealed }) => {
            // A page of its own: the upstream's code must not stay in the address bar.
            let page = format!("{}{SIGNED_IN}?login={flow}", web.public_url);
            return with_cookies(reply.see_other(&page), cookies.hold_for_answer(&flow, &sealed));
        }
        Ok(Returned::Answered(answered)) => answer(reply, &answered),
        // The browser keeps the login, and may come again.
        Err(CallbackError::Busy) => return uncompleted(reply, &CallbackError::Busy),
        Err(error) => uncompleted(reply, &error),
    };
    with_cookies(response, cookies.forget_login(&flow))
}

/// `GET /signed-in`: what the user is asked between the upstream and the client.
pub(super) async fn signed_in(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    let reply = &visit.reply;
    if let Some(response) = turned_away(&web, &visit, &request) {
        return response;
    }
    let cookies = web.cookies(request.headers());
    let params = match Params::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        Ok(params) => params,
        Err(error) => return uncompleted(reply, &CallbackError::Page(error)),
    };
    let held = params.one("login").ok().flatten().and_then(|flow| cookies.login(flow));
    let Some((browser, held)) = cookies.browser().zip(held) else {
        return uncompleted(reply, &CallbackError::Lost);
    };
    match web.server.question(browser, held).await {
        Ok(question) => signed_in_page(&web, reply, &question),
        Err(error) => uncompleted(reply, &error),
    }
}

/// What the pages that a browser is led to have in common; an answer where the request goes no further.
fn turned_away(web: &Web, visit: &Visit, request: &Request) -> Option<Response> {
    if let Some(response) = overload(visit, &web.limits.callback) {
        return Some(response);
    }
    if !reads(request.method()) {
        return Some(visit.reply.method_not_allowed("GET"));
    }
    let is_navigation = FetchMetadata::of(request.headers()).may_be_navigation();
    (!is_navigation).then(|| no_navigation(&visit.reply))
}

fn visitor(visit: &Visit, headers: &HeaderMap) -> Visitor {
    Visitor::new(visit.caller.address, headers.get(header::USER_AGENT).map(HeaderValue::as_bytes))
}

fn overload(visit: &Visit, limiter: &Limiter) -> Option<Response> {
    limit(visit.caller, limiter).err().map(|wait| too_many(&visit.reply, wait))
}

fn too_many(reply: &Reply, wait: Duration) -> Response {
    let text = [
        "Too many requests",
        "More sign-ins come from your network than usual.",
        "Wait a moment, then try again.",
    ];
    reply.too_many_page(text, wait)
}

/// A form of another site is no decision, nor is one of a page that hides its origin, which ours do not
/// (`null`). Browsers that do not say where a form comes from are covered by the form's own seal, which
/// fits this browser alone.
fn comes_from_us(web: &Web, headers: &HeaderMap) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| origin == web.public_url.origin())
}

fn decision(params: &Params<'_>) -> Result<(PersonDecides, String), OAuthError> {
    let decision = match params.required("decision")? {
        "approve" => PersonDecides::Approve,
        "approve_other_account" => PersonDecides::ApproveOtherAccount,
        "deny" => PersonDecides::Deny,
        _ => {
            let description = "decision must be 'approve', 'approve_other_account' or 'deny'";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
        }
    };
    Ok((decision, params.required("transaction")?.to_owned()))
}

/// An answer to the client: by redirect, or by a link where the person should decide.
fn answer(reply: &Reply, answered: &Answered) -> Response {
    if let Some(error) = answered.error() {
        reply.log(error);
    }
    let location = answered.location(reply.reference);
    if answered.by_itself {
        return reply.see_other(&location);
    }
    let (status, title, what_happened) = match &answered.ending {
        Ending::Declined(_) => (StatusCode::OK, "You declined", "The app gets no access.".to_owned()),
        Ending::TooLate(_) => (
            StatusCode::BAD_REQUEST,
            "This took too long",
            "The sign-in was not finished in time. Go back to the app and start it again.".to_owned(),
        ),
        Ending::Code(_) | Ending::CodeRefused(_) | Ending::Failed(_) => {
            let description = answered.error().map(OAuthError::description).unwrap_or_default();
            (
                StatusCode::BAD_REQUEST,
                "This request cannot be granted",
                format!("The app asked for something that is not possible here: {description}."),
            )
        }
    };
    let page = ContinuePage {
        title,
        what_happened: &what_happened,
        href: &location,
        host: &answered.address.host(),
        reference: reply.reference.as_str(),
    };
    reply.page(status, page.render(), false)
}

/// An authorization request that may not be answered by redirect.
fn refused(reply: &Reply, status: u16, error: &OAuthError) -> Response {
    let text = match error.code() {
        ErrorCode::InvalidClient => [
            "This app is not known here",
            "The app that sent you is not registered with this server. Its registration may have expired.",
            "Go back to the app, remove this connection and add it again, so that it registers again.",
        ],
        ErrorCode::InvalidRedirectUri => [
            "This app's return address is not accepted",
            "The app registered an address that this server no longer sends anyone to, because following it \
             could start another program or change the answer.",
            "Update the app, remove this connection and add it again. If that does not help, tell its makers \
             the reference below.",
        ],
        ErrorCode::TemporarilyUnavailable => [
            "Not available just now",
            "The server cannot look up the app at the moment.",
            "Wait a moment, then try again from the app.",
        ],
        ErrorCode::ServerError => [
            "Something went wrong here",
            "The server could not handle the request.",
            "Try again from the app. If it happens again, tell the operator the reference below.",
        ],
        _ => [
            "This request cannot be used",
            "The app that sent you made a request that this server cannot answer safely.",
            "Go back to the app and start again. If it happens again, tell its makers the reference below.",
        ],
    };
    let status = match error.code() {
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
    };
    reply.notice(status, text, error)
}

/// `GET` on the form's address: a reload, or an entry of the browser's history.
fn not_to_be_opened(reply: &Reply) -> Response {
    let page = NoticePage {
        title: "There is no page here",
        what_happened: "This address only takes the answer to a question that you were asked before.",
        what_to_do: "If an app sent you here, go back to it and start the sign-in again.",
        reference: None,
        details: None,
    };
    let mut response = reply.page(StatusCode::METHOD_NOT_ALLOWED, page.render(), false);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A decision that is not taken.
fn undecided(reply: &Reply, error: &DecisionError) -> Response {
    let (status, text, reason) = match error {
        DecisionError::Page(error) => return refused(reply, 400, error),
        DecisionError::Forged => (
            StatusCode::FORBIDDEN,
            [
                "This form does not belong to this browser",
                "The decision did not come from the page that this browser was shown, or the browser does not keep cookies.",
                "Allow cookies for this site, then go back to the app and start the sign-in again.",
            ],
            "the form does not fit the browser",
        ),
        DecisionError::Used => (
            StatusCode::BAD_REQUEST,
            [
                "This request has been answered",
                "You have answered this request already, and it can be answered once only.",
                "If the app is not connected yet, go back to it and start the sign-in again.",
            ],
            "the request was answered before",
        ),
    };
    let refusal = OAuthError::new(ErrorCode::InvalidRequest, reason);
    let is_sealed = matches!(error, DecisionError::Used);
    reply.notice(status, text, &if is_sealed { refusal.of_a_client() } else { refusal })
}

/// A decision that no click or key sent. It uses nothing up.
fn unattended(reply: &Reply) -> Response {
    let text = [
        "Please press the button yourself",
        "Your browser did not confirm that you pressed a button, so nothing has been decided.",
        "Go back one page and press the button again.",
    ];
    let error = OAuthError::new(ErrorCode::InvalidRequest, "the browser reports no user activation");
    reply.notice(StatusCode::FORBIDDEN, text, &error)
}

/// A request by a script or a frame for a page that users see in a window of its own.
fn no_navigation(reply: &Reply) -> Response {
    let text = [
        "This page opens only in a window of its own",
        "Another page asked for it in a script or a frame.",
        "Go back to the app and start the sign-in again.",
    ];
    let error = OAuthError::new(ErrorCode::InvalidRequest, "the browser reports no top-level navigation");
    reply.notice(StatusCode::FORBIDDEN, text, &error)
}

/// A return from the upstream that leads nowhere.
fn uncompleted(reply: &Reply, error: &CallbackError) -> Response {
    let (text, reason) = match error {
        CallbackError::Page(error) => return refused(reply, 400, error),
        CallbackError::Busy => {
            let text = [
                "Too many sign-ins at the moment",
                "The server is completing as many sign-ins as it can.",
                "Wait a few seconds, then reload this page.",
            ];
            let error =
                OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many upstream calls are under way");
            return reply.notice(StatusCode::SERVICE_UNAVAILABLE, text, &error);
        }
        CallbackError::Lost => (
            [
                "This sign-in cannot be completed",
                "It was started in another browser, took too long, or has been completed already.",
                "If the app is not connected yet, go back to it and start the sign-in again, in this browser.",
            ],
            "the browser does not hold this login",
        ),
        CallbackError::Used => (
            [
                "This sign-in has been completed",
                "Each sign-in can be completed once only.",
                "If the app is not connected yet, go back to it and start the sign-in again.",
            ],
            "the login was completed before",
        ),
    };
    let refusal = OAuthError::new(ErrorCode::InvalidRequest, reason);
    let is_sealed = matches!(error, CallbackError::Used);
    let refusal = if is_sealed { refusal.of_a_client() } else { refusal };
    reply.notice(StatusCode::BAD_REQUEST, text, &refusal)
}

fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
