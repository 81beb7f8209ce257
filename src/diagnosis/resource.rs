//! One MCP server: does it lead clients here, in the right spelling, and does its verifier fit?

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

/// What the verifier of an MCP server must be set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verifier {
    /// Where the public keys are.
    pub(crate) jwks_uri: String,
    /// Whose tokens.
    pub(crate) issuer: String,
    /// For whom.
    pub(crate) audience: String,
    /// How they are signed.
    pub(crate) algorithm: String,
}

/// The verifier for the MCP server `named`; `None` while the configuration does not say.
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

/// An MCP server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// As people enter it.
    named: Resource,
    url: Url,
    /// Its entry in the configuration.
    configured: Option<ResourceConfig>,
    accepts_any_loopback: bool,
    issuer: Option<String>,
    algorithm: SigningAlgorithm,
    fetch: Fetch,
}

/// What an MCP server says to a request without a token.
struct Challenge {
    finding: Finding,
    /// Where its metadata is, if that may be fetched.
    pointer: Option<Url>,
    /// The scopes that it demands.
    scope: Option<String>,
}

impl Server {
    /// `None` for what is no URL, which a resource always is.
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
                    let question = Question::new(Topic::ResourceScopes, "reading scope in the challenge");
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

    /// Whether tokens for it are issued here.
    fn configured_here(&self) -> Finding {
        let question =
            Question::new(Topic::ResourceConfigured, format!("looking for {} in [[resources]]", self.named));
        match &self.configured {
            Some(configured) => question.pass(format!("url = \"{}\"", configured.url)),
            None if self.accepts_any_loopback => question.pass("any loopback URL is one in development"),
            None => question.fail(
                "it is not there",
                "clients that name it hear invalid_target",
                Fix::pasting(
                    "Add it to the configuration, and restart the daemon",
                    format!("[[resources]]\nurl = \"{}\"\nscopes = [\"user\"]", self.named),
                ),
            ),
        }
    }

