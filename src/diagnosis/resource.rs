//! An MCP server: whether it sends clients to this authorization server, and accepts its tokens.

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Check, Finding, Part, Topic, at_once,
    document::{self, cause_of, differs_by_a_slash, fix_for},
    finding::{Fix, Question},
};
use crate::{
    config::{ResourceConfig, Survey},
    fetch::{Fetch, Sender},
    oauth::{
        resource::{Resource, is_loopback},
        scope::OFFLINE_ACCESS,
        token::SigningAlgorithm,
    },
};

const NOT_RUNNING: &str = "Start the MCP server, or correct the URL";

/// Settings for the token verifier of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verifier {
    pub(crate) jwks_uri: String,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) algorithm: String,
}

/// The verifier for an MCP server; `None` if the configuration is incomplete.
pub(super) fn verifier(survey: &Survey, named: &Resource) -> Option<Verifier> {
    let configured = find(&survey.resources, named).map(|resource| resource.url.to_string());
    Some(Verifier {
        jwks_uri: format!("{}/jwks.json", survey.public_url.as_ref()?),
        issuer: survey.issuer.as_ref()?.to_string(),
        audience: configured.unwrap_or_else(|| named.to_string()),
        algorithm: algorithm(survey).as_str().to_owned(),
    })
}

fn algorithm(survey: &Survey) -> SigningAlgorithm {
    survey.keys.as_ref().map_or(SigningAlgorithm::Es256, |keys| keys.algorithm)
}

fn find<'a>(resources: &'a [ResourceConfig], named: &Resource) -> Option<&'a ResourceConfig> {
    resources.iter().find(|resource| resource.url.is_named_by(named.as_str()))
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    /// As users enter it.
    named: Resource,
    url: Url,
    /// Its entry under `[[resources]]`.
    configured: Option<ResourceConfig>,
    accepts_any_loopback: bool,
    issuer: Option<String>,
    algorithm: SigningAlgorithm,
    fetch: Fetch,
}

/// The response of an MCP server to a request without a token.
struct Challenge {
    finding: Finding,
    /// URL of its metadata, if it may be fetched.
    pointer: Option<Url>,
    /// The scopes that it requires.
    scope: Option<String>,
}

impl Server {
    /// Never `None`, because a resource is a URL.
    pub(super) fn new(named: Resource, survey: &Survey, fetch: Fetch) -> Option<Self> {
        let any = survey.whole.as_ref().is_ok_and(|config| config.any_loopback_resource.is_some());
        Some(Self {
            configured: find(&survey.resources, &named).cloned(),
            accepts_any_loopback: any && named.is_loopback(),
            issuer: survey.issuer.as_ref().map(ToString::to_string),
            algorithm: algorithm(survey),
            url: Url::parse(named.as_str()).ok()?,
            named,
            fetch,
        })
    }

    pub(super) async fn findings(self) -> Part {
        let mut part = Part::from(vec![self.configured_here()]);
        let pointer = match self.challenge().await {
            Ok(Challenge { finding, pointer, scope }) => {
                part.findings.push(finding);
                part.findings.extend(scope.map(|scope| {
                    let question = Question::new(Topic::ResourceScopes, "read scope in the challenge");
                    self.judge_scopes(question, scope.split(' '))
                }));
                pointer
            }
            Err(unreachable) => {
                part.findings.push(unreachable);
                return part;
            }
        };
        let named = pointer.iter().map(|url| ("named in the challenge", url.clone(), true));
        let usual = self.forms().into_iter().filter(|(_, url)| pointer.as_ref() != Some(url));
        let usual = usual.map(|(form, url)| (form, url, pointer.is_none()));
        let places = named.chain(usual).map(|(form, url, is_needed)| {
            let server = self.clone();
            let check = async move { server.metadata(form, &url, is_needed).await.into() };
            Box::pin(check) as Check
        });
        for other in at_once(places.collect()).await {
            part.add(other);
        }
        part
    }

