//! The walk: one question after the other, each explained in a line, each tested, and back again.

use super::{
    super::{failure::Failure, output::Output},
    answers::{Answers, Deployment, Engine, bare},
    live::{self, Live},
    prompt::{Reply, ask, ask_hidden, choose},
    typed,
};
use crate::oauth::issuer::Issuer;

/// The questions in their order.
const STEPS: [Step; 13] = [
    Step::Deployment,
    Step::PublicUrl,
    Step::Protection,
    Step::Gateway,
    Step::McpUrl,
    Step::IssuerUrl,
    Step::Scope,
    Step::ClientId,
    Step::ClientSecret,
    Step::Login,
    Step::Repository,
    Step::RepositoryUrl,
    Step::RepositorySecret,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Deployment,
    PublicUrl,
    Protection,
    Gateway,
    McpUrl,
    IssuerUrl,
    Scope,
    ClientId,
    ClientSecret,
    /// No question while all is well: the test of what was answered.
    Login,
    Repository,
    RepositoryUrl,
    RepositorySecret,
}

/// Asks whatever is to be known.
pub(super) fn walk(answers: &mut Answers, live: Option<&Live<'_>>, output: &Output) -> Result<(), Failure> {
    output.tell(
        0,
        "This sets up pangea-mcp-auth in a few questions. Enter takes what stands in brackets, < goes back to the \
         question before, Ctrl-C leaves and writes nothing.",
    );
    let mut walk = Walk { answers, live, output, wants_gateway: false };
    walk.wants_gateway = walk.answers.gateway.is_some();
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
    wants_gateway: bool,
}

