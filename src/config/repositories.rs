//! `[repository]` and the sections that store one kind of record in another repository.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use super::{
    elsewhere::{NAMES, section_of},
    model::{Repositories, RepositoryConfig, VaultConfig},
    problem::{Complaint, Place},
    reader::Reader,
    table::{LEGACY, join},
    value,
};
use crate::{
    permissions::Contents,
    repository::{Kind, PostgresSettings, RedisSettings},
    secret::Secret,
};

const MAIN: &str = "repository";
const PATIENCE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);
const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const REDIS_SCHEMES: [&str; 7] = [
    "redis://",
    "rediss://",
    "redis+unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Memory,
    Sqlite,
    Postgres,
    Redis,
    Vault,
}

const ENGINES: [(&str, Engine); 5] = [
    ("memory", Engine::Memory),
    ("sqlite", Engine::Sqlite),
    ("postgres", Engine::Postgres),
    ("redis", Engine::Redis),
    ("vault", Engine::Vault),
];

impl Engine {
    /// The keys that apply to it, except `kind`.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            // For a test in memory, the path of the file may stay.
            Self::Memory | Self::Sqlite => &["path"],
            Self::Postgres => &["url", "password", "ca_file", "connections", "timeout"],
            Self::Redis => &["url", "password", "ca_file", "timeout"],
            Self::Vault => &["token", "api_url", "folder", "cache", "timeout"],
        }
    }
}

pub(super) fn repositories(reader: &mut Reader<'_>, allow_memory: bool) -> Option<Repositories> {
    let engine = reader.choice(&join(MAIN, "kind"), &ENGINES);
    let mut elsewhere = BTreeMap::new();
    for kind in Kind::ALL {
        let section = section_of(kind);
        let own = reader.choice(&join(section, "kind"), &ENGINES);
        if NAMES.iter().any(|(name, _)| reader.is_written(&join(section, name))) {
            elsewhere.extend(own.or(engine).map(|engine| (kind, engine)));
        }
    }
    complain_of_useless_keys(reader, engine, &elsewhere);
    let main = engine.and_then(|engine| repository(reader, MAIN, engine, allow_memory));
    let elsewhere: Vec<_> = elsewhere
        .into_iter()
        .map(|(kind, engine)| Some((kind, repository(reader, section_of(kind), engine, allow_memory)?)))
        .collect();
    Some(Repositories { main: main?, elsewhere: elsewhere.into_iter().collect::<Option<_>>()? })
}

/// One repository. Missing keys default to those of `[repository]`.
fn repository(
    reader: &mut Reader<'_>,
    section: &str,
    engine: Engine,
    allow_memory: bool,
) -> Option<RepositoryConfig> {
    match engine {
        Engine::Memory if allow_memory => Some(RepositoryConfig::Memory),
        Engine::Memory => {
            let what = "\"memory\" loses all clients, grants and keys when the process ends";
            let fix = "Set `kind = \"sqlite\"`, or start with --allow-volatile to accept this";
            reader.complain(&place_of(reader, section, "kind"), Complaint::new(what, fix));
            None
        }
        Engine::Sqlite => {
            let fix = "Add `path = \"/var/lib/pangea-mcp-auth/pangea-mcp-auth.sqlite\"` under `[repository]`";
            let path = place_of(reader, section, "path");
            let found = reader.path(&path);
            let what = "is missing, and without a home directory there is no default";
            let file = needed(reader, &path, found, what, fix)?;
            reader.judge_file(&path, &file, Contents::Records);
            Some(RepositoryConfig::Sqlite { path: file })
        }
        Engine::Postgres => postgres(reader, section).map(RepositoryConfig::Postgres),
        Engine::Redis => redis(reader, section).map(RepositoryConfig::Redis),
        Engine::Vault => vault(reader, section).map(RepositoryConfig::Vault),
    }
}

fn postgres(reader: &mut Reader<'_>, section: &str) -> Option<PostgresSettings> {
    let url = server_url(reader, section, &POSTGRES_SCHEMES);
    let [password, ca_file, connections, timeout] =
        ["password", "ca_file", "connections", "timeout"].map(|name| place_of(reader, section, name));
    Some(PostgresSettings {
        password: reader.secret(&password),
        ca_file: reader.trusted_file(&ca_file),
        connections: reader.number(&connections, &(1..=1000)),
        timeout: reader.duration(&timeout, &PATIENCE),
        url: url?,
    })
}

