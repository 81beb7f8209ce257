//! Right configurations, and arbitrary ones.

use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{super::keys::KEYS as EVERY_KEY, *};
use crate::{
    oauth::{
        policy::{DocumentPolicy, HostPattern},
        redirect::PrivateUseSchemes,
        token::{PersonClaim, SigningAlgorithm},
    },
    repository::Kind,
    secret::KeyRing,
};

#[test]
fn the_minimal_configuration_has_the_documented_defaults() {
    let config = parsed(MINIMAL).unwrap();
    assert_eq!(config.issuer, config.public_url);
    assert_eq!(config.redirect_uri(), "https://mcp.example.org/pangea/callback");
    assert_eq!(config.listen, ["127.0.0.1:8000".parse().unwrap()]);
    assert!(config.admin_listen.is_none() && config.trusted_proxies.is_empty());
    assert!(config.authn.pkce && config.authn.scopes.is_empty() && config.authn.service.is_none());
    assert_eq!(config.authn.client_secret.expose(), "canary-client-secret-of-some-length");
    assert_eq!(config.authn.timeout, Duration::from_secs(10));
    assert_eq!(config.access, AccessPolicy { everybody: true, ..AccessPolicy::default() });
    assert_eq!(*config.keys.sealing.to_text(), *KeyRing::parse(KEY).unwrap().to_text());
    assert_eq!(config.keys.algorithm, SigningAlgorithm::Es256);
    assert_eq!(config.registration.schemes, PrivateUseSchemes::Any);
    assert_eq!(config.registration.trusted_hosts.len(), 8);
    let documents = DocumentPolicy { enabled: true, hosts: None, blocked_hosts: Vec::new() };
    assert_eq!(config.client_documents.policy, documents);
    assert!(config.client_documents.private_networks.is_empty() && config.client_documents.ca_file.is_none());
    let days = |days: u64| Duration::from_hours(days * 24);
    assert_eq!(
        config.lifetimes,
        Lifetimes {
            access: Duration::from_mins(10),
            refresh: days(30),
            grace: Duration::from_mins(2),
            grant: days(180),
            code: Duration::from_mins(5),
            signing_key: days(90),
        }
    );
    assert_eq!(config.claims, []);
    assert_eq!(config.branding, Branding::default());
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Text, "info"));
    assert!(config.any_loopback_resource.is_none());
    assert_eq!(config.default_resource().unwrap().url.as_str(), "https://mcp.example.org/mcp");
}

#[test]
fn whose_documents_are_accepted_arrives() {
    let section = r#"[client_documents]
policy = "listed"
hosts = ["Claude.ai", "*.Example.org"]
blocked_hosts = ["evil.example.org", "[2001:DB8::0:1]"]
private_networks = ["10.0.0.0/8", "192.0.2.7"]
"#;
    let documents = parsed(&format!("{MINIMAL}{section}")).unwrap().client_documents;
    let exactly = |host: &str| HostPattern::Exactly(host.to_owned());
    let hosts = vec![exactly("claude.ai"), HostPattern::Below("example.org".to_owned())];
    let blocked_hosts = vec![exactly("evil.example.org"), exactly("[2001:db8::1]")];
    assert_eq!(documents.policy, DocumentPolicy { enabled: true, hosts: Some(hosts), blocked_hosts });
    let networks = ["10.0.0.0/8", "192.0.2.7/32"].map(|network| network.parse().unwrap());
    assert_eq!(documents.private_networks, networks);
    let useless = parsed(&format!("{MINIMAL}[client_documents]\nhosts = [\"claude.ai\"]")).unwrap();
    assert!(useless.warnings.iter().any(|warning| warning.key == "client_documents.hosts"));
}

