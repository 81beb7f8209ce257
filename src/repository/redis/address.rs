//! The settings, read: where the servers are, and which user connects.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;

use super::{RedisSettings, problem::Problem};
use crate::{
    repository::{authorities::Authorities, hosts},
    secret::Secret,
};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

#[derive(Debug)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
    pub(super) tls: Tls,
}

/// Where the records are.
#[derive(Debug)]
pub(super) enum Place {
    Single(Server),
    /// On the server that these Sentinels name.
    Sentinel {
        sentinels: Vec<Server>,
        service: String,
    },
    /// In a Cluster with these servers.
    Cluster(Vec<Server>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Whether to encrypt, and which authorities to trust.
#[derive(Debug)]
pub(super) enum Tls {
    Off,
    /// The authorities of this machine.
    Machine,
    /// These authorities, in PEM.
    Only(Vec<u8>),
}

impl Address {
    /// Reads the settings. Errors never quote the URL, because it may contain a password.
    pub(super) fn of(settings: &RedisSettings) -> Result<Self, Problem> {
        let (scheme, rest) =
            settings.url.expose().split_once("://").ok_or(Problem::Url("it has no scheme"))?;
        let is_encrypted = scheme.starts_with("rediss");
        let url = Parts::of(rest)?;
        let place = match scheme {
            "redis" | "rediss" => Place::Single(only(url.servers(PORT)?)?),
            "redis+unix" => Place::Single(Server::Unix(url.socket()?)),
            "redis+sentinel" | "rediss+sentinel" => {
                Place::Sentinel { sentinels: url.servers(SENTINEL_PORT)?, service: url.service()? }
            }
            "redis+cluster" | "rediss+cluster" => Place::Cluster(url.servers(PORT)?),
            _ => return Err(Problem::Url("its scheme is not known")),
        };
        let database = url.database(&place)?;
        let tls = match &settings.ca_file {
            Some(_) if !is_encrypted => return Err(Problem::CaFileWithoutTls),
            Some(path) => Tls::Only(Authorities::read(path)?.pem),
            None if is_encrypted => Tls::Machine,
            None => Tls::Off,
        };
        let password = settings.password.clone().or(url.password);
        Ok(Self { place, user: url.user, password, database, tls })
    }

    /// Whether the network cannot read the connection.
    pub(super) fn is_encrypted(&self) -> bool {
        let servers = match &self.place {
            Place::Single(server) => std::slice::from_ref(server),
            Place::Sentinel { sentinels: servers, .. } | Place::Cluster(servers) => servers,
        };
        !matches!(self.tls, Tls::Off) || servers.iter().all(Server::is_local)
    }
}

impl Server {
    /// Reads `host`, `host:port` or `[host]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, Problem> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(Problem::Url("a bracket of it is never closed"))?,
            None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => digits.parse().map_err(|_| Problem::Url("a port in it is no number"))?,
            None if port.is_empty() => default_port,
            None => return Err(Problem::Url("something stands behind a bracket")),
        };
        if host.is_empty() {
            return Err(Problem::Url("it names no host"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// The server that this one names in a redirection; without a host, the same host.
    pub(super) fn beside(&self, node: &str) -> Self {
        let (host, port) = node.rsplit_once(':').unwrap_or((node, ""));
        let host = match self {
            Self::Tcp { host: own, .. } if matches!(host, "" | "?") => own.clone(),
            _ => host.trim_matches(['[', ']']).to_owned(),
        };
        Self::Tcp { host, port: port.parse().unwrap_or(PORT) }
    }

    fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => hosts::is_loopback(host),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The URL after its scheme: `user:password@hosts/path?db=number`.
struct Parts<'a> {
    user: Option<String>,
    password: Option<Secret>,
    hosts: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Problem> {
        if text.contains('#') {
            return Err(Problem::Url("it has a fragment"));
        }
        let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
        let (who, place) = text.rsplit_once('@').unwrap_or(("", text));
        let (user, password) = who.split_once(':').map_or((who, None), |(user, word)| (user, Some(word)));
        let some = |text: &str| decoded(text).map(|text| Some(text).filter(|text| !text.is_empty()));
        let slash = place.find('/').unwrap_or(place.len());
        Ok(Self {
            user: some(user)?,
            password: password.map_or(Ok(None), some)?.map(|word| Secret::new("repository.url", word)),
            hosts: &place[..slash],
            path: place[slash..].trim_start_matches('/'),
            query,
        })
    }

    fn servers(&self, default_port: u16) -> Result<Vec<Server>, Problem> {
        self.hosts.split(',').map(|host| Server::parse(host, default_port)).collect()
    }

    fn socket(&self) -> Result<PathBuf, Problem> {
        if !self.hosts.is_empty() || self.path.is_empty() {
            return Err(Problem::Url("it names no absolute path of a socket"));
        }
        decoded(self.path).map(|path| PathBuf::from("/").join(path))
    }

    fn service(&self) -> Result<String, Problem> {
        let service = decoded(self.path.split('/').next().unwrap_or_default())?;
        if service.is_empty() {
            Err(Problem::Url("it names no service of the Sentinels"))
        } else {
            Ok(service)
        }
    }

    /// The number in the path or after `?db=`; 0 without one.
    fn database(&self, place: &Place) -> Result<i64, Problem> {
        let in_path = match place {
            Place::Single(Server::Unix(_)) => "",
            Place::Sentinel { .. } => self.path.split_once('/').map_or("", |(_, database)| database),
            Place::Single(_) | Place::Cluster(_) => self.path,
        };
        let in_query = self
            .query
            .map(|query| query.strip_prefix("db=").ok_or(Problem::Url("of options it may have `db=` alone")));
        let text = in_query.transpose()?.unwrap_or(in_path);
        let database: u32 = match text {
            "" => 0,
            digits => digits.parse().map_err(|_| Problem::Url("its database is no number"))?,
        };
        if database > 0 && matches!(place, Place::Cluster(_)) {
            return Err(Problem::Url("a Cluster has database 0 alone"));
        }
        Ok(database.into())
    }
}

fn only(servers: Vec<Server>) -> Result<Server, Problem> {
    <[Server; 1]>::try_from(servers)
        .map(|[server]| server)
        .map_err(|_| Problem::Url("of several servers it must say whether they are Sentinels or a Cluster"))
}

fn decoded(text: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| Problem::Url("a percent-encoded part of it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(url: &str) -> RedisSettings {
        RedisSettings {
            url: Secret::new("repository.url", url.to_owned()),
            password: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
        }
    }

    fn place(url: &str) -> String {
        let Address { place, user, password, database, tls } = Address::of(&settings(url)).expect(url);
        let tls = if matches!(tls, Tls::Off) { "plain" } else { "tls" };
        let list = |servers: &[Server]| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let place = match place {
            Place::Single(server) => server.to_string(),
            Place::Sentinel { sentinels, service } => format!("{service} of {}", list(&sentinels)),
            Place::Cluster(servers) => format!("cluster {}", list(&servers)),
        };
        let (user, password) = (user.unwrap_or_default(), password.map(|word| word.expose().to_owned()));
        format!("{tls} {user}:{} {place} {database}", password.unwrap_or_default())
    }

    #[test]
    fn every_form_of_url_is_understood() {
        let cases = [
            ("redis://localhost", "plain : localhost:6379 0"),
            ("redis://:p%40ss@[::1]:7000/3", "plain :p@ss [::1]:7000 3"),
            ("rediss://ada:p@ss@db.example.org/?db=2", "tls ada:p@ss db.example.org:6379 2"),
            ("redis+unix:///run/redis.sock?db=1", "plain : /run/redis.sock 1"),
            ("redis+unix://ada:w@/run/redis.sock", "plain ada:w /run/redis.sock 0"),
            ("redis+sentinel://a,b:7/main", "plain : main of a:26379 b:7 0"),
            ("rediss+sentinel://u:w@a/main/4", "tls u:w main of a:26379 4"),
            ("redis+cluster://a,b:7,[::1]", "plain : cluster a:6379 b:7 [::1]:6379 0"),
            ("rediss+cluster://u:w@a/0", "tls u:w cluster a:6379 0"),
        ];
        for (url, expected) in cases {
            assert_eq!(place(url), expected, "{url}");
        }
    }

    #[test]
    fn a_malformed_url_is_not_quoted() {
        let urls = [
            "canary",
            "http://canary",
            "redis://:canary@",
            "redis://:canary@host:port",
            "redis://:canary@host/first",
            "redis://:canary@host?timeout=canary",
            "redis://:canary@[::1",
            "redis://:canary@[::1]canary",
            "redis://:canary@a,b",
            "redis://%ff:canary@a",
            "rediss://:canary@a/#insecure",
            "redis+unix://canary",
            "redis+sentinel://:canary@a",
            "redis+sentinel://:canary@a/main/first",
            "redis+cluster://:canary@a/1",
        ];
        for url in urls {
            let problem = Address::of(&settings(url)).expect_err(url);
            assert!(matches!(problem, Problem::Url(_)), "{url}: {problem}");
            assert!(!format!("{problem} {problem:?}").contains("canary"), "{problem}");
        }
    }

    #[test]
    fn a_password_apart_counts_more_than_one_in_the_url() {
        let mut settings = settings("redis://u:canary@a");
        settings.password = Some(Secret::new("repository.password", "word".to_owned()));
        let password = Address::of(&settings).expect("an address").password;
        assert_eq!(password.map(|word| word.expose().to_owned()).as_deref(), Some("word"));
    }

    #[test]
    fn what_leaves_this_machine_in_clear_is_known() {
        for (url, is_encrypted) in [
            ("redis://127.0.0.1", true),
            ("redis://localhost", true),
            ("redis+unix:///run/redis.sock", true),
            ("redis+cluster://[::1],localhost", true),
            ("redis+cluster://localhost,b", false),
            ("redis+sentinel://b/main", false),
            ("redis://b", false),
            ("rediss://b", true),
        ] {
            assert_eq!(Address::of(&settings(url)).expect(url).is_encrypted(), is_encrypted, "{url}");
        }
    }

    #[test]
    fn a_file_of_authorities_must_hold_one_and_needs_tls() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ca.pem");
        let of = |url: &str| Address::of(&RedisSettings { ca_file: Some(path.clone()), ..settings(url) });
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(text) = text {
                std::fs::write(&path, text).expect("writes");
            }
            assert!(matches!(of("rediss://a"), Err(Problem::CaFile(_))), "{text:?}");
            assert!(matches!(of("redis://a"), Err(Problem::CaFileWithoutTls)), "{text:?}");
        }
    }
}
