//! Every claimed row of `docs/requirements.md` has a test, and the document says which.
//!
//! A test names its rows in a comment right above it, `/// Shows: AUTHZ-1, AUTHZ-2.`, or in its own name,
//! `authz_1_and_2_…`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::support::tree;

/// The groups of the document and how many rows each has: none is forgotten.
const GROUPS: [(&str, u32); 25] = [
    ("META", 16),
    ("JWKS", 4),
    ("AUTHZ", 30),
    ("CONSENT", 19),
    ("UP", 11),
    ("CAUTH", 11),
    ("TOK", 11),
    ("CODE", 8),
    ("REFRESH", 9),
    ("JWT", 7),
    ("INTRO", 5),
    ("REVOKE", 6),
    ("DCR", 19),
    ("CIMD", 15),
    ("PRM", 6),
    ("GATE", 18),
    ("CORS", 6),
    ("CC", 5),
    ("EMA", 13),
    ("WIF", 6),
    ("DPOP", 12),
    ("TLS", 4),
    ("HDR", 2),
    ("LOG", 4),
    ("LIM", 3),
];

/// What later versions will do: groups, and single rows.
const NOT_YET_CLAIMED: [&str; 7] = ["CIMD-9", "PRM", "GATE", "EMA", "WIF", "DPOP", "CORS-6"];

/// The tests of each row.
type Carriers = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_claimed_row_has_a_test_and_the_document_names_it() {
    let path = tree::root().join("docs/requirements.md");
    let written = fs::read_to_string(&path).unwrap();
    let carriers = all_carriers();
    let right = with_tests(&written, &carriers);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &right).unwrap();
    }
    let rows = rows(&written);
    assert_eq!(rows, expected_rows(), "docs/requirements.md lacks rows, or has others, or out of order");
    let unknown: Vec<_> = carriers.iter().filter(|(row, _)| !rows.contains(row)).collect();
    assert!(unknown.is_empty(), "these tests name rows that do not exist: {unknown:#?}");
    let bare: Vec<_> = rows.iter().filter(|row| is_claimed(row) && !carriers.contains_key(*row)).collect();
    assert!(bare.is_empty(), "these rows are claimed, but no test carries them: {bare:?}");
    let now = fs::read_to_string(&path).unwrap();
    assert!(now == right, "docs/requirements.md is old: UPDATE_DOCS=1 cargo test --test it requirements");
}

#[test]
fn rows_are_read_from_comments_and_names() {
    let source = "
/// Shows: AUTHZ-1, AUTHZ-2,
/// UP-3. And in words: not JWT-1.
#[tokio::test]
async fn a_rule_holds() {}

    #[test]
    fn code_2_4_and_jwt_5_something_7() {}

#[test]
fn code_replay_names_no_row() {}

fn jwks_1_is_no_test() {}
";
    let mut found = Carriers::new();
    read_carriers("it", source, &mut found);
    let found: Vec<_> =
        found.iter().flat_map(|(row, tests)| tests.iter().map(move |test| format!("{row} {test}"))).collect();
    assert_eq!(
        found,
        [
            "AUTHZ-1 it::a_rule_holds",
            "AUTHZ-2 it::a_rule_holds",
            "CODE-2 it::code_2_4_and_jwt_5_something_7",
            "CODE-4 it::code_2_4_and_jwt_5_something_7",
            "JWT-5 it::code_2_4_and_jwt_5_something_7",
            "UP-3 it::a_rule_holds",
        ]
    );
}

#[test]
fn the_last_column_is_made_anew() {
    let carriers =
        Carriers::from([("UP-1".to_owned(), BTreeSet::from(["a::b".to_owned(), "c::d".to_owned()]))]);
    let document =
        "| id | level | requirement | tests |\n| UP-1 | MUST | A | old |\n| EMA-1 | MUST | B | |\n";
    let right = "| id | level | requirement | tests |\n| UP-1 | MUST | A | `a::b`, `c::d` |\n\
                 | EMA-1 | MUST | B | not yet claimed |\n";
    assert_eq!(with_tests(document, &carriers), right);
}