impl Walk<'_> {
    /// The question before; the first one has none.
    fn before(&self, at: usize) -> usize {
        let asks = |step: &Step| self.applies(*step) && *step != Step::Login;
        STEPS[..at].iter().rposition(asks).unwrap_or(0)
    }

    fn applies(&self, step: Step) -> bool {
        match step {
            Step::Gateway => self.wants_gateway,
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
            Step::Protection => self.protection(),
            Step::Gateway => self.gateway(),
            Step::McpUrl => self.mcp_url(),
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
        self.explain("It decides which addresses are proposed; you can start small and run init again.");
        let choices = [
            (Deployment::ThisMachine, "this machine alone, with http on localhost: to try it out"),
            (Deployment::ReverseProxy, "under a public https name, behind a reverse proxy with TLS"),
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
        self.title("Where does the world reach this authorization server?");
        self.explain("Clients compare this URL character by character; it becomes the issuer of tokens.");
        let usual = match self.answers.deployment() {
            Deployment::ThisMachine => Some("http://localhost:8000".to_owned()),
            Deployment::ReverseProxy => None,
        };
        let default = self.answers.public_url.as_ref().map(ToString::to_string).or(usual);
        let wants_https = self.answers.deployment() == Deployment::ReverseProxy;
        let parse = |text: &str| match typed::public_url(text) {
            Ok(url) if wants_https && !url.is_https() => Err("a public name needs https".to_owned()),
            other => other,
        };
        let was_usual =
            self.answers.mcp_url.as_ref().is_some_and(|url| url.as_str() == self.answers.usual_mcp_url());
        keep(ask(self.output, "Public URL", default.as_deref(), parse), |url: Issuer| {
            self.answers.public_url = Some(url);
            if was_usual {
                self.answers.mcp_url = None;
            }
        })
    }

    fn protection(&mut self) -> Result<Reply<()>, Failure> {
        self.title("How is the MCP server protected?");
        self.explain("Somebody must look at the token of every request.");
        let choices = [
            (false, "it checks tokens itself, as FastMCP does with four lines"),
            (true, "the same, and its address is noted for a gateway; none is in this program"),
        ];
        let chosen = choose(self.output, "Choice", &choices, self.wants_gateway);
        keep(chosen, |gateway| {
            if gateway != self.wants_gateway {
                self.answers.mcp_url = None;
            }
            self.wants_gateway = gateway;
            if !gateway {
                self.answers.gateway = None;
            }
        })
    }

    fn gateway(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Where does the MCP server listen?");
        self.explain("Nobody but this daemon should reach it there.");
        let default = self.answers.gateway.as_ref().map(ToString::to_string);
        let default = default.unwrap_or_else(|| "http://127.0.0.1:9000/mcp".to_owned());
        keep(ask(self.output, "MCP server behind", Some(&default), typed::upstream), |url| {
            self.answers.gateway = Some(url);
        })
    }

    fn mcp_url(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Which URL do people enter in their MCP client?");
        self.explain("Tokens are for this URL alone: it is their audience, path and port included.");
        let is_local = self.answers.deployment() == Deployment::ThisMachine || self.wants_gateway;
        let usual = is_local.then(|| self.answers.usual_mcp_url());
        let default = self.answers.mcp_url.as_ref().map(ToString::to_string).or(usual);
        keep(ask(self.output, "MCP server", default.as_deref(), typed::mcp_server), |url| {
            self.answers.mcp_url = Some(url);
        })
    }

    fn issuer_url(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Now to the Pangea console, https://console.pangea.cloud");
        console(self.output, &self.answers.redirect_uri());
        loop {
            let default = self.answers.issuer_url.clone();
            let parse = |text: &str| typed::hosted_login(text).map(|url| (url, text.to_owned()));
            let reply = ask(self.output, "Hosted Login URL", default.as_deref(), parse)?;
            let Reply::Given((url, text)) = reply else { return Ok(Reply::Back) };
            if url != text.trim_end_matches('/') {
                self.explain(&format!("Taking {url}"));
            }
            let is_insisted_on = default.as_ref() == Some(&url);
            self.answers.issuer_url = Some(url.clone());
            let findings = self.live.map(|live| live.issuer(&url)).unwrap_or_default();
            live::tell(self.output, &findings);
            if is_insisted_on || !findings.iter().any(live::is_bad) {
                return Ok(Reply::Given(()));
            }
            self.explain("Write another one; Enter keeps it all the same.");
        }
    }

    fn scope(&mut self) -> Result<Reply<()>, Failure> {
        self.title("The name of the scope of step 2");
        self.explain("Pangea is asked for it, and MCP clients ask for it by the same name.");
        let default = self.answers.scope.clone().unwrap_or_else(|| "user".to_owned());
        keep(ask(self.output, "Scope", Some(&default), typed::scope), |scope| {
            self.answers.scope = Some(scope);
        })
    }

    fn client_id(&mut self) -> Result<Reply<()>, Failure> {
        self.title("The OAuth client of step 3");
        self.explain("Its id is public, its secret is not: it goes into the keyring or a private file.");
        let default = self.answers.client_id.clone();
        let reply = ask(self.output, "Client ID", default.as_deref(), typed::word)?;
        if matches!(&reply, Reply::Given(id) if !id.starts_with("psa_")) {
            self.explain("Pangea's begin with psa_; going on with this one.");
        }
        keep(Ok(reply), |id| self.answers.client_id = Some(id))
    }

    fn client_secret(&mut self) -> Result<Reply<()>, Failure> {
        loop {
            let known = self.answers.client_secret.is_some();
            let question = if known { "Client secret, Enter for the one before" } else { "Client secret" };
            match ask_hidden(self.output, question)? {
                Reply::Back => return Ok(Reply::Back),
                Reply::Given(None) if known => return Ok(Reply::Given(())),
                Reply::Given(None) => self.explain("This needs an answer; < goes back."),
                Reply::Given(Some(text)) => match bare("client secret", &text) {
                    Err(failure) => self.explain(&failure.message),
                    Ok(secret) => {
                        if !text.starts_with("pck_") {
                            self.explain("Pangea's begin with pck_; going on with this one.");
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
            self.explain("Asking Pangea whether all of this fits together ...");
            let findings = self.live.map(|live| live.login(self.answers)).unwrap_or_default();
            live::tell(self.output, &findings);
            if !findings.iter().any(live::is_bad) {
                return Ok(Reply::Given(()));
            }
            self.explain(
                "Correct it in the console and press Enter to test again, or go back with < and correct it here. The \
                 word keep goes on as it is.",
            );
            match ask(self.output, "Test again, keep, or <", Some("again"), again_or_keep)? {
                Reply::Back => return Ok(Reply::Back),
                Reply::Given(true) => return Ok(Reply::Given(())),
                Reply::Given(false) => {}
            }
        }
    }

    fn repository(&mut self) -> Result<Reply<()>, Failure> {
        self.title("Where shall clients, grants and signing keys live?");
        self.explain("They must outlive a restart; `repository copy` moves them later.");
        let choices = [
            (Engine::Sqlite, "SQLite: a file on this machine, nothing to install"),
            (Engine::Postgres, "PostgreSQL: for several daemons"),
            (Engine::Redis, "Redis or Valkey: for several daemons"),
            (Engine::Vault, "Pangea Vault: for one daemon, nothing on this machine"),
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
            ("Vault URL", "The Vault service of your Pangea region.")
        } else {
            ("Database URL", "Without a password; that is asked for next.")
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
                (Engine::Vault, true) => "Vault token, Enter for the one before",
                (_, false) => "Password, Enter for none",
                (_, true) => "Password, Enter for the one before",
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
                    self.explain("This needs an answer; < goes back.");
                    continue;
                }
                Reply::Given(None) => {}
            }
            if let Some(reply) = self.repository_test()? {
                return Ok(reply);
            }
        }
    }

    /// Tests what was answered until it works or somebody knows better; `None` to ask for the secret again.
    fn repository_test(&mut self) -> Result<Option<Reply<()>>, Failure> {
        loop {
            let tested = self.live.map_or(Ok(()), |live| live.repository(self.answers));
            let Err(why) = tested else {
                self.output.tell_item("  ok", 8, "it lets us in");
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
        _ => Err("Enter tests again, keep goes on all the same, < goes back".to_owned()),
    }
}

/// What is to be done in the Pangea console.
fn console(output: &Output, redirect_uri: &str) {
    let steps = [
        ("1", "Sign up or sign in, and enable AuthN. Where it offers a token, create one."),
        (
            "2",
            "AuthN, OAuth Server, Scopes, + Scope. Name: user. Give it a display name and a description, and require \
             consent if people shall be asked there, too.",
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
