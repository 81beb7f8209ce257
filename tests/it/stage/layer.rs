//! Stands between a client and the stand-in: counts requests, fails and waits in place of answers, changes questions
//! and answers.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{
        StatusCode, Uri,
        header::{CONTENT_LENGTH, LOCATION},
    },
    middleware::Next,
    response::Response,
};
use serde_json::{Value, json};
use url::Url;

use super::{
    Stage,
    conduct::{SETTINGS, leave_out},
    control::CONTROL,
    dial::Dial,
    faults::wait,
    switches::{Answer, Authorize, ExpiresIn, IssParameter, Plain, TokenEndpoint},
};

/// Answers a request as the switches say.
pub(super) async fn perform(State(stage): State<Stage>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if !path.starts_with(CONTROL) {
        stage.0.requests.count(&path);
    }
    let switches = stage.switches();
    match path.as_str() {
        "/v2/oauth/authorize" => authorize(&stage, request, next).await,
        "/v2/oauth/token" => {
            let settings = switches.token.take();
            if let Some(failure) = settings.fault.after(settings.delay_ms).await {
                return failure;
            }
            let answer = SETTINGS.scope(settings.clone(), next.run(request)).await;
            edited(answer, |tokens| settings.change(tokens)).await
        }
        "/v2/oauth/token/introspect" => {
            let settings = switches.introspection.take();
            if let Some(failure) = settings.fault.after(settings.delay_ms).await {
                return failure;
            }
            edited(next.run(request).await, |described| {
                if settings.inactive {
                    *described = json!({"active": false});
                } else if described["active"] == true {
                    switches.addresses.take().say_whether_verified(described);
                }
            })
            .await
        }
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
            let settings = switches.metadata.take();
            if let Some(failure) = settings.fault.after(settings.delay_ms).await {
                return failure;
            }
            edited(next.run(request).await, |document| {
                if settings.iss_advertised {
                    document["authorization_response_iss_parameter_supported"] = json!(true);
                }
            })
            .await
        }
        "/v2/oauth/token/revoke" => plain(&switches.revocation, request, next).await,
        "/v2/oauth/jwks.json" | "/v1beta/oauth/jwks.json" => plain(&switches.jwks, request, next).await,
        "/v2/client/token/check" | "/v2/user/profile/get" | "/v2/user/group/list" => {
            edited(plain(&switches.service, request, next).await, |envelope| {
                if let Some(verified) = envelope["result"].get_mut("verified") {
                    *verified = json!(switches.addresses.take().user_verified);
                }
            })
            .await
        }
        _ => next.run(request).await,
    }
}

async fn plain(dial: &Dial<Plain>, request: Request, next: Next) -> Response {
    let settings = dial.take();
    match settings.fault.after(settings.delay_ms).await {
        Some(failure) => failure,
        None => next.run(request).await,
    }
}

impl TokenEndpoint {
    fn change(&self, tokens: &mut Value) {
        if !self.refresh_token {
            leave_out(tokens, "refresh_token");
        }
        match self.expires_in {
            ExpiresIn::Number => {}
            ExpiresIn::String => tokens["expires_in"] = json!(tokens["expires_in"].to_string()),
            ExpiresIn::Absent => leave_out(tokens, "expires_in"),
        }
    }
}

/// Signs in who is known, and changes what the browser brings back.
async fn authorize(stage: &Stage, mut request: Request, next: Next) -> Response {
    let dial = &stage.switches().authorize;
    let settings = dial.peek();
    if request.method() == "GET" {
        wait(settings.delay_ms).await;
        if let Some(uri) = settings.with_the_known(request.uri()) {
            *request.uri_mut() = uri;
        }
    }
    let mut answer = next.run(request).await;
    if answer.status() == StatusCode::SEE_OTHER {
        let back = Url::parse(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
        let back = dial.take().changed(&back, &stage.0.issuer);
        answer.headers_mut().insert(LOCATION, back.as_str().parse().unwrap());
    }
    answer
}

impl Authorize {
    /// The request with a hint at the user who is known, if there is one: the stand-in asks nothing then.
    fn with_the_known(&self, uri: &Uri) -> Option<Uri> {
        let parameters: Vec<_> = form_urlencoded::parse(uri.query()?.as_bytes()).collect();
        let has = |name: &str| parameters.iter().any(|(parameter, _)| parameter == name);
        let asks_again = parameters
            .iter()
            .any(|(name, value)| name == "prompt" && value.split(' ').any(|prompt| prompt == "login"));
        if has("login_hint") && !asks_again {
            return None;
        }
        let known = self.session.as_ref().filter(|_| !asks_again).or(self.sign_in_as.as_ref())?;
        let kept = parameters.iter().filter(|(name, _)| name != "prompt" && name != "login_hint");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair("login_hint", known);
        Some(format!("{}?{}", uri.path(), query.finish()).parse().unwrap())
    }

    /// Where the browser goes.
    fn changed(&self, back: &Url, issuer: &str) -> Url {
        let mut changed = back.clone();
        changed.set_query(None);
        let mut query = changed.query_pairs_mut();
        for (name, value) in back.query_pairs() {
            match (&self.answer, &*name) {
                (Answer::Deny, "code") => drop(query.append_pair("error", "access_denied")),
                (Answer::Error { error, error_description }, "code") => {
                    query.append_pair("error", error);
                    query.extend_pairs(error_description.iter().map(|text| ("error_description", text)));
                }
                (Answer::Nothing, "code") => {}
                _ => drop(query.append_pair(&name, &value)),
            }
        }
        match self.iss {
            IssParameter::Absent => {}
            IssParameter::Right => drop(query.append_pair("iss", issuer)),
            IssParameter::Wrong => drop(query.append_pair("iss", "https://another-issuer.example")),
        }
        drop(query);
        changed
    }
}

/// A good answer with its JSON changed.
async fn edited(answer: Response, change: impl FnOnce(&mut Value)) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let mut json = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
    change(&mut json);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(json.to_string()))
}
