//! Generates `docs/configuration.md` from the table of keys.

use std::fmt::{self, Write};

use super::{
    EXAMPLE,
    chapters::CHAPTERS,
    keys::KEYS,
    lookup::find,
    table::{Fallback, Key, Kind, LEGACY, header},
};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from src/config/keys.rs with `UPDATE_DOCS=1 cargo test --lib config`. -->

The configuration is one TOML file: the file of `--config`, otherwise that of `$PANGEA_MCP_AUTH_CONFIG`, otherwise
`config.toml` in the platform's configuration directory (`~/.config/pangea-mcp-auth` on Linux). With `--dev` it is read
only if you name it. Options override environment variables, which override the file, which overrides the defaults. An
unknown key is an error. `serve` reports all problems at once, each with its line and a fix, and exits with 78.

**Durations** are text: `\"10m\"`, `\"1h 30m\"`, `\"30d\"`. **URLs** are `https`; `http` is accepted only for a loopback
host.

**Secrets** are not in the file. Write their source instead: `{ keyring = \"name\" }` for the platform's keyring, with the
service `pangea-mcp-auth`; `{ file = \"path\" }`, relative to the directory of the configuration file; or
`{ env = \"NAME\" }`. A byte order mark at the start is ignored; a value in quotation marks is an error. Builds without
the cargo feature `keyring` refuse keyring sources.

**Permissions.** Only the daemon may read a secret's file: mode 600 or 400, owned by the user of the daemon. A file that
root owns may be readable by one of the daemon's groups (mode 440 or 640), as with Kubernetes (`defaultMode: 0440`,
`fsGroup`) and systemd. Files in `$CREDENTIALS_DIRECTORY` are always accepted. The configuration file and `ca_file` must
not be writable by every user. The database must not be accessible to other users, and not writable by its group, unless
its directory passes that group on (`chmod g+s`). None of their directories may be writable by every user, except sticky
directories and the roots of mounted volumes, which get a warning.

**Environment.** Every key has a variable. An empty variable counts as not set, except for the lists of `[access]`, where
it is an error. Separate the items of a list by commas; a single comma is an empty list. At start, the daemon logs which
variables set a value, and which of them override the file. A secret's variable contains the secret itself; the same
name with the suffix `_FILE` contains the path of a file. `RESOURCES__0__` is the first resource, `RESOURCES__1__` the
second, and so on.

**Proxies.** Requests to `https` URLs go through the proxy of `HTTPS_PROXY` or `ALL_PROXY`, except hosts in `NO_PROXY`
(lower case works, too). The proxy sees only host names. Requests to this machine never go through a proxy, so no secret
reaches one in clear text. Connections to PostgreSQL and Redis are direct.
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(INTRODUCTION);
    // Writing to a String cannot fail.
    let _ = write_reference(&mut out);
    out
}

/// The environment variable and the description of every key.
pub fn variables() -> impl Iterator<Item = (String, &'static str)> {
    KEYS.iter().map(|key| (key.variable(), key.doc))
}

fn write_reference(out: &mut String) -> fmt::Result {
    writeln!(out, "\nThe variables of `pangea-authn-fastmcp` also work. Those above override them:\n")?;
    for key in LEGACY.iter().filter_map(|(name, path)| Some((name, find(path)?))) {
        writeln!(out, "- `{}` for `{}`", key.0, key.1.variable())?;
    }
    for (section, words) in CHAPTERS {
        let title =
            if section.is_empty() { "Top level".to_owned() } else { format!("`{}`", header(section)) };
        writeln!(out, "\n## {title}\n\n{words}\n")?;
        writeln!(out, "| key | type | default | description | environment |\n|---|---|---|---|---|")?;
        for key in KEYS {
            if let Some(name) = name_in(section, key) {
                write_key(out, name, key)?;
            }
        }
    }
    writeln!(out, "\n## Example\n\n```toml\n{}\n```", EXAMPLE.trim_end())
}

/// The name of a key in a chapter; `None` if it belongs to another one.
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
