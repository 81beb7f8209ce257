//! The public URLs, as clients reach them.

use tokio::{net::lookup_host, time::timeout};
use url::Url;

use super::{
    Check, Finding, PATIENCE, Part, Topic, at_once, document,
    finding::{Fix, Question},
    upstream::is_public,
};
use crate::{
    config::ResourceConfig,
    fetch::{Answer, Fetch, FetchError},
    oauth::{
        issuer::Issuer,
        resource::{Resource, is_loopback},
    },
};

/// The origin of a browser-based client.
const OTHER_ORIGIN: &str = "https://inspector.example";

fn not_running() -> Fix {
    Fix::pasting("Start the daemon, or let the reverse proxy reach it", "pangea-mcp-auth serve")
}

#[derive(Debug, Clone)]
pub(super) struct Face {
    public_url: Issuer,
    issuer: Issuer,
    /// The MCP servers whose metadata this server publishes.
    own_resources: Vec<Resource>,
    /// The MCP servers with the same host name.
    neighbours: Vec<Resource>,
    fetch: Fetch,
}

impl Face {
    pub(super) fn new(
        public_url: Issuer,
        issuer: Issuer,
        resources: &[ResourceConfig],
        fetch: Fetch,
    ) -> Self {
        let own = resources.iter().map(|resource| resource.url.clone());
        let own_resources = own.filter(|url| url.origin() == public_url.origin()).collect();
        let all = resources.iter().map(|resource| resource.url.clone());
        let neighbours = all.filter(|url| public_url.shares_host_with(url)).collect();
        Self { public_url, issuer, own_resources, neighbours, fetch }
    }

    pub(super) async fn findings(self) -> Part {
        let (address, (metadata, is_there)) = tokio::join!(self.address(), self.metadata());
        let host = judge_host(&self.public_url, &self.neighbours);
        let mut part = Part::from(host.into_iter().chain(address).chain(metadata).collect::<Vec<_>>());
        // Otherwise every check would report the same problem.
        if is_there {
            for other in at_once(self.others()).await {
                part.add(other);
            }
        }
        part
    }

    /// The metadata URL that clients request first, and whether it answers.
    async fn metadata(&self) -> (Vec<Finding>, bool) {
        let url =
            format!("{}/.well-known/oauth-authorization-server{}", self.issuer.origin(), self.issuer.path());
        let question = Question::new(Topic::PublicMetadata, format!("GET {url}"));
        let answer = self.ask(&url).await;
        let is_there = answer.is_ok();
        let findings = match document::json(&question, &url, answer, not_running()) {
            Err(trouble) => vec![*trouble],
            Ok((document, answer)) => vec![
                judge_issuer(question, &url, &document, &self.issuer),
                judge_cors(&url, answer.header("access-control-allow-origin")),
            ],
        };
        (findings, is_there)
    }

    fn others(&self) -> Vec<Check> {
        let (origin, path) = (self.issuer.origin(), self.issuer.path());
        let mut forms = vec![format!("{origin}/.well-known/openid-configuration{path}")];
        if !path.is_empty() {
            forms.push(format!("{origin}{path}/.well-known/openid-configuration"));
        }
        let mut checks: Vec<Check> = Vec::new();
        for url in forms {
            let face = self.clone();
            checks.push(Box::pin(async move { vec![face.form(&url).await].into() }));
        }
        for resource in &self.own_resources {
            let (face, resource) = (self.clone(), resource.clone());
            checks.push(Box::pin(async move { vec![face.resource_metadata(&resource).await].into() }));
        }
        let face = self.clone();
        checks.push(Box::pin(async move { face.keys().await }));
        checks
    }

    async fn form(&self, url: &str) -> Finding {
        let question = Question::new(Topic::PublicMetadata, format!("GET {url}"));
        match document::json(&question, url, self.ask(url).await, not_running()) {
            Ok((document, _)) => judge_issuer(question, url, &document, &self.issuer),
            Err(trouble) => *trouble,
        }
    }

