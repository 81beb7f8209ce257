//! `/connections`: a person sees the clients that are connected in their name, and disconnects them.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Failure, comes_from_us, judge_submission, must_navigate,
    questions::{connections_url, name_of, resource_name, scope_lines},
    visitor, with_cookies,
};
use crate::{
    clock::UnixTime,
    flow::{self, Ending, PageSession, Visitor},
    oauth::{
        client::Origin,
        display_text::display_text,
        error::{ErrorCode, OAuthError},
        grant::{Basis, Grant},
        params::Params,
        redirect::{Destination, ReturnAddress},
        token::GrantId,
    },
    secret::{constant_time_eq, encode, sha256},
    web::{
        Web,
        cookies::Cookies,
        endpoint::CONNECTIONS,
        pages::{
            ConnectionsPage, ConnectionsSignInPage, ShownConnection, ShownTime, Whereabouts, texts::Texts,
        },
        reply::Reply,
        request::{body, reads},
        visit::Visit,
    },
};

/// `GET` and `POST /connections`. An answer to a form is a redirect, so that reloading sends nothing again.
pub(in crate::web) async fn connections(
    web: Arc<Web>,
    visit: Visit,
    request: Request,
) -> Result<Response, Failure> {
    must_navigate(request.headers())?;
    if reads(request.method()) {
        let (headers, query) = (request.headers(), request.uri().query().unwrap_or_default());
        shown(&web, &visit, headers, query).await
    } else {
        acted(&web, &visit, request).await
    }
}

