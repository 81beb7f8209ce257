//! The house rules that no compiler knows: who may use whom, which door each foreign world has, how
//! long a file may be. `docs/architecture.md` has them in words.

use std::{collections::BTreeSet, fs, process::Command};

use crate::support::tree::{self, File};

/// Each room and the rooms that it uses. A room stands above all that it uses, so nothing goes in
/// circles.
const ROOMS: [(&str, &[&str]); 25] = [
    ("main", &["cli"]),
    ("lib", &[]),
    // Commands look into the repository themselves: they must work while no daemon runs.
    (
        "cli",
        &[
            "diagnosis",
            "daemon",
            "dev",
            "telemetry",
            "config",
            "audit",
            "flow",
            "sealing",
            "migration",
            "keys",
            "repository",
            "oauth",
            "secret",
            "clock",
        ],
    ),
    // It looks at every part by itself, and at the whole from outside.
    (
        "diagnosis",
        &["daemon", "config", "keys", "repository", "upstream", "fetch", "oauth", "secret", "clock"],
    ),
    (
        "daemon",
        &[
            "sealing",
            "web",
            "telemetry",
            "config",
            "audit",
            "flow",
            "keys",
            "repository",
            "upstream",
            "client_documents",
            "fetch",
            "oauth",
            "secret",
            "clock",
        ],
    ),
    // It changes the ring where the configuration keeps it.
    ("sealing", &["config", "flow", "keys", "repository", "oauth", "secret", "clock"]),
    ("web", &["flow", "audit", "keys", "rate_limit", "oauth", "raster", "secret", "clock"]),
    ("dev", &["jose", "oauth", "secret", "clock"]),
    ("telemetry", &["config", "audit"]),
    // It says where each kind of record is kept, and reads the certificates for documents.
    ("config", &["repository", "fetch", "oauth", "permissions", "raster", "secret"]),
    (
        "flow",
        &["audit", "keys", "repository", "client_documents", "upstream", "jose", "oauth", "secret", "clock"],
    ),
    ("audit", &["oauth", "secret"]),
    // It reads from clients and grants which of two records is newer.
    ("migration", &["repository", "oauth", "secret", "clock"]),
    ("keys", &["repository", "jose", "oauth", "secret", "clock"]),
    ("repository", &["fetch", "permissions", "secret", "clock"]),
    ("client_documents", &["fetch", "rate_limit", "oauth", "raster", "clock"]),
    ("upstream", &["jose", "fetch", "oauth", "secret", "clock"]),
    ("jose", &["fetch", "oauth", "secret", "clock"]),
    ("fetch", &["oauth", "secret", "clock"]),
    ("rate_limit", &["oauth"]),
    ("oauth", &["secret", "clock"]),
    ("permissions", &[]),
    ("raster", &[]),
    ("secret", &["clock"]),
    ("clock", &[]),
];

/// Words and the only files in which they may stand.
const DOORS: [(&[&str], &[&str]); 13] = [
    // The stand-in is a second server.
    (&["axum"], &["src/web/", "src/dev/"]),
    (&["rusqlite"], &["src/repository/sqlite/"]),
    (&["tokio_postgres", "deadpool_postgres"], &["src/repository/postgres/"]),
    (&["redis::aio", "::redis::", "redis::cmd", "redis::Client"], &["src/repository/redis/"]),
    (&["reqwest"], &["src/fetch/"]),
    (&["aws_lc_rs"], &["src/secret/", "src/jose/"]),
    (&["jsonwebtoken"], &["src/jose/"]),
    (&["keyring::v1", "directories::ProjectDirs"], &["src/config/"]),
    (&["std::env"], &["src/config/"]),
    (&["SystemTime"], &["src/clock.rs"]),
    (&["println!", "eprintln!", "print!", "eprint!", "stdout"], &["src/cli/output.rs"]),
    (&["stderr"], &["src/cli/output.rs", "src/telemetry/"]),
    (
        &["tokio::spawn", "task::spawn", "JoinSet", "TaskTracker"],
        &[
            "src/daemon/",
            "src/diagnosis/",
            "src/cli/serve.rs",
            "src/flow/background.rs",
            "src/migration/",
            "src/repository/conformance/",
        ],
    ),
];