    /// Whether this server issues tokens for it.
    fn configured_here(&self) -> Finding {
        let question =
            Question::new(Topic::ResourceConfigured, format!("find {} in [[resources]]", self.named));
        match &self.configured {
            Some(configured) => question.pass(format!("url = \"{}\"", configured.url)),
            None if self.accepts_any_loopback => question.pass("development mode accepts any loopback URL"),
            None => question.fail(
                "not found",
                "clients that request a token for it get the error invalid_target",
                Fix::pasting(
                    "Add it to the configuration, and restart the daemon",
                    format!("[[resources]]\nurl = \"{}\"\nscopes = [\"user\"]", self.named),
                ),
            ),
        }
    }

    /// Its response to a request without a token, or a finding if it does not answer.
    async fn challenge(&self) -> Result<Challenge, Finding> {
        let question =
            Question::new(Topic::ResourceChallenge, format!("POST {} without a token", self.named));
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "pangea-mcp-auth check", "version": env!("CARGO_PKG_VERSION") } } });
        let answer = match self.fetch.post_json(&self.url, Sender::Anonymous, &hello).await {
            Ok(answer) => answer,
            Err(error) => {
                let fix = fix_for(&error, self.url.as_str(), NOT_RUNNING);
                return Err(question.fail(error.to_string(), cause_of(&error), fix));
            }
        };
        let challenges = answer.headers.get_all("www-authenticate").iter().filter_map(|c| c.to_str().ok());
        let challenge = challenges.collect::<Vec<_>>().join(", ");
        let pointer = parameter(&challenge, "resource_metadata").and_then(|url| Url::parse(&url).ok());
        let finding = match (answer.status, &pointer) {
            (401, Some(url)) if !self.is_its_own(url) => question.fail(
                format!("HTTP 401, resource_metadata {url}, which was not fetched"),
                "the metadata of an MCP server must be on its own origin, over https except on loopback: another \
                 origin could send users to the wrong sign-in page",
                Fix::pasting(
                    "Serve the metadata from the MCP server, and respond with",
                    format!("WWW-Authenticate: Bearer resource_metadata=\"{}\"", self.forms()[0].1),
                ),
            ),
            (401, Some(url)) => question.pass(format!("HTTP 401, resource_metadata {url}")),
            (401, None) => {
                let url = &self.forms()[0].1;
                question.fail(
                    "HTTP 401 without resource_metadata in WWW-Authenticate",
                    "clients cannot find out where to sign in",
                    Fix::pasting(
                        "Set auth, as in FastMCP; other servers must respond with",
                        format!("WWW-Authenticate: Bearer resource_metadata=\"{url}\""),
                    ),
                )
            }
            (status @ 300..=399, _) => {
                let to = answer.header("location").unwrap_or("somewhere").to_owned();
                let cause = "clients drop the token on redirects, and compare the URL that the user entered";
                question.fail(format!("HTTP {status} to {to}"), cause, Fix::pasting("Users must enter", to))
            }
            (404, _) => {
                let cause = "the MCP server is at another path";
                question.fail(
                    "HTTP 404",
                    cause,
                    "Use the URL that users enter in their client, including the path",
                )
            }
            (status, _) => question.fail(
                format!("HTTP {status}"),
                "the MCP server accepts requests without a token, or fails before it checks for one",
                Fix::pasting("Set auth", "mcp = FastMCP(\"…\", auth=auth)"),
            ),
        };
        let pointer = pointer.filter(|url| self.is_its_own(url));
        Ok(Challenge { finding, pointer, scope: parameter(&challenge, "scope") })
    }

    /// Whether a URL from the MCP server may be fetched: this machine can reach internal servers.
    fn is_its_own(&self, url: &Url) -> bool {
        url.origin() == self.url.origin() && (url.scheme() == "https" || is_loopback(&self.url))
    }

    /// The metadata URLs of RFC 9728 section 3.1, the preferred one first.
    fn forms(&self) -> [(&'static str, Url); 2] {
        let at = |path: &str| {
            let mut url = self.url.clone();
            url.set_query(None);
            url.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
            url
        };
        [("path inserted", at(self.url.path().trim_end_matches('/'))), ("root", at(""))]
    }

    /// The metadata at one URL; it may be missing unless `is_needed`.
    async fn metadata(&self, form: &str, url: &Url, is_needed: bool) -> Vec<Finding> {
        let question = Question::new(Topic::ResourceMetadata, format!("GET {url} ({form})"));
        let answer = self.fetch.get(url, Sender::Anonymous).await;
        if !is_needed && answer.as_ref().is_ok_and(|answer| answer.status == 404) {
            return vec![question.skip("not found; clients use the other URL")];
        }
        match document::json(&question, url.as_str(), answer, NOT_RUNNING) {
            Err(trouble) => vec![*trouble],
            Ok((document, _)) => {
                let mut findings = vec![
                    self.judge_resource(question, &document),
                    self.judge_servers(&document),
                    self.judge_tokens(&document),
                ];
                if let Some(scopes) = texts(&document["scopes_supported"]) {
                    let question =
                        Question::new(Topic::ResourceScopes, "read scopes_supported in the same document");
                    findings.push(self.judge_scopes(question, scopes.into_iter()));
                }
                findings
            }
        }
    }

    /// `resource` must be the URL that users enter, which is the audience of tokens.
    fn judge_resource(&self, question: Question, document: &Value) -> Finding {
        let right = self.configured.as_ref().map_or(&self.named, |resource| &resource.url).as_str();
        let found = document["resource"].as_str().unwrap_or_default();
        if found == right {
            return question.pass(format!("resource {found}"));
        }
        let cause = if differs_by_a_slash(found, right) {
            "a trailing slash: audiences are compared character by character"
        } else {
            "the MCP server does not know its public URL"
        };
        let mut base = self.url.clone();
        base.set_path("");
        let fix = Fix::pasting(
            "Configure the public URL of the MCP server. In FastMCP",
            format!("base_url=\"{}\",", base.as_str().trim_end_matches('/')),
        );
        question.fail(format!("resource {found:?} instead of {right:?}"), cause, fix)
    }

    /// `authorization_servers` must name the issuer, byte for byte.
    fn judge_servers(&self, document: &Value) -> Finding {
        let question = Question::new(Topic::ResourceAuthorizationServers, "read the same document");
        let Some(issuer) = &self.issuer else { return question.skip("public_url is invalid") };
        let servers = texts(&document["authorization_servers"]).unwrap_or_default();
        let found = format!("{servers:?} instead of [{issuer:?}]");
        let fix = |words: &str| Fix::pasting(words, format!("authorization_servers=[\"{issuer}\"],"));
        match servers.first() {
            Some(first) if first == issuer => question.pass(issuer.clone()),
            Some(first) if differs_by_a_slash(first, issuer) => question.fail(
                found,
                "AnyHttpUrl and FastMCP before version 4 append a slash to an issuer without a path, and clients then \
                 refuse our metadata",
                fix("Use a string instead of AnyHttpUrl with FastMCP 4, or give public_url a path. In the MCP server:"),
            ),
            Some(_) if servers.contains(&issuer.as_str()) => {
                let cause = "many clients use only the first authorization server";
                question.warn(found, cause, fix("List this server first. In FastMCP"))
            }
            _ => question.fail(found, "clients sign users in at another authorization server", fix("List this server. In FastMCP")),
        }
    }

    /// This server must offer the scopes that the MCP server requires, because clients request them.
    fn judge_scopes<'a>(&self, question: Question, demanded: impl Iterator<Item = &'a str>) -> Finding {
        let demanded: Vec<&str> = demanded.filter(|word| !word.is_empty()).collect();
        let Some(configured) = &self.configured else {
            return if self.accepts_any_loopback {
                question.pass("development mode grants the scopes that clients request")
            } else {
                question.skip("this resource is not configured")
            };
        };
        let offered: Vec<&str> = configured.scopes.iter().map(|scope| scope.name.as_str()).collect();
        let missing = demanded.iter().filter(|word| !offered.contains(word));
        let missing: Vec<&str> = missing.copied().filter(|word| *word != OFFLINE_ACCESS).collect();
        if missing.is_empty() {
            return question.pass(format!("scopes {demanded:?} are offered"));
        }
        let all =
            offered.iter().chain(&missing).map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        question.fail(
            format!("scopes {missing:?}, which are not offered"),
            "no token has these scopes, so the MCP server refuses every token, or the tools that need them",
            Fix::pasting(
                "Offer them under its url in [[resources]] and restart the daemon, or let the MCP server require fewer scopes",
                format!("scopes = [{all}]"),
            ),
        )
    }

    /// Clients send tokens in a header; tokens are signed with one algorithm, and not bound to a key of the client.
    fn judge_tokens(&self, document: &Value) -> Finding {
        let question = Question::new(Topic::ResourceTokens, "read the same document");
        let ours = self.algorithm.as_str();
        let lists = |name: &str, word| texts(&document[name]).is_none_or(|words| words.contains(&word));
        let bound = ["dpop_bound_access_tokens_required", "tls_client_certificate_bound_access_tokens"];
        if !lists("bearer_methods_supported", "header") {
            return question.fail(
                format!("bearer_methods_supported {}", document["bearer_methods_supported"]),
                "MCP clients send the token only in the Authorization header",
                Fix::pasting(
                    "Accept the Authorization header, and publish",
                    "\"bearer_methods_supported\": [\"header\"]",
                ),
            );
        }
        if let Some(name) = bound.into_iter().find(|name| document[name] == true) {
            return question.fail(
                format!("{name} is true"),
                "this server issues bearer tokens, which are not bound to a key of the client",
                "Accept bearer tokens, and remove this member from the metadata",
            );
        }
        if !lists("resource_signing_alg_values_supported", ours) {
            return question.warn(
                format!(
                    "resource_signing_alg_values_supported {}",
                    document["resource_signing_alg_values_supported"]
                ),
                "a verifier with only these algorithms refuses every token of this server",
                Fix::pasting(
                    "Set the verifier and keys.algorithm to the same algorithm. In FastMCP",
                    format!("algorithm=\"{ours}\","),
                ),
            );
        }
        question.pass(format!("bearer tokens in the Authorization header, signed with {ours}"))
    }
}

