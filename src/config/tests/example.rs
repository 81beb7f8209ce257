//! The example file is right, complete and true.

use tempfile::TempDir;

use super::{
    super::{
        elsewhere::SECTIONS,
        keys::KEYS,
        settings::{Settings, Value},
        table::Fallback,
    },
    *,
};

#[test]
fn the_example_works_once_its_secrets_are_there() {
    let folder = TempDir::new().unwrap();
    secret_file(folder.path(), "authn-client-secret", "pck_x\n");
    secret_file(folder.path(), "sealing-key", KEY);
    let directories = Some(Directories { config: "/c".into(), state: "/s".into() });
    let environment = FakeEnvironment { directories, ..FakeEnvironment::default() };
    let config = parse(EXAMPLE, &folder.path().join("config.toml"), &environment).unwrap();
    assert_eq!(sqlite_path(&config), Path::new("/s/pangea-mcp-auth.sqlite"));
    assert_eq!(config.resources[0].scope().to_string(), "user");
}

/// The example with every key that stands behind a `#`.
fn whole_example() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => key.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_names_every_key_and_its_true_default() {
    let (mut settings, mut problems) = (Settings::default(), Vec::new());
    assert!(settings.read_toml(&whole_example(), Path::new("example.toml"), &mut problems));
    assert!(problems.is_empty(), "{problems:?}");
    let is_for_one_kind = |path: &str| SECTIONS.iter().any(|section| path.starts_with(section));
    for key in KEYS.iter().filter(|key| !is_for_one_kind(key.path)) {
        let given = settings.get(&key.path.replace('#', "0"));
        let given = given.unwrap_or_else(|| panic!("the example lacks {}", key.path));
        let Fallback::Value(default) = key.fallback else { continue };
        if key.path == "resources.#.scopes" {
            continue;
        }
        let default = toml::de::DeValue::parse(default).unwrap();
        let default = Value::from_toml(default.get_ref(), &|_| Place::Nowhere);
        assert_eq!(plain(&given.value), plain(&default), "{}", key.path);
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::List(items) => items.iter().map(|item| plain(&item.value) + ",").collect(),
        other => other.describe().to_owned(),
    }
}

#[test]
fn every_value_of_the_example_is_a_right_one() {
    let folder = TempDir::new().unwrap();
    for name in ["authn-client-secret", "authn-service-token", "rs-1-secret"] {
        secret_file(folder.path(), name, "x");
    }
    secret_file(folder.path(), "sealing-key", KEY);
    let environment = FakeEnvironment::of([("PANGEA_VAULT_TOKEN", "pts_x")]);
    let file = folder.path().join("config.toml");
    let problems = parse(&whole_example(), &file, &environment).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let useless = ["url", "password", "ca_file", "connections"].map(|name| format!("repository.{name}"));
    assert_eq!(keys, useless, "{problems}");
}