fn expected_rows() -> Vec<String> {
    GROUPS
        .iter()
        .flat_map(|(group, most)| (1..=*most).map(move |number| format!("{group}-{number}")))
        .collect()
}

fn is_claimed(row: &str) -> bool {
    let group = row.split('-').next().unwrap_or_default();
    !NOT_YET_CLAIMED.contains(&row) && !NOT_YET_CLAIMED.contains(&group)
}

/// The row that a line of the document is about.
fn row_of(line: &str) -> Option<&str> {
    let id = line.strip_prefix("| ")?.split(" |").next()?;
    let (group, number) = id.split_once('-')?;
    let is_row = GROUPS.iter().any(|(known, _)| *known == group) && number.parse::<u32>().is_ok();
    is_row.then_some(id)
}

fn rows(document: &str) -> Vec<String> {
    document.lines().filter_map(row_of).map(str::to_owned).collect()
}

/// The document with its last column made from the tests.
fn with_tests(document: &str, carriers: &Carriers) -> String {
    let line = |line: &str| {
        let Some(row) = row_of(line) else { return format!("{line}\n") };
        let tests = carriers.get(row).map_or_else(
            || if is_claimed(row) { "none" } else { "not yet claimed" }.to_owned(),
            |tests| tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", "),
        );
        let stated = line.splitn(5, '|').take(4).collect::<Vec<_>>().join("|");
        format!("{stated}| {tests} |\n")
    };
    document.lines().map(line).collect()
}

fn all_carriers() -> Carriers {
    let mut carriers = Carriers::new();
    for folder in ["src", "tests/it"] {
        // This file's own examples are no tests of anything.
        for file in
            tree::files(folder, "rs").iter().filter(|file| file.path != "tests/it/documents/requirements.rs")
        {
            read_carriers(&module(Path::new(folder), &file.path), &file.text, &mut carriers);
        }
    }
    carriers
}

/// `oauth/redirect` for `src/oauth/redirect.rs`, `protocol/refresh` for `tests/it/protocol/refresh.rs`.
fn module(folder: &Path, path: &str) -> String {
    let path = Path::new(path).strip_prefix(folder).unwrap().with_extension("");
    let path = path.to_string_lossy();
    path.trim_end_matches("/mod").trim_end_matches("/tests").to_owned()
}

/// Adds the tests of one file to the rows that they name.
fn read_carriers(module: &str, source: &str, carriers: &mut Carriers) {
    let (mut comment, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
        } else {
            let name = function_name(line).filter(|_| is_test);
            assert!(name.is_some() || !comment.contains("Shows:"), "{module}: no test below{comment}");
            if let Some(name) = name {
                for row in rows_in_comment(&comment).chain(rows_in_name(name)) {
                    carriers.entry(row).or_default().insert(format!("{module}::{name}"));
                }
            }
            (comment, is_test) = (String::new(), false);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?.split(['(', '<']).next()
}

/// What stands between `Shows:` and the next full stop.
fn rows_in_comment(comment: &str) -> impl Iterator<Item = String> {
    let named = comment.split("Shows:").nth(1).unwrap_or_default().split('.').next().unwrap_or_default();
    named.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).map(str::to_owned)
}

/// The rows with which the name of a function begins.
fn rows_in_name(name: &str) -> impl Iterator<Item = String> {
    let mut group = None;
    let mut rows = Vec::new();
    for word in name.split('_') {
        let known = GROUPS.iter().find(|(group, _)| group.eq_ignore_ascii_case(word));
        match (known, group, word.parse::<u32>()) {
            (Some((found, _)), ..) => group = Some(*found),
            (None, Some(group), Ok(number)) => rows.push(format!("{group}-{number}")),
            (None, Some(_), Err(_)) if word == "and" => {}
            _ => break,
        }
    }
    rows.into_iter()
}
