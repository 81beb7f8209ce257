//! Client IDs: what a client is called in requests and tokens, and under which key its record is kept.

use std::fmt;

use data_encoding::BASE32_DNSSEC;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use url::Url;

use super::redirect::has_canonical_host;
use crate::secret::{Random, encode, sha256};

/// Longest URL of a client metadata document, in bytes.
const LONGEST_URL: usize = 2048;

/// How IDs begin that are made here.
const MADE: &str = "mcp_";
/// Length of the rest: 22 bytes in base32. Earlier releases made 16 bytes in base64url.
const MADE_LENGTHS: [usize; 2] = [36, 22];

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientId {
    /// The client registered, or the operator registered it.
    Registered(RegisteredId),
    /// The client describes itself at a URL (OAuth Client ID Metadata Document).
    Document(DocumentId),
}

/// 1 to 255 characters of `[A-Za-z0-9._-]`: the ID is also the key of the client's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegisteredId(String);

/// An absolute `https` URL with a path. Its record key is a hash, because a key cannot be a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentId {
    text: String,
    url: Url,
    key: String,
}

impl DocumentId {
    /// The URL, character by character as requests and the document have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the document is.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Who publishes the document: the host of the URL, in lower case, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl ClientId {
    /// The ID of a registered client; `None` for a text that cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=255).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        fits.then(|| Self::Registered(RegisteredId(text.to_owned())))
    }

    /// The ID of a client that describes itself at `url`; `None` for a URL that cannot be one. It is an `https` URL
    /// with a path, without dot segments, query, fragment and credentials
    /// (draft-ietf-oauth-client-id-metadata-document section 3). IDs are compared character by character, so two
    /// spellings of one URL are two clients.
    #[must_use]
    pub fn of_document(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://").filter(|_| url.len() <= LONGEST_URL)?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        let parsed = Url::parse(url).ok()?;
        let is_plain = !authority.contains('@') && path != "/" && path.bytes().all(is_path_character);
        // A path with dot segments, or with broken percent-encoding, is not what the parser makes of it.
        let is_kept = parsed.path() == path && is_percent_encoded(path);
        let is_rooted = parsed.host_str().is_some_and(|host| !host.ends_with('.'));
        if !(is_plain && is_kept && is_rooted && has_canonical_host(url, &parsed)) {
            return None;
        }
        let key = format!("document.{}", encode(&sha256(url.as_bytes())));
        Some(Self::Document(DocumentId { text: url.to_owned(), url: parsed, key }))
    }

    /// The ID that a request names; `None` for a text that cannot be one.
    #[must_use]
    pub fn of_request(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Self::of_document(text))
    }

    /// The document in which the client describes itself, if it has one.
    #[must_use]
    pub const fn document(&self) -> Option<&DocumentId> {
        match self {
            Self::Registered(_) => None,
            Self::Document(id) => Some(id),
        }
    }

    /// The ID of a client that registers here, or that an operator adds, at `millis` after the epoch. It begins with
    /// that time, so byte order is chronological, and clients that register at the same time are adjacent in the
    /// repository's indexes. The rest is 128 random bits.
    #[must_use]
    pub fn made(millis: u64, random: &dyn Random) -> Self {
        let [_, _, time @ ..] = millis.to_be_bytes();
        let mut bytes = [0; 22];
        let (start, rest) = bytes.split_at_mut(time.len());
        start.copy_from_slice(&time);
        random.fill(rest);
        // Its byte order is numeric order (RFC 4648 section 7).
        Self::Registered(RegisteredId(format!("{MADE}{}", BASE32_DNSSEC.encode(&bytes))))
    }

    /// Whether a text looks like an ID that is made here. No person can have such a subject: it could be taken
    /// for a machine client's (RFC 9068 section 5).
    #[must_use]
    pub fn is_made_like(text: &str) -> bool {
        text.strip_prefix(MADE).is_some_and(|rest| {
            MADE_LENGTHS.contains(&rest.len())
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
    }

    /// As requests and tokens have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Registered(id) => &id.0,
            Self::Document(id) => &id.text,
        }
    }

    /// The key of the client's record. The client's grants have it as their parent.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Registered(id) => &id.0,
            Self::Document(id) => &id.key,
        }
    }
}

/// RFC 3986 section 3.3.
const fn is_path_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-'..=b'/' | b'!' | b'$' | b'%'..=b',' | b':' | b';' | b'=' | b'@' | b'_' | b'~')
}

