//! The pages for people: every link leads somewhere, and tables hold facts instead of paragraphs.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::tree::{self, File};

/// Longest cell of a table, in characters.
const LONGEST_CELL: usize = 200;

/// Pages whose tables are generated from the program.
const GENERATED: [&str; 2] = ["docs/commands.md", "docs/configuration.md"];

fn pages() -> impl Iterator<Item = File> {
    let roots = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/README.md"];
    let is_page = move |file: &File| roots.contains(&file.path.as_str()) || file.path.starts_with("docs/");
    tree::files("", "md").into_iter().filter(is_page)
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// Where the links and pictures of a line lead, other sites aside.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let begun = ["](", "src=\"", "srcset=\""].into_iter().flat_map(|before| line.split(before).skip(1));
    begun
        .filter_map(|rest| rest.split([')', '"']).next())
        .filter(|target| !target.starts_with("https://") && !target.starts_with("http://"))
}

/// The anchors of a page, as GitHub makes them from its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let heading = heading.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let repeated = (1..).map(|number| format!("{anchor}-{number}"));
        let free = std::iter::once(anchor.clone()).chain(repeated).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

fn resolves(page: &str, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let page = tree::root().join(page);
    let path = if file.is_empty() { page } else { page.parent().unwrap_or(Path::new("")).join(file) };
    if anchor.is_empty() {
        return path.exists();
    }
    fs::read_to_string(path).is_ok_and(|text| anchors(&text).contains(anchor))
}

#[test]
fn every_link_and_anchor_resolves() {
    let (mut broken, mut seen) = (Vec::new(), 0);
    for File { path, text } in pages() {
        for (number, line) in prose(&text) {
            for target in targets(line) {
                seen += 1;
                if !resolves(&path, target) {
                    broken.push(format!("{path}:{number}: {target}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 100, "{seen}");
}

#[test]
fn anchors_are_those_of_github() {
    let page = "# A page\n## `serve`, and more\n```sh\n# no heading\n```\n## Moving\n## Moving\n";
    let made: Vec<_> = anchors(page).into_iter().collect();
    assert_eq!(made, ["a-page", "moving", "moving-1", "serve-and-more"]);
    let line = "see [a](b.md#c) and [d](#e), <img src=\"f.png\">, [g](https://example.org)";
    assert_eq!(targets(line).collect::<Vec<_>>(), ["b.md#c", "#e", "f.png"]);
}

#[test]
fn tables_hold_facts_and_no_paragraphs() {
    let mut long = Vec::new();
    for File { path, text } in pages().filter(|page| !GENERATED.contains(&page.path.as_str())) {
        for (number, line) in prose(&text).filter(|(_, line)| line.starts_with('|')) {
            let mut cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            // The tests of a requirement are generated.
            if path == "docs/requirements.md" {
                cells.truncate(3);
            }
            if let Some(cell) = cells.iter().find(|cell| cell.chars().count() > LONGEST_CELL) {
                long.push(format!("{path}:{number}: {cell}"));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}
