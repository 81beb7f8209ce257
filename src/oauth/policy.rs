//! What the operator decides: who may sign in, how long things live, who may register, how often each may ask. Data and
//! judgement only.

use std::{fmt, time::Duration};

use super::{client_id::ClientId, redirect::PrivateUseSchemes};

/// Who may sign in. Empty lists admit no one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Every user for whom the upstream vouches.
    pub everybody: bool,
    /// Users with one of these email addresses.
    pub emails: Vec<String>,
    /// Users with an address at one of these domains.
    pub domains: Vec<String>,
    /// Members of one of these groups at the upstream.
    pub groups: Vec<String>,
}

/// How long things live, in whole seconds; access ≤ refresh ≤ grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Access tokens.
    pub access: Duration,
    /// Refresh tokens that are not used.
    pub refresh: Duration,
    /// How long a refresh token that was used gets the same answer again; zero for never.
    pub grace: Duration,
    /// Grants, however often they are used.
    pub grant: Duration,
    /// Authorization codes.
    pub code: Duration,
    /// The age of a signing key at which the next one is made.
    pub signing_key: Duration,
}

/// Self-registration (RFC 7591).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationPolicy {
    /// Whether clients may register themselves.
    pub enabled: bool,
    /// How long a registration lives that no user has signed in with.
    pub unused: Duration,
    /// How many of those are kept.
    pub most_unused: MostUnused,
    /// How long a registration lives after the end of its last grant.
    pub idle: Duration,
    /// Which private-use schemes a redirect URI may have.
    pub schemes: PrivateUseSchemes,
    /// Hosts to which errors may be redirected before the user has agreed to anything.
    pub trusted_hosts: Vec<String>,
}

/// Whose client metadata documents are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentPolicy {
    /// Whether documents are accepted at all.
    pub enabled: bool,
    /// The only hosts whose documents are accepted; `None` for every host.
    pub hosts: Option<Vec<HostPattern>>,
    /// Hosts whose documents are not accepted in any case.
    pub blocked_hosts: Vec<HostPattern>,
}

/// A host, or all hosts below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case.
    Exactly(String),
    /// The domain whose subdomains are meant, in lower case.
    Below(String),
}

/// How many unused registrations are kept. Beyond either limit the oldest is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MostUnused {
    /// In number.
    pub clients: usize,
    /// In bytes of their records.
    pub bytes: usize,
}

/// A rate limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// Requests per minute in the long run; at least 1.
    pub per_minute: u32,
    /// Requests at once; at least 1.
    pub burst: u32,
}

/// The rate limits per client address: one for each pair of endpoints that users visit, and for each endpoint for
/// programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of endpoints")]
pub struct Rates {
    pub authorize: Rate,
    pub callback: Rate,
    pub token: Rate,
    pub register: Rate,
    pub introspect: Rate,
    pub revoke: Rate,
    /// Failed client authentications, for each pair of client and address.
    pub failed_authentications: Rate,
}

impl HostPattern {
    /// Whether this host, in lower case, is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => host == name,
            Self::Below(domain) => {
                let subdomain = host.strip_suffix(domain.as_str()).and_then(|rest| rest.strip_suffix('.'));
                subdomain.is_some_and(|subdomain| !subdomain.is_empty())
            }
        }
    }
}

impl DocumentPolicy {
    /// Whether a client with this ID is accepted. Registered clients are.
    #[must_use]
    pub fn accepts(&self, id: &ClientId) -> bool {
        let Some(document) = id.document() else { return true };
        let is_listed = |hosts: &Vec<HostPattern>| hosts.iter().any(|it| it.matches(document.host()));
        self.enabled && self.hosts.as_ref().is_none_or(is_listed) && !self.blocks(document.host())
    }

    /// Whether nothing is taken from a host.
    #[must_use]
    pub fn blocks(&self, host: &str) -> bool {
        self.blocked_hosts.iter().any(|it| it.matches(host))
    }
}