/// Licences that a program may be given away under without asking anybody.
const LICENCES: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    // File by file: what is used unchanged asks for nothing.
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Other people's cryptography: one is enough, and it is not one of these.
const BANNED: [&str; 4] = ["openssl", "openssl-sys", "native-tls", "ring"];

const LONGEST_FILE: usize = 500;

#[test]
fn rooms_use_only_the_rooms_below_them() {
    for (at, (room, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let below = ROOMS.iter().skip(at + 1).any(|(other, _)| other == used);
            assert!(below, "{room} uses {used}, which does not stand below it");
        }
    }
    let mut complaints = Vec::new();
    for file in sources() {
        let room = room_of(&file.path);
        let Some((_, may_use)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            panic!("{} is in no room of the house", file.path)
        };
        let used = rooms_used(&file.text);
        complaints.extend(
            used.iter()
                .filter(|used| *used != room && !may_use.contains(&used.as_str()))
                .map(|used| format!("{} uses {used}", file.path)),
        );
        if is_front_door(&file.path) && file.text.lines().any(|line| line.starts_with("use super::")) {
            complaints.push(format!("{} goes through the roof: use crate::…", file.path));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn rooms_are_found_in_every_way_of_writing_them() {
    let source = "
use crate::{
    clock::{Clock, UnixTime},
    config::{self, Config},
    secret,
};
use crate::oauth::scope::Scope;
pub(in crate::web) fn f() -> crate::keys::KeyError {}
";
    let used: Vec<_> = rooms_used(source).into_iter().collect();
    assert_eq!(used, ["clock", "config", "keys", "oauth", "secret", "web"]);
}

#[test]
fn each_foreign_world_has_one_door() {
    let mut complaints = Vec::new();
    for file in sources() {
        for (words, doors) in DOORS {
            if doors.iter().any(|door| file.path.starts_with(door)) {
                continue;
            }
            complaints.extend(
                words
                    .iter()
                    .filter(|word| has_word(&file.text, word))
                    .map(|word| format!("{} has {word}, which belongs to {doors:?}", file.path)),
            );
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_page_about_the_architecture_has_these_tables() {
    let page = fs::read_to_string(tree::root().join("docs/architecture.md")).unwrap();
    let rooms = rows(&page, "| module | may use |");
    let rooms: Vec<_> = rooms.iter().map(|row| (row[1][0], row[2].as_slice())).collect();
    assert_eq!(rooms, ROOMS);
    let doors = rows(&page, "| dependency | words | allowed in |");
    let files = |row: &[Vec<&str>]| row[3].iter().map(|file| format!("src/{file}")).collect::<Vec<_>>();
    let doors: Vec<_> = doors.iter().map(|row| (row[2].clone(), files(row))).collect();
    let ours = DOORS.map(|(words, files)| (words.to_vec(), files.iter().map(ToString::to_string).collect()));
    assert_eq!(doors, ours);
}

/// The code words in each cell of the table with this head.
fn rows<'a>(page: &'a str, head: &str) -> Vec<Vec<Vec<&'a str>>> {
    let (_, table) = page.split_once(head).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let words = |cell: &'a str| cell.split('`').skip(1).step_by(2).collect();
    rows.map(|row| row.split('|').map(words).collect()).collect()
}

#[test]
fn the_protocol_could_run_on_a_calculator() {
    for file in sources().filter(|file| file.path.starts_with("src/oauth/")) {
        for world in ["tokio", "axum", "hyper", "reqwest", "rusqlite", "std::fs", "std::net::Tcp", "async"] {
            assert!(!has_word(&file.text, world), "{} has {world}", file.path);
        }
    }
}

/// Shows: TLS-2.
#[test]
fn nothing_can_switch_off_the_verification_of_certificates() {
    for File { path, text } in sources() {
        for word in ["danger", "tls_built_in_root_certs", "ServerCertVerifier", "use_preconfigured_tls"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn files_are_short_and_finished() {
    for File { path, text } in tree::files("src", "rs") {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines, {LONGEST_FILE} are enough");
    }
    for File { path, text } in sources() {
        for word in [".unwrap()", "todo!", "unimplemented!"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
    // Spelt in halves, for this file is looked at, too.
    let unfinished = ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).map(|(a, b)| format!("{a}{b}"));
    let unfinished: Vec<_> = unfinished.collect();
    for File { path, text } in tree::files("", "rs") {
        for word in &unfinished {
            assert!(!has_word(&text, word), "{path} has {word}");
        }
    }
}

#[test]
fn nothing_in_the_tree_knows_the_machine_it_was_written_on() {
    let places = ["/wo", "/ro", "/ho", "/Us"].iter().zip(["rk/", "ot/", "me/", "ers/"]);
    let places: Vec<_> = places.map(|(a, b)| format!("{a}{b}")).collect();
    for File { path, text } in tree::files("", "") {
        for place in &places {
            let here = text.lines().find(|line| is_absolute_in(line, place));
            assert!(here.is_none(), "{path} names {place}: {here:?}");
        }
    }
}

#[test]
fn what_is_built_in_is_free_and_brings_no_second_cryptography() {
    let arguments = ["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"];
    let tree = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--format", "{p}\t{l}"])
        .current_dir(tree::root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let packages = String::from_utf8(tree.stdout).unwrap();
    assert!(packages.lines().count() > 100, "{packages}");
    for line in packages.lines().filter(|line| !line.is_empty()) {
        let (name, licence) = line.split_once('\t').unwrap();
        let name = name.split(' ').next().unwrap();
        assert!(!BANNED.contains(&name), "{name} is banned");
        assert!(may_be_given_away(licence.trim_end_matches(" (*)")), "{name} has the licence {licence:?}");
    }
}

#[test]
fn licences_are_understood() {
    for (licence, free) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND OpenSSL", false),
        ("Apache-2.0 WITH LLVM-exception OR X", true),
        ("Apache-2.0/MIT", true),
        ("ISC AND (Apache-2.0 OR ISC)", true),
    ] {
        assert_eq!(may_be_given_away(licence), free, "{licence}");
    }
}

/// The program without its tests and comments.
pub(super) fn sources() -> impl Iterator<Item = File> {
    let files = tree::files("src", "rs").into_iter();
    files.filter(|file| !file.path.contains("/tests")).map(|file| File { text: program(&file.text), ..file })
}

/// Tests stand at the end of a file.
fn program(text: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let opens_tests = |next: &&str| next.contains("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && rest.peek().is_some_and(opens_tests) {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// `src/oauth/grant.rs` is in `oauth`, `src/lib.rs` in `lib`.
fn room_of(path: &str) -> &str {
    path.strip_prefix("src/").unwrap().split(['/', '.']).next().unwrap()
}

/// Whether `super` is the crate here.
fn is_front_door(path: &str) -> bool {
    path.matches('/').count() == 1 || path.matches('/').count() == 2 && path.ends_with("/mod.rs")
}

/// The rooms after `crate::` or, in the binary, after the name of the library.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for after in text.split("crate::").skip(1).chain(text.split("pangea_mcp_auth::").skip(1)) {
        match after.strip_prefix('{') {
            Some(group) => used.extend(members(group).iter().map(|member| first_word(member))),
            None => _ = used.insert(first_word(after)),
        }
    }
    used.remove("");
    used
}

/// The members of a group, up to the brace that closes it.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut members) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                members.last_mut().unwrap().push(c);
            }
        }
    }
    members
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// Whether a path begins here, and not in the middle of another or of a URL.
fn is_absolute_in(line: &str, place: &str) -> bool {
    line.match_indices(place)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "/.~}*_-".contains(c)))
}

/// Whether an SPDX expression, or an older `A/B`, is satisfied by what we accept.
fn may_be_given_away(licence: &str) -> bool {
    let flat = licence.replace('/', " OR ");
    let top = split_outside(&flat, " OR ");
    if top.len() > 1 {
        return top.into_iter().any(may_be_given_away);
    }
    let all = split_outside(&flat, " AND ");
    if all.len() > 1 {
        return all.into_iter().all(may_be_given_away);
    }
    let flat = flat.trim();
    match flat.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => may_be_given_away(inner),
        None => LICENCES.contains(&flat),
    }
}

/// Splits where no parenthesis is open.
fn split_outside<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (at, _) in text.match_indices(separator) {
        let before = &text[begin..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(before);
            begin = at + separator.len();
        }
    }
    parts.push(&text[begin..]);
    parts
}