fn redis(reader: &mut Reader<'_>, section: &str) -> Option<RedisSettings> {
    let url = server_url(reader, section, &REDIS_SCHEMES);
    let [password, ca_file, timeout] =
        ["password", "ca_file", "timeout"].map(|name| place_of(reader, section, name));
    Some(RedisSettings {
        password: reader.secret(&password),
        ca_file: reader.trusted_file(&ca_file),
        timeout: reader.duration(&timeout, &PATIENCE),
        url: url?,
    })
}

/// The URL of a database server, which may contain a password.
fn server_url(reader: &mut Reader<'_>, section: &str, schemes: &[&str]) -> Option<Secret> {
    let path = place_of(reader, section, "url");
    let url = reader.text_or_secret(&path);
    let fix = format!("Add `url = \"{}…\"` under `[{section}]`", schemes[0]);
    let url = needed(reader, &path, url, "is missing", &fix);
    if url.as_ref().is_some_and(|url| !schemes.iter().any(|scheme| url.expose().starts_with(scheme))) {
        let fix = format!("Begin it with one of: {}", schemes.join(", "));
        reader.complain(&path, Complaint::new("is not a URL for this kind of repository", fix));
    }
    url
}

fn vault(reader: &mut Reader<'_>, section: &str) -> Option<VaultConfig> {
    let [token, api_url, folder, timeout, cache] =
        ["token", "api_url", "folder", "timeout", "cache"].map(|name| place_of(reader, section, name));
    let token_file = reader.secret_file(&token);
    let found = reader.secret(&token);
    let fix = format!("Add `token = {{ env = \"PANGEA_VAULT_TOKEN\" }}` under `[{section}]`");
    let found = needed(reader, &token, found, "is missing", &fix);
    let api_url = reader.text(&api_url, value::safe_url);
    Some(VaultConfig {
        folder: reader.text(&folder, vault_folder).unwrap_or_default(),
        timeout: reader.duration(&timeout, &PATIENCE),
        cache: reader.duration(&cache, &(Duration::ZERO..=Duration::from_mins(10))),
        api_url: api_url?,
        token: found?,
        token_file,
    })
}

/// A Vault folder with one slash before each part.
fn vault_folder(text: &str) -> Result<String, Complaint> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if !parts.iter().all(|part| part.bytes().all(fits)) {
        let what = "has characters that are not allowed in a Vault folder";
        return Err(Complaint::new(what, "Use letters, digits, `_`, `.` and `-` between slashes"));
    }
    Ok(parts.iter().map(|part| format!("/{part}")).collect())
}

/// The path of a key: in its own section, otherwise in `[repository]`.
fn place_of(reader: &Reader<'_>, section: &str, name: &str) -> String {
    let own = join(section, name);
    if reader.is_written(&own) { own } else { join(MAIN, name) }
}

/// A required value. If it is missing, a problem is recorded, unless it has one already.
fn needed<T>(reader: &mut Reader<'_>, path: &str, found: Option<T>, what: &str, fix: &str) -> Option<T> {
    if found.is_none() && !reader.has_complained(path) {
        reader.complain(path, Complaint::new(what, fix));
    }
    found
}

/// Records keys that apply neither to the engine of their section nor to a section that inherits them.
fn complain_of_useless_keys(
    reader: &mut Reader<'_>,
    main: Option<Engine>,
    elsewhere: &BTreeMap<Kind, Engine>,
) {
    let Some(main) = main else { return };
    let place = reader.settings.get(&join(MAIN, "kind")).map(|given| &given.place);
    if matches!(place, Some(Place::Variable(_))) {
        // The file was written for another kind, which a variable overrides.
        return;
    }
    for (name, _) in NAMES.iter().filter(|(name, _)| *name != "kind") {
        let useful = |engine: &Engine| engine.keys().contains(name);
        let path = join(MAIN, name);
        if !useful(&main)
            && !elsewhere.values().any(useful)
            && reader.is_written(&path)
            && !is_legacy(reader, &path)
        {
            complain_of_useless(reader, &path);
        }
        for (kind, engine) in elsewhere {
            let path = join(section_of(*kind), name);
            if !useful(engine) && reader.is_written(&path) {
                complain_of_useless(reader, &path);
            }
        }
    }
}

fn complain_of_useless(reader: &mut Reader<'_>, path: &str) {
    let what = "does not apply to this kind of repository";
    reader.complain(path, Complaint::new(what, "Remove it"));
}

/// Whether a value comes from a variable of the original library.
fn is_legacy(reader: &Reader<'_>, path: &str) -> bool {
    let place = reader.settings.get(path).map(|given| &given.place);
    matches!(place, Some(Place::Variable(name)) if LEGACY.iter().any(|(legacy, _)| legacy == name))
}
