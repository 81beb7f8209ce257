//! The wizard: asks one question after another, explains each, tests the answers, and can go back.

use super::{
    answers::{Answers, Deployment, Engine, bare},
    live::{self, Live},
    prompt::{Reply, ask, ask_hidden, choose},
    typed,
};
use crate::{
    cli::{failure::Failure, output::Output},
    oauth::issuer::Issuer,
};

const STEPS: [Step; 15] = [
    Step::Deployment,
    Step::PublicUrl,
    Step::McpUrl,
    Step::McpName,
    Step::Access,
    Step::Domains,
    Step::Emails,
    Step::IssuerUrl,
    Step::Scope,
    Step::ClientId,
    Step::ClientSecret,
    Step::Login,
    Step::Repository,
    Step::RepositoryUrl,
    Step::RepositorySecret,
];

/// Why the public URL needs a host name of its own.
const OWN_HOST: &str = "Use a separate host name, such as https://auth.example.org. Browsers share cookies between all \
                        ports of a host name and scripts between all pages of an origin, so another service there \
                        could approve sign-ins.";
/// The warning if the MCP server has the same host name.
pub(super) const SHARED_HOST: &str = "The MCP server has the same host name as this server. Scripts and servers there \
                                      could approve sign-ins. Use a separate host name for this server, such as \
                                      https://auth.example.org.";
/// Default name of the MCP server.
const USUAL_NAME: &str = "My server";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Deployment,
    PublicUrl,
    McpUrl,
    McpName,
    Access,
    Domains,
    Emails,
    IssuerUrl,
    Scope,
    ClientId,
    ClientSecret,
    /// Tests the answers; asks only if a test fails.
    Login,
    Repository,
    RepositoryUrl,
    RepositorySecret,
}

pub(super) fn walk(answers: &mut Answers, live: Option<&Live<'_>>, output: &Output) -> Result<(), Failure> {
    output.tell(
        0,
        "This sets up pangea-mcp-auth in a few questions. Press Enter to accept the value in brackets, < to go back, \
         Ctrl-C to quit without writing anything.",
    );
    let access = Access::of(answers);
    let mut walk = Walk { answers, live, output, access };
    let mut at = 0;
    while let Some(step) = STEPS.get(at) {
        match walk.ask(*step)? {
            Reply::Given(()) => at += 1,
            Reply::Back => at = walk.before(at),
        }
        while STEPS.get(at).is_some_and(|step| !walk.applies(*step)) {
            at += 1;
        }
    }
    Ok(())
}

struct Walk<'a> {
    answers: &'a mut Answers,
    live: Option<&'a Live<'a>>,
    output: &'a Output,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Everyone,
    Domains,
    Emails,
}

impl Access {
    fn of(answers: &Answers) -> Self {
        match (answers.allowed_domains.is_empty(), answers.allowed_emails.is_empty()) {
            (false, _) => Self::Domains,
            (true, false) => Self::Emails,
            (true, true) => Self::Everyone,
        }
    }
}

