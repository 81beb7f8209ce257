//! The example file is right, complete and true.

use tempfile::TempDir;

use super::{
    super::{
        elsewhere::section_of,
        keys::KEYS,
        settings::{Settings, Value},
        table::{Fallback, Kind},
    },
    *,
};
use crate::repository;

#[test]
fn the_example_works_once_its_secrets_are_there() {
    let folder = TempDir::new().unwrap();
    secret_file(folder.path(), "authn-client-secret", "pck_x\n");
    secret_file(folder.path(), "sealing-key", KEY);
    let directories = Some(Directories { config: "/c".into(), state: "/s".into() });
    let environment = FakeEnvironment { directories, ..FakeEnvironment::default() };
    let config = parse(EXAMPLE, &folder.path().join("config.toml"), &environment).unwrap();
    assert_eq!(sqlite_path(&config), Path::new("/s/pangea-mcp-auth.sqlite"));
    assert_eq!(config.resources[0].offer().known().to_string(), "user");
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
        secret_file(folder.path(), name, "0123456789abcdef0123456789abcdef");
    }
    secret_file(folder.path(), "sealing-key", KEY);
    fs::write(folder.path().join("logo.png"), b"\xff\xd8\xff\xe0 a JPEG, in spite of its name \xff\xd9")
        .unwrap();
    fs::write(folder.path().join("documents-ca.pem"), AUTHORITY).unwrap();
    let environment = FakeEnvironment::of([("PANGEA_VAULT_TOKEN", "pts_x")]);
    let file = folder.path().join("config.toml");
    let problems = parse(&whole_example(), &file, &environment).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    let useless = ["url", "password", "ca_file", "connections"].map(|name| format!("repository.{name}"));
    assert_eq!(keys, useless, "{problems}");
}

/// The range in a key's explanation, such as "from 1 to 30 seconds" or "up to 10 minutes", in its unit.
fn documented_range(doc: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> =
        doc.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    let unit = |at: usize| match words.get(at)?.trim_end_matches('s') {
        "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(3600),
        "day" => Some(86_400),
        "year" => Some(365 * 86_400),
        _ => None,
    };
    (1..words.len()).filter(|at| words[*at] == "to").find_map(|at| {
        let highest = number(at + 1)?;
        let highest_unit = unit(at + 2).unwrap_or(1);
        let lowest = match (words[at - 1], unit(at - 1)) {
            ("up", _) => 0,
            (_, Some(unit)) => number(at.checked_sub(2)?)? * unit,
            (_, None) => number(at - 1)? * highest_unit,
        };
        Some((lowest, highest * highest_unit))
    })
}

/// Whether a key is in a section that stores one kind of record elsewhere.
fn is_for_one_kind(path: &str) -> bool {
    repository::Kind::ALL.iter().any(|kind| path.starts_with(section_of(*kind)))
}

#[test]
fn ranges_are_read_from_explanations() {
    for (doc, range) in [
        ("How long to wait, from 1 to 10 seconds.", Some((1, 10))),
        ("1 hour to 10 years.", Some((3600, 3650 * 86_400))),
        ("How long, up to 10 minutes. To you.", Some((0, 600))),
        ("From 1 to 1000.", Some((1, 1000))),
        ("Where to listen.", None),
    ] {
        assert_eq!(documented_range(doc), range, "{doc}");
    }
}

/// What the explanation of a key says may be written is accepted, and nothing beyond it.
#[test]
fn documented_ranges_are_those_of_the_program() {
    let bounded = KEYS.iter().filter(|key| !is_for_one_kind(key.path));
    let mut ranges = 0;
    for key in bounded.filter(|key| matches!(key.kind, Kind::Duration | Kind::Number)) {
        let Some((lowest, highest)) = documented_range(key.doc) else {
            assert!(key.doc.contains("at least "), "{} has no range: {}", key.path, key.doc);
            continue;
        };
        ranges += 1;
        let unit = if key.kind == Kind::Duration { "s" } else { "" };
        let judged = |value: u64| {
            let variable = key.variable();
            let environment = environment().with([
                (&*variable, &*format!("{value}{unit}")),
                (
                    "PANGEA_MCP_AUTH_REPOSITORY__KIND",
                    if key.path.ends_with("cache") { "vault" } else { "postgres" },
                ),
                ("PANGEA_MCP_AUTH_REPOSITORY__URL", "postgres://h"),
                ("PANGEA_VAULT_TOKEN", "pts_x"),
            ]);
            let problems = parse(MINIMAL, Path::new("config.toml"), &environment).err();
            let found = problems.iter().flat_map(Problems::iter);
            found.filter(|problem| problem.key == key.path && problem.what.contains("out of range")).count()
        };
        assert_eq!((judged(lowest), judged(highest)), (0, 0), "{}", key.path);
        assert_eq!(judged(highest + 1), 1, "{} above", key.path);
        assert!(lowest == 0 || judged(lowest - 1) == 1, "{} below", key.path);
    }
    assert!(ranges > 10, "{ranges}");
}
