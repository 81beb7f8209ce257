//! Secrets are named in the configuration, never written there: keyring, file or variable.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    environment::{APPLICATION, Environment, KeyringError},
    problem::{Complaint, Place, did_you_mean},
    settings::{Given, Value},
    value::{quoted, text},
};
use crate::secret::Secret;

const FORMS: [&str; 3] = ["keyring", "file", "env"];
const FIX: &str = "Write { keyring = \"name\" }, { file = \"path\" } or { env = \"NAME\" }";

/// Longer files hold something else.
const LONGEST: u64 = 64 * 1024;

/// Fetches the secret that a value names; `name` is what logs and errors may say of it.
pub(super) fn read(
    given: &Given,
    name: &'static str,
    environment: &dyn Environment,
    variables: &BTreeMap<String, String>,
) -> Result<Secret, Complaint> {
    match &given.value {
        Value::Secret(secret) => Ok(secret.clone()),
        _ => bare(&place_of(given)?.fetch(environment, variables)?, name),
    }
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// In the keyring, under this name.
    Keyring(String),
    /// In this file.
    File(PathBuf),
    /// In this environment variable.
    Variable(String),
}

impl SecretPlace {
    /// All that is kept there.
    pub(super) fn fetch(
        &self,
        environment: &dyn Environment,
        variables: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<String>, Complaint> {
        match self {
            Self::Keyring(name) => from_keyring(name, environment),
            Self::File(path) => read_file(path),
            Self::Variable(name) => {
                let value = variables.get(name).filter(|value| !value.is_empty()).cloned();
                let what = || format!("the environment variable `{name}` is not set");
                value.map(Zeroizing::new).ok_or_else(|| Complaint::new(what(), "Set it to the secret"))
            }
        }
    }
}

/// The place that a table such as `{ file = "path" }` names.
pub(super) fn place_of(given: &Given) -> Result<SecretPlace, Complaint> {
    let members = match &given.value {
        Value::Table(members) => members,
        Value::Text(_) => {
            let what = "the secret itself stands in the file, where backups and colleagues find it";
            return Err(Complaint::new(
                what,
                format!("{FIX} instead, and replace the secret if others saw it"),
            ));
        }
        other => return Err(Complaint::new(format!("is {} where a secret belongs", other.describe()), FIX)),
    };
    let (form, of) = only_member(members)?;
    Ok(match form {
        "keyring" => SecretPlace::Keyring(of.to_owned()),
        "file" => SecretPlace::File(relative_to_file(&given.place, of)),
        _ => SecretPlace::Variable(of.to_owned()),
    })
}

/// Reads a secret that was named in the configuration again from its file.
///
/// # Errors
///
/// The sentence that says why it cannot be read.
pub fn read_secret_file(path: &Path, name: &'static str) -> Result<Secret, String> {
    let read = read_file(path).and_then(|value| bare(&value, name));
    read.map_err(|complaint| format!("{}. {}", complaint.what, complaint.fix))
}

/// The secret without the line break at its end.
fn bare(value: &str, name: &'static str) -> Result<Secret, Complaint> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(Complaint::new("the secret is empty", "Store the secret there"));
    }
    if value.contains(char::is_control) {
        let fix = "Store nothing but the secret there, on one line";
        return Err(Complaint::new("the secret has line breaks or control characters in it", fix));
    }
    Ok(Secret::new(name, value.to_owned()))
}

fn only_member(members: &BTreeMap<String, Given>) -> Result<(&str, &str), Complaint> {
    if let Some(unknown) = members.keys().find(|name| !FORMS.contains(&name.as_str())) {
        let fix = did_you_mean(unknown, FORMS)
            .map_or_else(|| FIX.to_owned(), |meant| format!("Did you mean `{meant}`?"));
        return Err(Complaint::new(format!("a secret cannot come from {}", quoted(unknown)), fix));
    }
    match members.iter().collect::<Vec<_>>().as_slice() {
        [(form, of)] => Ok((form.as_str(), text(&of.value)?)),
        _ => Err(Complaint::new("a secret comes from one place", FIX)),
    }
}

fn from_keyring(name: &str, environment: &dyn Environment) -> Result<Zeroizing<String>, Complaint> {
    environment.keyring(name).map(Zeroizing::new).map_err(|error| match error {
        KeyringError::NoEntry => Complaint::new(
            format!("the keyring has no entry {name:?} for {APPLICATION}"),
            format!(
                "Store it; with a Secret Service: `secret-tool store --label={APPLICATION} service {APPLICATION} \
                 username {name}`"
            ),
        ),
        KeyringError::Refused(_) => Complaint::new(error.to_string(), "Unlock it and start again"),
        KeyringError::Unavailable(_) => Complaint::new(
            error.to_string(),
            "A Linux machine without a desktop session has no Secret Service: put the secret in a file of mode 600 \
             and write { file = \"path\" }",
        ),
    })
}