impl Walk<'_> {
    /// The previous question. From the test of client ID and secret, the previous question is the client ID,
    /// because either of them may be wrong.
    fn before(&self, at: usize) -> usize {
        if STEPS.get(at) == Some(&Step::Login) {
            return STEPS.iter().position(|step| *step == Step::ClientId).unwrap_or(0);
        }
        let asks = |step: &Step| self.applies(*step) && *step != Step::Login;
        STEPS[..at].iter().rposition(asks).unwrap_or(0)
    }

    fn applies(&self, step: Step) -> bool {
        match step {
            Step::Domains => self.access == Access::Domains,
            Step::Emails => self.access == Access::Emails,
            Step::Login => self.live.is_some(),
            Step::RepositoryUrl => self.answers.needs_repository_url(),
            Step::RepositorySecret => self.answers.engine() != Engine::Sqlite,
            _ => true,
        }
    }

    fn ask(&mut self, step: Step) -> Result<Reply<()>, Failure> {
        match step {
            Step::Deployment => self.deployment(),
            Step::PublicUrl => self.public_url(),
            Step::McpUrl => self.mcp_url(),
            Step::McpName => self.mcp_name(),
            Step::Access => self.access(),
            Step::Domains => self.domains(),
            Step::Emails => self.emails(),
            Step::IssuerUrl => self.issuer_url(),
            Step::Scope => self.scope(),
            Step::ClientId => self.client_id(),
            Step::ClientSecret => self.client_secret(),
            Step::Login => self.login(),
            Step::Repository => self.repository(),
            Step::RepositoryUrl => self.repository_url(),
            Step::RepositorySecret => self.repository_secret(),
        }
    }

    fn deployment(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Where does everything run?");
        self.explain("This decides which addresses are suggested. You can run init again later.");
        let choices = [
            (Deployment::ThisMachine, "only on this machine, with http on localhost, to try it out"),
            (Deployment::ReverseProxy, "under a public https host name, behind a reverse proxy with TLS"),
        ];
        let default = self.answers.deployment();
        keep(choose(self.output, "Choice", &choices, default), |chosen| {
            if self.answers.deployment.is_some_and(|before| before != chosen) {
                (self.answers.public_url, self.answers.mcp_url) = (None, None);
            }
            self.answers.deployment = Some(chosen);
        })
    }

    fn public_url(&mut self) -> Result<Reply<()>, Failure> {
        self.title("What is this server's public URL?");
        self.explain("It becomes the issuer of tokens; clients compare it character by character.");
        let wants_https = self.answers.deployment() == Deployment::ReverseProxy;
        if wants_https {
            self.explain(OWN_HOST);
        }
        let usual = (!wants_https).then(|| "http://localhost:8000".to_owned());
        let default = self.answers.public_url.as_ref().map(ToString::to_string).or(usual);
        let parse = |text: &str| match typed::public_url(text) {
            Ok(url) if wants_https && !url.is_https() => Err("a public host name needs https".to_owned()),
            other => other.map(|url| (url, text.to_owned())),
        };
        let reply = ask(self.output, "Public URL", default.as_deref(), parse)?;
        if let Reply::Given((url, text)) = &reply {
            self.mention_change(text, url.as_str());
        }
        keep(Ok(reply), |(url, _): (Issuer, String)| self.answers.public_url = Some(url))
    }

    fn mcp_url(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Which URL do users enter in their MCP client?");
        self.explain("Tokens are valid only for this URL, including path and port: it is their audience.");
        let is_local = self.answers.deployment() == Deployment::ThisMachine;
        let usual = is_local.then(|| Answers::usual_mcp_url().to_owned());
        let default = self.answers.mcp_url.as_ref().map(ToString::to_string).or(usual);
        let parse = |text: &str| typed::mcp_server(text).map(|url| (url, text.to_owned()));
        let reply = ask(self.output, "MCP server", default.as_deref(), parse)?;
        let Reply::Given((url, text)) = reply else { return Ok(Reply::Back) };
        self.mention_change(&text, url.as_str());
        self.answers.mcp_url = Some(url);
        if self.answers.shares_its_host() {
            self.explain(SHARED_HOST);
        }
        Ok(Reply::Given(()))
    }

    fn mcp_name(&mut self) -> Result<Reply<()>, Failure> {
        self.title("What is the MCP server called?");
        self.explain("The consent page shows this name to users.");
        let default = self.answers.mcp_name.clone().unwrap_or_else(|| USUAL_NAME.to_owned());
        keep(ask(self.output, "Name", Some(&default), typed::name), |name| {
            self.answers.mcp_name = Some(name);
        })
    }

    fn access(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Who may sign in?");
        self.explain("If your Pangea project lets anyone sign up, \"all users\" means anyone in the world.");
        let choices = [
            (Access::Everyone, "all users of the Pangea project"),
            (Access::Domains, "users with an email address in certain domains"),
            (Access::Emails, "certain users, by email address"),
        ];
        keep(choose(self.output, "Choice", &choices, self.access), |access| {
            if access != self.access {
                (self.answers.allowed_domains, self.answers.allowed_emails) = (Vec::new(), Vec::new());
            }
            self.access = access;
        })
    }

    fn domains(&mut self) -> Result<Reply<()>, Failure> {
        let default = Some(self.answers.allowed_domains.join(", ")).filter(|list| !list.is_empty());
        let parse = |text: &str| -> Result<Vec<String>, String> {
            typed::list(text)?.iter().map(|item| typed::domain(item)).collect()
        };
        keep(ask(self.output, "Domains", default.as_deref(), parse), |domains| {
            self.answers.allowed_domains = domains;
        })
    }

    fn emails(&mut self) -> Result<Reply<()>, Failure> {
        let default = Some(self.answers.allowed_emails.join(", ")).filter(|list| !list.is_empty());
        let parse = |text: &str| -> Result<Vec<String>, String> {
            typed::list(text)?.iter().map(|item| typed::email(item)).collect()
        };
        keep(ask(self.output, "Email addresses", default.as_deref(), parse), |emails| {
            self.answers.allowed_emails = emails;
        })
    }

    fn issuer_url(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Set up Pangea in its console, https://console.pangea.cloud");
        console(self.output, &self.answers.redirect_uri());
        loop {
            let default = self.answers.issuer_url.clone();
            let parse = |text: &str| typed::hosted_login(text).map(|url| (url, text.to_owned()));
            let reply = ask(self.output, "Hosted Login URL", default.as_deref(), parse)?;
            let Reply::Given((url, text)) = reply else { return Ok(Reply::Back) };
            self.mention_change(&text, &url);
            let is_insisted_on = default.as_ref() == Some(&url);
            self.answers.issuer_url = Some(url.clone());
            let findings = self.live.map(|live| live.issuer(&url)).unwrap_or_default();
            live::tell(self.output, &findings);
            if is_insisted_on || !findings.iter().any(live::is_bad) {
                return Ok(Reply::Given(()));
            }
            self.explain("Enter another URL, or press Enter to keep this one anyway.");
        }
    }

    fn scope(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Which scope did you create in step 2?");
        self.explain(
            "This server requests it from Pangea, and MCP clients request it here under the same name.",
        );
        let default = self.answers.scope.clone().unwrap_or_else(|| "user".to_owned());
        keep(ask(self.output, "Scope", Some(&default), typed::scope), |scope| {
            self.answers.scope = Some(scope);
        })
    }

    fn client_id(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Which OAuth client did you create in step 3?");
        self.explain("The ID is public. The secret goes into the keyring or a private file.");
        let default = self.answers.client_id.clone();
        let reply = ask(self.output, "Client ID", default.as_deref(), typed::client_id)?;
        if matches!(&reply, Reply::Given(id) if !id.starts_with("psa_")) {
            self.explain("Client IDs of Pangea begin with psa_; continuing with this one.");
        }
        keep(Ok(reply), |id| self.answers.client_id = Some(id))
    }

    fn client_secret(&mut self) -> Result<Reply<()>, Failure> {
        loop {
            let known = self.answers.client_secret.is_some();
            let question =
                if known { "Client secret, Enter to keep the previous one" } else { "Client secret" };
            match ask_hidden(self.output, question)? {
                Reply::Back => return Ok(Reply::Back),
                Reply::Given(None) if known => return Ok(Reply::Given(())),
                Reply::Given(None) => self.explain("An answer is required; < goes back."),
                Reply::Given(Some(text)) => match bare("client secret", &text) {
                    Err(failure) => self.explain(&failure.message),
                    Ok(secret) => {
                        if !text.starts_with("pck_") {
                            self.explain(
                                "Client secrets of Pangea begin with pck_; continuing with this one.",
                            );
                        }
                        self.answers.client_secret = Some(secret);
                        return Ok(Reply::Given(()));
                    }
                },
            }
        }
    }

    fn login(&mut self) -> Result<Reply<()>, Failure> {
        loop {
            self.explain("Testing client ID, secret, redirect URI and scope at Pangea ...");
            let findings = self.live.map(|live| live.login(self.answers)).unwrap_or_default();
            live::tell(self.output, &findings);
            if !findings.iter().any(live::is_bad) {
                return Ok(Reply::Given(()));
            }
            self.explain(
                "Correct the problem in the console and press Enter to test again, go back with < to correct an answer, or \
                 type keep to continue anyway.",
            );
            match ask(self.output, "Test again, keep, or <", Some("again"), again_or_keep)? {
                Reply::Back => return Ok(Reply::Back),
                Reply::Given(true) => return Ok(Reply::Given(())),
                Reply::Given(false) => {}
            }
        }
    }

    fn repository(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Where should clients, grants and signing keys be stored?");
        self.explain("They must survive a restart. You can move them later with `repository copy`.");
        let choices = [
            (Engine::Sqlite, "SQLite: a file on this machine; nothing to install"),
            (Engine::Postgres, "PostgreSQL: supports several daemons"),
            (Engine::Redis, "Redis or Valkey: supports several daemons"),
            (Engine::Vault, "Pangea Vault: supports one daemon; nothing is stored on this machine"),
        ];
        let default = self.answers.engine();
        keep(choose(self.output, "Choice", &choices, default), |engine| {
            if self.answers.engine() != engine {
                (self.answers.repository_url, self.answers.repository_secret) = (None, None);
            }
            self.answers.repository = Some(engine);
        })
    }

    fn repository_url(&mut self) -> Result<Reply<()>, Failure> {
        let is_vault = self.answers.engine() == Engine::Vault;
        let (question, words) = if is_vault {
            ("Vault URL", "URL of the Vault service in your Pangea region.")
        } else {
            ("Database URL", "Leave out the password; it is the next question.")
        };
        self.explain(words);
        let parse = |text: &str| match typed::without_password(text)? {
            url if is_vault => typed::safe_url(&url).map(|_| url.trim_end_matches('/').to_owned()),
            url => Ok(url),
        };
        let default = self.answers.repository_url.clone();
        let default = default.unwrap_or_else(|| self.answers.usual_repository_url());
        keep(ask(self.output, question, Some(&default), parse), |url| {
            self.answers.repository_url = Some(url);
        })
    }

    fn repository_secret(&mut self) -> Result<Reply<()>, Failure> {
        loop {
            let known = self.answers.repository_secret.is_some();
            let question = match (self.answers.engine(), known) {
                (Engine::Vault, false) => "Vault token",
                (Engine::Vault, true) => "Vault token, Enter to keep the previous one",
                (_, false) => "Password, Enter for none",
                (_, true) => "Password, Enter to keep the previous one",
            };
            match ask_hidden(self.output, question)? {
                Reply::Back => return Ok(Reply::Back),
                Reply::Given(Some(text)) => match bare("repository secret", &text) {
                    Ok(secret) => self.answers.repository_secret = Some(secret),
                    Err(failure) => {
                        self.explain(&failure.message);
                        continue;
                    }
                },
                Reply::Given(None) if !known && self.answers.engine() == Engine::Vault => {
                    self.explain("An answer is required; < goes back.");
                    continue;
                }
                Reply::Given(None) => {}
            }
            if let Some(reply) = self.repository_test()? {
                return Ok(reply);
            }
        }
    }

    /// Tests the repository until it works or the user continues anyway; `None` asks for the secret again.
    fn repository_test(&mut self) -> Result<Option<Reply<()>>, Failure> {
        loop {
            let tested = self.live.map_or(Ok(()), |live| live.repository(self.answers));
            let Err(why) = tested else {
                self.output.tell_item("  ok", 8, "the repository accepts the credentials");
                return Ok(Some(Reply::Given(())));
            };
            self.output.tell_item("  FAIL", 8, &why);
            match ask(self.output, "Test again, keep, or <", Some("again"), again_or_keep)? {
                Reply::Back => return Ok(None),
                Reply::Given(true) => return Ok(Some(Reply::Given(()))),
                Reply::Given(false) => {}
            }
        }
    }

    fn mention_change(&self, typed: &str, taken: &str) {
        if let Some(words) = typed::change(typed, taken) {
            self.explain(&words);
        }
    }

    fn title(&self, words: &str) {
        self.output.say("");
        self.output.tell(0, words);
    }

    fn explain(&self, words: &str) {
        self.output.tell(2, words);
    }
}

