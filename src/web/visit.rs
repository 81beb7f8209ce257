//! One request, from its arrival to its answer.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::Method,
    response::Response,
    routing::{MethodRouter, any},
};

use super::{
    Web,
    accept_language::preferred,
    address::Caller,
    endpoint::Endpoint,
    pages::texts::EN,
    reply::{Reply, with_cors},
    request::{caller, limit},
};
use crate::audit::Context;

/// What every handler knows of its request.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) caller: Caller,
    pub(super) reply: Reply,
}

/// Why a handler has no good answer. Endpoints for programs say it in JSON, those for people with a page.
pub(super) trait Failure {
    fn answer(self, reply: &Reply) -> Response;

    fn too_many(reply: &Reply, wait: Duration) -> Response;

    fn wrong_method(reply: &Reply, _request: &Request) -> Response {
        reply.method_not_allowed()
    }
}

impl Visit {
    pub(super) fn new(web: &Web, endpoint: Endpoint, request: &Request) -> Self {
        let reference = web.references.next();
        let texts = if endpoint.has_pages() { preferred(request.headers()) } else { &EN };
        let reply = Reply {
            endpoint,
            reference,
            refusals: Arc::clone(&web.refusals),
            https: web.https,
            brand: Arc::clone(&web.brand),
            texts,
        };
        Self { caller: caller(web, request), reply }
    }

    /// What all log lines about this request share.
    pub(super) fn context(&self) -> Context {
        Context::of_request(self.reply.reference, self.reply.endpoint.name(), self.caller.address)
    }
}

/// Routes requests to `handler`, within their context. Wrong methods and requests over the rate limit do not
/// reach it.
pub(super) fn visited<F, E>(
    endpoint: Endpoint,
    handler: impl FnOnce(Arc<Web>, Visit, Request) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Web>>
where
    F: Future<Output = Result<Response, E>> + Send,
    E: Failure,
{
    any(async move |State(web): State<Arc<Web>>, request: Request| {
        let visit = Visit::new(&web, endpoint, &request);
        let (context, reply) = (visit.context(), visit.reply.clone());
        let on_failure = &reply;
        let answer = async move {
            let answer = match turned_away::<E>(&web, &visit, &request) {
                Some(answer) => answer,
                None => {
                    handler(web, visit, request).await.unwrap_or_else(|failure| failure.answer(on_failure))
                }
            };
            tracing::debug!(status = answer.status().as_u16(), "answered");
            answer
        };
        // Boxed, because the layers around it move what they get; and made in its box, because a login's future is
        // several KiB large.
        let answer = context.scope(Box::into_pin(Box::write(Box::new_uninit(), answer)));
        let answer = reply.under_reference(answer.await);
        if endpoint.cors().is_some() { with_cors(answer) } else { answer }
    })
}

fn turned_away<E: Failure>(web: &Web, visit: &Visit, request: &Request) -> Option<Response> {
    let Visit { caller, reply } = visit;
    if let Some(methods) = reply.endpoint.cors().filter(|_| request.method() == Method::OPTIONS) {
        return Some(reply.preflight(methods));
    }
    if !reply.endpoint.allows(request.method()) {
        return Some(E::wrong_method(reply, request));
    }
    let limiter = reply.endpoint.limiter(&web.limits)?;
    limit(*caller, limiter).err().map(|wait| E::too_many(reply, wait))
}
