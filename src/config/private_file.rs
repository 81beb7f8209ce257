//! Writes files that only their owner can read, completely or not at all.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use crate::secret::{Random, encode};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Stays,
    Replaced,
}

/// Writes a file of mode 600. It is written under another name and then renamed, so that no process reads half of
/// it. If several processes write with [`Existing::Stays`] at the same time, the first file stays.
pub(crate) fn write_private_file(
    path: &Path,
    text: &str,
    existing: Existing,
    random: &dyn Random,
) -> io::Result<()> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", encode(&bytes)));
    let written = write_draft(&draft, text).and_then(|()| match existing {
        Existing::Stays => fs::hard_link(&draft, path),
        Existing::Replaced => fs::rename(&draft, path),
    });
    let _ = fs::remove_file(&draft);
    match written {
        Err(error) if existing == Existing::Stays && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    let mut file = private_file().open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Creates a directory and its parents, with access only for their owner.
#[cfg(unix)]
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates a directory and its parents.
#[cfg(not(unix))]
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn private_file() -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn a_file_stays_or_is_replaced_and_no_draft_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for (text, existing, left) in
            [("a", Existing::Stays, "a"), ("b", Existing::Stays, "a"), ("c", Existing::Replaced, "c")]
        {
            write_private_file(&path, text, existing, &SystemRandom).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), left);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
