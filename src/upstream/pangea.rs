//! Pangea AuthN's OAuth server. Where its wire format is not confirmed, both forms are accepted.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

pub use super::endpoints::Overrides;
use super::{
    Identity, SessionCheck, SignIn, SignedIn, Upstream, UpstreamError, UpstreamTokens,
    answers::{
        Described, Introspection, TokenResponse, address_of_user, described, expiry, explained, group_list,
        introspection, is_trouble, token_info,
    },
    endpoints::{Directory, Endpoints},
    id_token::{self, Purpose},
};
use crate::{
    clock::UnixTime,
    fetch::{Answer, Fetch, FetchError, Sender, Target},
    jose::RemoteKeySet,
    oauth::authorization::CodeChallenge,
    secret::Secret,
};

const MOST_PAGES: usize = 20;

/// The setup in the Pangea console, and how to use it.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct PangeaSettings {
    /// The Hosted Login URL.
    pub issuer_url: Url,
    /// `psa_…`.
    pub client_id: String,
    /// `pck_…`.
    pub client_secret: Secret,
    /// The callback URL, as entered in the console.
    pub redirect_uri: String,
    /// Requested scopes, space-separated.
    pub scope: String,
    /// Whether to send a PKCE challenge.
    pub pkce: bool,
    /// URL and token of the AuthN service API: the last resort to identify a person.
    pub service: Option<(Url, Secret)>,
    /// Whether `[access]` needs groups.
    pub groups_matter: bool,
    /// Whether `[access]` needs verified addresses.
    pub email_matters: bool,
    /// Whether unverified addresses count.
    pub trust_unverified_email: bool,
    pub endpoints: Overrides,
}

#[derive(Debug)]
pub struct Pangea {
    settings: PangeaSettings,
    fetch: Fetch,
    directory: Directory,
    keys: RemoteKeySet,
}

impl Pangea {
    /// Connects when it is first used.
    #[must_use]
    pub fn new(settings: PangeaSettings, fetch: Fetch) -> Self {
        let directory = Directory::new(settings.issuer_url.clone(), settings.endpoints.clone());
        Self { settings, fetch, directory, keys: RemoteKeySet::default() }
    }

    async fn endpoints(&self, now: UnixTime) -> Arc<Endpoints> {
        self.directory.endpoints(&self.fetch, now).await
    }

