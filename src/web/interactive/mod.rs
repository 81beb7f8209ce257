//! Endpoints that a user's browser opens: authorize, consent, and the return from the upstream.

mod connections;
mod failure;
mod questions;

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};

pub(super) use self::connections::connections;
use self::{
    failure::Failure,
    questions::{connections_url, consent_page, signed_in_page},
};
use super::{
    Web,
    endpoint::Endpoint,
    fetch_metadata::{FetchMetadata, Submission},
    pages::{ContinuePage, InEnglish},
    reply::Reply,
    request::{body, limit},
    visit::Visit,
};
use crate::{
    flow::{Answered, CallbackError, Decision, Ending, PersonDecides, Refusal, Returned, Visitor, flow_name},
    oauth::{
        error::{ErrorCode, OAuthError},
        params::Params,
    },
    secret::{encode, sha256},
};

/// `GET` and `POST /authorize`. A repeated request is harmless: nothing is stored.
pub(super) async fn authorize(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let reply = &visit.reply;
    let headers = request.headers().clone();
    must_navigate(&headers)?;
    let encoded = if *request.method() == Method::POST {
        body(request, reply.endpoint).await?.to_vec()
    } else {
        request.uri().query().unwrap_or_default().as_bytes().to_vec()
    };
    let params = Params::parse(&encoded)?;
    let (browser, set_cookie) = web.cookies(&headers).name_browser(web.server.random());
    let admission = || limit(visit.caller, &web.limits.client_documents);
    match web.server.begin_login(&params, &browser, &admission).await {
        Ok(consent) => {
            let page = reply.page(StatusCode::OK, consent_page(&web, reply, &consent), true);
            Ok(with_cookies(page, set_cookie))
        }
        Err(Refusal::Page(error)) => Err(error.into()),
        Err(Refusal::Document(unusable)) => Err(Failure::Document(unusable)),
        Err(Refusal::TooMany(wait)) => Err(Failure::TooMany(wait)),
        Err(Refusal::Answer(answered)) => Ok(answer(reply, &answered)),
    }
}

/// `POST /consent`: the user's decision, on the consent page or after the sign-in.
pub(super) async fn consent(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let reply = &visit.reply;
    let headers = request.headers().clone();
    let visitor = visitor(&visit, &headers);
    let body = body(request, reply.endpoint).await?;
    let cookies = web.cookies(&headers);
    let form = Params::parse(&body).and_then(|params| Form::of(&params))?;
    let browser = cookies.browser().filter(|_| comes_from_us(&web, &headers)).ok_or(Failure::Forged)?;
    judge_submission(&web, &headers, &form.name, form.decision.as_str())?;
    if form.decision != PersonDecides::Deny && cookies.has_declined(&form.name) {
        return Err(Failure::Decided);
    }
    match web.server.decide(browser, &form.sealed, form.decision, &visitor).await? {
        Decision::SignIn { location, flow, sealed } => {
            Ok(with_cookies(reply.see_other(&location), cookies.hold_login(&flow, &sealed)))
        }
        Decision::Answered { answered, flow } => {
            let is_denial = form.decision == PersonDecides::Deny;
            let remembered = cookies.remember_declined(&form.name).filter(|_| is_denial);
            let response = with_cookies(answer(reply, &answered), remembered);
            Ok(with_cookies(response, cookies.forget_login(&flow)))
        }
    }
}

/// `GET /pangea/callback`: the browser returns from the upstream.
pub(super) async fn callback(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let reply = &visit.reply;
    must_navigate(request.headers())?;
    let network = visit.caller.network;
    let refused_codes = &web.limits.refused_codes;
    network.map_or(Ok(()), |network| refused_codes.would_admit(network)).map_err(Failure::TooMany)?;
    let cookies = web.cookies(request.headers());
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    let browser = cookies.browser().ok_or(Failure::Lost)?;
    let flow = flow_name(params.one("state").ok().flatten().unwrap_or_default());
    let visitor = visitor(&visit, request.headers());
    let returned = web.server.complete_login(&params, browser, &visitor, |flow| cookies.login(flow)).await;
    match (network, &returned) {
        (
            Some(network),
            Ok(
                Returned::Answered(Answered { ending: Ending::CodeRefused(_), .. })
                | Returned::NotSignedIn { ending: Ending::CodeRefused(_) },
            ),
        ) => refused_codes.charge(network, 1),
        (
            Some(network),
            Ok(
                Returned::Asked { .. }
                | Returned::ToConnections { .. }
                | Returned::Answered(Answered { ending: Ending::Code(_), .. }),
            ),
        ) => refused_codes.forgive(network),
        _ => {}
    }
    let response = match returned {
        Ok(Returned::Asked { sealed }) => {
            // A redirect to another page removes the upstream's code from the address bar.
            let page = format!("{}{}?login={flow}", web.public_url, Endpoint::SignedIn.path().unwrap_or("/"));
            return Ok(with_cookies(reply.see_other(&page), cookies.hold_for_answer(&flow, &sealed)));
        }
        Ok(Returned::Answered(answered)) => answer(reply, &answered),
        Ok(Returned::ToConnections { session }) => {
            let page = reply.see_other(&connections_url(&web));
            with_cookies(page, cookies.hold_session(&session))
        }
        Ok(Returned::NotSignedIn { ending }) => connections::not_signed_in(&web, reply, browser, &ending),
        // The browser keeps the login and may try again.
        Err(CallbackError::Busy) => return Err(Failure::Busy),
        Err(error) => Failure::from(error).page(reply),
    };
    Ok(with_cookies(response, cookies.forget_login(&flow)))
}

