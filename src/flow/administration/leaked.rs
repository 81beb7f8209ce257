//! Finds the grant of a leaked token.

use super::Administration;
use crate::{
    flow::grants::is_genuine,
    oauth::{
        grant::Grant,
        token::{GrantId, RefreshToken, TokenId, grant_of_code},
    },
    repository::RepositoryError,
};

/// Prefixes of codes and refresh tokens, and of a JWT: `{"` in base64url.
const BEGINNINGS: [&str; 2] = ["mcp_", "eyJ"];

/// What a text turned out to be.
#[derive(Debug)]
pub enum Leak {
    /// A code or token of this grant.
    Of(Box<Grant>),
    /// It names this grant, which was revoked. A revoked grant keeps no hashes to compare the text with.
    OfRevoked(Box<Grant>),
    /// It names this grant, but is none of its codes and tokens: it has ended, or was made up.
    Unproven(GrantId),
    /// It names no grant in the repository.
    Unknown,
}

/// Everything in a text that looks like a code or token of this server, without duplicates. The text can be
/// any log.
#[must_use]
pub fn tokens_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for piece in text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        // After a `%3D`, the piece begins with the rest of the encoded `=`.
        let Some(begin) = BEGINNINGS.iter().filter_map(|beginning| piece.find(beginning)).min() else {
            continue;
        };
        let token = piece[begin..].trim_end_matches('.');
        if named_by(token).is_some() && !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

/// The grant that a code or token claims to belong to.
fn named_by(text: &str) -> Option<GrantId> {
    let refresh = || RefreshToken::parse(text).map(|token| token.grant);
    let access = || TokenId::of_access_token(text).map(|token| token.grant);
    grant_of_code(text).or_else(refresh).or_else(access)
}

impl Administration {
    /// Finds the grant of a code, a refresh token or an access token. The whole text must match: otherwise
    /// anyone who knows a grant's ID could have the grant revoked.
    pub async fn trace(&self, text: &str) -> Result<Leak, RepositoryError> {
        let refresh = RefreshToken::parse(text);
        let access = TokenId::of_access_token(text);
        let Some(id) = named_by(text) else { return Ok(Leak::Unknown) };
        let now = self.now();
        let Some(read) = self.grants.get(id.as_str(), now).await? else { return Ok(Leak::Unknown) };
        let grant = read.value;
        let fits = match (&refresh, &access) {
            _ if grant.revocation().is_some() => return Ok(Leak::OfRevoked(grant)),
            (Some(token), _) => is_genuine(self.sealer.as_ref(), &grant, token, text),
            (None, Some(token)) => grant.live_token(token.number, text, now).is_some(),
            (None, None) => grant.has_code(text),
        };
        Ok(if fits { Leak::Of(grant) } else { Leak::Unproven(id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        oauth::token::code_text,
        secret::{encode, random_token},
    };

    #[test]
    fn tokens_are_found_in_whatever_they_were_logged() {
        let grant = GrantId::of_login("state", UnixTime::from_secs(1_800_000_000));
        let unguessable = random_token(&crate::secret::SystemRandom);
        let code = code_text(&grant, &unguessable);
        let refresh = RefreshToken { grant: grant.clone(), generation: 3 }.text(&unguessable);
        let claims = encode(format!("{{\"jti\":\"{grant}.1\"}}").as_bytes());
        let access = format!("{}.{claims}.c2ln", encode(b"{\"alg\":\"ES256\"}"));
        for (text, tokens) in [
            (access.clone(), vec![&access]),
            (format!(" {refresh}\n"), vec![&refresh]),
            (format!("authorization: Bearer {access}\" 200 512"), vec![&access]),
            (format!("GET /callback?code={code}&state=x HTTP/1.1"), vec![&code]),
            (format!("redirect=https%3A%2F%2Fa%2F%3Fcode%3D{code}%26state%3Dx"), vec![&code]),
            (format!("It was {access}."), vec![&access]),
            (
                format!("{{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\"}} {access}"),
                vec![&access, &refresh],
            ),
            ("eyJ mcp_rt_ mcp_cs_secret a.b.c".to_owned(), vec![]),
        ] {
            assert_eq!(tokens_in(&text), tokens, "{text}");
        }
    }
}
