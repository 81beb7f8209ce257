//! `check`: everything that can be wrong, really wrong.

mod configuration;
mod documentation;
mod engines;
mod hanging;
mod output;
mod public;
pub(crate) mod repository;
pub(crate) mod resource;
mod upstream;

use std::{fs, path::Path};

use pangea_mcp_auth::clock::UnixTime;
use serde_json::Value;

use crate::{
    stage::VAULT_TOKEN,
    support::{
        pangea,
        process::{Daemon, Home, PANGEA, free_port},
    },
};

/// Not everybody may sign in.
const ACCESS: &str = "[access]\ndomains = [\"example.com\"]\n\n[repository]";

/// A daemon that is well, with its upstream.
pub(crate) struct Well {
    pub(crate) home: Home,
    pub(crate) public_url: String,
    pub(crate) daemon: Daemon,
}

impl Well {
    pub(crate) async fn start() -> Self {
        let public_url = format!("http://127.0.0.1:{}", free_port());
        let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
        let home = Home::with_configuration(&public_url, &upstream);
        home.reconfigure("[repository]", ACCESS);
        let daemon = home.serve();
        Self { home, public_url, daemon }
    }
}

/// A daemon that is well, with other lines for `[repository]`; `{upstream}` stands for the upstream's URL.
async fn well_with(repository: &str) -> Well {
    let public_url = format!("http://127.0.0.1:{}", free_port());
    let upstream = pangea(PANGEA, format!("{public_url}/pangea/callback")).await;
    let home = Home::with_configuration(&public_url, &upstream);
    home.write("vault-token", VAULT_TOKEN);
    home.reconfigure("[repository]", ACCESS);
    home.reconfigure("path = \"records.sqlite\"", &repository.replace("{upstream}", &upstream));
    let daemon = home.serve();
    Well { home, public_url, daemon }
}

/// What `check` reported.
pub(crate) struct Checked {
    pub(crate) code: Option<i32>,
    report: Value,
}

/// Runs `check` on a home.
pub(crate) fn check(home: &Home, more: &[&str]) -> Checked {
    let arguments = [&["check", "--config", "config.toml", "--output", "json"], more].concat();
    let outcome = home.run(&arguments);
    let report: Value = serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    fits_schema("check.json", &report);
    assert_eq!(outcome.code == Some(0), outcome.err.is_empty(), "{outcome:?}");
    Checked { code: outcome.code, report }
}

impl Checked {
    fn findings(&self) -> &[Value] {
        self.report["findings"].as_array().unwrap()
    }

    /// The statuses of all findings with this name.
    pub(crate) fn status(&self, name: &str) -> Vec<&str> {
        let findings = self.findings().iter().filter(|finding| finding["name"] == name);
        findings.map(|finding| finding["status"].as_str().unwrap()).collect()
    }

    /// All words of findings with this name.
    pub(crate) fn words(&self, name: &str) -> String {
        let findings = self.findings().iter().filter(|finding| finding["name"] == name);
        findings.map(ToString::to_string).collect()
    }

    /// Names of the findings that are not as they should be.
    fn troubles(&self) -> Vec<&str> {
        let bad = |finding: &&Value| finding["status"] == "warn" || finding["status"] == "fail";
        self.findings().iter().filter(bad).map(|finding| finding["name"].as_str().unwrap()).collect()
    }
}

/// Whether a document has what a schema of `docs/schemas` asks for and nothing else, as far as our
/// schemas go.
pub(crate) fn fits_schema(schema: &str, document: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(schema);
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    fits(&schema, document);
}

fn fits(schema: &Value, value: &Value) {
    if let Some(choices) = schema["enum"].as_array() {
        return assert!(choices.contains(value), "{value} is none of {choices:?}");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().map(|of| of.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    };
    if value.is_null() && types.contains(&"null") {
        return;
    }
    match types[0] {
        "object" => {
            let object = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
            assert_eq!(schema["additionalProperties"], false, "{schema} lets anything in");
            for required in schema["required"].as_array().unwrap() {
                assert!(object.contains_key(required.as_str().unwrap()), "{required} is missing in {value}");
            }
            for (name, value) in object {
                let schema = schema["properties"].get(name).unwrap_or_else(|| panic!("{name} is surplus"));
                fits(schema, value);
            }
        }
        "array" => value.as_array().unwrap().iter().for_each(|item| fits(&schema["items"], item)),
        "string" if schema["format"] == "date-time" => {
            assert!(value.as_str().and_then(UnixTime::parse).is_some(), "{value} is no time");
        }
        "string" => assert!(value.is_string(), "{value}"),
        "integer" => assert!(value.is_u64(), "{value}"),
        "boolean" => assert!(value.is_boolean(), "{value}"),
        other => panic!("{other} is not understood here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_that_is_well_passes_and_nothing_is_left_behind() {
    let well = Well::start().await;
    let checked = check(&well.home, &[]);
    assert_eq!((checked.code, checked.troubles()), (Some(0), vec![]), "{}", checked.report);
    assert_eq!(checked.report["status"], "pass");
    for name in [
        "configuration",
        "secrets",
        "access",
        "upstream.issuer",
        "upstream.clock",
        "upstream.authorize",
        "upstream.credentials",
        "upstream.wrong_secret",
        "repository",
        "repository.round_trip",
        "repository.settings",
        "keys",
        "public.metadata",
        "public.cors",
        "public.resource_metadata",
        "public.jwks",
        "public.keys",
    ] {
        assert!(!checked.status(name).is_empty(), "{name} is not checked");
    }
    let records = repository::records(&well.home.path("records.sqlite")).await;
    assert_eq!(records, [""; 0], "the record of the round trip is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_words_in_80_columns_and_the_lines_to_paste() {
    let well = Well::start().await;
    well.home.write("authn-client-secret", "pck_wrong");
    let resource = format!("{}/mcp", well.public_url);
    let outcome = well.home.run(&["check", "--config", "config.toml", "--resource", &resource]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for line in [
        "FAIL  upstream.credentials: ",
        "      cause  the client secret is wrong",
        "      fix    Create a new",
    ] {
        assert!(outcome.out.contains(line), "{line} {}", outcome.out);
    }
    assert!(outcome.out.contains(&format!("        audience=\"{resource}\",\n")), "{}", outcome.out);
    assert!(outcome.err.starts_with("error: ") && outcome.err.contains("failed"), "{}", outcome.err);
    let long = outcome.out.lines().filter(|line| line.chars().count() > 80);
    assert!(
        long.clone().all(|line| line.split_whitespace().count() == 1 || line.contains("http")),
        "{:?}",
        long.collect::<Vec<_>>()
    );
    for secret in ["pck_wrong", "\u{1b}"] {
        assert!(!outcome.out.contains(secret) && !outcome.err.contains(secret), "{outcome:?}");
    }
}
