//! `init`: the wizard, typed by a person in a terminal, and the same without questions.

mod documentation;
#[cfg(feature = "keyring")]
mod keyring;
mod leaving;
mod non_interactive;
mod proxies;
mod terminal;
mod whole;
#[cfg(not(feature = "keyring"))]
mod without_keyring;
mod wizard;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::{
    pangea,
    process::{Home, PANGEA, free_port},
};

/// The state before anything is set up: an empty home, a Pangea project, free ports.
struct Beginning {
    home: Home,
    public_url: String,
    mcp_url: String,
    upstream: String,
}

impl Beginning {
    async fn start() -> Self {
        let public_url = format!("http://localhost:{}", free_port());
        let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
        let mcp_url = format!("http://localhost:{}/mcp", free_port());
        Self { home: Home::new(), public_url, mcp_url, upstream }
    }

    /// Every file of the home.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.home.path(""), &mut files);
        files.sort();
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
