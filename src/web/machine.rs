//! Endpoints for programs: token, registration, revocation, introspection. Every answer is JSON.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use serde_json::json;

use super::{
    Web,
    endpoint::Endpoint,
    reply::Reply,
    request::{BodyError, authorization, body},
    visit::{self, Visit},
};
use crate::{
    flow::TokenRequest,
    oauth::{
        credentials::{Credentials, Proof},
        error::{ErrorCode, OAuthError},
        params::Params,
    },
};

/// Bytes of a registration that count as one request, so that the rate limit also bounds bytes.
const REGISTRATION_UNIT: usize = 2 * 1024;
/// Longest logged part of an unverified client ID: as long as a client ID may be.
const LONGEST_NAME: usize = 255;

pub(super) async fn token(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let call = Call::read(visit, request).await?;
    let params = Params::parse(&call.body)?;
    let request = TokenRequest::of(&params)?;
    let credentials = call.credentials(&params)?;
    let answer = web.server.token(request, &credentials).await;
    let response = call.noting_failure(&web, &credentials, answer)?;
    Ok(call.reply().json(StatusCode::OK, &response))
}

pub(super) async fn register(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    if !web.server.settings().registration.enabled {
        let gone = json!({ "error": "not_found", "error_description": "registration is switched off" });
        return Ok(visit.reply.json(StatusCode::NOT_FOUND, &gone));
    }
    let call = Call::read(visit, request).await?;
    if let Some(network) = call.visit.caller.network {
        let more = call.body.len().saturating_sub(1) / REGISTRATION_UNIT;
        web.limits.register.charge(network, more as u64);
    }
    let registered = web.server.register(&call.body).await?;
    Ok(call.reply().json(StatusCode::CREATED, &registered))
}

pub(super) async fn revoke(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let call = Call::read(visit, request).await?;
    let params = Params::parse(&call.body)?;
    params.refuse_repeated(&["token_type_hint"])?;
    let credentials = call.credentials(&params)?;
    let token = params.required("token")?;
    let answer = web.server.revoke(&credentials, token).await;
    call.noting_failure(&web, &credentials, answer)?;
    let mut response = call.reply().bare(StatusCode::OK, Bytes::new());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn introspect(web: Arc<Web>, visit: Visit, request: Request) -> Result<Response, Failure> {
    let call = Call::read(visit, request).await?;
    let params = Params::parse(&call.body)?;
    params.refuse_repeated(&["token_type_hint"])?;
    let credentials = call.credentials(&params)?;
    let token = params.one("token")?;
    // Authenticates first: other callers are not told what is missing.
    let answer = web.server.introspect(&credentials, token.unwrap_or_default()).await;
    let introspected = call.noting_failure(&web, &credentials, answer)?;
    if token.is_none() {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "the parameter 'token' is missing").into());
    }
    Ok(call.reply().json(StatusCode::OK, &introspected))
}

/// A request whose body was read.
struct Call {
    visit: Visit,
    authorization: Vec<Vec<u8>>,
    body: Bytes,
}

/// Why there is no good answer.
pub(super) enum Failure {
    Protocol(OAuthError),
    Body(BodyError),
    TooMany(Duration),
}

impl visit::Failure for Failure {
    fn answer(self, reply: &Reply) -> Response {
        match self {
            Self::Protocol(error) => reply.error(&error),
            Self::Body(error) => {
                let code = match reply.endpoint {
                    Endpoint::Register => ErrorCode::InvalidClientMetadata,
                    _ => ErrorCode::InvalidRequest,
                };
                reply.error_with_status(error.status(), &error.error(code))
            }
            Self::TooMany(wait) => reply.too_many(wait),
        }
    }

    fn too_many(reply: &Reply, wait: Duration) -> Response {
        reply.too_many(wait)
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::Protocol(error)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl Call {
    async fn read(visit: Visit, request: Request) -> Result<Self, BodyError> {
        let authorization = authorization(request.headers()).into_iter().map(<[u8]>::to_vec).collect();
        let body = body(request, visit.reply.endpoint).await?;
        Ok(Self { visit, authorization, body })
    }

    const fn reply(&self) -> &Reply {
        &self.visit.reply
    }

    fn credentials(&self, params: &Params<'_>) -> Result<Credentials, OAuthError> {
        let headers: Vec<&[u8]> = self.authorization.iter().map(Vec::as_slice).collect();
        Credentials::of_request(&headers, params)
    }

    /// Counts answers to wrong secrets and assertions. Only those are limited: the right secret is accepted even
    /// after many wrong ones.
    fn noting_failure<T>(
        &self,
        web: &Web,
        credentials: &Credentials,
        answer: Result<T, OAuthError>,
    ) -> Result<T, Failure> {
        if let Err(error) = &answer
            && error.code() == ErrorCode::InvalidClient
            && matches!(credentials.proof, Proof::Secret(_) | Proof::Assertion(_))
        {
            let guess = (&credentials.client_id, self.visit.caller.network);
            web.limits.failures.admit(guess).map_err(Failure::TooMany)?;
            let client_id: String = credentials.client_id.chars().take(LONGEST_NAME).collect();
            let reply = self.reply();
            reply.refusals.note_wrong_secret(reply.endpoint.name(), &client_id, self.visit.caller.network);
        }
        Ok(answer?)
    }
}
