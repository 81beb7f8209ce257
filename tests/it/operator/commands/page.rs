//! Pages of the manual that show commands: each `console` block is run, in order, in a terminal of 120
//! columns, and shows what is seen there. What is another at each time is written as it was once.

use std::{fs, path::Path};

use pangea_mcp_auth::clock::UnixTime;

use super::{records::Records, terminal::Terminal};
use crate::support::process::{Home, is_audited};

/// A page and its blocks that are still to be run.
pub(crate) struct ManualPage {
    name: &'static str,
    blocks: std::vec::IntoIter<String>,
}

impl ManualPage {
    /// Reads a page of `docs/`. In place of each first text of `renamed` the second is meant here.
    pub(crate) fn read(name: &'static str, renamed: &[(&str, &str)]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        let mut text = fs::read_to_string(path).unwrap();
        for (there, here) in renamed {
            assert!(text.contains(there), "{name} has no {there}");
            text = text.replace(there, here);
        }
        let blocks =
            text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        Self { name, blocks: blocks.collect::<Vec<_>>().into_iter() }
    }

    /// Runs the next block, which has one command.
    pub(crate) fn next(&mut self, home: &Home) {
        let block = self.blocks.next().unwrap_or_else(|| panic!("{} has no further block", self.name));
        let (line, shown) = block.strip_prefix("$ ").unwrap().split_once('\n').unwrap();
        let (_, seen) = Terminal::open(home, line, 120).end();
        assert_eq!(comparable(&seen), comparable(shown), "{}: {line}\n{seen}", self.name);
    }

    /// All blocks have been run.
    pub(crate) fn end(mut self) {
        assert_eq!(self.blocks.next(), None, "{}", self.name);
    }
}

/// The text without times, names of keys and the width of columns.
fn comparable(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !is_audited(line))
        .map(|line| if line.starts_with("repository: ") { "repository: <where>" } else { line })
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .map(|words| timeless(&words))
        .collect()
}

fn timeless(words: &[&str]) -> String {
    let bare = |at: usize| words.get(at).map_or("", |word| word.trim_matches(['(', ')', ';']));
    let is_number = |word: &str| word.parse::<u32>().is_ok();
    let (mut at, mut kept) = (0, Vec::new());
    while at < words.len() {
        let (text, length) = match (bare(at), bare(at + 1), bare(at + 2)) {
            ("just", "now", _) => ("<then>", 2),
            (count, _, "ago") if is_number(count) => ("<then>", 3),
            ("in", count, _) if is_number(count) => ("<then>", 3),
            (time, ..) if UnixTime::parse(time).is_some() => ("<time>", 1),
            (kid, ..) if is_kid(kid) => ("<kid>", 1),
            (account, ..) if at > 0 && words[at - 1] == "by" && account.contains('@') => ("<account>", 1),
            _ => (words[at], 1),
        };
        kept.push(text);
        at += length;
    }
    kept.join(" ")
}

/// Twelve bytes in base64url.
fn is_kid(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[tokio::test]
async fn the_page_about_who_is_connected_shows_what_is_seen() {
    let records = Records::usual().await;
    let mut page = ManualPage::read("connections.md", &[("https://mcp.example.org", "http://127.0.0.1:9")]);
    for _ in 0..6 {
        page.next(&records.home);
    }
    page.end();
}
