//! The sender of a request: the peer, or the client that a trusted proxy names. Used only for rate limits and the
//! audit log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The address at the other end of the connection. The listener adds it to each request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The unit of rate limiting: a part of the network that one party controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// One IPv4 address, possibly mapped into IPv6.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
    /// All clients whose address a trusted proxy writes in an unreadable form.
    Unreadable,
}

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments().map(u64::from);
                Self::V6(a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its address; `None` if a trusted proxy wrote it in an unreadable form.
    pub address: Option<IpAddr>,
    /// The unit of its rate limits. `None` for programs on this machine that connect directly, because behind a local proxy
    /// that is not configured as trusted, all clients would share one limit.
    pub network: Option<Network>,
}

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// The sender of a request. If the peer is a trusted proxy, that is the last hop in `X-Forwarded-For` that is not a
    /// trusted proxy; otherwise it is the peer.
    #[must_use]
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            let network = Some(Network::of(peer)).filter(|_| !peer.is_loopback());
            return Caller { address: Some(peer), network };
        }
        let mut client = peer;
        // Values stay bytes: one invalid byte must not hide the other hops.
        let values = headers.get_all("x-forwarded-for").iter().rev();
        let hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
            let Some(address) = address_of_hop(hop) else {
                return Caller { address: None, network: Some(Network::Unreadable) };
            };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        Caller { address: Some(client), network: Some(Network::of(client)) }
    }

    /// Whether this address is one of the proxies.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let mapped = match address {
            IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
            IpAddr::V6(_) => address,
        };
        self.0.iter().any(|net| net.contains(&address) || net.contains(&mapped))
    }
}

/// Reads all forms that proxies write: `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1`, `[2001:db8::1]` and
/// `[2001:db8::1]:443`.
fn address_of_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches('"');
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn proxies() -> TrustedProxies {
        let nets = ["10.0.0.0/8", "127.0.0.1/32", "::1/128", "2001:db8:ffff::/48"];
        TrustedProxies(nets.map(|net| net.parse().unwrap()).to_vec())
    }

    fn caller(peer: &str, forwarded: &[&[u8]]) -> Caller {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
        }
        proxies().caller(peer.parse().unwrap(), &headers)
    }

    #[test]
    fn an_ipv6_network_has_64_bits() {
        let of = |address: &str| Network::of(address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:4:5:6:7"));
        for other in ["2002:db8:1:2::3", "2001:db9:1:2::3", "2001:db8:2:2::3", "2001:db8:1:3::3"] {
            assert_ne!(of("2001:db8:1:2::3"), of(other), "{other}");
        }
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn tls_3_only_a_trusted_proxy_is_believed() {
        for (peer, forwarded, client) in [
            ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "nonsense, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "198.51.100.1, ,", "198.51.100.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ] {
            let got = caller(peer, &[forwarded.as_bytes()]).address;
            assert_eq!(got, Some(client.parse::<IpAddr>().unwrap()), "{peer} {forwarded}");
        }
        let two_headers = caller("10.0.0.1", &[b"1.1.1.1", b"198.51.100.1, 10.0.0.2"]).address;
        assert_eq!(two_headers, Some("198.51.100.1".parse().unwrap()));
    }

    #[test]
    fn a_hop_may_have_a_port_and_brackets() {
        for (hop, client) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("  203.0.113.9:1  ", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
            ("203.0.113.9:4711, 10.0.0.2:80, [2001:db8:ffff::1]:80", "203.0.113.9"),
        ] {
            let got = caller("127.0.0.1", &[hop.as_bytes()]).address;
            assert_eq!(got, Some(client.parse::<IpAddr>().unwrap()), "{hop}");
        }
    }

    #[test]
    fn hops_that_cannot_be_read_share_one_limit() {
        let unreadable = Caller { address: None, network: Some(Network::Unreadable) };
        for hops in [
            &b"nonsense"[..],
            b"unknown",
            b"_hidden",
            b"198.51.100.1, nonsense",
            b"203.0.113.9:99999",
            b"203.0.113.9:",
            b"[203.0.113.9",
            b"[]",
            b"198.51.100.1, \xff\xfe",
            b"198.51.100.1 198.51.100.2",
        ] {
            assert_eq!(caller("127.0.0.1", &[hops]), unreadable, "{}", String::from_utf8_lossy(hops));
        }
    }

    #[test]
    fn a_trusted_proxy_on_loopback_never_means_no_limit() {
        for forwarded in [&b""[..], b"127.0.0.1", b"::1", b"127.0.0.9", b"203.0.113.9", b"x"] {
            assert_ne!(caller("127.0.0.1", &[forwarded]).network, None, "{forwarded:?}");
        }
        assert_ne!(caller("::1", &[]).network, None);
        assert_eq!(caller("127.0.0.9", &[b"203.0.113.9"]).network, None, "a peer that is no trusted proxy");
        assert_ne!(caller("203.0.113.9", &[]).network, None);
    }

    #[test]
    fn a_network_is_what_one_party_controls() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("203.0.113.1"), network("203.0.113.2"));
        assert_eq!(network("::ffff:203.0.113.1"), network("203.0.113.1"));
    }
}