    fn sender(&self) -> Sender<'_> {
        Sender::Basic(&self.settings.client_id, &self.settings.client_secret)
    }

    async fn token_request(
        &self,
        token_endpoint: &Target,
        form: &[(&str, &str)],
    ) -> Result<TokenResponse, UpstreamError> {
        let answer = self.fetch.post_form(token_endpoint, self.sender(), form).await.map_err(unavailable)?;
        let response: Option<TokenResponse> = serde_json::from_slice(&answer.body).ok();
        let error = response.as_ref().and_then(|response| response.error.clone());
        match (answer.status, error, response) {
            (429 | 500.., _, _) => Err(UpstreamError::Unavailable(format!("HTTP {}", answer.status))),
            (_, Some(error), _) if error == "temporarily_unavailable" => {
                Err(UpstreamError::Unavailable(error))
            }
            (_, Some(error), _) => Err(UpstreamError::Refused(explained(&error))),
            (200..=299, None, Some(response)) => Ok(response),
            (status, None, _) => {
                Err(UpstreamError::Unusable(format!("HTTP {status} without an OAuth answer")))
            }
        }
    }

    /// Identifies the person: by the ID token, by an access token that is a JWT, by introspection, or by the AuthN service,
    /// in this order.
    async fn described(
        &self,
        response: &TokenResponse,
        access_token: &str,
        nonce: &str,
        endpoints: &Endpoints,
        now: UnixTime,
    ) -> Result<Described, UpstreamError> {
        if let Some(id_token) = &response.id_token {
            let claims = self.claims_of_id_token(id_token, nonce, endpoints, now).await?;
            let person = described(&claims, "sub")
                .ok_or_else(|| UpstreamError::Unusable("ID token: it names no person".to_owned()))?;
            return self.with_address(person, access_token, endpoints).await;
        }
        if access_token.split('.').count() == 3 {
            let claims = self.verified(access_token, Purpose::AccessToken, endpoints, now).await;
            if let Some(person) = self.own_person(&claims.unwrap_or_default()) {
                return self.with_address(person, access_token, endpoints).await;
            }
        }
        let reason = match self.introspect(access_token, endpoints).await {
            Introspection::Active(claims) => match self.own_person(&claims) {
                Some(person) => return Ok(person),
                None => "introspection names no person".to_owned(),
            },
            Introspection::Inactive => {
                return Err(UpstreamError::Unusable("the new access token is not active".to_owned()));
            }
            Introspection::Unavailable(reason) if self.settings.service.is_none() => {
                return Err(UpstreamError::Unavailable(reason));
            }
            Introspection::Unsupported(reason) | Introspection::Unavailable(reason) => reason,
        };
        match self.token_check(access_token).await {
            Some(Introspection::Active(claims)) => described(&claims, "identity")
                .ok_or_else(|| UpstreamError::Unusable("token/check names no person".to_owned())),
            Some(Introspection::Unavailable(reason)) => Err(UpstreamError::Unavailable(reason)),
            _ => Err(UpstreamError::Unusable(format!(
                "no ID token, and {reason}: nothing says who signed in (authn.service_token would help)"
            ))),
        }
    }

    /// The claims of a token that the upstream signed and that has not expired.
    async fn verified(
        &self,
        token: &str,
        purpose: Purpose,
        endpoints: &Endpoints,
        now: UnixTime,
    ) -> Result<Value, UpstreamError> {
        id_token::verified(token, purpose, &self.keys, endpoints, &self.fetch, now).await
    }

    async fn claims_of_id_token(
        &self,
        id_token: &str,
        nonce: &str,
        endpoints: &Endpoints,
        now: UnixTime,
    ) -> Result<Value, UpstreamError> {
        let unusable = |reason: &str| UpstreamError::Unusable(format!("ID token: {reason}"));
        let claims = self.verified(id_token, Purpose::IdToken, endpoints, now).await?;
        let client_id = &self.settings.client_id;
        if !id_token::is_for(&claims, client_id) || !id_token::is_authorized_party(&claims, client_id) {
            return Err(unusable("it is for another client"));
        }
        // Providers without nonces omit it. A different one belongs to another sign-in.
        if claims.get("nonce").is_some_and(|claimed| claimed.as_str() != Some(nonce)) {
            return Err(unusable("its nonce is that of another login"));
        }
        Ok(claims)
    }

    /// The person in claims that were issued to this client.
    fn own_person(&self, claims: &Value) -> Option<Described> {
        let issued_to = claims.get("client_id").and_then(Value::as_str);
        described(claims, "sub").filter(|_| issued_to.is_none_or(|client| client == self.settings.client_id))
    }

    async fn introspect(&self, access_token: &str, endpoints: &Endpoints) -> Introspection {
        let form = [("token", access_token), ("token_type_hint", "access_token")];
        let answer = match self.fetch.post_form(&endpoints.introspection, self.sender(), &form).await {
            Ok(answer) => answer,
            Err(error) => return Introspection::Unavailable(error.to_string()),
        };
        introspection(&answer)
    }

    /// `POST /v2/client/token/check`; `None` without a service token.
    async fn token_check(&self, access_token: &str) -> Option<Introspection> {
        let body = json!({ "token": access_token });
        Some(match self.ask_service("/v2/client/token/check", &body).await? {
            Ok(answer) => token_info(&answer),
            Err(error) => Introspection::Unavailable(error.to_string()),
        })
    }

    /// Adds the address from introspection, if `[access]` needs one and the token has none.
    async fn with_address(
        &self,
        mut person: Described,
        access_token: &str,
        endpoints: &Endpoints,
    ) -> Result<Described, UpstreamError> {
        if !self.settings.email_matters || person.address.is_some() {
            return Ok(person);
        }
        match self.introspect(access_token, endpoints).await {
            Introspection::Active(claims) => {
                let found = self.own_person(&claims).filter(|found| found.subject == person.subject);
                person.address = found.and_then(|found| found.address);
            }
            Introspection::Unavailable(reason) if self.settings.service.is_none() => {
                return Err(UpstreamError::Unavailable(reason));
            }
            Introspection::Inactive | Introspection::Unsupported(_) | Introspection::Unavailable(_) => {}
        }
        Ok(person)
    }

    /// Adds the address from Pangea's user record, if `[access]` needs a verified one and it is missing. A record with
    /// another address does not verify this one.
    async fn with_verified_address(&self, mut person: Described) -> Result<Described, UpstreamError> {
        let enough = person
            .address
            .as_ref()
            .is_some_and(|known| known.verified || self.settings.trust_unverified_email);
        if !self.settings.email_matters || enough {
            return Ok(person);
        }
        let body = json!({ "id": person.subject });
        let Some(answer) = self.ask_service("/v2/user/profile/get", &body).await else { return Ok(person) };
        let recorded = address_of_user(&answer.map_err(unavailable)?, &person.subject)?;
        person.address = match (person.address, recorded) {
            (Some(known), Some(recorded)) if known.text.eq_ignore_ascii_case(&recorded.text) => {
                Some(recorded)
            }
            (Some(known), _) => Some(known),
            (None, recorded) => recorded,
        };
        Ok(person)
    }

    /// Adds groups from `POST /v2/user/group/list`, if `[access]` needs them and there are none.
    async fn with_groups(&self, mut person: Described) -> Result<Described, UpstreamError> {
        if !self.settings.groups_matter || !person.groups.is_empty() {
            return Ok(person);
        }
        let mut body = json!({ "id": person.subject });
        for _ in 0..MOST_PAGES {
            let Some(answer) = self.ask_service("/v2/user/group/list", &body).await else { break };
            let (names, last) = group_list(&answer.map_err(unavailable)?)?;
            person.groups.extend(names);
            let Some(last) = last else { break };
            body["last"] = json!(last);
        }
        Ok(person)
    }

    /// An address counts if it is verified, or if unverified ones are trusted by configuration.
    fn identity(&self, person: Described) -> Identity {
        let Described { subject, address, username, groups } = person;
        let trusted = self.settings.trust_unverified_email;
        let counts = address.as_ref().is_some_and(|address| address.verified || trusted);
        let text = address.map(|address| address.text);
        let (email, unverified_email) = if counts { (text, None) } else { (None, text) };
        Identity { subject, email, unverified_email, username, groups }
    }

    /// Asks the AuthN service; `None` without a service token.
    async fn ask_service(&self, path: &str, body: &Value) -> Option<Result<Answer, FetchError>> {
        let (api, token) = self.settings.service.as_ref()?;
        let mut url = api.clone();
        url.set_path(&format!("{}{path}", api.path().trim_end_matches('/')));
        Some(self.fetch.post_json(&url, Sender::Bearer(token), body).await)
    }

    async fn refreshed(
        &self,
        refresh_token: &str,
        endpoints: &Endpoints,
        now: UnixTime,
    ) -> Result<UpstreamTokens, UpstreamError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let response = self.token_request(&endpoints.token, &form).await?;
        let unusable = || UpstreamError::Unusable("a refresh response without access_token".to_owned());
        Ok(UpstreamTokens {
            access_token: response.access_token.ok_or_else(unusable)?,
            refresh_token: response.refresh_token.or_else(|| Some(refresh_token.to_owned())),
            expires_at: expiry(response.expires_in.as_ref(), now),
        })
    }

    /// For an access token that is no longer valid: only a new one proves that the session continues.
    async fn renewed(&self, tokens: &UpstreamTokens, endpoints: &Endpoints, now: UnixTime) -> SessionCheck {
        let Some(refresh_token) = &tokens.refresh_token else { return SessionCheck::Ended };
        match self.refreshed(refresh_token, endpoints, now).await {
            Ok(tokens) => SessionCheck::Good(Some(tokens)),
            Err(UpstreamError::Refused(error)) if !is_trouble(&error) => SessionCheck::Ended,
            Err(error) => SessionCheck::Unknown(error.to_string()),
        }
    }

    /// Checks a session without introspection: with the refresh token, or with the AuthN service.
    async fn checked_otherwise(
        &self,
        tokens: &UpstreamTokens,
        endpoints: &Endpoints,
        mut reason: String,
        now: UnixTime,
    ) -> SessionCheck {
        if let Some(refresh_token) = &tokens.refresh_token {
            match self.refreshed(refresh_token, endpoints, now).await {
                Ok(tokens) => return SessionCheck::Good(Some(tokens)),
                Err(UpstreamError::Refused(error))
                    if error == "invalid_grant" || error == "access_denied" =>
                {
                    return SessionCheck::Ended;
                }
                Err(UpstreamError::Refused(error)) => reason = error,
                Err(error) => return SessionCheck::Unknown(error.to_string()),
            }
        }
        match self.token_check(&tokens.access_token).await {
            Some(Introspection::Active(_)) => SessionCheck::Good(None),
            Some(Introspection::Inactive) => SessionCheck::Ended,
            Some(Introspection::Unsupported(reason) | Introspection::Unavailable(reason)) => {
                SessionCheck::Unknown(reason)
            }
            None => SessionCheck::Unknown(reason),
        }
    }
}

