//! What the documents name exists: keys of the configuration and environment variables.

use std::collections::BTreeSet;

use pangea_mcp_auth::config;

use crate::support::tree::{self, File};

const PREFIX: &str = "PANGEA_MCP_AUTH_";

/// The variables of all keys, with `0` for every number of a list.
fn variables() -> BTreeSet<String> {
    config::variables().map(|(name, _)| name).collect()
}

/// The path of the key that a variable sets.
fn path(variable: &str) -> String {
    variable.trim_start_matches(PREFIX).to_lowercase().replace("__", ".")
}

/// Every document for people, except the one that is generated from the keys and the one that also speaks of
/// another program's variables.
fn documents() -> impl Iterator<Item = File> {
    let is_page = |file: &File| {
        ["README.md", "CONTRIBUTING.md"].contains(&file.path.as_str()) || file.path.starts_with("docs/")
    };
    let others = ["docs/configuration.md", "docs/migrating-from-pangea-authn-fastmcp.md"];
    let is_ours = move |file: &File| !others.contains(&file.path.as_str());
    tree::files("", "md").into_iter().filter(move |file| is_page(file) && is_ours(file))
}

fn in_code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Names of findings look like keys.
fn findings() -> BTreeSet<String> {
    let page = std::fs::read_to_string(tree::root().join("docs/check.md")).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_keys_that_documents_name_exist() {
    let paths: BTreeSet<String> = variables().iter().map(|name| path(name).replace(".0.", ".")).collect();
    let is_table = |word: &str| paths.iter().any(|path| path.starts_with(&format!("{word}.")));
    let findings = findings();
    let (mut unknown, mut seen) = (Vec::new(), 0);
    for File { path, text } in documents() {
        for word in in_code(&text) {
            let is_key = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_');
            let section = word.split('.').next().unwrap_or_default();
            let is_file = [".rs", ".toml", ".md", ".sqlite", ".json"].iter().any(|end| word.ends_with(end));
            // A finding about one kind of record has its table in its name.
            let finding = word.replacen(".clients.", ".", 1);
            if !is_key || !word.contains('.') || is_file || !is_table(section) || findings.contains(&finding)
            {
                continue;
            }
            seen += 1;
            if !paths.contains(word) && !is_table(word) {
                unknown.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_variables_that_documents_name_exist() {
    let known = variables();
    let mut unknown = Vec::new();
    for File { path, text } in documents() {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let Some(rest) = word.strip_prefix(PREFIX) else { continue };
            let numbered = rest.split("__").map(|part| if part.parse::<u8>().is_ok() { "0" } else { part });
            let name = format!("{PREFIX}{}", numbered.collect::<Vec<_>>().join("__"));
            let is_known = known.contains(&name) || known.contains(name.trim_end_matches("_FILE"));
            let is_pattern = rest.is_empty() || rest.ends_with('_') || rest == "CONFIG";
            if !is_known && !is_pattern {
                unknown.push(format!("{path}: {word}"));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Every test and file that these pages name exists, so that no reader relies on one that is gone.
#[test]
fn the_tests_that_the_documents_name_exist() {
    let root = tree::root();
    let pages = ["docs/security.md", "docs/interoperability.md"];
    let text: String = pages.iter().map(|page| std::fs::read_to_string(root.join(page)).unwrap()).collect();
    let code = || text.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = code().filter_map(|code| code.split_once(".rs::")).collect();
    assert!(named.len() >= 260, "{}", named.len());
    for (file, test) in named {
        let folder = if file.starts_with("src/") { "" } else { "tests/it/" };
        let source = std::fs::read_to_string(root.join(format!("{folder}{file}.rs"))).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "{file}.rs has no test {test}");
    }
    for code in code().filter(|code| code.starts_with("src/")) {
        let path = code.split("::").next().unwrap_or_default();
        assert!(root.join(path).exists(), "there is no {path}");
    }
}

/// What the documents show is what people paste: no MCP server beside the authorization server.
#[test]
fn wherever_both_are_shown_the_authorization_server_has_a_host_name_of_its_own() {
    let example = File { path: "example.toml".to_owned(), text: config::EXAMPLE.to_owned() };
    let hosts = |text: &str, key: &str| -> BTreeSet<String> {
        let values = text.lines().filter_map(|line| line.strip_prefix(key)?.split('"').next());
        values.map(|url| url.split(['/', ':']).next().unwrap_or_default().to_owned()).collect()
    };
    let mut seen = 0;
    for File { path, text } in tree::files("", "md").into_iter().chain([example]) {
        let own = hosts(&text, "public_url = \"https://");
        let theirs = hosts(&text, "url = \"https://");
        assert!(own.is_disjoint(&theirs), "{path}: {own:?}");
        seen += usize::from(!own.is_empty() && !theirs.is_empty());
    }
    assert!(seen >= 3, "{seen}");
}
