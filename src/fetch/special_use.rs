//! Addresses that are not public hosts: the special-purpose registries of IANA (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::reach::embedded;

const V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),       // this network
    v4([10, 0, 0, 0], 8),      // private use
    v4([100, 64, 0, 0], 10),   // carrier-grade NAT
    v4([127, 0, 0, 0], 8),     // loopback
    v4([169, 254, 0, 0], 16),  // link-local, where cloud platforms serve credentials
    v4([172, 16, 0, 0], 12),   // private use
    v4([192, 0, 0, 0], 24),    // protocol assignments
    v4([192, 0, 2, 0], 24),    // documentation
    v4([192, 88, 99, 0], 24),  // 6to4 relays
    v4([192, 168, 0, 0], 16),  // private use
    v4([198, 18, 0, 0], 15),   // benchmarks
    v4([198, 51, 100, 0], 24), // documentation
    v4([203, 0, 113, 0], 24),  // documentation
    v4([224, 0, 0, 0], 4),     // multicast
    v4([240, 0, 0, 0], 4),     // reserved, and broadcast
];

/// The only part of IPv6 from which public addresses are assigned (RFC 4291 section 2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0], 3);

/// Exceptions in it.
const V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),     // protocol assignments, Teredo among them
    v6([0x2001, 0xDB8], 32), // documentation
    v6([0x2002, 0], 16),     // 6to4
    v6([0x3FFF, 0], 20),     // documentation
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b]: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// Whether an address belongs to a public host, or to one of `exceptions`. An IPv4 address inside an IPv6 one is
/// judged as itself. An exception for 127.0.0.1 is one for `::1` too, because `localhost` is both.
pub(super) fn is_allowed(address: IpAddr, exceptions: &[IpNet]) -> bool {
    let address = match address {
        IpAddr::V6(Ipv6Addr::LOCALHOST) if excepts(exceptions, Ipv4Addr::LOCALHOST.into()) => return true,
        IpAddr::V6(address) => embedded(address).map_or(IpAddr::V6(address), IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    is_public(address) || excepts(exceptions, address)
}

fn excepts(exceptions: &[IpNet], address: IpAddr) -> bool {
    exceptions.iter().any(|network| network.contains(&address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address) && !V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cimd_4_only_public_addresses_and_exceptions_are_allowed() {
        let exceptions: Vec<IpNet> = ["10.1.0.0/16", "fd00:1::/32"].map(|net| net.parse().unwrap()).to_vec();
        for (address, public, excepted) in [
            ("1.1.1.1", true, true),
            ("100.63.255.255", true, true),
            ("172.15.0.1", true, true),
            ("172.32.0.1", true, true),
            ("223.255.255.255", true, true),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("10.1.2.3", false, true),
            ("10.2.2.3", false, false),
            ("100.64.0.1", false, false),
            ("100.127.255.255", false, false),
            ("127.0.0.1", false, false),
            ("127.255.255.254", false, false),
            ("169.254.169.254", false, false),
            ("172.16.0.1", false, false),
            ("172.31.255.255", false, false),
            ("192.0.0.170", false, false),
            ("192.0.2.1", false, false),
            ("192.88.99.1", false, false),
            ("192.168.1.1", false, false),
            ("198.19.255.255", false, false),
            ("198.51.100.1", false, false),
            ("203.0.113.1", false, false),
            ("224.0.0.1", false, false),
            ("240.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("2606:4700::1111", true, true),
            ("2001:200::1", true, true),
            ("::", false, false),
            ("::1", false, false),
            ("::127.0.0.1", false, false),
            ("::1.1.1.1", false, false),
            ("::ffff:1.1.1.1", true, true),
            ("::ffff:127.0.0.1", false, false),
            ("::ffff:10.1.2.3", false, true),
            ("64:ff9b::1.1.1.1", true, true),
            ("64:ff9b::10.2.2.3", false, false),
            ("64:ff9b::169.254.169.254", false, false),
            ("64:ff9b:1::1.1.1.1", false, false),
            ("100::1", false, false),
            ("2001::1", false, false),
            ("2001:20::1", false, false),
            ("2001:db8::1", false, false),
            ("2002:7f00:1::", false, false),
            ("3fff::1", false, false),
            ("5f00::1", false, false),
            ("fc00::1", false, false),
            ("fd00:1::1", false, true),
            ("fe80::1", false, false),
            ("fec0::1", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(is_allowed(parsed, &[]), public, "{address}");
            assert_eq!(is_allowed(parsed, &exceptions), excepted, "{address} with exceptions");
        }
        let loopback = ["127.0.0.0/8".parse().unwrap()];
        for (address, allowed) in [("127.0.0.2", true), ("::1", true), ("::2", false), ("10.0.0.1", false)] {
            assert_eq!(is_allowed(address.parse().unwrap(), &loopback), allowed, "{address}");
        }
    }
}
