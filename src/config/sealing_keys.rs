//! The sealing keys: the only secret that may have several lines, and that the program itself writes.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{environment::Environment, problem::Complaint, secret_source::SecretPlace};
use crate::secret::{KeyRing, RingError};

pub(super) fn read(
    place: &SecretPlace,
    environment: &dyn Environment,
    variables: &BTreeMap<String, String>,
) -> Result<KeyRing, Complaint> {
    let text = place.fetch(environment, variables)?;
    KeyRing::parse(&text).map_err(|error| {
        let fix = match error {
            RingError::Empty | RingError::NotAKey(_) => "Generate one with `openssl rand -base64 32`",
            RingError::NotATime(_) => "Write the time in UTC, or remove it together with the `@`",
            RingError::Twice(_) => "Remove one of the two",
            RingError::Weak => {
                "Generate one with `openssl rand -base64 32`. If records are encrypted with the old key, add the new key \
                 below it (docs/sealing-keys.md)"
            }
        };
        Complaint::new(format!("the secret {error}"), fix)
    })
}

/// Reloads the sealing keys. The error is a sentence.
pub(crate) fn read_sealing_keys(
    place: &SecretPlace,
    environment: &dyn Environment,
) -> Result<KeyRing, String> {
    read(place, environment, &environment.variables())
        .map_err(|Complaint { what, fix }| format!("{what}. {fix}"))
}

/// Replaces the stored keys. A file is replaced atomically, keeps its owner, and only the owner can read it. The
/// error is a sentence.
pub(crate) fn store_sealing_keys(
    place: &SecretPlace,
    ring: &KeyRing,
    environment: &dyn Environment,
) -> Result<(), String> {
    match place {
        SecretPlace::File(path) => replace_file(path, ring.to_text().as_bytes()),
        SecretPlace::Keyring(name) => {
            environment.store_in_keyring(name, &ring.to_text()).map_err(|error| error.to_string())
        }
        SecretPlace::Variable(name) => Err(format!(
            "keys.sealing comes from the environment variable `{name}`, which only you can change"
        )),
    }
}

/// Writes the keys to a draft and renames it. The name of the draft is also a lock against other processes.
fn replace_file(path: &Path, text: &[u8]) -> Result<(), String> {
    let failed = |error: &io::Error| format!("cannot replace {} ({error})", path.display());
    let path = path.canonicalize().map_err(|error| failed(&error))?;
    let draft = draft_of(&path);
    let file = create(&draft).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!(
            "{} exists: another rotation is running or was interrupted. Remove the file if none is running",
            draft.display()
        ),
        _ => failed(&error),
    })?;
    let replaced = fill(file, text, &path).and_then(|()| fs::rename(&draft, &path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced.and_then(|()| sync_folder(&path)).map_err(|error| failed(&error))
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn create(draft: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(draft)
}

fn fill(mut file: File, text: &[u8], original: &Path) -> io::Result<()> {
    keep_owner(&file, original)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(unix)]
fn keep_owner(file: &File, original: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (new, old) = (file.metadata()?, fs::metadata(original)?);
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// A rename is durable after its directory is synchronised.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::{super::environment::fake::FakeEnvironment, *};
    use crate::{
        clock::UnixTime,
        secret::{SealingKey, SystemRandom},
    };

    fn key() -> SealingKey {
        SealingKey::generate(&SystemRandom)
    }

    fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing-key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_key_is_added_to_a_file_and_read_again() {
        let old = key();
        let (folder, path) = file_with(&old.to_text());
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        let (place, environment) = (SecretPlace::File(link.clone()), FakeEnvironment::default());
        let ring = read_sealing_keys(&place, &environment).unwrap();
        let ring = ring.with(key(), UnixTime::from_secs(1_800_000_000));
        store_sealing_keys(&place, &ring, &environment).unwrap();
        assert_eq!(read_sealing_keys(&place, &environment).unwrap().to_text(), ring.to_text());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link stays");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (0o600, 1));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_file_keeps_its_owner() {
        let (_folder, path) = file_with(&key().to_text());
        // Only root may give files away; for others there is one owner anyway.
        let given_away = std::os::unix::fs::chown(&path, Some(12_345), Some(12_346)).is_ok();
        let owner = fs::metadata(&path).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
        assert!(!given_away || owner == (12_345, 12_346));
        store_sealing_keys(&SecretPlace::File(path.clone()), &key().into(), &FakeEnvironment::default())
            .unwrap();
        assert_eq!(fs::metadata(&path).map(|metadata| (metadata.uid(), metadata.gid())).unwrap(), owner);
    }

    #[test]
    fn two_rotations_at_once_do_not_lose_a_key() {
        let (_folder, path) = file_with(&key().to_text());
        let before = fs::read_to_string(&path).unwrap();
        fs::write(draft_of(&path), "").unwrap();
        let place = SecretPlace::File(path.clone());
        let refused = store_sealing_keys(&place, &key().into(), &FakeEnvironment::default()).unwrap_err();
        assert!(refused.contains("another rotation is running"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let environment = FakeEnvironment::default();
        for (place, words) in [
            (SecretPlace::Variable("SEALING".to_owned()), "`SEALING`, which only you can change"),
            (SecretPlace::Keyring("sealing".to_owned()), "is read-only"),
            (SecretPlace::File(PathBuf::from("/nonexistent/s")), "cannot replace /nonexistent/s"),
        ] {
            let refused = store_sealing_keys(&place, &key().into(), &environment).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
