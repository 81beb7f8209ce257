//! What a request tells about a browser without cookies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::secret::{encode, sha256};

/// The network and the user agent that a request comes from.
///
/// Cookies ignore ports, so any server with the same host name can set cookies for this one. It can set
/// neither of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The address, as trusted proxies forward it; absent behind a Unix socket.
    pub address: Option<IpAddr>,
    /// A hash of `User-Agent`.
    pub(super) user_agent: Option<String>,
}

impl Visitor {
    /// `user_agent` is the header, as it was sent.
    #[must_use]
    pub fn new(address: Option<IpAddr>, user_agent: Option<&[u8]>) -> Self {
        Self { address, user_agent: user_agent.map(|text| encode(&sha256(text)[..12])) }
    }

    /// Whether both could be the same browser in the same network.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        self.address.map(network) == other.address.map(network) && self.user_agent == other.user_agent
    }
}

/// The network that one party controls: an IPv4 address or a /64 of IPv6. All loopback addresses are one
/// network, because browsers use either family for `localhost`.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()
        }
        IpAddr::V4(address) if !address.is_loopback() => address.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_recognised_by_network_and_user_agent() {
        let visitor = |address: &str, user_agent: &str| {
            Visitor::new(address.parse().ok(), Some(user_agent).filter(|t| !t.is_empty()).map(str::as_bytes))
        };
        let approved = visitor("2001:db8::1", "Firefox");
        for (address, user_agent, same) in [
            ("2001:db8::1", "Firefox", true),
            ("2001:db8::ffff:2", "Firefox", true),
            ("2001:db8:0:1::1", "Firefox", false),
            ("203.0.113.1", "Firefox", false),
            ("", "Firefox", false),
            ("2001:db8::1", "Firefox 2", false),
            ("2001:db8::1", "", false),
        ] {
            assert_eq!(approved.resembles(&visitor(address, user_agent)), same, "{address} {user_agent}");
        }
        for (one, other, same) in [
            ("203.0.113.1", "::ffff:203.0.113.1", true),
            ("203.0.113.1", "203.0.113.2", false),
            ("127.0.0.1", "::1", true),
            ("", "", true),
        ] {
            assert_eq!(visitor(one, "").resembles(&visitor(other, "")), same, "{one} {other}");
        }
    }
}
