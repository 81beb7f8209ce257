//! A disk that is full, fails or takes no writes: small file systems of the test's own.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{Patient, home, refuses, server::repository};
use crate::support::{RecordServer, RedisServer};

const UNUSABLE: &str = "the file cannot be read or written, look at its disk and what the kernel says of it";

/// A file system that goes with the test.
struct Disk(TempDir);

impl Disk {
    /// A megabyte in memory.
    fn new() -> Self {
        Self::mounted(&["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"])
    }

    fn mounted(what: &[&str]) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(what);
        disk
    }

    fn mount(&self, what: &[&str]) {
        as_root(&[&["mount"], what].concat(), self.0.path());
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

/// An ext4 in a file, which the kernel makes read-only at the first error that it finds.
struct Image(TempDir);

impl Image {
    fn new() -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        File::create(image.file()).unwrap().set_len(16 << 20).unwrap();
        as_root(&["mkfs.ext4", "-q"], &image.file());
        image
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("image")
    }

    /// What to mount.
    fn what(&self) -> [String; 3] {
        ["-o".to_owned(), "loop,errors=remount-ro".to_owned(), self.file().display().to_string()]
    }

    /// Lets the kernel find an error.
    fn fail(&self) {
        let find =
            "device=$(losetup -n -O NAME -j $0); echo 1 >/sys/fs/ext4/${device#/dev/}/trigger_fs_error";
        as_root(&["sh", "-c", find], &self.file());
    }

    fn repair(&self) {
        // It says what it has mended by a code that is not 0.
        as_root(&["sh", "-c", "e2fsck -fy $0; [ $? -le 1 ]"], &self.file());
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

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_the_kernel_makes_read_only_is_read_until_it_is_repaired() {
    let image = Image::new();
    let what = image.what();
    let what = what.each_ref().map(String::as_str);
    let disk = Disk::mounted(&what);
    let mut patient = Patient::with(&disk.repository()).await;
    // No page of the files may be written to unseen after this.
    as_root(&["sync", "--file-system"], disk.0.path());
    image.fail();
    patient.is_in_trouble().await;
    patient.keeps_its_promises().await;
    patient.daemon.err.wait_for(UNUSABLE);
    // The kernel takes no writes again before everybody has let go of the files.
    patient
        .restarted_after(|| {
            as_root(&["umount"], disk.0.path());
            image.repair();
            disk.mount(&what);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_take_no_writes_are_read_until_they_take_them_again() {
    let image = Image::new();
    let what = image.what();
    let disk = Disk::mounted(&what.each_ref().map(String::as_str));
    let mut patient = Patient::with(&disk.repository()).await;
    let file = disk.0.path().join("records.sqlite");
    for _ in 0..2 {
        as_root(&["sh", "-c", "chattr +i $0 $0-wal"], &file);
        patient.is_in_trouble().await;
        patient.keeps_its_promises().await;
        patient.daemon.err.wait_for(UNUSABLE);
        as_root(&["sh", "-c", "chattr -i $0 $0-wal"], &file);
        patient.has_recovered().await;
    }
    patient.restarted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_server_whose_disk_is_full_ends_and_has_all_that_it_promised_when_it_comes_back() {
    let disk = Disk::new();
    let mut server = RedisServer::with(&format!("dir {}\n", disk.0.path().display()), &[]);
    let mut patient = Patient::with(&repository(&*server)).await;
    for _ in 0..2 {
        disk.fill();
        // What is left of the last page of its file is used up first.
        while patient.readiness().await == 200 {
            let _ = patient.visitor.refresh(&patient.kept.refresh).await.map(|next| patient.kept = next);
        }
        assert!(server.said().contains("AOF write error"), "{}", server.said());
        patient.is_in_trouble().await;
        disk.free();
        server.kill();
        tokio::task::block_in_place(|| server.start());
        patient.has_recovered().await;
    }
    patient.restarted().await;
}
