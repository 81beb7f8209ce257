//! Request parameters, `application/x-www-form-urlencoded`, from a query or a body.
//!
//! RFC 6749 section 3.1: a parameter is sent once, an empty value counts as absent, unknown parameters are
//! ignored.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::error::{ErrorCode, OAuthError, refuse};

/// More parameters than any client sends.
const MOST: usize = 100;

/// Decoded parameters in their original order.
#[derive(Debug, Clone, Default)]
pub struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Decodes a query or a form body.
    ///
    /// # Errors
    ///
    /// `invalid_request` when the text is not UTF-8 or holds more than 100 parameters.
    pub fn parse(encoded: &'a [u8]) -> Result<Self, OAuthError> {
        let mut pairs = Vec::with_capacity(10);
        for pair in encoded.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MOST {
                return refuse(ErrorCode::InvalidRequest, "too many parameters");
            }
            let equals = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..equals], pair.get(equals + 1..).unwrap_or_default());
            let name = decode(name)?;
            let value = if name == "state" { decode_state(value)? } else { decode(value)? };
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter that may be sent once.
    ///
    /// # Errors
    ///
    /// `invalid_request` when it was sent more than once, even with equal values.
    pub fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.0.iter().filter(|(n, _)| n == name);
        let first = values.next();
        if values.next().is_some() {
            return refuse(
                ErrorCode::InvalidRequest,
                format!("the parameter '{name}' was sent more than once"),
            );
        }
        Ok(first.map(|(_, value)| &**value).filter(|value| !value.is_empty()))
    }

    /// The value of a parameter that must be sent once.
    ///
    /// # Errors
    ///
    /// `invalid_request` when it is missing, empty, or was sent more than once.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        match self.one(name)? {
            Some(value) => Ok(value),
            None => refuse(ErrorCode::InvalidRequest, format!("the parameter '{name}' is missing")),
        }
    }

    /// All values of a parameter that may be sent several times (`resource`, RFC 8707).
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, value)| n == name && !value.is_empty()).map(|(_, value)| &**value)
    }

    /// Checks that none of these parameters was sent more than once.
    ///
    /// # Errors
    ///
    /// `invalid_request`.
    pub fn refuse_repeated(&self, names: &[&str]) -> Result<(), OAuthError> {
        names.iter().try_for_each(|name| self.one(name).map(|_| ()))
    }
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, OAuthError> {
    // A token has hundreds of bytes, and `contains` looks at several at once.
    let decoded = if !bytes.contains(&b'%') && !bytes.contains(&b'+') {
        std::str::from_utf8(bytes).map(Cow::Borrowed).ok()
    } else {
        let spaced: Vec<u8> = bytes.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        String::from_utf8(percent_decode(&spaced).collect()).map(Cow::Owned).ok()
    };
    decoded.ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "the parameters are not UTF-8"))
}

/// Decodes a value that its sender compares character by character. Some clients send base64 unencoded, so a
/// `+` is kept if the rest of the value is base64 without an encoded `+`.
fn decode_state(bytes: &[u8]) -> Result<Cow<'_, str>, OAuthError> {
    let encodes_plus = || bytes.windows(3).any(|window| window.eq_ignore_ascii_case(b"%2b"));
    if !bytes.contains(&b'+') || encodes_plus() {
        return decode(bytes);
    }
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(b);
    let literal: Cow<'_, [u8]> = percent_decode(bytes).into();
    match String::from_utf8(literal.into_owned()) {
        Ok(literal) if literal.as_bytes().iter().all(is_base64) => Ok(Cow::Owned(literal)),
        _ => decode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Params<'_> {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_repeated_parameter_is_refused_even_with_equal_values() {
        assert!(parse("a=1&a=1").one("a").is_err());
        assert!(parse("a=&a=1").one("a").is_err());
        assert!(parse("a=1&b=2").refuse_repeated(&["a", "b"]).is_ok());
        assert!(parse("a=1&b=2&b=3").refuse_repeated(&["a", "b"]).is_err());
    }

    #[test]
    fn an_empty_value_counts_as_absent() {
        for text in ["a=", "a", "", "b=1", "&&"] {
            assert_eq!(parse(text).one("a").unwrap(), None, "{text}");
        }
    }

    #[test]
    fn values_are_decoded_once() {
        assert_eq!(parse("a=x%20y+z%2B%25&b").one("a").unwrap(), Some("x y z+%"));
        assert_eq!(parse("a=b=c").one("a").unwrap(), Some("b=c"));
        assert_eq!(parse("a=%zz%4").one("a").unwrap(), Some("%zz%4"));
    }

    #[test]
    fn a_raw_plus_in_a_base64_state_stays_a_plus() {
        for (sent, meant) in [
            ("gV+x/0==", "gV+x/0=="),
            ("gV+x%2F0%3D%3d", "gV+x/0=="),
            ("a-b_c+d", "a-b_c+d"),
            ("a+b", "a+b"),
            ("a%20b", "a b"),
            ("a+b!", "a b!"),
            ("a+b%21", "a b!"),
            ("a+b%20c", "a b c"),
            ("a+b.c", "a b.c"),
            ("a+b%2Bc", "a b+c"),
            ("a+b%2bc", "a b+c"),
            ("a%2Bb", "a+b"),
            ("a+%C3%BC", "a ü"),
        ] {
            assert_eq!(parse(&format!("state={sent}")).one("state").unwrap(), Some(meant), "{sent}");
        }
        assert_eq!(parse("scope=a+b").one("scope").unwrap(), Some("a b"));
        assert!(Params::parse(b"state=a+%ff").is_err());
    }

    #[test]
    fn what_needs_no_decoding_is_not_copied() {
        for (text, is_borrowed) in [("abc", true), ("a=b", true), ("a+b", false), ("a%20b", false)] {
            let decoded = [decode(text.as_bytes()), decode_state(text.as_bytes())];
            for value in decoded.map(Result::unwrap) {
                assert_eq!(matches!(value, Cow::Borrowed(_)), is_borrowed, "{text}");
            }
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        assert!(Params::parse(b"a=%ff").is_err());
        assert!(Params::parse(b"a=\xff").is_err());
    }

    #[test]
    fn a_flood_of_parameters_is_refused() {
        assert!(Params::parse("a=1&".repeat(101).as_bytes()).is_err());
        assert!(Params::parse("a=1&".repeat(100).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_a_serializer_writes_is_read_back(pairs in prop::collection::vec((".{1,8}", ".{1,20}"), 0..20)) {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            let params = Params::parse(text.as_bytes()).unwrap();
            for (name, _) in &pairs {
                let expected: Vec<&str> = pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
                prop_assert_eq!(params.all(name).collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Params::parse(&bytes);
        }
    }
}