/// The page after a sign-in that failed. It has a button to try again.
pub(super) fn not_signed_in(web: &Web, reply: &Reply, browser: &str, ending: &Ending) -> Response {
    let error = ending.error();
    let status = match error.map(OAuthError::code) {
        Some(ErrorCode::TemporarilyUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorCode::ServerError) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    if let Some(error) = error {
        reply.log(error);
    }
    sign_in_page(web, reply, browser, status, Some(reply.texts.connections.not_signed_in))
}

async fn shown(web: &Web, visit: &Visit, headers: &HeaderMap, query: &str) -> Result<Response, Failure> {
    let reply = &visit.reply;
    let cookies = web.cookies(headers);
    let params = Params::parse(query.as_bytes())?;
    let (browser, set_cookie) = cookies.name_browser(web.server.random());
    let Some(Session { token, session }) = session(web, &cookies, &visitor(visit, headers)).await? else {
        let page = sign_in_page(web, reply, &browser, StatusCode::OK, None);
        return Ok(with_cookies(page, cookies.forget_session().into_iter().chain(set_cookie)));
    };
    let is_done = params.one("done").ok().flatten().is_some();
    let before = params.one("before").ok().flatten().and_then(GrantId::parse);
    let found = web.server.connections(&session, before.as_ref()).await?;
    let shown = Shown { found: &found, session: &session, before, is_done };
    let html = list_page(web, reply, &browser, token, &shown);
    Ok(with_cookies(reply.page(StatusCode::OK, html, true), set_cookie))
}

async fn acted(web: &Web, visit: &Visit, request: Request) -> Result<Response, Failure> {
    let reply = &visit.reply;
    let headers = request.headers().clone();
    let body = body(request, reply.endpoint).await?;
    let cookies = web.cookies(&headers);
    let visitor = visitor(visit, &headers);
    let params = Params::parse(&body)?;
    let action = Action::of(&params)?;
    let token = params.one("token").ok().flatten().unwrap_or_default();
    let secret = if action.begins_sign_in() { cookies.browser() } else { cookies.session() };
    let Some(secret) = secret else {
        // The browser has dropped the cookie, most often because its time was over.
        return Ok(reply.see_other(&connections_url(web)));
    };
    if !comes_from_us(web, &headers) || !constant_time_eq(token.as_bytes(), form_token(secret).as_bytes()) {
        return Ok(forged(web, reply, &headers));
    }
    match judge_submission(web, &headers, &action.name(token), action.as_str()) {
        Err(Failure::Forged) => return Ok(forged(web, reply, &headers)),
        judged => judged?,
    }
    if action.begins_sign_in() {
        let other_account = matches!(action, Action::SignInOther);
        let way = web.server.begin_page_sign_in(secret, &visitor, other_account).await?;
        let page = reply.see_other(&way.location);
        return Ok(with_cookies(page, cookies.hold_login(&way.flow, &way.sealed)));
    }
    let Some(Session { session, .. }) = self::session(web, &cookies, &visitor).await? else {
        return Ok(with_cookies(reply.see_other(&connections_url(web)), cookies.forget_session()));
    };
    let done = format!("{}?done=1", connections_url(web));
    match action {
        Action::SignIn | Action::SignInOther => {}
        Action::Disconnect(grant) => {
            if let Some(grant) = grant {
                web.server.disconnect(&session, &grant).await?;
            }
        }
        Action::DisconnectAll { before } => {
            if let Some(left) = web.server.disconnect_all(&session, before).await? {
                return Ok(reply.see_other(&format!("{done}&before={left}")));
            }
        }
        Action::SignOut => {
            web.server.close_page_session(secret).await?;
            return Ok(with_cookies(reply.see_other(&connections_url(web)), cookies.forget_session()));
        }
    }
    Ok(reply.see_other(&done))
}

/// What the user wants.
enum Action {
    SignIn,
    SignInOther,
    /// `None` for a text that names no grant.
    Disconnect(Option<GrantId>),
    DisconnectAll {
        before: Option<GrantId>,
    },
    SignOut,
}

impl Action {
    fn of(params: &Params<'_>) -> Result<Self, OAuthError> {
        let grant = |name| params.one(name).map(|text| text.and_then(GrantId::parse));
        Ok(match params.required("action")? {
            "sign_in" => Self::SignIn,
            "sign_in_other" => Self::SignInOther,
            "disconnect" => Self::Disconnect(grant("grant")?),
            "disconnect_all" => Self::DisconnectAll { before: grant("before")? },
            "sign_out" => Self::SignOut,
            _ => return Err(OAuthError::new(ErrorCode::InvalidRequest, "the form has no such action")),
        })
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignInOther => "sign_in_other",
            Self::Disconnect(_) => "disconnect",
            Self::DisconnectAll { .. } => "disconnect_all",
            Self::SignOut => "sign_out",
        }
    }

    const fn begins_sign_in(&self) -> bool {
        matches!(self, Self::SignIn | Self::SignInOther)
    }

    /// Names the form, so that the second half of a double click is recognised.
    fn name(&self, token: &str) -> String {
        let about = match self {
            Self::Disconnect(grant) | Self::DisconnectAll { before: grant } => grant.as_ref(),
            Self::SignIn | Self::SignInOther | Self::SignOut => None,
        };
        let about = about.map_or("", GrantId::as_str);
        encode(&sha256(format!("{token} {about}").as_bytes())[..12])
    }
}

/// A session that the browser has, and its token.
struct Session<'a> {
    token: &'a str,
    session: PageSession,
}

async fn session<'a>(
    web: &Web,
    cookies: &Cookies<'a>,
    visitor: &Visitor,
) -> Result<Option<Session<'a>>, OAuthError> {
    let Some(token) = cookies.session() else { return Ok(None) };
    Ok(web.server.page_session(token, visitor).await?.map(|session| Session { token, session }))
}

/// Proves that a form is on a page that we made for this browser or session. It does not reveal `secret`, which is
/// in an `HttpOnly` cookie.
fn form_token(secret: &str) -> String {
    encode(&sha256(format!("connections form {secret}").as_bytes()))
}

/// The page for a form that this browser was not shown, with a way to start again.
fn forged(web: &Web, reply: &Reply, headers: &HeaderMap) -> Response {
    let (browser, set_cookie) = web.cookies(headers).name_browser(web.server.random());
    reply.log(&OAuthError::new(ErrorCode::InvalidRequest, "the form does not fit the browser"));
    let problem = reply.texts.notices.forged.what_happened;
    let page = sign_in_page(web, reply, &browser, StatusCode::FORBIDDEN, Some(problem));
    with_cookies(page, set_cookie)
}