/// The strings of a list; `None` for anything else.
fn texts(value: &Value) -> Option<Vec<&str>> {
    Some(value.as_array()?.iter().filter_map(Value::as_str).collect())
}

/// A parameter of a challenge (RFC 9110 section 11.2), quoted or not.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let begins = |at: &usize| challenge[..*at].ends_with([' ', ',']);
    let wanted = format!("{name}=");
    let (at, _) = challenge.match_indices(&wanted).find(|(at, _)| begins(at))?;
    let rest = &challenge[at + wanted.len()..];
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([',', ' ']).next(),
    };
    value.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_of_a_challenge_is_found_quoted_or_not() {
        for challenge in [
            "Bearer resource_metadata=\"https://a/x\"",
            "Bearer error=\"invalid_token\", resource_metadata=\"https://a/x\", scope=\"user\"",
            "Bearer resource_metadata=https://a/x, scope=user",
        ] {
            assert_eq!(
                parameter(challenge, "resource_metadata").as_deref(),
                Some("https://a/x"),
                "{challenge}"
            );
        }
        assert_eq!(parameter("Bearer", "resource_metadata"), None);
        let challenge = "Bearer resource_metadata=\"https://a/?scope=x\", scope=\"user admin\"";
        assert_eq!(parameter(challenge, "scope").as_deref(), Some("user admin"));
    }

    #[test]
    fn metadata_is_a_servers_own_on_its_origin_over_https_unless_that_is_this_machine() {
        for (server, metadata, is_its_own) in [
            ("https://mcp.example.org/mcp", "https://mcp.example.org/metadata", true),
            ("https://mcp.example.org/mcp", "https://mcp.example.org:8443/metadata", false),
            ("https://mcp.example.org/mcp", "https://example.org/metadata", false),
            ("https://mcp.example.org/mcp", "http://mcp.example.org/metadata", false),
            ("http://mcp.example.org/mcp", "http://mcp.example.org/metadata", false),
            ("http://localhost:9000/mcp", "http://localhost:9000/metadata", true),
            ("http://localhost:9000/mcp", "http://localhost:9001/metadata", false),
        ] {
            let server = Server {
                named: Resource::parse(server).unwrap(),
                url: Url::parse(server).unwrap(),
                configured: None,
                accepts_any_loopback: false,
                issuer: None,
                algorithm: SigningAlgorithm::Es256,
                fetch: Fetch::new(std::time::Duration::from_secs(1)).unwrap(),
            };
            let metadata = Url::parse(metadata).unwrap();
            assert_eq!(server.is_its_own(&metadata), is_its_own, "{} {metadata}", server.named);
        }
    }
}
