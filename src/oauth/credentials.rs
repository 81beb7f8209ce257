//! Credentials at the token, revocation and introspection endpoints (RFC 6749 section 2.3.1, OAuth 2.1
//! section 2.4).

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;

use super::{
    assertion::{ASSERTION_TYPE, Assertion},
    error::{ErrorCode, OAuthError, refuse},
    params::Params,
};
use crate::secret::TokenHash;

/// RFC 4648 section 4. Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whom a caller claims to be, and how it proves that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// As presented. It may be unknown.
    pub client_id: String,
    /// Not verified yet.
    pub proof: Proof,
}

/// How a caller proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Not at all, as public clients do.
    None,
    /// With a secret, in the header or in the body.
    Secret(PresentedSecret),
    /// With a signature (`private_key_jwt`).
    Assertion(Box<Assertion>),
}

/// A secret that a caller sent. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedSecret {
    text: String,
    /// The text in the header, where form-decoding changed it.
    undecoded: Option<String>,
}

impl std::fmt::Debug for PresentedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresentedSecret")
    }
}

impl PresentedSecret {
    /// A secret in the body.
    #[must_use]
    pub fn of_body(text: &str) -> Self {
        Self { text: text.to_owned(), undecoded: None }
    }

    /// Whether this is a client's secret.
    #[must_use]
    pub fn is(&self, secret: &TokenHash) -> bool {
        secret.matches(&self.text)
    }

    /// Like [`PresentedSecret::is`], for a secret that an operator chose. It may contain `%` or `+`, which some
    /// callers (FastMCP among them) do not encode in the header: either reading counts.
    #[must_use]
    pub fn is_in_either_reading(&self, secret: &TokenHash) -> bool {
        self.is(secret) || self.undecoded.as_deref().is_some_and(|text| secret.matches(text))
    }
}

impl Proof {
    /// The proof of a caller that sends this as `client_secret` in the body, or no secret.
    #[must_use]
    pub fn of_body(secret: Option<&str>) -> Self {
        secret.map(PresentedSecret::of_body).map_or(Self::None, Self::Secret)
    }
}

impl Credentials {
    /// Reads the credentials of a request: `Authorization: Basic`, `client_assertion` in the body, or `client_id`
    /// with or without `client_secret` in the body. `authorization` holds every such header of the request.
    ///
    /// # Errors
    ///
    /// `invalid_client` when they are missing or cannot be parsed, `invalid_request` when they are presented
    /// in more than one way (RFC 6749 section 2.3).
    pub fn of_request(authorization: &[&[u8]], body: &Params<'_>) -> Result<Self, OAuthError> {
        let in_body = (body.one("client_id")?, body.one("client_secret")?);
        let assertion = (body.one("client_assertion_type")?, body.one("client_assertion")?);
        match (authorization, in_body) {
            ([], (client_id, None)) if assertion != (None, None) => Self::of_assertion(assertion, client_id),
            _ if assertion != (None, None) => Err(more_than_one_way()),
            ([], (Some(client_id), secret)) => {
                Ok(Self { client_id: client_id.to_owned(), proof: Proof::of_body(secret) })
            }
            ([], (None, _)) => refuse(ErrorCode::InvalidClient, "client_id is missing"),
            ([header], (client_id, None)) => {
                let credentials = basic(header)?;
                match client_id {
                    Some(other) if other != credentials.client_id => {
                        refuse(ErrorCode::InvalidRequest, "client_id differs from the one in Authorization")
                    }
                    _ => Ok(credentials),
                }
            }
            _ => Err(more_than_one_way()),
        }
    }

    /// Reads `client_assertion_type` and `client_assertion` (RFC 7521 section 4.2). The client is the one that the
    /// assertion names; `client_id` may be absent.
    fn of_assertion(
        assertion: (Option<&str>, Option<&str>),
        client_id: Option<&str>,
    ) -> Result<Self, OAuthError> {
        let (Some(ASSERTION_TYPE), Some(text)) = assertion else {
            let description =
                format!("client_assertion must come with client_assertion_type={ASSERTION_TYPE}");
            return refuse(ErrorCode::InvalidClient, description);
        };
        let assertion = Assertion::parse(text)?;
        if client_id.is_some_and(|client_id| client_id != assertion.client_id()) {
            return refuse(ErrorCode::InvalidClient, "client_id differs from sub of the client assertion");
        }
        let client_id = assertion.client_id().to_owned();
        Ok(Self { client_id, proof: Proof::Assertion(Box::new(assertion)) })
    }
}

