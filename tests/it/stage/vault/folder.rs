//! Folders as Vault writes them: `/a/b/`, however they were given.

/// The folder at the top.
pub(super) const ROOT: &str = "/";

/// Whether the text has only what folders may have.
pub(super) fn is_allowed(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c))
}

/// The folders of a path, from the top.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// `/a/b/` for any spelling of it.
pub(super) fn normalized(path: &str) -> String {
    parts(path).fold(ROOT.to_owned(), |path, part| path + part + "/")
}

/// Each folder on the way to this one: the folder that it lies in, its name, and its own path.
pub(super) fn way(path: &str) -> Vec<(String, String, String)> {
    let mut parent = ROOT.to_owned();
    let step = |name: &str| {
        let own = format!("{parent}{name}/");
        (std::mem::replace(&mut parent, own.clone()), name.to_owned(), own)
    };
    parts(path).map(step).collect()
}
