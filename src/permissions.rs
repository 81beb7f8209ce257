//! Who may read and change the files that this program relies on: rules for secrets, the configuration, certificate
//! authorities and databases, and for their folders.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::{getegid, geteuid, getgroups};

const OTHERS: u32 = 0o007;
const OTHERS_WRITE: u32 = 0o002;
const GROUP: u32 = 0o070;
const GROUP_READ: u32 = 0o040;
const GROUP_WRITE: u32 = 0o020;
const SET_GROUP: u32 = 0o2000;
const STICKY: u32 = 0o1000;

/// The superuser, who can read and change everything.
const ROOT: u32 = 0;

/// The content of a file, which decides who may read and change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// A secret: only this process may read it. If root owns the file, our group may too: Kubernetes and systemd provide
    /// secrets in this way.
    Secret,
    /// Public but trusted: the configuration, certificate authorities.
    Trusted,
    /// A database: only this process may write to it. If the folder passes on its group, our group may too: Kubernetes
    /// prepares volumes in this way (`fsGroup`).
    Records,
}

/// Whether a problem stops the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The file is not used.
    Refused,
    /// The file is used, with a warning.
    Tolerated,
}

/// A problem with the permissions of a file or its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The problem, including the path.
    pub what: String,
    pub fix: String,
    pub verdict: Verdict,
}

impl Fault {
    fn new(verdict: Verdict, what: String, fix: String) -> Self {
        Self { what, fix, verdict }
    }
}

/// User and groups of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    user: u32,
    groups: Vec<u32>,
}

impl Process {
    fn this() -> Self {
        let mut groups: Vec<u32> =
            getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
        groups.push(getegid().as_raw());
        Self { user: geteuid().as_raw(), groups }
    }

    /// Whether only this process or root can change a file of this user.
    const fn trusts(&self, owner: u32) -> bool {
        owner == self.user || owner == ROOT
    }

    fn is_in(&self, group: u32) -> bool {
        self.groups.contains(&group)
    }

    /// Whether it may change the mode of this user's files.
    const fn may_change(&self, owner: u32) -> bool {
        self.user == owner || self.user == ROOT
    }
}

/// Owner and mode of a file or folder.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    path: &'a Path,
    owner: u32,
    group: u32,
    mode: u32,
}

impl<'a> Entry<'a> {
    fn of(path: &'a Path, metadata: &fs::Metadata) -> Self {
        let mode = metadata.mode() & 0o7777;
        Self { path, owner: metadata.uid(), group: metadata.gid(), mode }
    }

    const fn has(&self, bits: u32) -> bool {
        self.mode & bits != 0
    }
}

/// Checks the permissions of a file and its folder. Follows links. Accepts all files in `credentials`, systemd's folder
/// for this process.
pub fn faults(path: &Path, contents: Contents, credentials: Option<&Path>) -> io::Result<Vec<Fault>> {
    let real = path.canonicalize()?;
    if credentials.is_some_and(|folder| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder))) {
        return Ok(Vec::new());
    }
    let process = Process::this();
    let folder = real.parent().unwrap_or(&real);
    let (of_file, of_folder) = (fs::metadata(&real)?, fs::metadata(folder)?);
    let in_folder = Entry::of(folder, &of_folder);
    let file = file_fault(&Entry::of(path, &of_file), contents, &in_folder, &process);
    Ok(file.into_iter().chain(folder_fault(&in_folder, is_volume(folder, &of_folder))).collect())
}

/// Checks the permissions of a folder for new files.
pub fn faults_of_folder(folder: &Path) -> io::Result<Option<Fault>> {
    let folder = folder.canonicalize()?;
    let metadata = fs::metadata(&folder)?;
    Ok(folder_fault(&Entry::of(&folder, &metadata), is_volume(&folder, &metadata)))
}

/// How to let this process read a secret file.
#[must_use]
pub fn advice_for_unreadable(path: &Path) -> String {
    let process = Process::this();
    match fs::metadata(path) {
        Ok(metadata) => secret_advice(&Entry::of(path, &metadata), &process),
        Err(_) => {
            format!("Create it with mode 600, owned by user {}, which this process runs as", process.user)
        }
    }
}

