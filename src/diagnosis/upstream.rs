//! The upstream: whether it answers, its clock agrees, and it accepts our credentials and only those.

use std::{net::IpAddr, sync::Arc};

use url::{Host, Url};

use super::{
    Finding, Topic,
    document::{cause_of, fix_for},
    finding::{Fix, Question},
};
pub(crate) use crate::upstream::pangea::Overrides as Elsewhere;
use crate::{
    clock::{Clock, UnixTime},
    config::Authn,
    fetch::{Answer, Fetch, FetchError, Sender},
    secret::{Random, Secret, random_token},
    upstream::{
        probe::{AuthorizationAnswer, AuthorizationQuestion, PairAnswer, Probe},
        skew::{Severity, Skew},
    },
};

const CONSOLE: &str = "the Pangea console (AuthN, OAuth Server, Clients)";

/// How this server signs users in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) issuer_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) redirect_uri: String,
    /// Space-separated.
    pub(crate) scope: String,
    /// For invalid codes and secrets.
    pub(crate) random: Arc<dyn Random>,
    /// Endpoints with a configured URL.
    pub(crate) elsewhere: Elsewhere,
}

impl Login {
    pub(super) fn new(authn: &Authn, redirect_uri: String, random: Arc<dyn Random>) -> Self {
        Self {
            issuer_url: authn.issuer_url.clone(),
            elsewhere: Elsewhere {
                authorization: authn.authorization_endpoint.clone(),
                token: authn.token_endpoint.clone(),
                introspection: authn.introspection_endpoint.clone(),
                jwks: authn.jwks_uri.clone(),
            },
            client_id: authn.client_id.clone(),
            client_secret: authn.client_secret.clone(),
            redirect_uri,
            scope: authn.scopes.join(" "),
            random,
        }
    }

    fn probe(&self, fetch: &Fetch) -> Option<Probe> {
        let issuer = Url::parse(&self.issuer_url).ok()?;
        Some(Probe::new(issuer, self.elsewhere.clone(), fetch.clone()))
    }
}

/// Whether the hosted login answers, and whether its clock agrees with ours.
pub(super) async fn issuer(issuer_url: &str, fetch: &Fetch, clock: &dyn Clock) -> Vec<Finding> {
    let question = Question::new(Topic::UpstreamIssuer, format!("GET {issuer_url}"));
    let Ok(url) = Url::parse(issuer_url) else {
        return vec![question.fail("not a URL", "the URL is mistyped", ISSUER_FIX)];
    };
    let answer = fetch.get(&url, Sender::Anonymous).await;
    let now = clock.now();
    let skew = answer.as_ref().ok().map(|answer| judge_clock(answer, now));
    let mut findings = vec![judge_issuer(question, &url, answer)];
    findings.extend(skew);
    findings
}

const ISSUER_FIX: &str =
    "Copy the Hosted Login URL from the AuthN overview in the Pangea console to authn.issuer_url";

fn judge_issuer(question: Question, url: &Url, answer: Result<Answer, FetchError>) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let fix = fix_for(&error, url.as_str(), ISSUER_FIX);
            return question.fail(error.to_string(), cause_of(&error), fix);
        }
    };
    let target = answer.header("location").and_then(|location| url.join(location).ok());
    match (answer.status, target) {
        (300..=399, Some(target)) if target.origin() != url.origin() => {
            let found = format!("HTTP {} to {}", answer.status, target.origin().ascii_serialization());
            let cause = "the hosted login has another URL, which its tokens and responses will contain";
            let line = format!("issuer_url = \"{}\"", target.origin().ascii_serialization());
            question.warn(found, cause, Fix::pasting("Set that URL under [authn]", line))
        }
        (status @ 500.., _) => {
            question.fail(format!("HTTP {status}"), "the upstream has a problem", "Try again later")
        }
        (status, _) => question.pass(format!("it answers (HTTP {status})")),
    }
}

fn judge_clock(answer: &Answer, now: UnixTime) -> Finding {
    let question =
        Question::new(Topic::UpstreamClock, "compare the upstream's Date header with this machine's clock");
    let Some(skew) = Skew::of(answer, now) else { return question.skip("the upstream sends no Date header") };
    let found = format!("this machine is {} s {}", skew.seconds, skew.direction());
    let fix = Fix::pasting("Synchronise this machine's clock", "timedatectl set-ntp true");
    match skew.severity() {
        Severity::Fatal => question.fail(found, "tokens appear expired, or not valid yet", fix),
        Severity::Notable => question.warn(found, "verifiers without leeway refuse new tokens", fix),
        Severity::Harmless => question.pass(format!("{} s apart", skew.seconds)),
    }
}

