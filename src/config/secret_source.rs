//! Sources of secrets: keyring, file or variable. The configuration names the source, not the secret.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    environment::{Environment, SystemEnvironment},
    keyring::{APPLICATION, KeyringError},
    problem::{Complaint, Place, did_you_mean},
    settings::{Given, Value},
    value::{quoted, text},
};
use crate::{
    permissions::{self, Contents, Verdict},
    secret::Secret,
};

const FORMS: [&str; 3] = ["keyring", "file", "env"];
const FIX: &str = "Write { keyring = \"name\" }, { file = \"path\" } or { env = \"NAME\" }";

/// Maximum size of a secret file, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Reads a secret from its source. Logs and errors call it `name`.
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

/// The source of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// A keyring entry with this name.
    Keyring(String),
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl SecretPlace {
    /// Reads everything that the source contains.
    pub(super) fn fetch(
        &self,
        environment: &dyn Environment,
        variables: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<String>, Complaint> {
        let text = match self {
            Self::Keyring(name) => from_keyring(name, environment)?,
            Self::File(path) => return read_file(path, variables),
            Self::Variable(name) => {
                let value = variables.get(name).filter(|value| !value.is_empty()).cloned();
                let what = || format!("the environment variable `{name}` is not set");
                let value = value.map(Zeroizing::new);
                value.ok_or_else(|| Complaint::new(what(), "Set it to the secret"))?
            }
        };
        unquoted(&text).map(|text| Zeroizing::new(text.to_owned()))
    }
}

/// The source that a table such as `{ file = "path" }` names.
pub(super) fn place_of(given: &Given) -> Result<SecretPlace, Complaint> {
    let members = match &given.value {
        Value::Table(members) => members,
        Value::Text(_) => {
            let what = "the secret itself is in the file, where backups and other people can read it";
            return Err(Complaint::new(
                what,
                format!("{FIX} instead, and replace the secret if others have seen it"),
            ));
        }
        other => return Err(Complaint::new(format!("is {}, not a secret", other.describe()), FIX)),
    };
    let (form, of) = only_member(members)?;
    Ok(match form {
        "keyring" => SecretPlace::Keyring(of.to_owned()),
        "file" => SecretPlace::File(relative_to_file(&given.place, of)),
        _ => SecretPlace::Variable(of.to_owned()),
    })
}

/// Reads a secret from a file. The error is a sentence.
pub(crate) fn read_secret_file(path: &Path, name: &'static str) -> Result<Secret, String> {
    let read = read_file(path, &SystemEnvironment.variables()).and_then(|value| bare(&value, name));
    read.map_err(|complaint| format!("{}. {}", complaint.what, complaint.fix))
}

/// A secret from a prompt, a variable or standard input, without a byte order mark and surrounding blanks. The error
/// is a sentence that does not repeat the secret.
pub(crate) fn handed_over_secret(text: &str, name: &'static str) -> Result<Secret, String> {
    let read = unquoted(text).and_then(|value| bare(value.trim(), name));
    read.map_err(|complaint| format!("{}. {}", complaint.what, complaint.fix))
}

/// The secret without the trailing line break.
fn bare(value: &str, name: &'static str) -> Result<Secret, Complaint> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(Complaint::new("the secret is empty", "Store the secret there"));
    }
    if value.contains(char::is_control) {
        let fix = "Store only the secret there, on one line";
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
        _ => Err(Complaint::new("a secret has exactly one source", FIX)),
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
        KeyringError::Refused(_) => Complaint::new(error.to_string(), "Unlock it and try again"),
        KeyringError::Unavailable(_) => Complaint::new(
            error.to_string(),
            "A Linux machine without a desktop session has no Secret Service: put the secret in a file of mode 600 \
             and write { file = \"path\" }",
        ),
        KeyringError::NotBuiltIn => Complaint::new(
            error.to_string(),
            "Put the secret in a file of mode 600 and write { file = \"path\" }, or build with the cargo feature \
             `keyring`",
        ),
    })
}

/// A path in the configuration file is relative to the directory of that file.
pub(super) fn relative_to_file(place: &Place, path: &str) -> PathBuf {
    match place {
        Place::File(file, _) => file.parent().unwrap_or(Path::new("")).join(path),
        Place::Flag(_) | Place::Variable(_) | Place::Nowhere => PathBuf::from(path),
    }
}

