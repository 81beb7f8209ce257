//! `docs/check.md` has a row for every finding, and shows what is really printed.

use super::{Well, check};
use crate::{
    documents::readme::document,
    support::{documented, tree},
};

/// The names in the program, by the arms that give them.
fn names() -> Vec<String> {
    let file = tree::files("src/diagnosis", "rs").into_iter().find(|file| file.path.ends_with("/topic.rs"));
    let text = file.unwrap().text;
    let arms = text.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    arms.map(|(_, name)| name.trim_end_matches("\",").to_owned()).collect()
}

#[test]
fn every_finding_has_its_row_and_every_row_its_finding() {
    let page = document("docs/check.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let (rows, words): (Vec<&str>, Vec<&str>) = rows.unzip();
    assert_eq!(rows, names());
    for (row, words) in rows.iter().zip(words) {
        let cells: Vec<&str> = words.trim_end_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| cell.len() > 3), "{row}: {cells:?}");
    }
}

/// The report as it would be with the usual addresses.
fn usual(text: &str, well: &Well) -> String {
    let upstream = well.home.read("config.toml");
    let upstream = upstream.split("issuer_url = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let text = text.replace(&well.public_url, "http://localhost:8000");
    let text = text.replace(&upstream, "https://pdn-xxxxxxxx.login.aws.us.pangea.cloud");
    let text = text.replace("psa_test", "psa_xxxxxxxx");
    let lines = text.lines().map(|line| match line.split_once(" writes in ") {
        Some((before, _)) => format!("{before} writes in 3 ms\n"),
        None if line.contains(" s apart") => "ok    upstream.clock: 0 s apart\n".to_owned(),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_a_report_as_it_is_printed() {
    let well = Well::start().await;
    assert_eq!(check(&well.home, &[]).code, Some(0));
    let passed = well.home.run(&["check", "--config", "config.toml"]);
    documented("docs/check.md", "text", 0, &usual(&passed.out, &well));
    well.home.write("authn-client-secret", "pck_wrong");
    let failed = well.home.run(&["check", "--config", "config.toml"]);
    let lines: Vec<&str> = failed.out.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("FAIL")).unwrap();
    let until = at + 1 + lines[at + 1..].iter().position(|line| !line.starts_with("      ")).unwrap();
    documented("docs/check.md", "text", 1, &usual(&lines[at..until].join("\n"), &well));
}
