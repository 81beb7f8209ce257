//! The keys of repositories for single kinds of record. Each has the keys of `[repository]`.

use super::table::{Fallback::Absent, Key, Kind, key};
use crate::repository;

/// The values of `repository.kind`.
pub(super) const REPOSITORIES: &[&str] = &["memory", "sqlite", "postgres", "redis", "vault"];

/// The section that stores a kind of record in another repository.
pub(crate) const fn section_of(kind: repository::Kind) -> &'static str {
    match kind {
        repository::Kind::Client => "repository.clients",
        repository::Kind::Grant => "repository.grants",
        repository::Kind::Key => "repository.keys",
        repository::Kind::Replay => "repository.replays",
    }
}

/// The names of a repository's keys, each with what its value looks like.
pub(super) const NAMES: [(&str, Kind); 11] = [
    ("kind", Kind::Choice(REPOSITORIES)),
    ("path", Kind::Path),
    ("url", Kind::TextOrSecret),
    ("password", Kind::Secret),
    ("ca_file", Kind::Path),
    ("connections", Kind::Number),
    ("timeout", Kind::Duration),
    ("token", Kind::Secret),
    ("api_url", Kind::Url),
    ("folder", Kind::Text),
    ("cache", Kind::Duration),
];

macro_rules! section {
    ($section:literal) => {
        section!($section: kind 0, path 1, url 2, password 3, ca_file 4, connections 5, timeout 6, token 7,
            api_url 8, folder 9, cache 10)
    };
    ($section:literal: $($name:ident $at:literal),+) => {
        [$(key(
            concat!($section, ".", stringify!($name)),
            NAMES[$at].1,
            Absent(concat!("as `repository.", stringify!($name), "`")),
            concat!("Like `repository.", stringify!($name), "`, for this kind of record only."),
        )),+]
    };
}

/// The keys, section by section.
pub(super) const KEYS: [Key; 44] = {
    let sections = [
        section!("repository.clients"),
        section!("repository.grants"),
        section!("repository.keys"),
        section!("repository.replays"),
    ];
    let mut all = [sections[0][0]; 44];
    let mut at = 0;
    while at < all.len() {
        all[at] = sections[at / 11][at % 11];
        at += 1;
    }
    all
};
