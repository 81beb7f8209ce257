//! The files of this project.

use std::{fs, path::Path};

/// A text file, named from the root.
#[derive(Debug)]
pub(crate) struct File {
    /// Such as `src/oauth/grant.rs`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

/// Where `Cargo.toml` is.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below a folder with this extension (`""` for every one that is text), in order.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    collect(&root().join(folder), extension, &mut found);
    found.sort_by(|one: &File, other| one.path.cmp(&other.path));
    found
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if is_made(&entry) {
            continue;
        }
        if entry.is_dir() {
            collect(&entry, extension, found);
        } else if extension.is_empty() || entry.extension().is_some_and(|of| of == extension) {
            let Ok(text) = fs::read_to_string(&entry) else { continue };
            let path = entry.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push(File { path, text });
        }
    }
}

/// Whether it was made here and is no part of the project: what `.gitignore` names, and git itself.
fn is_made(path: &Path) -> bool {
    let made =
        [".git", "target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts", "tests/.cache", "tests/artifacts"];
    path.strip_prefix(root()).is_ok_and(|path| made.iter().any(|made| path == Path::new(made)))
        || path.file_name().is_some_and(|name| name == "__pycache__")
}