/// Whether each `%` begins an encoded octet (RFC 3986 section 2.1).
fn is_percent_encoded(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let octet = rest.as_bytes().get(..2);
        octet.is_some_and(|octet| octet.iter().all(u8::is_ascii_hexdigit))
    })
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with("https://") {
            return Self::of_document(&text).ok_or_else(|| D::Error::custom("not the URL of a client"));
        }
        Ok(Self::Registered(RegisteredId(text)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{repository::is_key, secret::SystemRandom};

    #[test]
    fn a_registered_id_is_its_own_key() {
        let id = ClientId::parse("mcp_a.b-C").unwrap();
        assert_eq!((id.as_str(), id.key(), &*id.to_string()), ("mcp_a.b-C", "mcp_a.b-C", "mcp_a.b-C"));
        for text in ["", "a b", "https://app.example/client", "a/b", "\u{e4}"] {
            assert_eq!(ClientId::parse(text), None, "{text}");
        }
    }

    /// Shows: CC-5, JWT-4.
    #[test]
    fn an_id_that_is_made_here_is_recognised() {
        let id = ClientId::made(0, &SystemRandom);
        assert_eq!(ClientId::parse(id.as_str()).as_ref(), Some(&id));
        for (text, is_made) in [
            (id.as_str(), true),
            ("mcp_2CvJPh3wUaTJJpYeJiPRZg", true),
            (&format!("{id}A"), false),
            (&id.as_str()[1..], false),
            ("mcp_ada@example.com______", false),
            ("pui_3wlq7ydm5q5avgiqzqzcqzmmzclswqjc", false),
            ("mcp_", false),
        ] {
            assert_eq!(ClientId::is_made_like(text), is_made, "{text}");
        }
    }

    #[test]
    fn new_ids_are_ordered_by_time_and_differ_within_a_millisecond() {
        let ids =
            [1_000, 1_001, 1_256, 1_700_000_000_000].map(|millis| ClientId::made(millis, &SystemRandom));
        assert!(ids.is_sorted());
        assert_ne!(ClientId::made(1_000, &SystemRandom), ids[0]);
    }

    #[test]
    fn a_document_is_kept_under_a_key_of_its_own() {
        let url = "https://app.example:8443/client.json";
        let id = ClientId::of_document(url).unwrap();
        assert_eq!((id.as_str(), &*id.to_string()), (url, url));
        assert_eq!(id.document().unwrap().host(), "app.example");
        let other = ClientId::of_document("https://app.example/client.json").unwrap();
        assert!(is_key(id.key()) && id.key() != other.key());
        assert_eq!(ClientId::of_request(url), Some(id));
    }

    #[test]
    fn cimd_1_only_an_https_url_with_a_plain_path_names_a_document() {
        for url in [
            "http://app.example/client",
            "HTTPS://app.example/client",
            "https://app.example",
            "https://app.example/",
            "https://app.example?a/b",
            "https://app.example/client?v=1",
            "https://app.example/client?",
            "https://app.example/client#f",
            "https://app.example/client#",
            "https://user@app.example/client",
            "https://@app.example/client",
            "https://:secret@app.example/client",
            "https://app.example/a/../client",
            "https://app.example/./client",
            "https://app.example/client/..",
            "https://app.example/a/%2E%2e/client",
            "https://app.example/a/.%2e/client",
            "https://app.example/a b",
            "https://app.example/a\\b",
            "https://app.example\\client",
            "https://app.example/a%",
            "https://app.example/a%2",
            "https://app.example/a%zz",
            "https://app.example/\u{e4}",
            "https://\u{e4}pp.example/client",
            "https://app.example/<client>",
            "https://app.example./client",
            "https://app.example:0/client",
            "https://app.example:/client",
            "https://app.example:99999/client",
            "https://%61pp.example/client",
            "https://0x7f.1/client",
            "https://2130706433/client",
            "https://[::ffff:127.0.0.1/client",
            "https:///client",
            "https:/app.example/client",
            " https://app.example/client",
            "https://app.example/cli\tent",
            "client",
            "",
            &format!("https://app.example/{}", "a".repeat(LONGEST_URL)),
        ] {
            assert_eq!(ClientId::of_document(url), None, "{url}");
            assert!(!matches!(ClientId::of_request(url), Some(ClientId::Document(_))), "{url}");
        }
    }

    #[test]
    fn cimd_2_two_spellings_of_a_url_are_two_clients() {
        let spellings = [
            "https://app.example/client",
            "https://app.example/client/",
            "https://app.example:443/client",
            "https://App.example/client",
            "https://app.example/Client",
            "https://app.example/clien%74",
            "https://app.example//client",
        ];
        let ids: HashSet<_> = spellings.iter().map(|url| ClientId::of_document(url).unwrap()).collect();
        let keys: HashSet<_> = ids.iter().map(ClientId::key).collect();
        assert_eq!((ids.len(), keys.len()), (spellings.len(), spellings.len()));
        assert!(ids.iter().all(|id| id.document().unwrap().host() == "app.example"));
    }

    proptest! {
        #[test]
        fn cimd_1_no_text_makes_it_panic_and_what_is_accepted_is_fetched_as_it_is_written(text: String, path in "/[!-~]{0,12}") {
            let _ = ClientId::of_document(&text);
            let url = format!("https://app.example{path}");
            if let Some(id) = ClientId::of_document(&url) {
                prop_assert_eq!(id.document().unwrap().url().as_str(), url);
            }
        }
    }

    #[test]
    fn an_id_is_stored_as_its_text() {
        for id in [ClientId::parse("mcp_a"), ClientId::of_document("https://app.example/client")] {
            let stored = serde_json::to_string(&id).unwrap();
            assert_eq!(stored, format!("\"{}\"", id.as_ref().unwrap()));
            assert_eq!(serde_json::from_str::<Option<ClientId>>(&stored).unwrap(), id);
        }
        assert!(serde_json::from_str::<ClientId>("\"https://app.example\"").is_err());
    }
}