impl AccessPolicy {
    /// Whether a person with this address and these groups may sign in, or go on.
    #[must_use]
    pub fn admits(&self, email: Option<&str>, groups: &[String]) -> bool {
        self.everybody
            || email.is_some_and(|email| self.admits_email(email))
            || groups.iter().any(|group| self.groups.contains(group))
    }

    /// An address with more than one `@` is not an address.
    fn admits_email(&self, email: &str) -> bool {
        let Some((local, domain)) = email.split_once('@') else { return false };
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return false;
        }
        self.emails.iter().any(|listed| listed.eq_ignore_ascii_case(email))
            || self.domains.iter().any(|listed| listed.eq_ignore_ascii_case(domain))
    }
}

impl fmt::Display for AccessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.everybody {
            return f.write_str("every user of the upstream");
        }
        let emails = match self.emails.len() {
            0 => None,
            1 => Some("one address".to_owned()),
            several => Some(format!("{several} addresses")),
        };
        let named =
            |what, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        let all = [emails, named("users at", &self.domains), named("members of", &self.groups)];
        f.write_str(&all.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cimd_14_the_operator_decides_whose_documents_are_accepted() {
        let exactly = |name: &str| HostPattern::Exactly(name.to_owned());
        let below = |name: &str| HostPattern::Below(name.to_owned());
        let any = DocumentPolicy { enabled: true, ..DocumentPolicy::default() };
        let policies = [
            DocumentPolicy::default(),
            any.clone(),
            DocumentPolicy { hosts: Some(vec![exactly("a.example"), below("b.example")]), ..any.clone() },
            DocumentPolicy { blocked_hosts: vec![exactly("a.example"), below("b.example")], ..any.clone() },
            DocumentPolicy {
                hosts: Some(vec![below("b.example")]),
                blocked_hosts: vec![exactly("x.b.example")],
                ..any
            },
        ];
        for (host, accepted) in [
            ("a.example", [false, true, true, false, false]),
            ("A.example", [false, true, true, false, false]),
            ("a.example:8443", [false, true, true, false, false]),
            ("x.a.example", [false, true, false, true, false]),
            ("b.example", [false, true, false, true, false]),
            ("x.b.example", [false, true, true, false, false]),
            ("y.x.b.example", [false, true, true, false, true]),
            ("xb.example", [false, true, false, true, false]),
            ("other.example", [false, true, false, true, false]),
        ] {
            let id = ClientId::of_document(&format!("https://{host}/client")).unwrap();
            assert_eq!(policies.each_ref().map(|policy| policy.accepts(&id)), accepted, "{host}");
        }
        let registered = ClientId::parse("mcp_a").unwrap();
        assert!(policies.iter().all(|policy| policy.accepts(&registered)));
    }

    #[test]
    fn up_8_only_those_who_are_listed_are_admitted() {
        let policy = AccessPolicy {
            everybody: false,
            emails: vec!["Ada@example.com".to_owned()],
            domains: vec!["corp.example".to_owned()],
            groups: vec!["staff".to_owned()],
        };
        for (email, groups, admitted) in [
            (Some("ada@example.com"), vec![], true),
            (Some("bob@CORP.example"), vec![], true),
            (Some("bob@example.com"), vec![], false),
            (Some("bob@evil.example@corp.example"), vec![], false),
            (Some("@corp.example"), vec![], false),
            (Some("bob@sub.corp.example"), vec![], false),
            (None, vec!["staff".to_owned()], true),
            (None, vec!["Staff".to_owned()], false),
            (None, vec![], false),
        ] {
            let groups: Vec<String> = groups;
            assert_eq!(policy.admits(email, &groups), admitted, "{email:?} {groups:?}");
            assert!(AccessPolicy { everybody: true, ..AccessPolicy::default() }.admits(email, &groups));
            assert!(!AccessPolicy::default().admits(email, &groups), "empty lists admit no one");
        }
    }
}
