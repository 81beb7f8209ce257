//! Which file is read, and which layer wins.

use tempfile::TempDir;

use super::*;

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    let port = |config: &Config| config.listen[0].port();
    let load = |text: &str, variable: &str, flag: Option<&str>| {
        fs::write(&file, text).unwrap();
        let environment = environment().with([("PANGEA_MCP_AUTH_LISTEN", variable)]);
        let overrides = Overrides { listen: flag.map(str::to_owned), ..Overrides::default() };
        super::load(&Source { file: Some(file.clone()), overrides, ..source(&environment) }).unwrap()
    };
    let text = format!("listen = \"127.0.0.1:2\"\n{MINIMAL}");
    assert_eq!(port(&load(&text, "127.0.0.1:3", Some("127.0.0.1:4"))), 4);
    assert_eq!(port(&load(&text, "127.0.0.1:3", None)), 3);
    assert_eq!(port(&load(&text, "", None)), 2);
    assert_eq!(port(&load(MINIMAL, "", None)), 8000);
}

#[test]
fn the_file_is_the_flags_else_the_variables_else_the_usual_one() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, port) in [("flag.toml", 1), ("variable.toml", 2), ("config.toml", 3)] {
        fs::write(at(name), format!("listen = \"127.0.0.1:{port}\"\n{MINIMAL}")).unwrap();
    }
    let variable = at("variable.toml");
    let mut environment = environment();
    let state = folder.path().to_owned();
    environment.directories = Some(Directories { config: folder.path().to_owned(), state });
    let port = |source: &Source<'_>| load(source).unwrap().listen[0].port();
    assert_eq!(port(&source(&environment)), 3);
    let environment = environment.with([("PANGEA_MCP_AUTH_CONFIG", variable.to_str().unwrap())]);
    assert_eq!(port(&source(&environment)), 2);
    assert_eq!(port(&Source { file: Some(at("flag.toml")), ..source(&environment) }), 1);
}

#[test]
fn without_a_file_the_environment_is_enough() {
    let environment = environment().with([
        ("PANGEA_MCP_AUTH_PUBLIC_URL", "https://mcp.example.org"),
        ("PANGEA_AUTHN_ISSUER_URL", "https://pdn-x.login.aws.us.pangea.cloud"),
        ("PANGEA_AUTHN_CLIENT_ID", "psa_x"),
        ("PANGEA_AUTHN_CLIENT_SECRET", "canary"),
        ("PANGEA_VAULT_TOKEN", "pts_x"),
        ("PANGEA_MCP_AUTH_KEYS__SEALING", KEY),
        ("PANGEA_MCP_AUTH_REPOSITORY__PATH", "x.sqlite"),
        ("PANGEA_MCP_AUTH_RESOURCES__0__URL", "https://mcp.example.org/mcp"),
        ("PANGEA_MCP_AUTH_RESOURCES__0__SCOPES", "user, admin"),
        ("PANGEA_MCP_AUTH_RESOURCES__1__URL", "https://b.example.org/mcp"),
        ("PANGEA_MCP_AUTH_RESOURCES__1__DEFAULT", "true"),
        ("PANGEA_MCP_AUTH_LIMITS__TOKEN__BURST", "9"),
        ("PANGEA_MCP_AUTH_REGISTRATION__TRUSTED_REDIRECT_HOSTS", ","),
    ]);
    let config = load(&source(&environment)).unwrap();
    assert_eq!(config.resources[0].offer().known().to_string(), "user admin");
    assert_eq!(config.default_resource().unwrap().url.as_str(), "https://b.example.org/mcp");
    assert_eq!(config.authn.client_secret.expose(), "canary");
    assert_eq!(config.limits.token, Rate { per_minute: 3000, burst: 9 });
    assert!(config.registration.trusted_hosts.is_empty());
}

#[test]
fn a_missing_file_is_one_problem_that_helps() {
    let mut environment = FakeEnvironment::default();
    let nowhere = load(&source(&environment)).unwrap_err().to_string();
    assert!(nowhere.contains("no home directory"), "{nowhere}");
    environment.directories =
        Some(Directories { config: "/nonexistent".into(), state: "/nonexistent".into() });
    let usual = load(&source(&environment)).unwrap_err().to_string();
    let lacking =
        "public_url, authn.issuer_url, authn.client_id, authn.client_secret, keys.sealing, resources";
    assert!(usual.starts_with(&format!(
        "/nonexistent/config.toml: this file does not exist, and the environment does not set {lacking}. "
    )));
    assert!(
        usual.contains("`pangea-mcp-auth serve --dev` needs no configuration") && usual.lines().count() == 1
    );
    let named = Source { file: Some("/nonexistent/x.toml".into()), ..source(&environment) };
    let named = load(&named).unwrap_err().to_string();
    assert!(named.starts_with("/nonexistent/x.toml: cannot read the configuration file (No such"), "{named}");
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.toml");
    let environment = environment();
    for content in [vec![0xff, 0xfe], vec![b'#'; 2 * 1024 * 1024]] {
        fs::write(&path, content).unwrap();
        let problems = load(&Source { file: Some(path.clone()), ..source(&environment) }).unwrap_err();
        assert!(problems.to_string().contains("cannot read"), "{problems}");
    }
    let problems =
        load(&Source { file: Some(folder.path().to_owned()), ..source(&environment) }).unwrap_err();
    assert!(problems.to_string().contains("cannot read"), "{problems}");
}

