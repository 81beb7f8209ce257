//! What `--dev` takes, fills in and refuses.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::{
    oauth::token::PersonClaim,
    secret::{Secret, SystemRandom},
};

fn dev(folder: &Path) -> DevDefaults<'static> {
    let secret = |value: &str| Secret::new("stand-in", value.to_owned());
    DevDefaults {
        state_dir: folder.join("state"),
        stand_in: StandIn {
            issuer_url: "http://localhost:8001".to_owned(),
            client_id: "psa_dev".to_owned(),
            client_secret: secret("pck_dev"),
            scopes: vec!["user".to_owned()],
        },
        any_loopback_resource: LoopbackResources {
            scopes: vec![ScopeConfig { name: "user".to_owned(), description: None, default: false }],
            introspection: Introspection { client_id: "dev".to_owned(), client_secret: secret("dev") },
        },
        random: Some(&SystemRandom),
    }
}

#[test]
fn dev_needs_nothing_and_leaves_the_usual_file_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.toml"), "broken").unwrap();
    let mut environment = FakeEnvironment::default();
    let here = folder.path().to_owned();
    environment.directories = Some(Directories { config: here.clone(), state: here });
    let load = || load(&Source { dev: Some(dev(folder.path())), ..source(&environment) }).unwrap();
    let config = load();
    assert_eq!(config.public_url.as_str(), "http://localhost:8000");
    assert_eq!(config.authn.client_secret.expose(), "pck_dev");
    assert_eq!(config.authn.scopes, ["user"]);
    assert_eq!(config.claims, [PersonClaim::Email]);
    assert_eq!(config.client_documents.private_networks.len(), 2, "loopback");
    assert!(config.resources.is_empty() && config.default_resource().is_none());
    assert_eq!(config.any_loopback_resource.as_ref().unwrap().offer().default_scope().to_string(), "user");
    let path = folder.path().join("state/dev.sqlite");
    assert_eq!(sqlite_path(&config), path);
    assert_eq!(*config.keys.sealing.to_text(), *load().keys.sealing.to_text());
}

#[test]
fn dev_takes_what_is_given() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dev.toml");
    fs::write(&file, "[repository]\nkind = \"memory\"\n[tokens]\naccess_lifetime = \"5s\"").unwrap();
    let environment = FakeEnvironment::of([("PANGEA_MCP_AUTH_KEYS__SEALING", KEY)]);
    let overrides = Overrides { listen: Some("[::1]:9000".to_owned()), ..Overrides::default() };
    let dev = Some(dev(folder.path()));
    let config = load(&Source { file: Some(file), overrides, dev, ..source(&environment) }).unwrap();
    assert_eq!(config.public_url.as_str(), "http://localhost:9000");
    assert!(matches!(config.repository.main, RepositoryConfig::Memory));
    assert_eq!(config.lifetimes.access, Duration::from_secs(5));
    assert!(!folder.path().join("state").exists());
}

#[test]
fn dev_explains_what_it_cannot_do() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("state"), "in the way").unwrap();
    let environment = FakeEnvironment::of([("PANGEA_AUTHN_CLIENT_ID", "psa_x")]);
    let listen = |listen: &str| Overrides { listen: Some(listen.to_owned()), ..Overrides::default() };
    for (overrides, expected) in [
        (
            listen("0.0.0.0:8000"),
            "--listen: listen: 0.0.0.0:8000 is not a loopback address, and with --dev anyone can sign in.",
        ),
        (listen("127.0.0.1:0"), "configuration: public_url: is missing. Add"),
        (Overrides::default(), "configuration: authn.issuer_url: is missing. Add"),
        (Overrides::default(), "configuration: keys.sealing: cannot create the sealing key "),
    ] {
        let dev = Some(dev(folder.path()));
        let problems = load(&Source { overrides, dev, ..source(&environment) }).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
        assert_eq!(problems.matches("keys.sealing: ").count(), 1, "{problems}");
    }
}

#[test]
fn dev_is_for_this_machine_alone() {
    for (name, key) in [("PANGEA_MCP_AUTH_PUBLIC_URL", "public_url"), ("PANGEA_MCP_AUTH_ISSUER", "issuer")] {
        for (url, is_refused) in [
            ("https://tunnel.example", true),
            ("https://10.0.0.1", true),
            ("http://localhost:8000", false),
            ("https://127.0.0.1:8443", false),
            ("http://[::1]:8000", false),
        ] {
            let folder = TempDir::new().unwrap();
            let environment = FakeEnvironment::of([(name, url)]);
            let loaded = load(&Source { dev: Some(dev(folder.path())), ..source(&environment) });
            let keys: Vec<_> = match &loaded {
                Ok(_) => Vec::new(),
                Err(problems) => problems.iter().map(|problem| problem.key.as_str()).collect(),
            };
            assert_eq!(keys, if is_refused { vec![key] } else { vec![] }, "{url}");
        }
    }
}

#[test]
fn dev_shows_the_operator_too() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dev.toml");
    let environment = FakeEnvironment::default();
    let load = |section: &str| {
        fs::write(&file, section).unwrap();
        let dev = Some(dev(folder.path()));
        load(&Source { file: Some(file.clone()), dev, ..source(&environment) })
    };
    let config = load("[branding]\nname = \"Acme\"\nsupport_url = \"https://help.example.org\"").unwrap();
    assert_eq!(config.branding.name.as_deref(), Some("Acme"));
    let problems = load("[branding]\nname = 7\nlogo = \"none.png\"\nsupport_url = \"x\"").unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["branding.name", "branding.logo", "branding.support_url"]);
}