/// Whether the authorization endpoint accepts our request.
pub(super) async fn front_door(login: &Login, fetch: &Fetch, now: UnixTime) -> Finding {
    let Some(probe) = login.probe(fetch) else {
        return Question::new(Topic::UpstreamAuthorize, "nothing").skip("authn.issuer_url is not a URL");
    };
    let endpoint = probe.endpoints(now).await.authorization.url;
    let question = Question::new(
        Topic::UpstreamAuthorize,
        format!(
            "GET {endpoint} as a browser would, for client {} and {}",
            login.client_id, login.redirect_uri
        ),
    );
    let state = random_token(&*login.random);
    let asked = AuthorizationQuestion {
        client_id: &login.client_id,
        redirect_uri: &login.redirect_uri,
        scope: &login.scope,
        state: &state,
    };
    match probe.authorization(asked, now).await {
        AuthorizationAnswer::SignIn => question.pass("it leads to a sign-in page"),
        AuthorizationAnswer::UnknownClient(words) => {
            let fix = format!("Copy the Client ID from {CONSOLE} to authn.client_id");
            question.fail(words, "this hosted login does not know the client ID", fix).refused()
        }
        AuthorizationAnswer::RedirectUri(words) => {
            let cause = "the client does not have exactly this redirect URI";
            question.fail(words, cause, redirect_fix(login)).refused()
        }
        AuthorizationAnswer::Scope(words) => {
            let words_of_fix = format!("Allow the client the scope {:?} in {CONSOLE}, or set", login.scope);
            let fix = Fix::pasting(words_of_fix, "scopes = []");
            question.fail(words, "the client may not request this scope", fix).refused()
        }
        AuthorizationAnswer::Refused(words) => {
            let fix = "Compare authn.issuer_url and authn.authorization_endpoint with the console";
            question.fail(words, "this is not the authorization endpoint, or it refuses the request", fix)
        }
        AuthorizationAnswer::Unreachable(words) => {
            question.fail(words, "the authorization endpoint does not answer", ISSUER_FIX)
        }
    }
}

/// Whether the upstream accepts client ID and secret, and refuses a wrong secret.
pub(super) async fn credentials(login: &Login, fetch: &Fetch, now: UnixTime) -> Vec<Finding> {
    let Some(probe) = login.probe(fetch) else {
        return vec![
            Question::new(Topic::UpstreamCredentials, "nothing").skip("authn.issuer_url is not a URL"),
        ];
    };
    let token = probe.endpoints(now).await.token.url;
    let code = random_token(&*login.random);
    let wrong = Secret::new("invalid secret", format!("pck_{}", random_token(&*login.random)));
    let (right, wrong) = tokio::join!(
        probe.pair((&login.client_id, &login.client_secret), &login.redirect_uri, &code, now),
        probe.pair((&login.client_id, &wrong), &login.redirect_uri, &code, now),
    );
    let asked = format!("POST {token} with an invalid code");
    let wrong_question = Question::new(Topic::UpstreamWrongSecret, format!("{asked} and an invalid secret"));
    let is_good = matches!(right, PairAnswer::Good | PairAnswer::RedirectUri(_));
    let wrong = match wrong {
        _ if !is_good => wrong_question.skip("the configured secret is not accepted either"),
        PairAnswer::Refused(words) => wrong_question.pass(format!("an invalid secret is refused: {words}")),
        PairAnswer::Good | PairAnswer::RedirectUri(_) => wrong_question.warn(
            "accepted",
            "the upstream lets anyone redeem codes as this client",
            Fix::pasting(
                format!("Set the authentication of the client in {CONSOLE} to"),
                "client_secret_basic",
            ),
        ),
        PairAnswer::NotAllowed(words) | PairAnswer::Unclear(words) | PairAnswer::Unreachable(words) => {
            wrong_question.skip(format!("unclear response: {words}"))
        }
    };
    vec![judge_pair(Question::new(Topic::UpstreamCredentials, asked), login, right), wrong]
}

fn judge_pair(question: Question, login: &Login, answer: PairAnswer) -> Finding {
    match answer {
        PairAnswer::Good => question.pass("client ID and secret are valid: only the code was refused"),
        PairAnswer::Refused(words) => question
            .fail(
                words,
                "the client secret is wrong, has expired, or belongs to another client id",
                format!(
                    "Create a new secret for {} in {CONSOLE} and store it in the source of authn.client_secret",
                    login.client_id
                ),
            )
            .refused(),
        PairAnswer::NotAllowed(words) => question
            .fail(
                words,
                "the client has another grant type",
                format!("Choose the grant type Authorization Code in {CONSOLE}"),
            )
            .refused(),
        PairAnswer::RedirectUri(words) => question
            .fail(
                words,
                "client ID and secret are valid, but the client does not have this redirect URI",
                redirect_fix(login),
            )
            .refused(),
        PairAnswer::Unclear(words) => {
            let fix = "Compare authn.issuer_url and authn.token_endpoint with the console";
            question.fail(words, "this is not the token endpoint, or the upstream has a problem", fix)
        }
        PairAnswer::Unreachable(words) => {
            question.fail(words, "the token endpoint does not answer", ISSUER_FIX)
        }
    }
}

fn redirect_fix(login: &Login) -> Fix {
    let words = format!(
        "Add this line to the client's Allowed Redirect URIs in {CONSOLE}. If that does not help, also add it to AuthN, \
         General, Redirect Settings"
    );
    Fix::pasting(words, &*login.redirect_uri)
}

/// Whether a URL may be reachable from the internet.
pub(super) fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name != "localhost" && name.contains('.'),
        Some(Host::Ipv4(address)) => !IpAddr::from(address).is_loopback() && !address.is_private(),
        Some(Host::Ipv6(address)) => !address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{super::Status, *};

    #[test]
    fn a_clock_is_notable_from_half_a_minute_and_fatal_from_five() {
        let noon = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT
        let mut headers = HeaderMap::new();
        headers.insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let answer = Answer { status: 200, headers, body: Vec::new() };
        for (now, status) in [
            (noon, Status::Pass),
            (noon + 29, Status::Pass),
            (noon - 30, Status::Warn),
            (noon + 299, Status::Warn),
            (noon + 300, Status::Fail),
            (noon - 300, Status::Fail),
        ] {
            assert_eq!(judge_clock(&answer, UnixTime::from_secs(now)).status, status, "{now}");
        }
    }
}