    /// Hosted clients connect over IPv4 and to port 443.
    async fn address(&self) -> Option<Finding> {
        let url = Url::parse(self.public_url.as_str()).ok().filter(is_public)?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let question = Question::new(Topic::PublicAddress, format!("look up {host}"));
        let addresses: Vec<_> = match timeout(PATIENCE, lookup_host((host, port))).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => {
                let fix = Fix::pasting(
                    format!("Publish an A record for {host}. To check it:"),
                    format!("dig +short {host} A"),
                );
                return Some(question.fail(
                    error.to_string(),
                    "the host name does not exist in the DNS",
                    fix,
                ));
            }
            Err(_) => {
                return Some(question.fail("no answer", "the DNS does not answer", "Check /etc/resolv.conf"));
            }
        };
        let has_ipv4 = addresses.iter().any(std::net::SocketAddr::is_ipv4);
        Some(judge_address(question, has_ipv4, port))
    }

    async fn resource_metadata(&self, resource: &Resource) -> Finding {
        let path = resource.path_and_query().split('?').next().unwrap_or_default();
        let url = format!("{}/.well-known/oauth-protected-resource{path}", self.public_url.origin());
        let question = Question::new(Topic::PublicResourceMetadata, format!("GET {url}"));
        match document::json(&question, &url, self.ask(&url).await, not_running()) {
            Err(trouble) => *trouble,
            Ok((document, _)) if document["resource"].as_str() == Some(resource.as_str()) => {
                question.pass(format!("resource {resource}"))
            }
            Ok((document, _)) => {
                let cause = "another server answers, or this daemon runs with an older configuration";
                question.fail(format!("resource {}", document["resource"]), cause, "Restart the daemon")
            }
        }
    }

    async fn keys(&self) -> Part {
        let url = format!("{}/jwks.json", self.public_url);
        let question = Question::new(Topic::PublicJwks, format!("GET {url}"));
        match document::json(&question, &url, self.ask(&url).await, not_running()) {
            Err(trouble) => vec![*trouble].into(),
            Ok((document, _)) => {
                let keys = document["keys"].as_array().cloned().unwrap_or_default();
                let names = keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned));
                let names: Vec<String> = names.collect();
                let mut part = Part::from(vec![question.pass(format!("{} published", names.len()))]);
                part.published_keys = Some(names);
                part
            }
        }
    }

    async fn ask(&self, url: &str) -> Result<Answer, FetchError> {
        match Url::parse(url) {
            Ok(url) => self.fetch.get_from(OTHER_ORIGIN, &url).await,
            Err(error) => Err(FetchError::Unreachable { host: url.to_owned(), reason: error.to_string() }),
        }
    }
}

/// Browsers share cookies between all ports of a host name, and scripts between all pages of an origin. On
/// loopback, a shared host name is normal.
fn judge_host(public_url: &Issuer, neighbours: &[Resource]) -> Option<Finding> {
    let url = Url::parse(public_url.as_str()).ok().filter(|url| !is_loopback(url))?;
    let host = url.host_str()?;
    let question =
        Question::new(Topic::PublicHost, format!("compare {host} with the host names of the MCP servers"));
    if neighbours.is_empty() {
        return Some(question.pass(format!("no MCP server uses {host}")));
    }
    let names: Vec<&str> = neighbours.iter().map(Resource::as_str).collect();
    Some(question.warn(
        format!("same host name: {}", names.join(", ")),
        "browsers share cookies between all ports of a host name, so such a server can tamper with sign-ins; \
         therefore users must confirm again after each sign-in",
        "Use a separate host name for the authorization server, such as auth.example.org (docs/reverse-proxy.md)",
    ))
}

