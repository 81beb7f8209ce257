//! Parameters of a query or a form body. The stand-in has a parser of its own, so that it doesn't share the daemon's
//! mistakes.

use std::collections::HashMap;

/// Parameters by name. Empty values count as absent (RFC 6749 section 3.1).
#[derive(Debug, Default)]
pub(super) struct Form(HashMap<String, String>);

/// A parameter that came twice (RFC 6749 section 3.1 forbids it).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {0:?} came more than once")]
pub(super) struct Repeated(String);

impl Form {
    /// Reads `application/x-www-form-urlencoded` text. `resource` may repeat (RFC 8707 section 2)
    /// and is left out: Pangea has no use for it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Repeated> {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if name != "resource" && parameters.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Repeated(name.into_owned()));
            }
        }
        parameters.retain(|_, value: &mut String| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The parameter's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_once_resource_aside() {
        let form = Form::parse(b"a=1%202&b=&resource=x&resource=y").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("resource")), (Some("1 2"), None, None));
        assert_eq!(Form::parse(b"a=1&a=").unwrap_err(), Repeated("a".to_owned()));
    }
}
