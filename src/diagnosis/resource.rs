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
    oauth::{resource::Resource, token::SigningAlgorithm},
};

const NOT_RUNNING: &str = "Start the MCP server, or correct the URL";

/// What the verifier of an MCP server must be set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verifier {
    /// Where the public keys are.
    pub jwks_uri: String,
    /// Whose tokens.
    pub issuer: String,
    /// For whom.
    pub audience: String,
    /// How they are signed.
    pub algorithm: String,
}

/// The verifier for the MCP server `named`; `None` while the configuration does not say.
pub(super) fn verifier(survey: &Survey, named: &Resource) -> Option<Verifier> {
    let configured = find(&survey.resources, named).map(|resource| resource.url.to_string());
    Some(Verifier {
        jwks_uri: format!("{}/jwks.json", survey.public_url.as_ref()?),
        issuer: survey.issuer.as_ref()?.to_string(),
        audience: configured.unwrap_or_else(|| named.to_string()),
        algorithm: survey
            .keys
            .as_ref()
            .map_or(SigningAlgorithm::Es256, |keys| keys.algorithm)
            .as_str()
            .to_owned(),
    })
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
    /// How tokens for it name it.
    configured: Option<String>,
    accepts_any_loopback: bool,
    issuer: Option<String>,
    fetch: Fetch,
}

impl Server {
    /// `None` for what is no URL, which a resource always is.
    pub(super) fn new(named: Resource, survey: &Survey, fetch: Fetch) -> Option<Self> {
        let any = survey.whole.as_ref().is_ok_and(|config| config.any_loopback_resource.is_some());
        Some(Self {
            configured: find(&survey.resources, &named).map(|resource| resource.url.to_string()),
            accepts_any_loopback: any && named.is_loopback(),
            issuer: survey.issuer.as_ref().map(ToString::to_string),
            url: Url::parse(named.as_str()).ok()?,
            named,
            fetch,
        })
    }

    pub(super) async fn findings(self) -> Part {
        let mut part = Part::from(vec![self.configured_here()]);
        let pointer = match self.challenge().await {
            Ok((challenge, pointer)) => {
                part.findings.push(challenge);
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
            Some(configured) => question.pass(format!("url = \"{configured}\"")),
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

    /// What somebody without a token is told, and where its metadata is then; or that nobody answers.
    async fn challenge(&self) -> Result<(Finding, Option<Url>), Finding> {
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
        Ok((finding, pointer))
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
                vec![self.judge_resource(question, &document), self.judge_servers(&document)]
            }
        }
    }

    /// `resource` must be what people enter, and what tokens carry.
    fn judge_resource(&self, question: Question, document: &Value) -> Finding {
        let right = self.configured.as_deref().unwrap_or(self.named.as_str());
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
        let servers = document["authorization_servers"].as_array().cloned().unwrap_or_default();
        let servers: Vec<&str> = servers.iter().filter_map(Value::as_str).collect();
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
}

/// A parameter of a challenge (RFC 9110 section 11.2), quoted or not.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}="))?;
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
    }
}
