//! One request, from its arrival to its answer.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
    routing::{MethodRouter, any},
};

use super::{Web, address::Caller, reply::Reply, request::caller};
use crate::audit::Context;

/// What every handler knows of its request.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    /// Who sends it.
    pub(super) caller: Caller,
    /// How the request is answered, under its reference.
    pub(super) reply: Reply,
}

impl Visit {
    /// A request as it arrives.
    pub(super) fn new(web: &Web, endpoint: &'static str, request: &Request) -> Self {
        let reference = web.references.next();
        let reply = Reply { endpoint, reference, refusals: Arc::clone(&web.refusals), https: web.https };
        Self { caller: caller(web, request), reply }
    }

    /// What the lines of the log about this request have in common.
    pub(super) fn context(&self) -> Context {
        Context::of_request(self.reply.reference, self.reply.endpoint, self.caller.address)
    }
}

/// An endpoint whose requests are answered within their contexts.
pub(super) fn visited<F>(
    endpoint: &'static str,
    handler: impl FnOnce(Arc<Web>, Visit, Request) -> F + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<Web>>
where
    F: Future<Output = Response> + Send,
{
    any(async move |State(web): State<Arc<Web>>, request: Request| {
        let visit = Visit::new(&web, endpoint, &request);
        let (context, reply) = (visit.context(), visit.reply.clone());
        let answer = context.scope(async {
            let answer = handler(web, visit, request).await;
            tracing::debug!(status = answer.status().as_u16(), "answered");
            answer
        });
        reply.under_reference(answer.await)
    })
}