/// A path from the configuration file starts at that file's folder.
pub(super) fn relative_to_file(place: &Place, path: &str) -> PathBuf {
    match place {
        Place::File(file, _) => file.parent().unwrap_or(Path::new("")).join(path),
        Place::Flag(_) | Place::Variable(_) | Place::Nowhere => PathBuf::from(path),
    }
}

/// Reads a file that nobody else may read.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<String>, Complaint> {
    let shown = path.display();
    let unreadable = |error: &io::Error| {
        let what = format!("{shown} cannot be read ({error})");
        Complaint::new(what, "Create it with mode 600, owned by whom the daemon runs as")
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(Complaint::new(
            format!("{shown} is not a file with a secret in it"),
            "Name a plain file that holds nothing but the secret",
        ));
    }
    if let Some(mode) = mode_for_others(&metadata) {
        return Err(Complaint::new(
            format!("{shown} can be read by others (mode {mode:o})"),
            format!("Run `chmod 600 {shown}`; where a container mounts it, ask for mode 0400"),
        ));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(|error| unreadable(&error))
}

/// The mode of a file that its group or the world may use.
#[cfg(unix)]
fn mode_for_others(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_for_others(_: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{super::environment::fake::FakeEnvironment, *};

    fn from(form: &str, of: &str, environment: &FakeEnvironment) -> Result<String, String> {
        let place = Place::Nowhere;
        let member = Given { value: Value::Text(of.to_owned()), place: place.clone() };
        let given = Given { value: Value::Table(BTreeMap::from([(form.to_owned(), member)])), place };
        read(&given, "test", environment, &environment.variables())
            .map(|secret| secret.expose().to_owned())
            .map_err(|complaint| format!("{}. {}", complaint.what, complaint.fix))
    }

    #[test]
    fn each_form_gives_the_secret_without_its_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        fs::write(&path, "canary\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let mut environment = FakeEnvironment::of([("NAME", "canary")]);
        environment.keyring.insert("entry".to_owned(), Ok("canary".to_owned()));
        for (form, of) in [("file", path.to_str().unwrap()), ("env", "NAME"), ("keyring", "entry")] {
            assert_eq!(from(form, of, &environment).as_deref(), Ok("canary"), "{form}");
        }
    }

    #[test]
    fn what_does_not_work_is_explained() {
        let mut environment = FakeEnvironment::of([("EMPTY", ""), ("LINES", "a\nb"), ("BREAK", "\n")]);
        let unavailable = KeyringError::Unavailable("no bus".to_owned());
        environment.keyring.insert("headless".to_owned(), Err(unavailable));
        environment.keyring.insert("locked".to_owned(), Err(KeyringError::Refused("locked".to_owned())));
        for (form, of, words) in [
            ("env", "NONE", "`NONE` is not set. Set it"),
            ("env", "EMPTY", "`EMPTY` is not set. Set it"),
            ("env", "LINES", "line breaks or control characters in it. Store nothing but"),
            ("env", "BREAK", "the secret is empty. Store"),
            ("file", "/nonexistent/s", "/nonexistent/s cannot be read (No such file"),
            ("file", "/dev/zero", "/dev/zero is not a file with a secret in it. Name a plain file"),
            ("file", "", "is empty. Fill it in"),
            ("keyring", "other", "no entry \"other\" for pangea-mcp-auth. Store it"),
            ("keyring", "headless", "no keyring can be reached: no bus. A Linux machine without a desktop"),
            ("keyring", "locked", "refuses access: locked. Unlock it"),
            ("fiel", "x", "a secret cannot come from \"fiel\". Did you mean `file`?"),
            ("vault", "x", "a secret cannot come from \"vault\". Write { keyring"),
        ] {
            let error = from(form, of, &environment).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_even_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("s"), folder.path().join("l"));
        fs::write(&path, "canary").unwrap();
        symlink(&path, &link).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&path, &link] {
                let complaint = read_file(path).unwrap_err();
                assert!(complaint.what.contains(&format!("{mode:o}")), "{complaint:?}");
                assert!(complaint.fix.starts_with(&format!("Run `chmod 600 {}`", path.display())));
            }
        }
    }
}