    /// What it says to a request without a token; or that it doesn't answer.
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
                format!("HTTP 401, resource_metadata {url}, which is not fetched"),
                "the metadata of an MCP server must be on its own origin, over https except on loopback: whoever \
                 controls another origin could send users elsewhere to sign in",
                Fix::pasting(
                    "Serve the metadata from the MCP server, and answer with",
                    format!("WWW-Authenticate: Bearer resource_metadata=\"{}\"", self.forms()[0].1),
                ),
            ),
            (401, Some(url)) => question.pass(format!("HTTP 401, resource_metadata {url}")),
            (401, None) => {
                let url = &self.forms()[0].1;
                question.fail(
                    "HTTP 401 without resource_metadata in WWW-Authenticate",
                    "clients do not learn where to sign in",
                    Fix::pasting(
                        "Give the server its auth, as FastMCP does; a server without it must answer with",
                        format!("WWW-Authenticate: Bearer resource_metadata=\"{url}\""),
                    ),
                )
            }
            (status @ 300..=399, _) => {
                let to = answer.header("location").unwrap_or("somewhere").to_owned();
                let cause = "clients drop the token on the way, and compare the URL that was entered";
                question.fail(format!("HTTP {status} to {to}"), cause, Fix::pasting("People must enter", to))
            }
            (404, _) => {
                let cause = "the MCP server is at another path";
                question.fail(
                    "HTTP 404",
                    cause,
                    "Name the URL that people enter in their client, path included",
                )
            }
            (status, _) => question.fail(
                format!("HTTP {status}"),
                "the MCP server lets people in without a token, or fails before it asks for one",
                Fix::pasting("Give the server its auth", "mcp = FastMCP(\"…\", auth=auth)"),
            ),
        };
        let pointer = pointer.filter(|url| self.is_its_own(url));
        Ok(Challenge { finding, pointer, scope: parameter(&challenge, "scope") })
    }

    /// Whether a URL that the MCP server names may be fetched: this machine reaches more than strangers do.
    fn is_its_own(&self, url: &Url) -> bool {
        url.origin() == self.url.origin() && (url.scheme() == "https" || is_loopback(&self.url))
    }

    /// Where RFC 9728 has clients look, the better place first.
    fn forms(&self) -> [(&'static str, Url); 2] {
        let at = |path: &str| {
            let mut url = self.url.clone();
            url.set_query(None);
            url.set_path(&format!("/.well-known/oauth-protected-resource{path}"));
            url
        };
        [("path inserted", at(self.url.path().trim_end_matches('/'))), ("root", at(""))]
    }

    /// Metadata at one of its places; where it is not needed, it may as well be absent.
    async fn metadata(&self, form: &str, url: &Url, is_needed: bool) -> Vec<Finding> {
        let question = Question::new(Topic::ResourceMetadata, format!("GET {url} ({form})"));
        let answer = self.fetch.get(url, Sender::Anonymous).await;
        if !is_needed && answer.as_ref().is_ok_and(|answer| answer.status == 404) {
            return vec![question.skip("not there; clients find the other one")];
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
                        Question::new(Topic::ResourceScopes, "reading scopes_supported in the same document");
                    findings.push(self.judge_scopes(question, scopes.into_iter()));
                }
                findings
            }
        }
    }

    /// `resource` must be what people enter, and what tokens carry.
    fn judge_resource(&self, question: Question, document: &Value) -> Finding {
        let right = self.configured.as_ref().map_or(&self.named, |resource| &resource.url).as_str();
        let found = document["resource"].as_str().unwrap_or_default();
        if found == right {
            return question.pass(format!("resource {found}"));
        }
        let cause = if differs_by_a_slash(found, right) {
            "a slash more or less: audiences are compared character by character"
        } else {
            "the MCP server does not know the URL under which it is reached"
        };
        let mut base = self.url.clone();
        base.set_path("");
        let fix = Fix::pasting(
            "Tell the MCP server where it is; in FastMCP",
            format!("base_url=\"{}\",", base.as_str().trim_end_matches('/')),
        );
        question.fail(format!("resource {found:?} in place of {right:?}"), cause, fix)
    }

    /// `authorization_servers` must name the issuer, byte for byte.
    fn judge_servers(&self, document: &Value) -> Finding {
        let question = Question::new(Topic::ResourceAuthorizationServers, "reading the same document");
        let Some(issuer) = &self.issuer else { return question.skip("public_url cannot be used") };
        let servers = texts(&document["authorization_servers"]).unwrap_or_default();
        let found = format!("{servers:?} in place of [{issuer:?}]");
        let fix = |words: &str| Fix::pasting(words, format!("authorization_servers=[\"{issuer}\"],"));
        match servers.first() {
            Some(first) if first == issuer => question.pass(format!("{issuer}, byte for byte")),
            Some(first) if differs_by_a_slash(first, issuer) => question.fail(
                found,
                "the trailing-slash trap of FastMCP: AnyHttpUrl, and FastMCP before version 4, append a slash to an \
                 issuer without a path, and clients then refuse our metadata",
                fix("Write text, not AnyHttpUrl, and take FastMCP 4; or give public_url a path. In the server:"),
            ),
            Some(_) if servers.contains(&issuer.as_str()) => {
                let cause = "many clients look at the first authorization server alone";
                question.warn(found, cause, fix("Name it first; in FastMCP"))
            }
            _ => question.fail(found, "clients are sent to somebody else to sign in", fix("Name this one; in FastMCP")),
        }
    }

    /// Scopes that the MCP server demands must be on offer, because clients ask for what it names.
    fn judge_scopes<'a>(&self, question: Question, demanded: impl Iterator<Item = &'a str>) -> Finding {
        let demanded: Vec<&str> = demanded.filter(|word| !word.is_empty()).collect();
        let Some(configured) = &self.configured else {
            return if self.accepts_any_loopback {
                question.pass("in development, clients get the scopes that they ask for")
            } else {
                question.skip("it is not configured here")
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
            "no token has these scopes, so the MCP server refuses every token or the tools that need them",
            Fix::pasting(
                "Offer them under its url in [[resources]] and restart the daemon, or make the server demand less",
                format!("scopes = [{all}]"),
            ),
        )
    }

    /// Tokens are sent in a header, signed with one algorithm, and bound to no key of the client.
    fn judge_tokens(&self, document: &Value) -> Finding {
        let question = Question::new(Topic::ResourceTokens, "reading the same document");
        let ours = self.algorithm.as_str();
        let lists = |name: &str, word| texts(&document[name]).is_none_or(|words| words.contains(&word));
        let bound = ["dpop_bound_access_tokens_required", "tls_client_certificate_bound_access_tokens"];
        if !lists("bearer_methods_supported", "header") {
            return question.fail(
                format!("bearer_methods_supported {}", document["bearer_methods_supported"]),
                "MCP clients send the token in the Authorization header and nowhere else",
                Fix::pasting("Accept it there, and publish", "\"bearer_methods_supported\": [\"header\"]"),
            );
        }
        if let Some(name) = bound.into_iter().find(|name| document[name] == true) {
            return question.fail(
                format!("{name} is true"),
                "tokens from here are bearer tokens, bound to no key of the client",
                "Accept bearer tokens, and remove this member from the metadata",
            );
        }
        if !lists("resource_signing_alg_values_supported", ours) {
            return question.warn(
                format!(
                    "resource_signing_alg_values_supported {}",
                    document["resource_signing_alg_values_supported"]
                ),
                "a verifier that is limited to these algorithms refuses every token from here",
                Fix::pasting(
                    "Set the verifier, or keys.algorithm here, to the same; in FastMCP",
                    format!("algorithm=\"{ours}\","),
                ),
            );
        }
        question.pass(format!("bearer tokens in the Authorization header, signed with {ours}"))
    }
}

/// The texts of a list; `None` for anything else.
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
}
