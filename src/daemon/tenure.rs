//! The name under which a process holds write leases, and proof that the previous holders on this machine have
//! ended.
//!
//! A daemon that was killed leaves its lease behind. The next daemon on the same machine need not wait until the
//! lease expires: the kernel keeps a file lock as long as the process lives, so a process that gets the lock
//! knows that every process that wrote its name into the file before has ended.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{
    config::create_private_folder,
    secret::{Random, encode, random_token, sha256},
};

/// Names to keep in the file. A process that was killed before it took over the lease must not hide the name of
/// the holder.
const REMEMBERED: usize = 8;
/// Maximum size of the file, in bytes.
const LARGEST: u64 = 64 * 1024;
/// An ID that changes with each boot. A lock proves something only on the machine that took it: machines that
/// share a directory may not see each other's locks.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The name of this process among the holders of leases.
#[derive(Debug)]
pub struct Tenure {
    instance: String,
    /// Names of processes of this machine that have certainly ended.
    predecessors: Vec<String>,
    /// Locked as long as this process lives.
    _lock: Option<File>,
}

impl Tenure {
    /// A new name without known predecessors.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        Self { instance: random_token(random), predecessors: Vec::new(), _lock: None }
    }

    /// A new name, and the names from a lock file in `folder`. Each `repository` has a lock file of its own. If
    /// the file cannot be used or another process has locked it, there are no known predecessors.
    #[must_use]
    pub fn in_folder(folder: &Path, repository: &str, random: &dyn Random) -> Self {
        let tenure = Self::new(random);
        match enter(folder, repository, &tenure.instance) {
            Ok(Some((lock, predecessors))) => Self { predecessors, _lock: Some(lock), ..tenure },
            Ok(None) => tenure,
            Err(error) => {
                let folder = folder.display();
                tracing::info!(%folder, %error, "no lock file: after a crash, the next daemon waits until the write lease expires");
                tenure
            }
        }
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// Whether the holder is this process, or has certainly ended.
    pub(super) fn may_take_from(&self, instance: &str) -> bool {
        self.instance == instance || self.predecessors.iter().any(|gone| gone == instance)
    }
}

/// Locks the file, adds a name and returns the previous names; `None` if another process has locked it.
fn enter(folder: &Path, repository: &str, instance: &str) -> io::Result<Option<(File, Vec<String>)>> {
    let boot = std::fs::read_to_string(BOOT_ID)?;
    create_private_folder(folder)?;
    let name = format!("writer-{}.lock", encode(&sha256(repository.as_bytes())[..9]));
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join(name))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    (&mut file).take(LARGEST).read_to_string(&mut text)?;
    let here = |line: &str| Some(line.strip_prefix(boot.trim())?.trim().to_owned());
    let mut names: Vec<String> = text.lines().filter_map(here).collect();
    let predecessors = names.split_off(names.len().saturating_sub(REMEMBERED));
    let lines = predecessors.iter().map(String::as_str).chain([instance]);
    let text: String = lines.map(|name| format!("{} {name}\n", boot.trim())).collect();
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(Some((file, predecessors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn only_who_has_the_lock_knows_who_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let enter = |repository| Tenure::in_folder(&folder.path().join("state"), repository, &SystemRandom);
        let first = enter("vault a");
        let while_it_lives = enter("vault a");
        assert!(!while_it_lives.may_take_from(first.instance()));
        let gone = first.instance().to_owned();
        drop(first);
        let elsewhere = enter("vault b");
        assert!(!elsewhere.may_take_from(&gone), "another repository");
        for _ in 0..3 {
            // Each of them is killed before it takes the lease.
            assert!(enter("vault a").may_take_from(&gone));
        }
    }

    #[test]
    fn a_name_of_another_machine_or_another_start_of_this_one_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let first = Tenure::in_folder(folder.path(), "vault a", &SystemRandom);
        let gone = first.instance().to_owned();
        drop(first);
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let boot = text.split(' ').next().unwrap();
        std::fs::write(&path, text.replace(boot, "00000000-0000-0000-0000-000000000000")).unwrap();
        assert!(!Tenure::in_folder(folder.path(), "vault a", &SystemRandom).may_take_from(&gone));
        let unusable = folder.path().join("file");
        std::fs::write(&unusable, "").unwrap();
        assert!(!Tenure::in_folder(&unusable, "vault a", &SystemRandom).may_take_from(&gone));
    }
}
