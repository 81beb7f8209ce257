//! The settings, read: where the server is, and whether to encrypt.

use std::{net::IpAddr, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::{PostgresSettings, problem::Problem};
use crate::repository::hosts;

/// How long a connection is silent before TCP checks it.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Address {
    pub(super) config: Config,
    is_local: bool,
}

impl Address {
    /// Reads the settings.
    ///
    /// A certificate that is not fully verified, host name included, protects from no one. Therefore `require`,
    /// `verify-ca` and `verify-full` mean the same. `prefer` uses TLS if a remote server offers it, and never on this
    /// machine.
    pub(super) fn of(settings: &PostgresSettings) -> Result<Self, Problem> {
        let (url, mode) = without_ssl_mode(settings.url.expose());
        // The parser's message may quote part of a password.
        let mut config: Config = url.parse().map_err(|_| Problem::Url)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Problem::Url);
        }
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        if config.get_application_name().is_none() {
            config.application_name("pangea-mcp-auth");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(settings.timeout);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(settings.timeout);
        }
        if !url.contains("keepalives") {
            config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 3).keepalives_retries(3);
        }
        let is_local = is_local(&config);
        config.ssl_mode(match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            None if settings.ca_file.is_some() => SslMode::Require,
            None | Some("prefer") if is_local => SslMode::Disable,
            None | Some("prefer") => SslMode::Prefer,
            Some(_) => return Err(Problem::SslMode),
        });
        // Of several servers, only the primary is useful.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, is_local })
    }

    /// Whether the network cannot read the connection.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_local || self.config.get_ssl_mode() == SslMode::Require
    }
}

/// The URL without `sslmode`, and its last value. The parser does not know all values.
fn without_ssl_mode(url: &str) -> (String, Option<String>) {
    // Like the parser: the part before the first @ is a name and a password.
    let server = url.find('@').unwrap_or_default();
    let Some(mark) = url[server..].find('?') else { return (url.to_owned(), None) };
    let (base, query) = (&url[..server + mark], &url[server + mark + 1..]);
    let is_mode = |option: &&str| option.starts_with("sslmode=");
    let (modes, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_mode);
    let mode = modes.last().and_then(|option| option.split_once('=')).map(|(_, mode)| mode.to_owned());
    let url = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    (url, mode)
}

/// Whether every server of the URL is on this machine.
fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => hosts::is_loopback(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn settings(url: &str) -> PostgresSettings {
        PostgresSettings {
            url: Secret::new("repository.url", url.to_owned()),
            password: None,
            ca_file: None,
            connections: 1,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn every_mode_of_tls_is_understood() {
        let cases = [
            ("", SslMode::Prefer, false),
            ("?sslmode=prefer", SslMode::Prefer, false),
            ("?sslmode=disable", SslMode::Disable, false),
            ("?sslmode=require", SslMode::Require, true),
            ("?connect_timeout=3&sslmode=verify-ca", SslMode::Require, true),
            ("?sslmode=verify-full&connect_timeout=3", SslMode::Require, true),
        ];
        for (query, mode, is_encrypted) in cases {
            let address =
                Address::of(&settings(&format!("postgres://u:p?w@db.example.org/d{query}"))).unwrap();
            assert_eq!(
                (address.config.get_ssl_mode(), address.is_encrypted()),
                (mode, is_encrypted),
                "{query}"
            );
        }
    }

    #[test]
    fn a_ca_file_asks_for_tls() {
        let mut settings = settings("postgres://u@db.example.org/d");
        settings.ca_file = Some("ca.pem".into());
        assert_eq!(Address::of(&settings).unwrap().config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn nothing_is_encrypted_on_this_machine_unless_asked() {
        for host in ["localhost", "127.0.0.1", "%2Frun%2Fpostgresql", "127.0.0.1,localhost"] {
            let address = Address::of(&settings(&format!("postgres://u@{host}/d"))).unwrap();
            assert_eq!(address.config.get_ssl_mode(), SslMode::Disable, "{host}");
            assert!(address.is_encrypted(), "{host}");
        }
        let asked = Address::of(&settings("postgres://u@localhost/d?sslmode=verify-full")).unwrap();
        assert_eq!(asked.config.get_ssl_mode(), SslMode::Require);
        for host in ["db.example.org", "localhost,db.example.org", "db.example.org/d?hostaddr=10.0.0.1&x="] {
            let found = Address::of(&settings(&format!("postgres://u@{host}")));
            assert!(found.is_err() || found.unwrap().config.get_ssl_mode() == SslMode::Prefer, "{host}");
        }
    }

    #[test]
    fn a_malformed_url_is_not_quoted() {
        let urls = [
            "postgres://u:canary@[/d",
            "postgres://u:can?ary@host/d?sslmode=canary",
            "postgres://u:canary@host:port/d",
            "postgres://u:canary@host/d?canary=1",
            "postgres://u:canary@host/d?sslmode=canary",
            "postgres://u:canary@host/d?sslrootcert=canary",
            "postgres:///d?password=canary",
        ];
        for url in urls {
            let problem = Address::of(&settings(url)).expect_err(url);
            let shown = format!("{problem} {problem:?}");
            assert!(!shown.contains("can") || !shown.contains("ary"), "{shown}");
            assert!(matches!(problem, Problem::Url | Problem::SslMode), "{url}: {problem}");
        }
    }

    #[test]
    fn what_the_url_says_stays_and_what_it_leaves_open_is_set() {
        let said = Address::of(&settings(
            "postgres://u@a,b:5433/d?application_name=x&keepalives_idle=7&connect_timeout=1&target_session_attrs=any",
        ));
        let said = said.unwrap().config;
        assert_eq!(said.get_application_name(), Some("x"));
        assert_eq!(said.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(said.get_connect_timeout(), Some(&Duration::from_secs(1)));
        assert_eq!(said.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        let open = Address::of(&settings("postgres://u@a/d")).unwrap().config;
        assert_eq!(open.get_application_name(), Some("pangea-mcp-auth"));
        assert_eq!(open.get_keepalives_idle(), KEEPALIVE);
        assert_eq!(open.get_connect_timeout(), Some(&Duration::from_secs(5)));
        assert_eq!(open.get_tcp_user_timeout(), Some(&Duration::from_secs(5)));
    }

    #[test]
    fn the_password_beside_the_url_counts() {
        let mut settings = settings("postgres://u:old@a/d");
        settings.password = Some(Secret::new("repository.password", "new".to_owned()));
        assert_eq!(Address::of(&settings).unwrap().config.get_password(), Some(&b"new"[..]));
    }
}
