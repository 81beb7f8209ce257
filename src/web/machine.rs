//! Endpoints for programs: token, registration, revocation, introspection. Their answers are JSON,
//! whatever happens.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{Method, StatusCode},
    response::Response,
};
use bytes::Bytes;

use super::{
    Web,
    limits::Limiter,
    reply::with_cors,
    request::{LARGEST_FORM, authorization, body, limit},
    visit::Visit,
};
use crate::{
    flow::TokenRequest,
    oauth::{
        credentials::{Credentials, Proof},
        error::{ErrorCode, OAuthError},
        params::Params,
    },
};

const FORM: &str = "application/x-www-form-urlencoded";
/// Largest registration, in bytes. Known clients send less than 3 KiB.
const LARGEST_REGISTRATION: usize = 8 * 1024;
/// Bytes of a registration that count as one request, so that the limit is one of bytes as well.
const REGISTRATION_UNIT: usize = 2 * 1024;
/// What the log takes of a name that nobody has checked: as long as a client id may be.
const LONGEST_NAME: usize = 255;

/// `POST /token`.
pub(super) async fn token(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    with_cors(post(&web, visit, &web.limits.token, request, token_answer).await)
}

async fn token_answer(web: &Web, call: Call) -> Result<Response, Failure> {
    let params = Params::parse(&call.body)?;
    let request = TokenRequest::of(&params)?;
    let credentials = call.credentials(&params)?;
    let answer = web.server.token(request, &credentials).await;
    let response = call.noting_failure(web, &credentials, answer)?;
    Ok(call.visit.reply.json(StatusCode::OK, &response))
}

/// `POST /register`.
pub(super) async fn register(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    if !web.server.settings().registration.enabled {
        let gone =
            serde_json::json!({ "error": "not_found", "error_description": "registration is switched off" });
        return with_cors(visit.reply.json(StatusCode::NOT_FOUND, &gone));
    }
    with_cors(post(&web, visit, &web.limits.register, request, register_answer).await)
}

async fn register_answer(web: &Web, call: Call) -> Result<Response, Failure> {
    let registered = web.server.register(&call.body).await?;
    Ok(call.visit.reply.json(StatusCode::CREATED, &registered))
}

/// `POST /revoke`.
pub(super) async fn revoke(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    with_cors(post(&web, visit, &web.limits.revoke, request, revoke_answer).await)
}

async fn revoke_answer(web: &Web, call: Call) -> Result<Response, Failure> {
    let params = Params::parse(&call.body)?;
    params.refuse_repeated(&["token_type_hint"])?;
    let credentials = call.credentials(&params)?;
    let token = params.required("token")?;
    let answer = web.server.revoke(&credentials, token).await;
    call.noting_failure(web, &credentials, answer)?;
    let mut response = call.visit.reply.bare(StatusCode::OK, Bytes::new());
    let no_store = axum::http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(axum::http::header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// `POST /introspect`. Resource servers are no browsers: no other origin may read the answer.
pub(super) async fn introspect(web: Arc<Web>, visit: Visit, request: Request) -> Response {
    post(&web, visit, &web.limits.introspect, request, introspect_answer).await
}

async fn introspect_answer(web: &Web, call: Call) -> Result<Response, Failure> {
    let params = Params::parse(&call.body)?;
    params.refuse_repeated(&["token_type_hint"])?;
    let credentials = call.credentials(&params)?;
    let token = params.one("token")?;
    // Whoever has no right to ask hears of nothing else.
    let answer = web.server.introspect(&credentials, token.unwrap_or_default()).await;
    let introspected = call.noting_failure(web, &credentials, answer)?;
    if token.is_none() {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "the parameter 'token' is missing").into());
    }
    Ok(call.visit.reply.json(StatusCode::OK, &introspected))
}

/// A request, read.
struct Call {
    visit: Visit,
    authorization: Vec<Vec<u8>>,
    body: Bytes,
}

/// Why there is no good answer.
enum Failure {
    Protocol(OAuthError),
    TooMany(Duration),
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::Protocol(error)
    }
}

impl Call {
    fn credentials(&self, params: &Params<'_>) -> Result<Credentials, OAuthError> {
        let headers: Vec<&[u8]> = self.authorization.iter().map(Vec::as_slice).collect();
        Credentials::of_request(&headers, params)
    }

    /// Counts an answer that says the secret was wrong. Only such answers are limited: a right secret is
    /// served, however many wrong ones came before it.
    fn noting_failure<T>(
        &self,
        web: &Web,
        credentials: &Credentials,
        answer: Result<T, OAuthError>,
    ) -> Result<T, Failure> {
        if let Err(error) = &answer
            && error.code() == ErrorCode::InvalidClient
            && matches!(credentials.proof, Proof::Secret(_))
        {
            let guess = (&credentials.client_id, self.visit.caller.network);
            web.limits.failures.admit(guess).map_err(Failure::TooMany)?;
            let client_id: String = credentials.client_id.chars().take(LONGEST_NAME).collect();
            let reply = &self.visit.reply;
            reply.refusals.note_wrong_secret(reply.endpoint, &client_id, self.visit.caller.network);
        }
        Ok(answer?)
    }
}

/// Everything that the four have in common.
async fn post<'a, F>(
    web: &'a Web,
    visit: Visit,
    limiter: &Limiter,
    request: Request,
    answer: impl FnOnce(&'a Web, Call) -> F,
) -> Response
where
    F: Future<Output = Result<Response, Failure>>,
{
    let (reply, endpoint) = (visit.reply.clone(), visit.reply.endpoint);
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS if endpoint != "introspect" => return reply.preflight("POST, OPTIONS"),
        _ => return reply.method_not_allowed("POST"),
    }
    if let Err(wait) = limit(visit.caller, limiter) {
        return reply.too_many(wait);
    }
    let authorization = authorization(request.headers()).into_iter().map(<[u8]>::to_vec).collect();
    let registers = endpoint == "register";
    let (media_type, largest) =
        if registers { ("application/json", LARGEST_REGISTRATION) } else { (FORM, LARGEST_FORM) };
    let body = match body(request, media_type, largest).await {
        Ok(body) => body,
        Err(error) => {
            let (status, mut error) = error.explained();
            if registers {
                error = OAuthError::new(ErrorCode::InvalidClientMetadata, error.description().to_owned());
            }
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            return reply.error_with_status(status, &error);
        }
    };
    if let Some(network) = visit.caller.network.filter(|_| registers) {
        limiter.charge(network, (body.len().saturating_sub(1) / REGISTRATION_UNIT) as u64);
    }
    match answer(web, Call { visit, authorization, body }).await {
        Ok(response) => response,
        Err(Failure::Protocol(error)) => reply.error(&error),
        Err(Failure::TooMany(wait)) => reply.too_many(wait),
    }
}