fn path(web: &Web) -> String {
    format!("{}{CONNECTIONS}", web.public_url.path())
}

fn sign_in_page(
    web: &Web,
    reply: &Reply,
    browser: &str,
    status: StatusCode,
    problem: Option<&str>,
) -> Response {
    let page = ConnectionsSignInPage {
        texts: reply.texts,
        brand: &reply.brand,
        action: &path(web),
        token: &form_token(browser),
        upstream_name: &web.presentation.upstream_name,
        problem,
        reference: problem.map(|_| reply.reference.as_str()),
    };
    reply.page(status, page.render(), true)
}

/// What the page is about.
struct Shown<'a> {
    found: &'a flow::Connections,
    session: &'a PageSession,
    /// Where it starts, if not at the newest connection.
    before: Option<GrantId>,
    /// Whether it follows a form.
    is_done: bool,
}

fn list_page(web: &Web, reply: &Reply, browser: &str, token: &str, shown: &Shown<'_>) -> String {
    let texts = reply.texts;
    let now = web.server.now();
    let person = shown.session.person();
    let connections: Vec<ShownConnection<'_>> =
        shown.found.shown.iter().map(|connection| in_words(web, texts, connection, now)).collect();
    ConnectionsPage {
        texts,
        brand: &reply.brand,
        action: &path(web),
        token: &form_token(token),
        sign_in_token: &form_token(browser),
        account: &display_text(person.known_email().unwrap_or(&person.subject), 80),
        connections: &connections,
        before: shown.before.as_ref().map(GrantId::as_str),
        older: shown.found.until.as_ref().map(GrantId::as_str),
        is_done: shown.is_done,
        noticed_after: &texts.spans.exact(web.server.settings().lifetimes.access),
    }
    .render()
}

/// A connection in the words of the page.
fn in_words<'a>(
    web: &'a Web,
    texts: &'static Texts,
    connection: &'a flow::Connection,
    now: UnixTime,
) -> ShownConnection<'a> {
    let flow::Connection { grant, client } = connection;
    let terms = grant.terms();
    let (address, from) = match &terms.basis {
        Basis::Consent { return_address, from } => (Some(return_address), *from),
        Basis::Allowance => (None, None),
    };
    let host = address.map(ReturnAddress::host).unwrap_or_default();
    let own_name = client.as_ref().and_then(name_of);
    let document = terms.client_id.document().map(|document| document.host().to_owned());
    let is_self_named = own_name.is_some()
        && document.is_none()
        && client.as_ref().is_some_and(|client| client.origin == Origin::SelfRegistered);
    let (name, own_name) = match document {
        Some(document) => (document, own_name),
        None => (own_name.unwrap_or_else(|| host.clone()), None),
    };
    ShownConnection {
        id: grant.id().as_str(),
        name,
        own_name,
        is_self_named,
        host,
        whereabouts: whereabouts(address),
        resource: terms.resource.as_str(),
        resource_name: resource_name(web, &terms.resource),
        scopes: scope_lines(web, &texts.access, &terms.scope),
        granted: shown_time(terms.granted_at, texts, now),
        used: was_used(grant).then(|| shown_time(grant.last_used_at(), texts, now)),
        from: from.map(|address| address.to_canonical().to_string()),
    }
}

fn was_used(grant: &Grant) -> bool {
    grant.issued() > 0
}

fn whereabouts(address: Option<&ReturnAddress>) -> Whereabouts {
    match address.map(ReturnAddress::destination) {
        Some(Destination::Loopback) => Whereabouts::Computer,
        Some(Destination::PrivateUse) => Whereabouts::Device,
        Some(Destination::Web) | None => Whereabouts::Web,
    }
}

fn shown_time(at: UnixTime, texts: &Texts, now: UnixTime) -> ShownTime {
    let datetime = at.to_string();
    let written = format!("{} UTC", datetime.get(..16).unwrap_or(&datetime).replace('T', " "));
    ShownTime { ago: texts.spans.ago(now.since(at)), datetime, written }
}