#[async_trait]
impl Upstream for Pangea {
    async fn authorization_url(&self, sign_in: SignIn<'_>, now: UnixTime) -> String {
        let mut url = self.endpoints(now).await.authorization.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("client_id", &self.settings.client_id)
                .append_pair("redirect_uri", &self.settings.redirect_uri)
                .append_pair("response_type", "code")
                .append_pair("state", sign_in.state)
                .append_pair("nonce", sign_in.nonce);
            if !self.settings.scope.is_empty() {
                query.append_pair("scope", &self.settings.scope);
            }
            if self.settings.pkce {
                query
                    .append_pair("code_challenge", CodeChallenge::of(sign_in.code_verifier).as_str())
                    .append_pair("code_challenge_method", "S256");
            }
            if sign_in.fresh {
                query.append_pair("prompt", "login");
            }
            if let Some(login_hint) = sign_in.login_hint {
                query.append_pair("login_hint", login_hint);
            }
        }
        url.into()
    }

    async fn redeem(
        &self,
        signed_in: SignedIn<'_>,
        now: UnixTime,
    ) -> Result<(Identity, UpstreamTokens), UpstreamError> {
        let endpoints = self.endpoints(now).await;
        match signed_in.iss {
            Some(iss) if iss != endpoints.issuer => {
                return Err(UpstreamError::Unusable("the answer names another issuer".to_owned()));
            }
            None if endpoints.names_itself => {
                return Err(UpstreamError::Unusable("the answer does not name its issuer".to_owned()));
            }
            _ => {}
        }
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", signed_in.code),
            ("redirect_uri", &*self.settings.redirect_uri),
        ];
        if self.settings.pkce {
            form.push(("code_verifier", signed_in.code_verifier));
        }
        let mut response = self.token_request(&endpoints.token, &form).await?;
        let access_token = response
            .access_token
            .take()
            .filter(|token| !token.is_empty())
            .ok_or_else(|| UpstreamError::Unusable("a token response without access_token".to_owned()))?;
        let person = self.described(&response, &access_token, signed_in.nonce, &endpoints, now).await?;
        let person = self.with_groups(self.with_verified_address(person).await?).await?;
        let identity = self.identity(person);
        let expires_at = expiry(response.expires_in.as_ref(), now);
        Ok((identity, UpstreamTokens { access_token, refresh_token: response.refresh_token, expires_at }))
    }

    async fn check(&self, tokens: &UpstreamTokens, now: UnixTime) -> SessionCheck {
        let endpoints = self.endpoints(now).await;
        if tokens.expires_at.is_none_or(|expires_at| now < expires_at) {
            match self.introspect(&tokens.access_token, &endpoints).await {
                Introspection::Active(_) => return SessionCheck::Good(None),
                Introspection::Inactive => {}
                Introspection::Unsupported(reason) => {
                    return self.checked_otherwise(tokens, &endpoints, reason, now).await;
                }
                Introspection::Unavailable(reason) => return SessionCheck::Unknown(reason),
            }
        }
        self.renewed(tokens, &endpoints, now).await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used in map_err")]
fn unavailable(error: FetchError) -> UpstreamError {
    match error {
        FetchError::TooLarge { .. } | FetchError::Forbidden { .. } => {
            UpstreamError::Unusable(error.to_string())
        }
        FetchError::Timeout { .. } | FetchError::Unreachable { .. } | FetchError::NoAuthorities(_) => {
            UpstreamError::Unavailable(error.to_string())
        }
    }
}