fn keep<T>(reply: Result<Reply<T>, Failure>, store: impl FnOnce(T)) -> Result<Reply<()>, Failure> {
    reply.map(|reply| match reply {
        Reply::Back => Reply::Back,
        Reply::Given(value) => {
            store(value);
            Reply::Given(())
        }
    })
}

fn again_or_keep(text: &str) -> Result<bool, String> {
    match text {
        "again" => Ok(false),
        "keep" => Ok(true),
        _ => Err("press Enter to test again, type keep to continue anyway, or < to go back".to_owned()),
    }
}

/// The steps in the Pangea console.
fn console(output: &Output, redirect_uri: &str) {
    let steps = [
        ("1", "Sign up or sign in, and enable AuthN. If it offers to create a token, create one."),
        (
            "2",
            "AuthN, OAuth Server, Scopes, + Scope. Name: user. Enter a display name and a description. Require consent \
             if Pangea should also ask users for consent.",
        ),
        (
            "3",
            "AuthN, OAuth Server, Clients, + OAuth Client. Grant type: Authorization Code. Response types: Code. \
             Allowed scopes and default scopes: user. Allowed Redirect URIs, character by character:",
        ),
    ];
    for (number, words) in steps {
        output.tell_item(&format!("  {number}."), 5, words);
    }
    output.say(&format!("\n{redirect_uri}"));
    output.say("");
    output.tell_item(
        "  4.",
        5,
        "Note the client ID, the client secret and, from the overview of AuthN, the Hosted Login URL, which looks like \
         https://pdn-xxxxxxxx.login.aws.us.pangea.cloud",
    );
    output.say("");
}
