//! What is weak or means something else than it seems is refused, or warned about.

use super::{
    mistakes::{RESOURCE, assert_mistakes},
    *,
};

#[test]
fn a_section_of_who_may_sign_in_that_admits_no_one_is_an_error() {
    const EMPTY: &str = "is an empty list. List who may sign in";
    assert_mistakes([
        (
            format!("{MINIMAL}[access]\neverybody = false"),
            "config.toml:12: access: lets no one sign in. Add `domains = [\"example.org\"]`",
        ),
        (format!("{MINIMAL}[access]\ndomains = []"), EMPTY),
        (format!("{MINIMAL}[access]\nemails = []\ndomains = [\"example.org\"]"), EMPTY),
        (format!("{MINIMAL}[access]\ngroups = []\neverybody = true"), EMPTY),
        (format!("{MINIMAL}[access]\ngroups = [\"\"]"), "config.toml:13: access.groups: is empty."),
        (
            format!("{MINIMAL}[access]\ngroups = [\"staff\"]\neverybody = true"),
            "config.toml:14: access.everybody: contradicts the lists in this section.",
        ),
    ]);
    for (name, value) in [("EMAILS", ""), ("DOMAINS", ","), ("DOMAINS", " , "), ("GROUPS", "")] {
        let variable = format!("PANGEA_MCP_AUTH_ACCESS__{name}");
        let environment = environment().with([(&*variable, value)]);
        for text in
            [MINIMAL.to_owned(), format!("{MINIMAL}[access]\n{} = [\"a@b.example\"]", name.to_lowercase())]
        {
            let problems = parse(&text, Path::new("config.toml"), &environment).unwrap_err().to_string();
            assert!(
                problems.starts_with(&format!("${variable}: access.")) && problems.contains(EMPTY),
                "{problems}"
            );
        }
    }
}

#[test]
fn who_may_sign_in_is_everybody_only_without_the_section_or_in_so_many_words() {
    for (lines, is_open, words) in [
        ("", true, "every user of the upstream"),
        ("[access]", true, "every user of the upstream"),
        ("[access]\neverybody = true", true, "every user of the upstream"),
        ("[access]\ndomains = [\"Example.org\"]", false, "users at example.org"),
        (
            "[access]\nemails = [\"a@b.c\", \"d@e.f\"]\ngroups = [\"staff\", \"board\"]",
            false,
            "2 addresses; members of staff, board",
        ),
    ] {
        let config = parsed(&format!("{MINIMAL}{lines}")).unwrap();
        let access = &config.access;
        assert_eq!((access.everybody, access.to_string()), (is_open, words.to_owned()), "{lines}");
        assert_eq!(config.says_everybody, lines.contains("everybody"));
    }
}

#[test]
fn a_resource_is_spelt_canonically() {
    let with_url = |url: &str| with(&format!("url = \"{url}\""), RESOURCE);
    for (url, canonical) in [
        ("https://H.example/mcp", "https://h.example/mcp"),
        ("https://h.example:443/mcp", "https://h.example/mcp"),
        ("http://127.0.0.1:80/mcp", "http://127.0.0.1/mcp"),
        ("http://127.1:9000/mcp", "http://127.0.0.1:9000/mcp"),
        ("https://h.example/x/../mcp", "https://h.example/mcp"),
        ("https://h.example/./mcp", "https://h.example/mcp"),
        ("https://h.example/%2e/mcp", "https://h.example/mcp"),
        ("https://h.example?x=y", "https://h.example/?x=y"),
        ("https://h.example/mcp?", "https://h.example/mcp"),
    ] {
        let lines = problems(&with_url(url));
        assert!(
            lines.len() == 1 && lines[0].contains(&format!("Write it as \"{canonical}\":")),
            "{url} {lines:?}"
        );
        assert_eq!(problems(&with_url(canonical)), [""; 0], "{canonical}");
    }
    for url in ["https://h.example", "https://h.example/", "https://h.example/mcp/", "http://[::1]:9000/mcp"]
    {
        assert_eq!(parsed(&with_url(url)).unwrap().resources[0].url.as_str(), url);
    }
}

/// A configuration with an introspection secret of this many characters.
fn with_introspection_secret(length: usize) -> Result<Config, Problems> {
    let lines = "introspection = { client_id = \"rs\", client_secret = { env = \"RS\" } }";
    let environment = environment().with([("RS", &*"ß".repeat(length))]);
    parse(&with(&format!("{RESOURCE}\n{lines}"), RESOURCE), Path::new("config.toml"), &environment)
}

#[test]
fn a_secret_that_the_operator_chose_is_long_enough() {
    let key = "resources.0.introspection.client_secret";
    for length in [1, 15] {
        let problems = with_introspection_secret(length).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(told, [key], "{problems}");
        assert!(!problems.to_string().contains('ß'));
    }
    for (length, warned) in [(16, vec![key]), (31, vec![key]), (32, vec![]), (64, vec![])] {
        let warnings = with_introspection_secret(length).unwrap().warnings;
        assert_eq!(warnings.iter().map(|warning| &*warning.key).collect::<Vec<_>>(), warned, "{length}");
    }
}

#[test]
fn a_sealing_key_that_everybody_can_guess_is_refused() {
    for weak in
        ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="]
    {
        let environment = environment().with([("SEALING", weak)]);
        let problems = parse(MINIMAL, Path::new("config.toml"), &environment).unwrap_err().to_string();
        assert!(problems.contains("keys.sealing: the secret is one byte, repeated"), "{problems}");
    }
}

#[test]
fn quotation_marks_around_a_secret_are_one_problem_that_does_not_show_it() {
    let name = "PANGEA_MCP_AUTH_AUTHN__CLIENT_SECRET";
    for (name, value) in
        [(name, "\"canary\""), ("SEALING", "'canary'"), ("CLIENT_SECRET", "\u{feff}\"canary\"")]
    {
        let environment = environment().with([(name, value)]);
        let problems = parse(MINIMAL, Path::new("config.toml"), &environment).unwrap_err();
        let text = problems.to_string();
        assert_eq!((problems.iter().count(), text.contains("quotation marks")), (1, true), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn every_remedy_of_a_missing_key_is_short() {
    for problem in problems("[[resources]]\nintrospection = {}") {
        assert!(problem.len() < 220, "{} characters: {problem}", problem.len());
    }
}

/// Without authorities, no document could be fetched.
#[test]
fn a_file_of_authorities_has_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{MINIMAL}[client_documents]\nca_file = \"ca.pem\"\n[tokens]\ncode_lifetime = \"x\"");
    let (before, rest) = AUTHORITY.split_at(AUTHORITY.len() / 2);
    let key = AUTHORITY.replace("CERTIFICATE", "PRIVATE KEY");
    for (contents, is_right) in [
        (None, false),
        (Some(""), false),
        (Some("no PEM"), false),
        (Some(before), false),
        (Some(rest), false),
        (Some(&*key), false),
        (Some(AUTHORITY), true),
        (Some(&*format!("{AUTHORITY}{AUTHORITY}")), true),
    ] {
        let path = folder.path().join("ca.pem");
        if let Some(contents) = contents {
            fs::write(&path, contents).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let problems = parse(&text, &folder.path().join("config.toml"), &environment()).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected = ["client_documents.ca_file", "tokens.code_lifetime"];
        assert_eq!(keys, expected[usize::from(is_right)..], "{contents:?} {problems}");
    }
}
