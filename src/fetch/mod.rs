//! All outbound HTTP. Certificates are verified, redirects are not followed, and time and size are limited. Addresses
//! are checked if the operator did not choose the host. Requests to this machine never use a proxy, nor do those to
//! URLs that strangers choose ([`PublicFetch`]); others use that of the environment.

mod kept;
mod public;
mod reach;
mod special_use;
mod tls;

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, header, redirect};
use rustls::ClientConfig;
use url::Url;

use self::reach::Resolver;
pub use self::{
    kept::Kept,
    public::{PublicFetch, PublicSetupError},
    reach::{Reach, Target},
    tls::NoAuthorities,
};
use crate::{oauth::resource::is_loopback, secret::Secret};

/// Largest answer, in bytes.
const LARGEST: usize = 1024 * 1024;

/// What most requests accept.
const JSON: &str = "application/json";

/// Most idle connections per host.
const MOST_IDLE: usize = 16;

#[derive(Debug, Clone, Copy)]
pub enum Sender<'a> {
    Anonymous,
    /// HTTP Basic: user and password.
    Basic(&'a str, &'a Secret),
    /// A bearer token.
    Bearer(&'a Secret),
}

#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    pub headers: HeaderMap,
    /// At most a megabyte.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in seconds (RFC 9110 section 10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        seconds(self.headers.get(header::RETRY_AFTER)?.as_bytes())
    }
}

/// Why there is no answer. The text is for the log, and contains no secret and no body.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer within the timeout.
    #[error("{host} did not answer within {} ms", timeout.as_millis())]
    Timeout { host: String, timeout: Duration },
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// A host that the operator did not choose leads to this machine or its link.
    #[error("{host} leads to an address that is not allowed")]
    Forbidden { host: String },
    #[error(transparent)]
    NoAuthorities(#[from] NoAuthorities),
    #[error("{host} answered with more than {largest} bytes")]
    TooLarge { host: String, status: u16, largest: usize },
}

/// The HTTP client.
#[derive(Debug, Clone)]
pub struct Fetch {
    configured: Client,
    /// For configured addresses of this machine. A proxy would connect to its own machine and see requests in clear.
    unproxied: Client,
    discovered: Client,
    no_authorities: Option<NoAuthorities>,
    timeout: Duration,
}

impl Fetch {
    /// A client that waits at most `timeout` for a complete answer. Without certificate authorities on this machine, it
    /// works for `http`.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let (tls, no_authorities) = tls::config();
        Ok(Self {
            configured: builder(timeout, Reach::Configured, &tls).build()?,
            unproxied: builder(timeout, Reach::Configured, &tls).no_proxy().build()?,
            discovered: builder(timeout, Reach::Discovered, &tls).build()?,
            no_authorities,
            timeout,
        })
    }

    /// Checks that the certificate of this URL could be verified.
    ///
    /// # Errors
    ///
    /// When it is `https` and this machine has no certificate authorities.
    pub fn can_verify(&self, url: &Url) -> Result<(), NoAuthorities> {
        match &self.no_authorities {
            Some(error) if url.scheme() == "https" => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The timeout for a complete answer.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Gets a JSON document.
    pub async fn get(&self, target: impl Into<Target>, sender: Sender<'_>) -> Result<Answer, FetchError> {
        let target = target.into();
        self.send(signed(self.request(Method::GET, &target), sender), &target).await
    }

    /// Gets a document as a script of another origin would.
    pub async fn get_from(&self, origin: &str, target: impl Into<Target>) -> Result<Answer, FetchError> {
        let target = target.into();
        self.send(self.request(Method::GET, &target).header(header::ORIGIN, origin), &target).await
    }

    /// Posts a form.
    pub async fn post_form(
        &self,
        target: impl Into<Target>,
        sender: Sender<'_>,
        form: &[(&str, &str)],
    ) -> Result<Answer, FetchError> {
        let target = target.into();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.request(Method::POST, &target);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        self.send(signed(request, sender), &target).await
    }

    /// Posts JSON.
    pub async fn post_json(
        &self,
        target: impl Into<Target>,
        sender: Sender<'_>,
        body: &serde_json::Value,
    ) -> Result<Answer, FetchError> {
        let target = target.into();
        let request = self.request(Method::POST, &target);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        self.send(signed(request, sender), &target).await
    }

    fn request(&self, method: Method, target: &Target) -> RequestBuilder {
        let client = match target.reach {
            Reach::Configured if is_loopback(&target.url) => &self.unproxied,
            Reach::Configured => &self.configured,
            Reach::Discovered => &self.discovered,
        };
        client.request(method, target.url.clone())
    }

    async fn send(&self, request: RequestBuilder, target: &Target) -> Result<Answer, FetchError> {
        let host = || target.url.host_str().unwrap_or_default().to_owned();
        if !target.is_allowed() {
            return Err(FetchError::Forbidden { host: host() });
        }
        self.can_verify(&target.url)?;
        answer_to(request, JSON, &host(), self.timeout, LARGEST).await
    }
}

/// Sends a request for a document of the media type `accept`, and reads at most `largest` bytes.
async fn answer_to(
    request: RequestBuilder,
    accept: &'static str,
    host: &str,
    timeout: Duration,
    largest: usize,
) -> Result<Answer, FetchError> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            return FetchError::Timeout { host: host.to_owned(), timeout };
        }
        FetchError::Unreachable { host: host.to_owned(), reason: innermost(&error.without_url()) }
    };
    let mut response = request.header(header::ACCEPT, accept).send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > largest {
            return Err(FetchError::TooLarge { host: host.to_owned(), status, largest });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body })
}

fn builder(timeout: Duration, reach: Reach, tls: &ClientConfig) -> ClientBuilder {
    careful(timeout, tls)
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .pool_idle_timeout(Duration::from_mins(1))
        .pool_max_idle_per_host(MOST_IDLE)
        .dns_resolver(Arc::new(Resolver(reach)))
}

/// What all clients have in common.
fn careful(timeout: Duration, tls: &ClientConfig) -> ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("pangea-mcp-auth/", env!("CARGO_PKG_VERSION")))
}

fn signed(request: RequestBuilder, sender: Sender<'_>) -> RequestBuilder {
    match sender {
        Sender::Anonymous => request,
        Sender::Basic(id, secret) => request.basic_auth(id, Some(secret.expose())),
        Sender::Bearer(token) => request.bearer_auth(token.expose()),
    }
}

fn seconds(text: &[u8]) -> Option<Duration> {
    std::str::from_utf8(text).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The last cause of the chain, which says most.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
