//! A disk that is full: a small file system of the test's own.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{Patient, home, refuses};

/// A file system of a megabyte in memory; it goes with the test.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"];
        as_root(&mount, folder.path());
        Self(folder)
    }

    /// The lines of `[repository]`.
    fn repository(&self) -> String {
        format!("path = \"{}\"", self.0.path().join("records.sqlite").display())
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Takes all the space that is left, to the last byte.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], self.0.path());
    }
}

fn as_root(command: &[&str], path: &Path) {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let sudo: &[&str] = if root { &[] } else { &["sudo", "-n"] };
    let words: Vec<_> = sudo.iter().chain(command).collect();
    let done = Command::new(words[0]).args(&words[1..]).arg(path).status().unwrap();
    assert!(done.success(), "{command:?} needs root, or sudo");
}

#[test]
fn a_full_disk_is_named_at_start() {
    let disk = Disk::new();
    let home = home(&disk.repository());
    disk.fill();
    refuses(&home, 69, "there is no space left for ");
    disk.free();
    assert_eq!(home.serve().stop().code, Some(0));
    disk.fill();
    refuses(&home, 69, "there is no space left for ");
    disk.free();
    assert_eq!(home.serve().stop().code, Some(0), "nothing is left half done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_stops_writes_until_there_is_space() {
    let disk = Disk::new();
    let mut patient = Patient::with(&disk.repository()).await;
    for _ in 0..2 {
        disk.fill();
        // What SQLite has taken before is used up first.
        while patient.readiness().await == 200 {
            let _ = patient.visitor.refresh(&patient.kept.refresh).await.map(|next| patient.kept = next);
        }
        patient.is_in_trouble().await;
        patient.keeps_its_promises().await;
        disk.free();
        patient.has_recovered().await;
    }
    patient.restarted().await;
}
