//! Which addresses a request may reach, depending on who chose the host.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Who chose a host, which decides the addresses that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The operator: any address is allowed.
    Configured,
    /// A fetched document: this machine and its link are forbidden, because cloud platforms serve credentials there.
    /// Private networks are allowed, because identity providers may be there.
    Discovered,
}

#[derive(Debug, Clone)]
pub struct Target {
    pub url: Url,
    pub reach: Reach,
}

impl Target {
    /// A URL on a host that the operator configured.
    #[must_use]
    pub const fn configured(url: Url) -> Self {
        Self { url, reach: Reach::Configured }
    }

    /// Whether the URL does not contain a forbidden address. Names are checked when they are resolved.
    pub(super) fn is_allowed(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => self.reach.allows(address.into()),
            Some(Host::Ipv6(address)) => self.reach.allows(address.into()),
            Some(Host::Domain(_)) | None => true,
        }
    }
}

impl From<&Url> for Target {
    fn from(url: &Url) -> Self {
        Self::configured(url.clone())
    }
}

impl From<&Self> for Target {
    fn from(target: &Self) -> Self {
        target.clone()
    }
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        self == Self::Configured || !is_here(address)
    }

    /// The addresses of a name, if all are allowed. `localhost` is allowed as the name of a proxy; documents cannot name
    /// it.
    fn judged(self, name: &str, found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
        if name == "localhost" || found.iter().all(|found| self.allows(found.ip())) {
            return Ok(found);
        }
        Err(io::Error::other("the name leads to this machine or its link"))
    }
}

/// Whether an address belongs to this machine, to its link, or to a multicast group.
fn is_here(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_here_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_here_v4(address),
            None => {
                address.is_unspecified()
                    || address.is_loopback()
                    || address.is_multicast()
                    || address.is_unicast_link_local()
            }
        },
    }
}

fn is_here_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
}

/// The IPv4 address inside an IPv6 one: mapped (RFC 4291 section 2.5.5.2) or translated (RFC 6052).
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [head @ .., high, low] = address.segments();
    let is_translated = head == [0x64, 0xff9b, 0, 0, 0, 0];
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    address.to_ipv4_mapped().or_else(|| is_translated.then(|| Ipv4Addr::new(a, b, c, d)))
}

/// Resolves names with the system's resolver, and refuses names with a forbidden address. The connection uses the
/// checked addresses.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(reach.judged(name.as_str(), found)?.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovered_host_is_neither_this_machine_nor_its_link() {
        for (address, allowed) in [
            ("192.0.2.1", true),
            ("10.1.2.3", true),
            ("2001:db8::1", true),
            ("fd00::1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("127.8.9.10", false),
            ("169.254.169.254", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:192.0.2.1", true),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b::192.0.2.1", true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(Reach::Discovered.allows(address), allowed, "{address}");
            assert!(Reach::Configured.allows(address), "{address}");
            let url = Url::parse(&format!("https://{}/", SocketAddr::new(address, 443))).unwrap();
            assert!(Target::configured(url.clone()).is_allowed(), "{url}");
            assert_eq!(Target { url, reach: Reach::Discovered }.is_allowed(), allowed, "{address}");
        }
    }

    #[test]
    fn a_name_is_refused_when_one_of_its_addresses_is() {
        let found = |addresses: &[&str]| {
            addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect::<Vec<_>>()
        };
        for (name, addresses, allowed) in [
            ("idp.example.com", ["192.0.2.1", "10.0.0.1"], true),
            ("idp.example.com", ["192.0.2.1", "127.0.0.1"], false),
            ("idp.example.com", ["169.254.169.254", "192.0.2.1"], false),
            ("localhost", ["127.0.0.1", "::1"], true),
        ] {
            assert_eq!(Reach::Discovered.judged(name, found(&addresses)).is_ok(), allowed, "{addresses:?}");
            assert!(Reach::Configured.judged(name, found(&addresses)).is_ok(), "{addresses:?}");
        }
    }
}
