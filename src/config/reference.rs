//! `docs/configuration.md`, written from the table of keys.

use std::fmt::{self, Write};

use super::{
    EXAMPLE,
    keys::{CHAPTERS, KEYS},
    table::{Fallback, Key, Kind, LEGACY, find, header},
};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from src/config/keys.rs: `UPDATE_DOCS=1 cargo test --lib config` writes it anew. -->

One TOML file: the one named with `--config`, else with `$PANGEA_MCP_AUTH_CONFIG`, else `config.toml` in the platform's
configuration directory (`~/.config/pangea-mcp-auth` on Linux). With `--dev` it is read only when it is named. A flag
stands above the environment, the environment above the file, the file above the default. A key that does not exist is
an error. `serve` names everything that is wrong at once, with line and remedy, and exits with 78.

**Durations** are text: `\"10m\"`, `\"1h 30m\"`, `\"30d\"`. **URLs** are `https`; `http` is accepted where the host is
loopback.

**Secrets** never stand in the file. Write where they are: `{ keyring = \"name\" }` in the platform's keyring, under the
service `pangea-mcp-auth`; `{ file = \"path\" }`, its path starting at the configuration file's folder; or
`{ env = \"NAME\" }`. A byte order mark at the start is removed; a value in quotation marks is refused.

**Permissions.** A secret's file is for this process alone: mode 600 or 400, owned by the user that the daemon runs as. A
file of root's may be readable by one of the daemon's groups (mode 440 or 640), as Kubernetes (`defaultMode: 0440`,
`fsGroup`) and systemd make them; files in `$CREDENTIALS_DIRECTORY` are accepted as they are. The configuration file and
`ca_file` must not be writable by every user; the database must not be open to other users, nor writable by its group
unless its folder hands that group on (`chmod g+s`). No folder of these may be writable by every user, except sticky ones
and the roots of mounted volumes, which get a warning.

**Environment.** Every key has a variable. An empty one counts as not set, except for the lists of `[access]`, where it is
an error. Lists are separated by commas; a single comma is the empty list. At its start the daemon names the variables
that set something, and those that overrule the file. A secret's variable holds the secret itself, and the same name with `_FILE` at its end the path of a
file with it. `RESOURCES__0__` is the first resource, `RESOURCES__1__` the second, and so on.

**Proxies.** Requests to `https` addresses go through the proxy that `HTTPS_PROXY` or `ALL_PROXY` names, with `NO_PROXY`
for exceptions (lower case works, too); it sees host names and nothing else. Requests to this machine never go through a
proxy, so no secret reaches one in clear. PostgreSQL and Redis are connected to directly.
";

/// The reference of every key, in Markdown: the text of `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    // Writing to a String cannot fail.
    let _ = write_reference(&mut out);
    out
}

/// The variable of every key, and what the key is for.
pub fn variables() -> impl Iterator<Item = (String, &'static str)> {
    KEYS.iter().map(|key| (key.variable(), key.doc))
}

fn write_reference(out: &mut String) -> fmt::Result {
    writeln!(out, "\nThe names that `pangea-authn-fastmcp` read are honoured, too, below these:\n")?;
    for key in LEGACY.iter().filter_map(|(name, path)| Some((name, find(path)?))) {
        writeln!(out, "- `{}` for `{}`", key.0, key.1.variable())?;
    }
    for (section, words) in CHAPTERS {
        let title =
            if section.is_empty() { "Top level".to_owned() } else { format!("`{}`", header(section)) };
        writeln!(out, "\n## {title}\n\n{words}\n")?;
        writeln!(out, "| key | type | default | what | environment |\n|---|---|---|---|---|")?;
        for key in KEYS {
            if let Some(name) = name_in(section, key) {
                write_key(out, name, key)?;
            }
        }
    }
    writeln!(out, "\n## An example\n\n```toml\n{}\n```", EXAMPLE.trim_end())
}

/// What a key is called in a chapter; `None` when it belongs to another one.
fn name_in(section: &str, key: &Key) -> Option<&'static str> {
    if section.is_empty() {
        return Some(key.path).filter(|path| !path.contains('.'));
    }
    key.path.strip_prefix(section)?.strip_prefix('.')
}

fn write_key(out: &mut String, name: &str, key: &Key) -> fmt::Result {
    let default = match key.fallback {
        Fallback::Required(example) | Fallback::Made(example, _) => format!("required, such as `{example}`"),
        Fallback::Value(default) => format!("`{default}`"),
        Fallback::Absent(words) => words.to_owned(),
    };
    let (kind, variable) = (type_words(key.kind), key.variable());
    writeln!(out, "| `{name}` | {kind} | {default} | {} | `{variable}` |", key.doc)
}

fn type_words(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Url => "URL".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::List | Kind::AllowList => "list".to_owned(),
        Kind::TextOrList => "text or list".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::TextOrSecret => "text or secret".to_owned(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word:?}`")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_reference_is_current_and_complete() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, reference()).unwrap();
        }
        let written = fs::read_to_string(path).unwrap();
        assert!(written == reference(), "run UPDATE_DOCS=1 cargo test --lib config");
        for key in KEYS {
            assert!(written.contains(&format!("| `{}` |", key.variable())), "{}", key.path);
        }
    }
}