#[test]
fn every_key_arrives() {
    let text = r#"
public_url = "https://mcp.example.org/a"
issuer = "https://issuer.example.org"
listen = ["127.0.0.1:1", "[::1]:1", "localhost:2"]
admin_listen = "127.0.0.1:3"
trusted_proxies = ["10.0.0.0/8", "::1"]
[authn]
issuer_url = "http://localhost:8001/"
client_id = "psa_x"
client_secret = { env = "CLIENT_SECRET" }
scopes = ["user", "a:b/c"]
service_token = { env = "CLIENT_SECRET" }
api_url = "https://authn.aws.us.pangea.cloud"
authorization_endpoint = "https://u.example/a"
token_endpoint = "https://u.example/t"
introspection_endpoint = "https://u.example/i"
jwks_uri = "https://u.example/j"
pkce = false
timeout = "3s"
[access]
emails = ["Ann@Example.org"]
domains = ["Example.org"]
groups = ["Staff"]
[[resources]]
url = "https://mcp.example.org/mcp"
name = "Notes"
scopes = ["user", { name = "admin", description = "Change everything" }]
upstream = "http://mcp:9000/mcp"
introspection = { client_id = "rs-1", client_secret = { env = "CLIENT_SECRET" } }
[[resources]]
url = "http://127.0.0.1:9000/mcp"
default = true
[keys]
sealing = { env = "SEALING" }
algorithm = "RS256"
[repository]
kind = "sqlite"
path = "db/x.sqlite"
clients = { kind = "sqlite" }
[registration]
enabled = false
unused_lifetime = "1h 30m"
idle_lifetime = "0s"
private_use_schemes = ["Cursor", "vscode://"]
trusted_redirect_hosts = []
[tokens]
access_lifetime = "1s"
refresh_lifetime = "1h"
refresh_grace = "0s"
grant_lifetime = "2 weeks"
code_lifetime = "10m"
claims = ["groups", "email", "username"]
[limits]
token = { per_minute = 5, burst = 6 }
[branding]
name = "Müller & Söhne"
support_url = "https://help.example.org"
privacy_url = "https://example.org/privacy"
[log]
format = "json"
level = "info,pangea_mcp_auth=debug"
"#;
    let config = parse(text, Path::new("/etc/mcp/config.toml"), &environment()).unwrap();
    assert_eq!(sqlite_path(&config), Path::new("/etc/mcp/db/x.sqlite"));
    assert_eq!(config.claims, [PersonClaim::Groups, PersonClaim::Email, PersonClaim::Username]);
    assert_eq!(config.issuer.as_str(), "https://issuer.example.org");
    assert_eq!(config.redirect_uri(), "https://mcp.example.org/a/pangea/callback");
    assert_eq!(config.listen.len(), 3);
    assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    assert_eq!(config.authn.issuer_url, "http://localhost:8001/");
    assert_eq!(config.authn.scopes, ["user", "a:b/c"]);
    assert_eq!(config.authn.service.as_ref().unwrap().api_url.as_str(), "https://authn.aws.us.pangea.cloud/");
    assert_eq!(config.authn.jwks_uri.as_ref().unwrap().as_str(), "https://u.example/j");
    assert!(!config.authn.pkce && config.authn.timeout == Duration::from_secs(3));
    assert_eq!(config.access.emails, ["ann@example.org"]);
    assert_eq!(
        (config.access.domains, config.access.groups),
        (vec!["example.org".into()], vec!["Staff".into()])
    );
    let [notes, local] = config.resources.as_slice() else { panic!("{:?}", config.resources) };
    assert_eq!(notes.name.as_deref(), Some("Notes"));
    assert_eq!(notes.offer().known().to_string(), "user admin");
    assert_eq!(notes.scopes[1].description.as_deref(), Some("Change everything"));
    assert_eq!(notes.introspection.as_ref().unwrap().client_id, "rs-1");
    assert!(notes.upstream.is_some() && local.default && local.introspection.is_none());
    assert_eq!(config.keys.algorithm, SigningAlgorithm::Rs256);
    let schemes = PrivateUseSchemes::Listed(vec!["cursor".into(), "vscode".into()]);
    assert_eq!(config.registration.schemes, schemes);
    assert_eq!(config.registration.unused, Duration::from_mins(90));
    assert!(!config.registration.enabled && config.registration.trusted_hosts.is_empty());
    assert_eq!(config.lifetimes.grant, Duration::from_hours(14 * 24));
    assert_eq!(config.limits.token, Rate { per_minute: 5, burst: 6 });
    assert_eq!(config.branding.name.as_deref(), Some("Müller & Söhne"));
    assert_eq!(config.branding.support_url.unwrap().as_str(), "https://help.example.org/");
    assert_eq!(config.branding.privacy_url.unwrap().as_str(), "https://example.org/privacy");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn secrets_are_never_shown() {
    let introspection =
        "[resources.introspection]\nclient_id = \"rs\"\nclient_secret = { env = \"CLIENT_SECRET\" }";
    let config = parsed(&with(&format!("{introspection}\n[keys]"), "[keys]")).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("canary") && !shown.contains(&KEY[..20]), "{shown}");
    assert!(shown.contains("<authn.client_secret>"), "{shown}");
}