fn more_than_one_way() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "present the client's credentials in one way only")
}

/// Parses `Basic base64(id:secret)`. Both halves may be form-encoded, as RFC 6749 demands, or plain, as many
/// clients send them. IDs and secrets that this server makes are the same in both forms.
fn basic(header: &[u8]) -> Result<Credentials, OAuthError> {
    let broken = || OAuthError::new(ErrorCode::InvalidClient, "Authorization is not a readable Basic header");
    let header = std::str::from_utf8(header).map_err(|_| broken())?;
    let (scheme, encoded) = header.split_once(' ').ok_or_else(broken)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return refuse(ErrorCode::InvalidClient, "the authentication scheme is not Basic");
    }
    let decoded = BASE64.decode(encoded.trim()).map_err(|_| broken())?;
    let decoded = String::from_utf8(decoded).map_err(|_| broken())?;
    let (client_id, secret) = decoded.split_once(':').ok_or_else(broken)?;
    let (client_id, undecoded) = (form_decoded(client_id).ok_or_else(broken)?, secret);
    let secret = form_decoded(undecoded).ok_or_else(broken)?;
    if client_id.is_empty() {
        return Err(broken());
    }
    if secret.is_empty() {
        return Ok(Credentials { client_id, proof: Proof::None });
    }
    let undecoded = Some(undecoded).filter(|text| *text != secret).map(str::to_owned);
    Ok(Credentials { client_id, proof: Proof::Secret(PresentedSecret { text: secret, undecoded }) })
}

