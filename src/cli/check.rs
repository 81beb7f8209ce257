//! `check`: prints the findings of `diagnosis`.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Global,
    connection::source,
    failure::{Exit, Failure},
    output::{self, Output},
};
use crate::{
    clock::SystemClock,
    config::{self, Survey},
    diagnosis::{self, Finding, Outside, Report, Status, Subject, Topic, Verifier},
    oauth::resource::Resource,
    secret::SystemRandom,
};

/// How long reading the configuration may take: a locked keyring waits for the user.
const READING: Duration = Duration::from_secs(3);
/// Column of the texts of a finding.
const INDENT: usize = 13;

/// Check the configuration and everything it depends on.
///
/// It checks secrets, Pangea, the repository, the signing keys and the public URLs. Each finding says what
/// was tried, what came back, the likely cause and how to fix it. It is read-only, except for one test
/// record, which it deletes (or which expires after a minute if you interrupt it). Exit code 0 if nothing
/// failed, otherwise 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  pangea-mcp-auth check
  pangea-mcp-auth check --resource https://mcp.example.org/mcp
  pangea-mcp-auth check --strict --output json")]
pub(super) struct Check {
    /// Also check this MCP server: the URL that users enter in their MCP client.
    #[arg(long, value_name = "URL", value_parser = mcp_server)]
    resource: Option<Resource>,
    /// Treat warnings as failures.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(&self, global: &Global) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, format!("cannot start the async runtime: {error}"))
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        // A repository that hangs blocks a thread; the other checks continue.
        let runtime = runtime.worker_threads(4).enable_all().build().map_err(failed)?;
        let output = global.output();
        let report = runtime.block_on(async {
            tokio::select! {
                report = self.report(global, &output) => report,
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
            }
        });
        // Whatever still hangs is abandoned; the test record expires on its own.
        runtime.shutdown_background();
        let report = report?;
        output.document(&json_of(&report), |colour| table_of(&report, colour));
        self.judge(&report)
    }

    fn judge(&self, report: &Report) -> Result<(), Failure> {
        let (failed, warned) = (report.count(Status::Fail), report.count(Status::Warn));
        let checks = report.findings.len();
        let message = match (failed, warned) {
            (0, 0) => return Ok(()),
            (0, _) if !self.strict => return Ok(()),
            (0, _) => format!("{warned} of {checks} checks warned"),
            _ => format!("{failed} of {checks} checks failed"),
        };
        Err(Failure::new(Exit::Failed, message))
    }

    async fn report(&self, global: &Global, output: &Output) -> Result<Report, Failure> {
        let outside = Outside::new().map_err(|error| Failure::new(Exit::Failed, error))?;
        let Some(survey) = survey(global).await else { return Ok(unread()) };
        let subject = Subject {
            survey,
            resource: self.resource.clone(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        let bar = output.progress("checking", Some(1));
        let report = diagnosis::diagnose(subject, &outside, |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        });
        let report = report.await;
        bar.finish_and_clear();
        Ok(report)
    }
}

/// The configuration, as far as it is valid; `None` if reading it took too long.
async fn survey(global: &Global) -> Option<Survey> {
    let source = source(global);
    let read = tokio::task::spawn_blocking(move || config::survey(&source));
    tokio::time::timeout(READING, read).await.ok().and_then(Result::ok)
}

fn unread() -> Report {
    let finding = Finding {
        name: Topic::Secrets.name().to_owned(),
        status: Status::Fail,
        tried: "read the configuration and every secret it names".to_owned(),
        found: "no result in time".to_owned(),
        cause: Some("the keyring is locked and waits for the user, or a disk hangs".to_owned()),
        fix: Some("Unlock the keyring, or keep the secrets in files of mode 600".to_owned()),
        paste: None,
        is_refusal: false,
    };
    Report { findings: vec![finding], verifier: None }
}

fn json_of(report: &Report) -> Value {
    let worst = report.findings.iter().map(|finding| finding.status).filter(|s| *s != Status::Skip).max();
    let mut document = json!({
        "status": worst.unwrap_or(Status::Pass),
        "passed": report.count(Status::Pass),
        "warned": report.count(Status::Warn),
        "failed": report.count(Status::Fail),
        "skipped": report.count(Status::Skip),
        "findings": report.findings,
    });
    if let Some(verifier) = &report.verifier {
        document["verifier"] = json!(verifier);
    }
    document
}

fn table_of(report: &Report, colour: bool) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        write_finding(&mut out, finding, colour);
    }
    if let Some(verifier) = &report.verifier {
        write_verifier(&mut out, verifier);
    }
    let counts = [Status::Pass, Status::Warn, Status::Fail, Status::Skip].map(|status| report.count(status));
    let [passed, warned, failed, skipped] = counts;
    let _ = writeln!(out, "\n{passed} passed, {warned} warned, {failed} failed, {skipped} skipped");
    out
}

fn write_finding(out: &mut String, finding: &Finding, colour: bool) {
    let (word, code) = match finding.status {
        Status::Pass => ("ok", "32"),
        Status::Skip => ("skip", "2"),
        Status::Warn => ("warn", "33"),
        Status::Fail => ("FAIL", "31"),
    };
    let mark = if colour { format!("\u{1b}[{code}m{word:<4}\u{1b}[0m") } else { format!("{word:<4}") };
    let name = &finding.name;
    let _ = writeln!(out, "{mark}  {name}: {}", folded(&finding.found, 8 + name.chars().count()));
    if matches!(finding.status, Status::Pass | Status::Skip) {
        return;
    }
    let _ = writeln!(out, "      tried  {}", folded(&finding.tried, INDENT));
    if let Some(cause) = &finding.cause {
        let _ = writeln!(out, "      cause  {}", folded(cause, INDENT));
    }
    if let Some(fix) = &finding.fix {
        let _ = writeln!(out, "      fix    {}", folded(fix, INDENT));
    }
    // Not folded: a folded line cannot be pasted.
    for line in finding.paste.iter().flat_map(|paste| paste.lines()) {
        let _ = writeln!(out, "{:INDENT$}{}", "", output::readable(line));
    }
}

fn folded(text: &str, column: usize) -> String {
    output::folded(text, column, INDENT)
}

/// The configuration of the MCP server, ready to paste.
fn write_verifier(out: &mut String, verifier: &Verifier) {
    let Verifier { jwks_uri, issuer, audience, algorithm } = verifier;
    let _ = write!(
        out,
        r#"
Token verifier for the MCP server, ready to paste:

    token_verifier=JWTVerifier(
        jwks_uri="{jwks_uri}",
        issuer="{issuer}",
        audience="{audience}",
        algorithm="{algorithm}",
    ),
    authorization_servers=["{issuer}"],
"#
    );
}

fn mcp_server(text: &str) -> Result<Resource, String> {
    Resource::parse(text).map_err(|error| format!("{error}; write the full URL, including https://"))
}
