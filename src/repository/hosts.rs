//! The hosts in the URLs of database servers.

use std::net::IpAddr;

/// Whether the host is `localhost` or a loopback address.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