fn form_decoded(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> String {
        format!("Basic {}", BASE64.encode(text))
    }

    fn read(authorization: &[&str], body: &str) -> Result<Credentials, ErrorCode> {
        let headers: Vec<&[u8]> = authorization.iter().map(|header| header.as_bytes()).collect();
        let body = Params::parse(body.as_bytes()).unwrap();
        Credentials::of_request(&headers, &body)
            .map(|Credentials { client_id, proof }| Credentials { client_id, proof: decoded(proof) })
            .map_err(|error| error.code())
    }

    fn decoded(proof: Proof) -> Proof {
        match proof {
            Proof::Secret(PresentedSecret { text, .. }) => Proof::of_body(Some(&text)),
            proof => proof,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what `read` gives")]
    fn credentials(id: &str, secret: Option<&str>) -> Result<Credentials, ErrorCode> {
        Ok(Credentials { client_id: id.to_owned(), proof: Proof::of_body(secret) })
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Proof::of_body(Some("hunter2"))), "Secret(PresentedSecret)");
    }

    #[test]
    fn cauth_1_three_ways_are_read() {
        assert_eq!(read(&[], "client_id=a"), credentials("a", None));
        assert_eq!(read(&[], "client_id=a&client_secret=s"), credentials("a", Some("s")));
        assert_eq!(read(&[&header("a:s")], ""), credentials("a", Some("s")));
        assert_eq!(read(&[&header("a:s").replace("Basic", "bAsIc")], ""), credentials("a", Some("s")));
    }

    #[test]
    fn cauth_2_basic_is_split_at_the_first_colon_and_decoded() {
        assert_eq!(read(&[&header("a:b:c")], ""), credentials("a", Some("b:c")));
        assert_eq!(read(&[&header("a%3Ax:s%2Bt+u")], ""), credentials("a:x", Some("s+t u")));
        assert_eq!(read(&[&header("a:")], ""), credentials("a", None));
    }

    #[test]
    fn a_secret_is_proved_in_either_reading() {
        let read =
            |text: &str| Credentials::of_request(&[header(text).as_bytes()], &Params::default()).unwrap();
        for (secret, header, proved) in [
            ("p%40+s", "a:p%40+s", true),
            ("p%40+s", "a:p%2540%2Bs", true),
            ("p@ s", "a:p%40+s", true),
            ("p%40+s", "a:p@+s", false),
        ] {
            let Proof::Secret(presented) = read(header).proof else { panic!("{header}") };
            assert_eq!(presented.is_in_either_reading(&TokenHash::of(secret)), proved, "{secret} {header}");
        }
    }

    #[test]
    fn cauth_3_a_malformed_header_is_invalid_client() {
        let odd = [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic YQ==",
            "Bearer abc",
            &header(":s"),
            &header("a%ff:s"),
            "",
        ];
        for text in odd {
            assert_eq!(read(&[text], ""), Err(ErrorCode::InvalidClient), "{text}");
        }
        let not_utf8 = format!("Basic {}", BASE64.encode([0xFF, b':']));
        assert_eq!(read(&[&not_utf8], ""), Err(ErrorCode::InvalidClient));
    }

    /// Shows: CAUTH-10, CC-2.
    #[test]
    fn an_assertion_names_its_client_and_comes_with_its_type() {
        let part = |value: serde_json::Value| crate::secret::encode(value.to_string().as_bytes());
        let claims = serde_json::json!({ "iss": "a", "sub": "a", "aud": "x", "exp": 1, "jti": "j" });
        let text = format!("{}.{}.c2ln", part(serde_json::json!({ "alg": "ES256" })), part(claims));
        let right = format!("client_assertion_type={ASSERTION_TYPE}&client_assertion={text}");
        for body in [right.clone(), format!("client_id=a&{right}"), format!("{right}&client_id=a")] {
            let Credentials { client_id, proof } = read(&[], &body).unwrap();
            assert!(client_id == "a" && matches!(proof, Proof::Assertion(_)), "{body}");
        }
        let saml = ASSERTION_TYPE.replace("jwt", "saml2");
        for body in [
            format!("client_id=b&{right}"),
            format!("client_assertion={text}"),
            format!("client_assertion_type={saml}&client_assertion={text}"),
            format!("client_assertion_type={}&client_assertion={text}", ASSERTION_TYPE.to_uppercase()),
            format!("client_assertion_type={ASSERTION_TYPE}&client_assertion=e30.e30.e30"),
            format!("client_id=a&client_assertion_type={ASSERTION_TYPE}"),
        ] {
            assert_eq!(read(&[], &body).unwrap_err(), ErrorCode::InvalidClient, "{body}");
        }
        let basic = header("a:s");
        for (headers, body) in [
            (&[][..], format!("client_secret=s&{right}")),
            (&[&*basic], right.clone()),
            (&[&*basic], format!("client_assertion_type={ASSERTION_TYPE}")),
            (&[], format!("{right}&client_assertion={text}")),
            (&[], format!("{right}&client_assertion_type={ASSERTION_TYPE}")),
        ] {
            assert_eq!(read(headers, &body).unwrap_err(), ErrorCode::InvalidRequest, "{headers:?} {body}");
        }
    }

    #[test]
    fn cauth_4_and_5_one_way_only_but_the_same_client_id_may_stand_in_both() {
        let basic = header("a:s");
        assert_eq!(read(&[&basic], "client_id=a"), credentials("a", Some("s")));
        assert_eq!(read(&[&basic], "client_id=b"), Err(ErrorCode::InvalidRequest));
        assert_eq!(read(&[&basic], "client_secret=s"), Err(ErrorCode::InvalidRequest));
        assert_eq!(read(&[&basic, &basic], ""), Err(ErrorCode::InvalidRequest));
        assert_eq!(read(&[], "client_id=a&client_id=a"), Err(ErrorCode::InvalidRequest));
        assert_eq!(read(&[], ""), Err(ErrorCode::InvalidClient));
    }

    proptest! {
        #[test]
        fn what_a_client_encodes_is_read_back(id in "[ -~]{1,20}", secret in "\\PC{1,20}") {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = header(&format!("{}:{}", encode(&id), encode(&secret)));
            prop_assert_eq!(read(&[&header], ""), credentials(&id, Some(&secret)));
        }

        #[test]
        fn no_header_makes_it_panic(bytes: Vec<u8>, text: String) {
            let body = Params::default();
            let _ = Credentials::of_request(&[&bytes], &body);
            let _ = Credentials::of_request(&[header(&text).as_bytes()], &body);
        }
    }
}