/// Text in which keys and values of the configuration appear where they should not.
fn scrambled() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = EVERY_KEY.iter().flat_map(|key| key.path.split('.')).collect();
    let name = prop::sample::select(names);
    let value = prop::sample::select(vec![
        "1",
        "-9223372036854775809",
        "0xff",
        "1.5",
        "true",
        "\"x\"",
        "\"10m\"",
        "[]",
        "[[1], {}]",
        "{}",
        "{ env = \"SEALING\" }",
        "{ file = \"/nonexistent\" }",
        "1979-05-27",
        "\"https://h\"",
        "\"\\u0000é\"",
    ]);
    let line = (name, value, 0..4_u8).prop_map(|(name, value, shape)| match shape {
        0 => format!("[{name}]"),
        1 => format!("[[{name}]]"),
        _ => format!("{name} = {value}"),
    });
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn arbitrary_text_is_answered_with_problems(text in "(?s).{0,200}") {
        prop_assert!(!parsed(&text).unwrap_err().to_string().is_empty());
    }

    #[test]
    fn arbitrary_configurations_are_answered_with_problems(text in scrambled()) {
        prop_assert!(!parsed(&text).unwrap_err().to_string().is_empty());
    }

    #[test]
    fn one_changed_byte_gives_a_configuration_or_problems(at: prop::sample::Index, byte in 32_u8..127) {
        let mut text = MINIMAL.as_bytes().to_vec();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Err(problems) = parsed(&text) {
            prop_assert!(problems.iter().count() > 0);
            prop_assert!(!problems.to_string().contains("canary"));
        }
    }

    #[test]
    fn arbitrary_values_in_the_environment_do_no_harm(
        key in prop::sample::select(EVERY_KEY),
        value in ".{0,40}",
    ) {
        let environment = environment().with([(key.variable().as_str(), value.as_str())]);
        let _ = parse(MINIMAL, Path::new("config.toml"), &environment);
    }
}

#[test]
fn each_kind_of_repository_is_read_and_one_kind_of_record_may_live_elsewhere() {
    let text = with(
        r#"kind = "postgres"
url = "postgres://app@db/mcp"
password = { env = "CLIENT_SECRET" }
connections = 4
timeout = "2s"
clients = { kind = "vault", token = { env = "SEALING" }, folder = "mcp/clients/", cache = "5s" }
keys = { url = { env = "SECOND" } }
grants = { kind = "redis", url = "rediss://r", password = { env = "SEALING" } }"#,
        "path = \"/tmp/never-opened.sqlite\"",
    );
    let environment = environment().with([("SECOND", "postgres://keys@db/mcp")]);
    let repository = parse(&text, Path::new("config.toml"), &environment).unwrap().repository;
    let RepositoryConfig::Postgres(main) = &repository.main else { panic!("{repository:?}") };
    assert_eq!((main.url.expose(), main.connections), ("postgres://app@db/mcp", 4));
    assert_eq!(main.password.as_ref().unwrap().expose(), "canary-client-secret-of-some-length");
    assert_eq!(main.timeout, Duration::from_secs(2));
    let Some(RepositoryConfig::Vault(clients)) = repository.elsewhere.get(&Kind::Client) else {
        panic!("{repository:?}")
    };
    assert_eq!((clients.folder.as_str(), clients.cache), ("/mcp/clients", Duration::from_secs(5)));
    assert_eq!(clients.api_url.as_str(), "https://vault.aws.us.pangea.cloud/");
    let Some(RepositoryConfig::Postgres(keys)) = repository.elsewhere.get(&Kind::Key) else {
        panic!("{repository:?}")
    };
    assert_eq!((keys.url.expose(), keys.connections), ("postgres://keys@db/mcp", 4));
    let Some(RepositoryConfig::Redis(grants)) = repository.elsewhere.get(&Kind::Grant) else {
        panic!("{repository:?}")
    };
    assert_eq!((grants.url.expose(), grants.timeout), ("rediss://r", Duration::from_secs(2)));
    assert!(!repository.elsewhere.contains_key(&Kind::Replay) && repository.all().count() == 4);
}

#[test]
fn where_records_live_can_be_read_from_a_configuration_that_is_wrong_elsewhere() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    let broken = with("client_secret = { env = \"GONE\" }", "client_secret = { env = \"CLIENT_SECRET\" }");
    fs::write(&file, broken.replace("[keys]", "[keyz]")).unwrap();
    let environment = environment();
    let source = Source { file: Some(file.clone()), ..source(&environment) };
    assert!(load(&source).is_err());
    let found = load_repositories(&source).unwrap().main;
    assert!(matches!(found, RepositoryConfig::Sqlite { .. }), "{found:?}");
    fs::write(&file, "[repository]\nkind = \"redis\"").unwrap();
    let problems = load_repositories(&source).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "{problems}");
}