/// Reads a secret file, if its permissions are strict enough.
pub(super) fn read_file(
    path: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<Zeroizing<String>, Complaint> {
    let shown = path.display();
    let unreadable = |error: &io::Error| {
        let what = format!("cannot read {shown} ({error})");
        Complaint::new(what, permissions::advice_for_unreadable(path))
    };
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(Complaint::new(
            format!("{shown} is not a secret file"),
            "Use a regular file that contains only the secret",
        ));
    }
    let faults = permissions::faults(path, Contents::Secret, credentials(variables));
    let faults = faults.map_err(|error| unreadable(&error))?;
    if let Some(fault) = faults.into_iter().find(|fault| fault.verdict == Verdict::Refused) {
        return Err(Complaint::new(fault.what, fault.fix));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(|error| unreadable(&error))?);
    let Ok(text) = std::str::from_utf8(&bytes) else {
        let what = format!("{shown} is not UTF-8 text");
        return Err(Complaint::new(what, "Save it as UTF-8; PowerShell's `>` writes UTF-16"));
    };
    unquoted(text).map(|text| Zeroizing::new(text.to_owned()))
}

/// The directory of secrets from systemd.
pub(super) fn credentials(variables: &BTreeMap<String, String>) -> Option<&Path> {
    variables.get("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).map(Path::new)
}

/// The text without a byte order mark. Quotation marks around it are an error: operators write them for a shell, but
/// `docker --env-file` keeps them.
pub(super) fn unquoted(text: &str) -> Result<&str, Complaint> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = text.trim();
    let is_quoted =
        |mark: char| value.len() > 1 && value.strip_prefix(mark).is_some_and(|rest| rest.ends_with(mark));
    if is_quoted('"') || is_quoted('\'') {
        let what = "the value has quotation marks, which would become part of it";
        let fix = "Remove them; `docker --env-file` and secret files keep every character";
        return Err(Complaint::new(what, fix));
    }
    Ok(text)
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

    /// What `docker --env-file`, Notepad and PowerShell add to a value.
    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret_and_quotation_marks_are_refused_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let text = String::from_utf8_lossy(bytes).into_owned();
            let mut environment = FakeEnvironment::of([("NAME", text.as_str())]);
            environment.keyring.insert("entry".to_owned(), Ok(text));
            [("file", path.to_str().unwrap()), ("env", "NAME"), ("keyring", "entry")]
                .map(|(form, of)| from(form, of, &environment))
        };
        for text in ["\u{feff}canary", "\u{feff}canary\r\n"] {
            assert_eq!(told(text.as_bytes()), [(); 3].map(|()| Ok("canary".to_owned())));
        }
        for text in ["\"canary\"", "'canary'\n", "\u{feff}\"canary\"", "\"\""] {
            for told in told(text.as_bytes()) {
                let told = told.unwrap_err();
                assert!(told.contains("quotation marks") && !told.contains("canary"), "{told}");
            }
        }
        for text in ["\"canary", "can'ary'", "\""] {
            assert_eq!(told(text.as_bytes()), [(); 3].map(|()| Ok(text.to_owned())));
        }
        let utf_16: Vec<u8> = "\u{feff}canary".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(told(&utf_16)[0].as_ref().unwrap_err().contains("is not UTF-8 text"));
    }

    #[test]
    fn what_does_not_work_is_explained() {
        let mut environment = FakeEnvironment::of([("EMPTY", ""), ("LINES", "a\nb"), ("BREAK", "\n")]);
        let unavailable = KeyringError::Unavailable("no bus".to_owned());
        environment.keyring.insert("headless".to_owned(), Err(unavailable));
        environment.keyring.insert("left_out".to_owned(), Err(KeyringError::NotBuiltIn));
        environment.keyring.insert("locked".to_owned(), Err(KeyringError::Refused("locked".to_owned())));
        for (form, of, words) in [
            ("env", "NONE", "`NONE` is not set. Set it"),
            ("env", "EMPTY", "`EMPTY` is not set. Set it"),
            ("env", "LINES", "line breaks or control characters in it. Store only"),
            ("env", "BREAK", "the secret is empty. Store"),
            ("file", "/nonexistent/s", "cannot read /nonexistent/s (No such file"),
            ("file", "/dev/zero", "/dev/zero is not a secret file. Use a regular file"),
            ("file", "", "is empty. Enter a value"),
            ("keyring", "other", "no entry \"other\" for pangea-mcp-auth. Store it"),
            ("keyring", "headless", "no keyring can be reached: no bus. A Linux machine without a desktop"),
            ("keyring", "locked", "refuses access: locked. Unlock it"),
            ("keyring", "left_out", "no keyring support. Put the secret in a file"),
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
        for mode in [0o644, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for path in [&path, &link] {
                let complaint = read_file(path, &BTreeMap::new()).unwrap_err();
                assert!(complaint.what.contains(&format!("{mode:o}")), "{complaint:?}");
                assert!(complaint.fix.starts_with(&format!("Run `chmod 600 {}`", path.display())));
            }
        }
        let inside = BTreeMap::from([(
            "CREDENTIALS_DIRECTORY".to_owned(),
            folder.path().to_string_lossy().into_owned(),
        )]);
        assert_eq!(read_file(&path, &inside).unwrap().as_str(), "canary");
    }
}