fn file_fault(file: &Entry<'_>, contents: Contents, folder: &Entry<'_>, process: &Process) -> Option<Fault> {
    let Entry { path, owner, group, mode } = *file;
    let shown = path.display();
    let is_secret = contents == Contents::Secret;
    let refused = |what: String, fix: String| Some(Fault::new(Verdict::Refused, what, fix));
    let tolerated = |what: String, fix: String| Some(Fault::new(Verdict::Tolerated, what, fix));
    let chmod = |mode: &str| format!("Run `chmod {mode} {shown}`");
    match contents {
        Contents::Secret if file.has(OTHERS) => {
            refused(format!("{shown} can be read by others (mode {mode:o})"), secret_advice(file, process))
        }
        Contents::Trusted if file.has(OTHERS_WRITE) => {
            refused(format!("{shown} can be changed by every user (mode {mode:o})"), chmod("go-w"))
        }
        Contents::Records if file.has(OTHERS) => {
            refused(format!("{shown} is open to every user of this machine (mode {mode:o})"), chmod("600"))
        }
        _ if !process.trusts(owner) => {
            let what =
                format!("{shown} belongs to user {owner}, and this process runs as user {}", process.user);
            let fix = if is_secret {
                secret_advice(file, process)
            } else {
                format!("Run `chown {} {shown}` as root", process.user)
            };
            Some(Fault::new(if is_secret { Verdict::Refused } else { Verdict::Tolerated }, what, fix))
        }
        Contents::Secret if file.has(GROUP) => {
            let is_handed_to_us = owner == ROOT && mode & GROUP == GROUP_READ && process.is_in(group);
            let what = format!("{shown} can be read by others (mode {mode:o}, group {group})");
            if is_handed_to_us { None } else { refused(what, secret_advice(file, process)) }
        }
        Contents::Trusted if file.has(GROUP_WRITE) => {
            tolerated(format!("{shown} can be changed by group {group} (mode {mode:o})"), chmod("g-w"))
        }
        Contents::Records if file.has(GROUP_WRITE) => {
            let is_prepared = folder.has(SET_GROUP) && folder.group == group && process.is_in(group);
            let what = format!("{shown} can be changed by group {group} (mode {mode:o})");
            if is_prepared { tolerated(what, chmod("600")) } else { refused(what, chmod("600")) }
        }
        Contents::Secret | Contents::Trusted | Contents::Records => None,
    }
}

/// In a folder that every user may write, every user can replace our file, unless the folder is sticky. Kubernetes
/// creates volumes like that, but without other users.
fn folder_fault(folder: &Entry<'_>, is_volume: bool) -> Option<Fault> {
    let is_open = folder.has(OTHERS_WRITE) && !folder.has(STICKY);
    let verdict = if is_volume { Verdict::Tolerated } else { Verdict::Refused };
    let shown = folder.path.display();
    is_open.then(|| {
        let what = format!("every user may replace files in the folder {shown} (mode {:o})", folder.mode);
        Fault::new(verdict, what, format!("Run `chmod o-w {shown}`"))
    })
}

/// How to make a secret readable only for this process.
fn secret_advice(file: &Entry<'_>, process: &Process) -> String {
    let (shown, user) = (file.path.display(), process.user);
    if file.owner == user {
        return format!("Run `chmod 600 {shown}`; where a container mounts it, ask for mode 0400");
    }
    if process.may_change(file.owner) {
        return format!(
            "Run `chown {user} {shown} && chmod 600 {shown}`, or run this program as user {}",
            file.owner
        );
    }
    let group = process.groups.last().copied().unwrap_or(ROOT);
    if file.owner == ROOT {
        return format!(
            "Run `chgrp {group} {shown} && chmod 440 {shown}` as root; in Kubernetes set `defaultMode: 0440` and \
             `fsGroup: {group}`"
        );
    }
    format!("Run `chown {user} {shown} && chmod 600 {shown}` as root")
}