#[test]
fn a_volatile_repository_can_be_asked_for() {
    let environment = environment().with([("PANGEA_MCP_AUTH_REPOSITORY__KIND", "memory")]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, MINIMAL).unwrap();
    let load = |allow_volatile| {
        let overrides = Overrides { allow_volatile, ..Overrides::default() };
        super::load(&Source { file: Some(file.clone()), overrides, ..source(&environment) })
    };
    assert!(matches!(load(true).unwrap().repository.main, RepositoryConfig::Memory));
    let problems = load(false).unwrap_err().to_string();
    assert!(problems.starts_with("$PANGEA_MCP_AUTH_REPOSITORY__KIND: repository.kind: \"memory\" loses"));
}

#[test]
fn what_comes_from_the_environment_is_known_by_name_with_what_it_overrules() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, MINIMAL).unwrap();
    let environment = environment().with([
        ("PANGEA_AUTHN_CLIENT_ID", "psa_stale"),
        ("PANGEA_MCP_AUTH_LOG__LEVEL", "warn"),
        ("PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET", "canary"),
        ("PANGEA_MCP_AUTH_LISTEN", ""),
    ]);
    let config = load(&Source { file: Some(file.clone()), ..source(&environment) }).unwrap();
    let line = |line| Some(Place::File(file.clone(), Some(line)));
    let told = |variable: &str, key: &str, instead_of| FromEnvironment {
        variable: variable.to_owned(),
        key: key.to_owned(),
        instead_of,
    };
    let expected = [
        told("PANGEA_AUTHN_CLIENT_ID", "authn.client_id", line(4)),
        told("PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET", "authn.client_secret", line(5)),
        told("PANGEA_MCP_AUTH_LOG__LEVEL", "log.level", None),
    ];
    assert_eq!(config.from_environment, expected);
    assert!(parsed(MINIMAL).unwrap().from_environment.is_empty());
}

#[test]
fn a_byte_order_mark_at_the_start_of_the_file_is_ignored() {
    assert!(parsed(&format!("\u{feff}{MINIMAL}")).is_ok());
}

fn keys(problems: &Problems) -> Vec<&str> {
    problems.iter().map(|problem| problem.key.as_str()).collect()
}

#[test]
fn files_and_folders_that_others_may_change_are_problems_like_all_others() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let set = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(at("state")).unwrap();
    set("state", 0o700);
    let text = with("path = \"state/records.sqlite\"", "path = \"/tmp/never-opened.sqlite\"");
    fs::write(at("config.toml"), text).unwrap();
    let environment = environment();
    let load = || load(&Source { file: Some(at("config.toml")), ..source(&environment) });
    set("config.toml", 0o600);
    assert_eq!(load().unwrap().warnings, []);

    set("config.toml", 0o664);
    assert_eq!(load().unwrap().warnings.len(), 1);
    set("config.toml", 0o666);
    set("state", 0o777);
    let problems = load().unwrap_err();
    assert_eq!(keys(&problems), ["repository.path", ""], "{problems}");
    assert!(load_repositories(&Source { file: Some(at("config.toml")), ..source(&environment) }).is_err());

    set("config.toml", 0o600);
    set("state", 0o700);
    fs::write(at("state/records.sqlite"), "").unwrap();
    for (mode, problems) in
        [(0o600, vec![]), (0o660, vec!["repository.path"]), (0o604, vec!["repository.path"])]
    {
        set("state/records.sqlite", mode);
        assert_eq!(load().as_ref().err().map(keys).unwrap_or_default(), problems, "{mode:o}");
    }
}

/// Only root may give files away.
#[test]
fn a_secret_file_of_another_user_is_refused() {
    let folder = TempDir::new().unwrap();
    let secret = secret_file(folder.path(), "client-secret", "canary");
    let text =
        with("client_secret = { file = \"client-secret\" }", "client_secret = { env = \"CLIENT_SECRET\" }");
    let file = folder.path().join("config.toml");
    assert!(parse(&text, &file, &environment()).is_ok());
    if std::os::unix::fs::chown(&secret, Some(12_345), None).is_ok() {
        let problems = parse(&text, &file, &environment()).unwrap_err();
        assert_eq!(keys(&problems), ["authn.client_secret"], "{problems}");
        assert!(problems.to_string().contains("belongs to user 12345"), "{problems}");
    }
}
