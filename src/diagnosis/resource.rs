//! One MCP server: does it lead clients here, in the right spelling, and does its verifier fit?

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Finding, Part,
    document::{self, cause_of, differs_by_a_slash},
    finding::Question,
};
use crate::{
    config::{ResourceConfig, Survey},
    fetch::{Answer, Fetch, FetchError, Sender},
    oauth::{resource::Resource, token::SigningAlgorithm},
};

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
pub(super) struct Server {
    /// As people enter it.
    named: Resource,
    url: Url,
    /// How tokens for it name it.
    configured: Option<String>,
    accepts_any_loopback: bool,
    issuer: Option<String>,
}

impl Server {
    /// `None` for what is no URL, which a resource always is.
    pub(super) fn new(named: Resource, survey: &Survey) -> Option<Self> {
        let any = survey.whole.as_ref().is_ok_and(|config| config.any_loopback_resource.is_some());
        Some(Self {
            configured: find(&survey.resources, &named).map(|resource| resource.url.to_string()),
            accepts_any_loopback: any && named.is_loopback(),
            issuer: survey.issuer.as_ref().map(ToString::to_string),
            url: Url::parse(named.as_str()).ok()?,
            named,
        })
    }

    pub(super) async fn findings(self, fetch: Fetch) -> Part {
        let mut findings = vec![self.configured_here()];
        let pointer = match self.challenge(&fetch).await {
            Ok((challenge, pointer)) => {
                findings.push(challenge);
                pointer
            }
            Err(unreachable) => {
                findings.push(unreachable);
                return findings.into();
            }
        };
        if let Some(pointer) = &pointer {
            findings.extend(self.metadata(&fetch, pointer).await);
        }
        for (form, url) in self.forms() {
            if pointer.as_ref() == Some(&url) {
                continue;
            }
            let question = Question::new("resource.metadata", format!("GET {url} ({form})"));
            let answer = fetch.get(&url, Sender::Anonymous).await;
            let is_absent = answer.as_ref().is_ok_and(|answer| answer.status == 404);
            if is_absent && pointer.is_some() {
                findings.push(question.skip("not there; clients find the other one"));
            } else {
                findings.extend(self.judge_metadata(&question, answer));
            }
        }
        findings.into()
    }

    /// Whether tokens for it are issued here.
    fn configured_here(&self) -> Finding {
        let question =
            Question::new("resource.configured", format!("looking for {} in [[resources]]", self.named));
        match &self.configured {
            Some(configured) => question.pass(format!("url = \"{configured}\"")),
            None if self.accepts_any_loopback => question.pass("any loopback URL is one in development"),
            None => question.fail(
                "it is not there",
                "clients that name it hear invalid_target",
                format!("[[resources]]\nurl = \"{}\"\nscopes = [\"user\"]", self.named),
            ),
        }
    }

    /// What somebody without a token is told, and where its metadata is then; or that nobody answers.
    async fn challenge(&self, fetch: &Fetch) -> Result<(Finding, Option<Url>), Finding> {
        let question = Question::new("resource.challenge", format!("POST {} without a token", self.named));
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "pangea-mcp-auth check", "version": env!("CARGO_PKG_VERSION") } } });
        let answer = match fetch.post_json(&self.url, Sender::Anonymous, &hello).await {
            Ok(answer) => answer,
            Err(error) => {
                let fix = "Start the MCP server, or correct the URL";
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
                    format!("WWW-Authenticate: Bearer resource_metadata=\"{url}\""),
                )
            }
            (status @ 300..=399, _) => {
                let to = answer.header("location").unwrap_or("somewhere").to_owned();
                let cause = "clients drop the token on the way, and compare the URL that was entered";
                question.fail(format!("HTTP {status} to {to}"), cause, format!("People must enter {to}"))
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
                "Give the server its auth: FastMCP(\"…\", auth=auth)",
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

    async fn metadata(&self, fetch: &Fetch, url: &Url) -> Vec<Finding> {
        let question = Question::new("resource.metadata", format!("GET {url} (named in the challenge)"));
        self.judge_metadata(&question, fetch.get(url, Sender::Anonymous).await)
    }

    fn judge_metadata(&self, question: &Question, answer: Result<Answer, FetchError>) -> Vec<Finding> {
        match document::json(question, answer, "Start the MCP server, or correct the URL") {
            Err(trouble) => vec![*trouble],
            Ok((document, _)) => {
                vec![self.judge_resource(question.clone(), &document), self.judge_servers(&document)]
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
        let fix = format!("base_url=\"{}\",", base.as_str().trim_end_matches('/'));
        question.fail(format!("resource {found:?} in place of {right:?}"), cause, fix)
    }

    /// `authorization_servers` must name the issuer, byte for byte.
    fn judge_servers(&self, document: &Value) -> Finding {
        let question = Question::new("resource.authorization_servers", "reading the same document");
        let Some(issuer) = &self.issuer else { return question.skip("public_url cannot be used") };
        let servers = document["authorization_servers"].as_array().cloned().unwrap_or_default();
        let servers: Vec<&str> = servers.iter().filter_map(Value::as_str).collect();
        let found = format!("{servers:?} in place of [{issuer:?}]");
        let line = format!("authorization_servers=[\"{issuer}\"],");
        match servers.first() {
            Some(first) if first == issuer => question.pass(format!("{issuer}, byte for byte")),
            Some(first) if differs_by_a_slash(first, issuer) => question.fail(
                found,
                "the trailing-slash trap of FastMCP: AnyHttpUrl, and FastMCP before version 4, append a slash to an \
                 issuer without a path, and clients then refuse our metadata",
                format!("{line}  # text, not AnyHttpUrl, and FastMCP 4; or give public_url a path"),
            ),
            Some(_) if servers.contains(&issuer.as_str()) => {
                let cause = "many clients look at the first authorization server alone";
                question.warn(found, cause, line)
            }
            _ => question.fail(found, "clients are sent to somebody else to sign in", line),
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