fn judge_issuer(question: Question, url: &str, document: &serde_json::Value, issuer: &Issuer) -> Finding {
    let found = document["issuer"].as_str().unwrap_or_default();
    if found == issuer.as_str() {
        let form = url.strip_prefix(issuer.origin()).unwrap_or(url);
        return question.pass(format!("issuer {found} in {form}"));
    }
    let cause = if document::differs_by_a_slash(found, issuer.as_str()) {
        "a trailing slash: clients compare issuers character by character"
    } else {
        "another authorization server answers, or this daemon runs with an older configuration"
    };
    let fix = Fix::pasting(
        "Restart the daemon, or let the proxy forward to it. The configuration says",
        format!("public_url = \"{issuer}\""),
    );
    question.fail(format!("issuer {found:?} instead of \"{issuer}\""), cause, fix)
}

fn judge_cors(url: &str, allowed: Option<&str>) -> Finding {
    let question = Question::new(Topic::PublicCors, format!("GET {url} from another origin"));
    match allowed {
        Some(allowed @ ("*" | OTHER_ORIGIN)) => {
            question.pass(format!("Access-Control-Allow-Origin: {allowed}"))
        }
        _ => question.warn(
            "no Access-Control-Allow-Origin",
            "a proxy removes the header, so browser-based clients cannot read the response",
            "Let the proxy forward the daemon's headers unchanged (docs/reverse-proxy.md)",
        ),
    }
}

fn judge_address(question: Question, has_ipv4: bool, port: u16) -> Finding {
    let cause = "hosted clients such as Claude connect over IPv4 and to port 443";
    if !has_ipv4 {
        question.warn("no IPv4 address", cause, "Publish an A record in addition to the AAAA record")
    } else if port == 443 {
        question.pass("IPv4 address, port 443")
    } else {
        question.warn(
            format!("port {port}"),
            cause,
            "Let the proxy listen on port 443, and remove the port from public_url",
        )
    }
}

/// Whether every key that may have signed a token is published.
pub(super) fn judge_keys(stored: &[String], published: &[String]) -> Finding {
    let question =
        Question::new(Topic::PublicKeys, "compare the published signing keys with the stored ones");
    let missing: Vec<&str> =
        stored.iter().filter(|name| !published.contains(name)).map(String::as_str).collect();
    if missing.is_empty() {
        return question.pass("every stored key is published");
    }
    question.fail(
        format!("not published: {} ({} of {})", missing.join(", "), missing.len(), stored.len()),
        "another daemon or one with another repository answers, or a cache returns an old response",
        "Make public_url reach the daemon with this configuration, and cache /jwks.json for at most 5 minutes",
    )
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn the_world_comes_over_ipv4_to_port_443() {
        let judged =
            |has_ipv4, port| judge_address(Question::new(Topic::PublicAddress, "y"), has_ipv4, port).status;
        assert_eq!(judged(true, 443), Status::Pass);
        assert_eq!((judged(false, 443), judged(true, 8443)), (Status::Warn, Status::Warn));
    }

    #[test]
    fn an_mcp_server_on_the_same_host_name_is_warned_of() {
        let judged = |public_url: &str, neighbours: &[&str]| {
            let neighbours: Vec<_> = neighbours.iter().map(|url| Resource::parse(url).unwrap()).collect();
            judge_host(&Issuer::parse(public_url).unwrap(), &neighbours).map(|finding| finding.status)
        };
        assert_eq!(judged("https://a.example", &[]), Some(Status::Pass));
        assert_eq!(judged("https://a.example", &["https://a.example:8443/mcp"]), Some(Status::Warn));
        assert_eq!(judged("http://localhost:8000", &[]), None);
    }

    #[test]
    fn a_stored_key_that_is_not_published_fails() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(judge_keys(&names(&["a"]), &names(&["b", "a"])).status, Status::Pass);
        assert_eq!(judge_keys(&names(&["a", "c"]), &names(&["a"])).status, Status::Fail);
    }
}