/// Whether a folder is the root of a mounted file system.
fn is_volume(folder: &Path, metadata: &fs::Metadata) -> bool {
    let above: PathBuf = folder.join("..");
    fs::metadata(above).is_ok_and(|above| above.dev() != metadata.dev())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{Contents::*, Verdict::*, *};

    const US: u32 = 1000;
    const OUR_GROUP: u32 = 1001;
    const STRANGER: u32 = 2000;

    fn us() -> Process {
        Process { user: US, groups: vec![3000, OUR_GROUP] }
    }

    fn verdict(contents: Contents, owner: u32, group: u32, mode: u32) -> Option<Verdict> {
        let entry = |mode| Entry { path: Path::new("f"), owner, group, mode };
        file_fault(&entry(mode), contents, &entry(0o755), &us()).map(|fault| fault.verdict)
    }

    #[test]
    fn a_secret_is_for_this_process_alone_or_handed_to_one_of_its_groups_by_root() {
        for (owner, group, mode, expected) in [
            (US, OUR_GROUP, 0o600, None),
            (US, OUR_GROUP, 0o400, None),
            (US, OUR_GROUP, 0o640, Some(Refused)),
            (US, OUR_GROUP, 0o644, Some(Refused)),
            (US, OUR_GROUP, 0o604, Some(Refused)),
            (US, OUR_GROUP, 0o660, Some(Refused)),
            (ROOT, OUR_GROUP, 0o440, None),
            (ROOT, 3000, 0o640, None),
            (ROOT, OUR_GROUP, 0o460, Some(Refused)),
            (ROOT, OUR_GROUP, 0o444, Some(Refused)),
            (ROOT, STRANGER, 0o440, Some(Refused)),
            (STRANGER, OUR_GROUP, 0o440, Some(Refused)),
            (STRANGER, OUR_GROUP, 0o600, Some(Refused)),
        ] {
            assert_eq!(verdict(Secret, owner, group, mode), expected, "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn what_is_believed_is_changed_by_this_process_and_root_alone() {
        for (owner, group, mode, expected) in [
            (US, OUR_GROUP, 0o644, None),
            (ROOT, ROOT, 0o644, None),
            (US, OUR_GROUP, 0o666, Some(Refused)),
            (ROOT, ROOT, 0o602, Some(Refused)),
            (US, OUR_GROUP, 0o664, Some(Tolerated)),
            (STRANGER, STRANGER, 0o600, Some(Tolerated)),
        ] {
            assert_eq!(verdict(Trusted, owner, group, mode), expected, "{owner} {group} {mode:o}");
        }
    }

    #[test]
    fn a_database_is_written_by_this_process_alone_unless_a_volume_was_prepared_for_its_group() {
        for (owner, group, mode, expected) in [
            (US, OUR_GROUP, 0o600, None),
            (US, OUR_GROUP, 0o640, None),
            (US, OUR_GROUP, 0o660, Some(Refused)),
            (US, OUR_GROUP, 0o604, Some(Refused)),
            (US, OUR_GROUP, 0o666, Some(Refused)),
            (STRANGER, OUR_GROUP, 0o600, Some(Tolerated)),
        ] {
            assert_eq!(verdict(Records, owner, group, mode), expected, "{owner} {group} {mode:o}");
        }
        let at = |group, mode| Entry { path: Path::new("f"), owner: US, group, mode };
        let in_volume = |group| file_fault(&at(group, 0o660), Records, &at(group, 0o2770), &us());
        assert_eq!(in_volume(OUR_GROUP).map(|fault| fault.verdict), Some(Tolerated));
        assert_eq!(in_volume(STRANGER).map(|fault| fault.verdict), Some(Refused));
    }

    #[test]
    fn a_folder_where_every_user_may_replace_files_is_refused() {
        let of = |mode, is_volume| {
            let folder = Entry { path: Path::new("d"), owner: US, group: OUR_GROUP, mode };
            folder_fault(&folder, is_volume).map(|fault| fault.verdict)
        };
        for (mode, is_volume, expected) in [
            (0o700, false, None),
            (0o775, false, None),
            (0o1777, false, None),
            (0o777, false, Some(Refused)),
            (0o777, true, Some(Tolerated)),
        ] {
            assert_eq!(of(mode, is_volume), expected, "{mode:o}");
        }
    }

    #[test]
    fn the_advice_fits_whoever_has_the_file_and_whoever_wants_it() {
        let root = Process { user: ROOT, groups: vec![ROOT] };
        for (owner, process, words) in [
            (US, us(), "Run `chmod 600 s`"),
            (ROOT, us(), "Run `chgrp 1001 s && chmod 440 s` as root; in Kubernetes set"),
            (STRANGER, us(), "Run `chown 1000 s && chmod 600 s` as root"),
            (STRANGER, root, "Run `chown 0 s && chmod 600 s`, or run this program as user 2000"),
        ] {
            let entry = Entry { path: Path::new("s"), owner, group: STRANGER, mode: 0o644 };
            let advice = secret_advice(&entry, &process);
            assert!(advice.starts_with(words), "{advice}");
        }
    }

    #[test]
    fn links_are_followed_and_credentials_of_systemd_are_right_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("credentials")).unwrap();
        fs::write(at("credentials/s"), "").unwrap();
        fs::set_permissions(at("credentials/s"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink(at("credentials/s"), at("link")).unwrap();
        let credentials = at("credentials");
        for path in [at("credentials/s"), at("link")] {
            assert_eq!(faults(&path, Secret, Some(&credentials)).unwrap(), []);
            assert_eq!(faults(&path, Secret, None).unwrap()[0].verdict, Refused);
        }
        fs::write(at("outside"), "").unwrap();
        fs::set_permissions(at("outside"), fs::Permissions::from_mode(0o444)).unwrap();
        symlink(at("outside"), at("credentials/out")).unwrap();
        for path in [at("credentials/out"), at("credentials/../outside")] {
            assert_eq!(faults(&path, Secret, Some(&credentials)).unwrap().len(), 1, "{}", path.display());
        }
    }
}
