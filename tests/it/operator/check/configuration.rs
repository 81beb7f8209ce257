//! Problems of the configuration. The rest is checked all the same.

use super::{ACCESS, Well, check};

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_a_finding_and_the_rest_is_still_checked() {
    let well = Well::start().await;
    well.home.reconfigure("scopes = [\"user\"]\nintrospection", "scope = 1\nintrospection");
    well.home.reconfigure("[repository]", "[tokens]\naccess_lifetime = \"x\"\n\n[repository]");
    let checked = check(&well.home, &[]);
    assert_eq!(checked.code, Some(1));
    assert_eq!(checked.status("configuration"), ["fail", "fail"], "{}", checked.report);
    assert!(checked.words("configuration").contains("config.toml:"), "{}", checked.report);
    for name in ["upstream.credentials", "repository.round_trip", "keys", "public.jwks"] {
        assert_eq!(checked.status(name), ["pass"], "{name} {}", checked.report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_that_may_be_anyone_are_warned_about() {
    for (proxies, status) in [
        ("\"10.0.0.0/8\", \"fc00::/7\", \"127.0.0.1\"", vec!["pass"]),
        ("\"127.0.0.1\", \"0.0.0.0/0\"", vec!["pass", "warn"]),
        ("\"::/0\"", vec!["pass", "warn"]),
        ("\"128.0.0.0/1\"", vec!["pass", "warn"]),
    ] {
        let well = Well::start().await;
        well.home.reconfigure("[authn]", &format!("trusted_proxies = [{proxies}]\n[authn]"));
        let checked = check(&well.home, &[]);
        assert_eq!(checked.status("configuration"), status, "{proxies} {}", checked.report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_may_read_is_named_with_its_remedy() {
    let well = Well::start().await;
    well.home.set_mode("authn-client-secret", 0o644);
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.status("secrets")), (Some(1), vec!["fail"]));
    assert!(checked.words("secrets").contains("chmod 600"), "{}", checked.report);
    assert_eq!(checked.status("repository.round_trip"), ["pass"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logo_that_is_no_image_and_a_link_without_tls_are_findings() {
    let well = Well::start().await;
    well.home.write("logo.png", "<svg onload=\"alert(1)\"/>");
    let section = "[branding]\nlogo = \"logo.png\"\nsupport_url = \"http://help.example.org\"\n\n[authn]";
    well.home.reconfigure("[authn]", section);
    let checked = check(&well.home, &[]);
    assert_eq!(
        (checked.code, checked.status("configuration")),
        (Some(1), vec!["fail"; 2]),
        "{}",
        checked.report
    );
    for key in ["branding.logo", "branding.support_url"] {
        assert!(checked.words("configuration").contains(key), "{}", checked.report);
    }
    assert_eq!(checked.status("public.jwks"), ["pass"]);
}

#[test]
fn a_file_that_is_not_there_is_one_finding() {
    let home = crate::support::process::Home::new();
    let checked = check(&home, &[]);
    assert_eq!((checked.code, checked.troubles()), (Some(1), vec!["configuration"]), "{}", checked.report);
}

#[test]
fn a_resource_that_is_no_url_is_a_usage_error() {
    let outcome = crate::support::process::Home::new().run(&["check", "--resource", "mcp.example.org"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.err.contains("--resource") && outcome.out.is_empty(), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn that_everybody_may_sign_in_is_a_warning() {
    let well = Well::start().await;
    assert_eq!(check(&well.home, &["--strict"]).status("access"), ["pass"]);
    for open in ["[repository]", "[access]\neverybody = true\n\n[repository]"] {
        well.home.reconfigure(ACCESS, open);
        let checked = check(&well.home, &[]);
        assert_eq!((checked.code, checked.status("access")), (Some(0), vec!["warn"]), "{}", checked.report);
        assert_eq!(check(&well.home, &["--strict"]).code, Some(1));
        well.home.reconfigure(open, ACCESS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_short_is_a_warning_and_the_environment_is_told() {
    let well = Well::start().await;
    well.home.write("rs-1-secret", "0123456789abcdef");
    let mut command = well.home.command(&["check", "--config", "config.toml", "--output", "json"]);
    command.env("PANGEA_MCP_AUTH_LOG__LEVEL", "warn");
    let outcome = crate::support::process::Daemon::start(&mut command).wait();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let status = |name: &str| {
        let findings =
            report["findings"].as_array().unwrap().iter().filter(|finding| finding["name"] == name);
        findings.map(|finding| finding["status"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(status("secrets"), ["pass", "warn"], "{report}");
    let told = report["findings"][0]["found"].as_str().unwrap();
    assert!(told.contains("PANGEA_MCP_AUTH_LOG__LEVEL") && !told.contains("0123456789"), "{told}");
}

/// Whether `serve` could make the database, before it does.
#[test]
fn a_database_that_cannot_be_made_fails_and_one_that_can_is_not_made() {
    let home =
        || crate::support::process::Home::with_configuration("http://127.0.0.1:1", "http://127.0.0.1:2");
    for path in ["records.sqlite", "state/deep/records.sqlite"] {
        let home = home();
        home.reconfigure("records.sqlite", path);
        let before = std::fs::read_dir(home.path("")).unwrap().count();
        let checked = check(&home, &[]);
        assert_eq!(checked.status("repository"), ["pass"], "{}", checked.report);
        assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), before, "something was made");
    }
    for path in ["/proc/none/x.sqlite", "config.toml/x.sqlite"] {
        let home = home();
        home.reconfigure("records.sqlite", path);
        let checked = check(&home, &[]);
        assert_eq!(checked.status("repository"), ["fail"], "{}", checked.report);
        assert!(checked.words("repository").contains("repository.path"), "{}", checked.report);
    }
}

/// Before the daemon starts with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_authorities_without_a_certificate_fails() {
    let well = Well::start().await;
    well.home.write("documents-ca.pem", "no certificate");
    well.home.set_mode("documents-ca.pem", 0o644);
    well.home.reconfigure("[authn]", "[client_documents]\nca_file = \"documents-ca.pem\"\n\n[authn]");
    let checked = check(&well.home, &[]);
    assert_eq!(
        (checked.code, checked.status("configuration")),
        (Some(1), vec!["fail"]),
        "{}",
        checked.report
    );
    assert!(checked.words("configuration").contains("client_documents.ca_file"), "{}", checked.report);
}