/// `GET /signed-in`: the question between the upstream and the client.
pub(super) async fn signed_in(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    must_navigate(request.headers())?;
    let cookies = web.cookies(request.headers());
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes())?;
    let held = params.one("login").ok().flatten().and_then(|flow| cookies.login(flow));
    let (browser, held) = cookies.browser().zip(held).ok_or(Failure::Lost)?;
    let question = web.server.question(browser, held).await?;
    Ok(signed_in_page(&web, &visit.reply, &question))
}

/// Refuses scripts and frames: users see these pages in a tab or window.
fn must_navigate(headers: &HeaderMap) -> Result<(), Failure> {
    if FetchMetadata::of(headers).may_be_navigation() { Ok(()) } else { Err(Failure::NoNavigation) }
}

/// Judges whether the user sent the form, by a click or key. Browsers may report no click for the second half of
/// a double click, which repeats the decision of the first.
fn judge_submission(
    web: &Web,
    headers: &HeaderMap,
    form: &str,
    decision: &'static str,
) -> Result<(), Failure> {
    let now = web.server.now();
    match FetchMetadata::of(headers).submission() {
        Submission::Genuine => web.attended.note(form, decision, now),
        Submission::Unattended if web.attended.repeats(form, decision, now) => {}
        Submission::Forged => return Err(Failure::Forged),
        Submission::Unattended => return Err(Failure::Unattended),
    }
    Ok(())
}

fn visitor(visit: &Visit, headers: &HeaderMap) -> Visitor {
    Visitor::new(visit.caller.address, headers.get(header::USER_AGENT).map(HeaderValue::as_bytes))
}

/// Whether our own page sent the form. A page with an opaque origin (`null`) is not ours. Browsers that send no
/// `Origin` are covered by the form's seal, which is bound to one browser.
fn comes_from_us(web: &Web, headers: &HeaderMap) -> bool {
    headers.get_all(header::ORIGIN).iter().all(|origin| origin == web.public_url.origin())
}

/// The form of a consent page.
struct Form {
    decision: PersonDecides,
    sealed: String,
    /// Names the form in cookies and in [`Attended`](super::attended::Attended).
    name: String,
}

impl Form {
    fn of(params: &Params<'_>) -> Result<Self, OAuthError> {
        let decision = match params.required("decision")? {
            "approve" => PersonDecides::Approve,
            "approve_other_account" => PersonDecides::ApproveOtherAccount,
            "deny" => PersonDecides::Deny,
            _ => {
                let description = "decision must be 'approve', 'approve_other_account' or 'deny'";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
            }
        };
        let sealed = params.required("transaction")?.to_owned();
        let name = encode(&sha256(sealed.as_bytes())[..12]);
        Ok(Self { decision, sealed, name })
    }
}

/// An answer to the client: a redirect, or a page with a link where the user should decide.
fn answer(reply: &Reply, answered: &Answered) -> Response {
    if let Some(error) = answered.error() {
        reply.log(error);
    }
    let location = answered.location(reply.reference);
    if answered.by_itself {
        return reply.see_other(&location);
    }
    let texts = &reply.texts.continuing;
    let mut in_english = None;
    let (status, title, what_happened) = match &answered.ending {
        Ending::Declined(_) => (StatusCode::OK, texts.declined, texts.gets_no_access),
        Ending::TooLate(_) => (StatusCode::BAD_REQUEST, texts.took_too_long, texts.not_finished_in_time),
        Ending::Code(_) | Ending::CodeRefused(_) | Ending::Failed(_) => {
            let [before, after] = texts.not_possible;
            let reason = answered.error().map(OAuthError::description).unwrap_or_default();
            in_english = Some(InEnglish { reason, after });
            (StatusCode::BAD_REQUEST, texts.not_granted, before)
        }
    };
    let page = ContinuePage {
        texts: reply.texts,
        brand: &reply.brand,
        title,
        what_happened,
        in_english,
        href: &location,
        host: &answered.address.host(),
        reference: reply.reference.as_str(),
    };
    reply.page(status, page.render(), false)
}

fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
