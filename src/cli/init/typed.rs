//! Validates and normalises typed or pasted answers.

use url::Url;

use crate::{
    cli::arguments,
    oauth::{
        issuer::{Issuer, UPSTREAM_CALLBACK},
        resource::{Resource, is_loopback},
    },
};

/// Paths that users copy together with the URL of the hosted login.
const ENDPOINTS: [&str; 5] = [
    "/v2/oauth/authorize",
    "/v2/oauth/token",
    "/v2/oauth/token/introspect",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

pub(super) fn public_url(text: &str) -> Result<Issuer, String> {
    let text = word(text)?;
    let base = text.strip_suffix(UPSTREAM_CALLBACK).unwrap_or(&text);
    Issuer::parse(base.trim_end_matches('/')).map_err(|error| error.to_string())
}

/// The client ID at Pangea. An answer that looks like a secret is not repeated.
pub(super) fn client_id(text: &str) -> Result<String, String> {
    if arguments::remedy(text).is_some() || text.trim().starts_with("pck_") {
        return Err("that is a secret; the client ID begins with psa_".to_owned());
    }
    word(text)
}

/// A remark, if the value differs from what was typed.
pub(super) fn change(typed: &str, taken: &str) -> Option<String> {
    let is_same = typed.trim() == taken;
    (!is_same).then(|| match typed.trim().strip_suffix('/') {
        Some(bare) if bare == taken => format!("Using {taken}, without the trailing slash"),
        _ => format!("Using {taken}"),
    })
}

/// Domains or email addresses, separated by commas or spaces.
pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    let items = text.split([',', ' ']).map(str::trim).filter(|item| !item.is_empty());
    let items: Vec<String> = items.map(str::to_owned).collect();
    if items.is_empty() { Err("enter at least one".to_owned()) } else { Ok(items) }
}

/// The domain of email addresses.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let domain = text.trim().trim_start_matches('@').to_lowercase();
    let is_name =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if domain.contains('.') && domain.split('.').all(is_name) {
        Ok(domain)
    } else {
        Err("enter a domain such as example.org".to_owned())
    }
}

pub(super) fn email(text: &str) -> Result<String, String> {
    let text = word(text)?;
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && domain(host).is_ok() => Ok(text),
        _ => Err("enter an email address such as ada@example.org".to_owned()),
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

pub(super) fn mcp_server(text: &str) -> Result<Resource, String> {
    let text = word(text)?;
    let resource = Resource::parse(&text).map_err(|error| format!("{error}; enter the full URL"))?;
    safe_url(&text).map(|_| resource)
}

pub(super) fn upstream(text: &str) -> Result<Url, String> {
    let url = Url::parse(&word(text)?).map_err(|error| format!("{error}; enter the full URL"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("enter an http or https URL".to_owned())
    }
}

/// The base URL of the hosted login without a trailing slash, from any of its endpoint URLs.
pub(super) fn hosted_login(text: &str) -> Result<String, String> {
    let text = word(text)?;
    let whole = if text.contains("://") { text } else { format!("https://{text}") };
    let bare = whole.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let base = match ENDPOINTS.iter().find_map(|endpoint| bare.strip_suffix(endpoint)) {
        Some(base) => base,
        None if whole.contains(['?', '#']) => {
            return Err("leave out ? or # and everything after it".to_owned());
        }
        None => bare,
    };
    safe_url(base)?;
    Ok(base.to_owned())
}

/// `https`, or `http` on loopback.
pub(super) fn safe_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; enter the full URL, including https://"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("use https; http is accepted only for a loopback host".to_owned()),
    }
}

/// A scope name that Pangea accepts.
pub(super) fn scope(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":*/_=-".contains(&b);
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("Pangea scopes consist of letters, digits and : * / _ = -".to_owned())
    }
}

pub(super) fn without_password(text: &str) -> Result<String, String> {
    let text = word(text)?;
    match Url::parse(&text) {
        Ok(url) if url.password().is_some() => {
            Err("leave out the password; it is a separate question or option".to_owned())
        }
        _ => Ok(text),
    }
}

pub(super) fn word(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.contains(char::is_whitespace) {
        return Err("it contains a space; copy the value alone".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_url_of_the_hosted_login_was_copied_its_base_is_taken() {
        let base = "https://pdn-x.login.aws.us.pangea.cloud";
        for rest in [
            "",
            "/",
            "/v2/oauth/authorize",
            "/v2/oauth/authorize?client_id=psa_x&state=y",
            "/v2/oauth/token/",
            "/.well-known/oauth-authorization-server",
        ] {
            assert_eq!(hosted_login(&format!("{base}{rest}")).as_deref(), Ok(base), "{rest}");
        }
        assert_eq!(hosted_login("pdn-x.login.aws.us.pangea.cloud").as_deref(), Ok(base));
        assert_eq!(hosted_login("http://localhost:8001/x/").as_deref(), Ok("http://localhost:8001/x"));
        for wrong in ["http://pdn-x.example", "https://a b", "https://a/x?y", "https://", "ftp://a"] {
            assert!(hosted_login(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_no_client_id() {
        assert_eq!(client_id(" psa_x ").as_deref(), Ok("psa_x"));
        for secret in ["pck_x", " pck_xxxxxxxxxxxxxxxxxxxx", "mcp_cs_xxxxxxxxxxxxxxxxxxxxxx"] {
            let refused = client_id(secret).unwrap_err();
            assert!(!refused.contains(secret.trim()), "{refused}");
        }
    }

    #[test]
    fn what_was_taken_is_said_where_it_is_not_what_was_typed() {
        assert_eq!(change(" https://a.example ", "https://a.example"), None);
        assert!(
            change("https://a.example/", "https://a.example").unwrap().contains("without the trailing slash")
        );
        assert_eq!(change("a.example", "https://a.example").as_deref(), Some("Using https://a.example"));
    }

    #[test]
    fn domains_and_addresses_are_what_they_look_like() {
        assert_eq!(domain("@Example.ORG").as_deref(), Ok("example.org"));
        assert_eq!(list("a.org, b.org c.org").map(|items| items.len()), Ok(3));
        for wrong in ["", "example", "a..b", "a@b.org", "*.example.org"] {
            assert!(domain(wrong).is_err(), "{wrong}");
        }
        assert!(email("ada@example.org").is_ok() && email("ada").is_err() && email("@example.org").is_err());
        assert!(list(" , ").is_err());
    }

    #[test]
    fn the_redirect_uri_is_understood_as_the_public_url() {
        let parsed = public_url("https://auth.example.org/pangea/callback").unwrap();
        assert_eq!(parsed.as_str(), "https://auth.example.org");
    }
}
