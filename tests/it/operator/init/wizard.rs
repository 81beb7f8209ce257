//! A person at a terminal who mistypes, pastes too much and goes back.

use super::{Beginning, terminal::Terminal};
use crate::support::{Scene, Scripted, process::PANGEA};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_mistypes_goes_back_and_arrives() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.answer("Choice [1]: ", "7");
    terminal.answer("Choice [1]: ", "");
    terminal.answer("Public URL [http://localhost:8000]: ", "http://mcp.example.org");
    terminal.see("Invalid: ");
    terminal.answer("Public URL [http://localhost:8000]: ", "http://localhost:1");
    terminal.answer("MCP server [http://localhost:9000/mcp]: ", "<");
    terminal.answer("Public URL [http://localhost:1]: ", &format!("{}/", beginning.public_url));
    terminal.see(&format!("Using {}, without the trailing slash", beginning.public_url));
    terminal.answer("MCP server [http://localhost:9000/mcp]: ", "");
    terminal.answer("Name [My server]: ", "Notes");
    terminal.answer("Choice [1]: ", "2");
    terminal.answer("Domains: ", "example");
    terminal.see("enter a domain");
    terminal.answer("Domains: ", "example.org, Example.com");
    terminal.see(&format!("\n{}/pangea/callback\r\n", beginning.public_url));
    terminal.answer("Hosted Login URL: ", "http://127.0.0.1:1");
    terminal.see("FAIL  upstream.issuer");
    terminal.see("nothing listens there");
    terminal.answer("Hosted Login URL [http://127.0.0.1:1]: ", &beginning.upstream);
    terminal.see("ok    upstream.issuer");
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", "psa_wrong");
    terminal.answer("Client secret (not shown): ", "pck_wrong");
    terminal.see("FAIL  upstream.authorize");
    terminal.answer("[again]: ", "<");
    terminal.answer("Client ID [psa_wrong]: ", PANGEA.0);
    terminal.answer("(not shown): ", "");
    terminal.see("FAIL  upstream.credentials");
    terminal.see("the client secret is wrong, has expired");
    terminal.answer("[again]: ", "<");
    terminal.answer(&format!("Client ID [{}]: ", PANGEA.0), "");
    terminal.answer("(not shown): ", PANGEA.1);
    terminal.see("ok    upstream.credentials");
    terminal.answer("Choice [1]: ", "");
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    assert_eq!(beginning.files(), ["authn-client-secret", "config.toml", "sealing-key"]);
    let written = beginning.home.read("config.toml");
    assert!(written.contains(&format!("public_url = \"{}\"", beginning.public_url)), "{written}");
    assert!(written.contains("\nname = \"Notes\"\n"), "{written}");
    assert!(written.contains("\ndomains = [\"example.org\", \"example.com\"]\n"), "{written}");
    assert!(transcript.contains("--allow-domain example.org,example.com"), "{transcript}");
    assert!(!transcript.contains("gateway"), "there is none: {transcript}");
    for command in ["serve --config config.toml", "check --config config.toml --resource", "tokens list"] {
        assert!(transcript.contains(&format!("pangea-mcp-auth {command}")), "{command} {transcript}");
    }
    for secret in [PANGEA.1, "pck_wrong", "\u{1b}", &beginning.home.read("sealing-key")] {
        assert!(!transcript.contains(secret), "{secret:?} was seen: {transcript}");
    }
    assert_eq!(long_lines(&transcript, 80), [""; 0]);
}

/// Lines that could have been folded and were not; what is to be pasted may be long.
fn long_lines(transcript: &str, columns: usize) -> Vec<&str> {
    let program = transcript.find("\nConfiguration ").unwrap_or(transcript.len());
    let lines = transcript[..program].lines().map(str::trim_end);
    let is_long = |line: &&str| line.chars().count() > columns && line.split_whitespace().count() > 1;
    lines.filter(|line| is_long(line) && !line.contains("]: ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_can_be_gone_back_from_also_over_a_choice() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.answer("Choice [1]: ", "<");
    terminal.answer("Choice [1]: ", "2");
    terminal.see("such as https://auth.example.org");
    terminal.answer("Public URL: ", "http://auth.example.org");
    terminal.see("use https");
    terminal.answer("Public URL: ", "http://localhost:8000");
    terminal.see("needs https");
    terminal.answer("Public URL: ", "https://auth.example.org/pangea/callback");
    terminal.see("Using https://auth.example.org\r\n");
    terminal.answer("MCP server: ", "https://auth.example.org/mcp");
    terminal.see("Use a separate host name");
    terminal.answer("Name [My server]: ", "<");
    terminal.answer("MCP server [https://auth.example.org/mcp]: ", "<");
    terminal.answer("Public URL [https://auth.example.org]: ", "<");
    terminal.answer("Choice [2]: ", "1");
    terminal.answer("Public URL [http://localhost:8000]: ", &beginning.public_url);
    terminal.answer("MCP server [http://localhost:9000/mcp]: ", "");
    terminal.answer("Name [My server]: ", "");
    terminal.answer("Choice [1]: ", "3");
    terminal.answer("Email addresses: ", "ada");
    terminal.see("enter an email address");
    terminal.answer("Email addresses: ", "ada@example.org");
    terminal.answer("Hosted Login URL: ", "<");
    terminal.answer("Email addresses [ada@example.org]: ", "<");
    terminal.answer("Choice [3]: ", "1");
    terminal.answer("Hosted Login URL: ", &beginning.upstream);
    terminal.answer("Scope [user]: ", "<");
    terminal.answer(&format!("Hosted Login URL [{}]: ", beginning.upstream), "");
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", "<");
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", "pck_pasted_into_the_wrong_question");
    terminal.see("that is a secret");
    terminal.answer("Client ID: ", PANGEA.0);
    terminal.answer("Client secret (not shown): ", PANGEA.1);
    terminal.answer("Choice [1]: ", "<");
    terminal.answer("Client secret, Enter to keep the previous one (not shown): ", "");
    terminal.answer("Choice [1]: ", "2");
    terminal.answer("Database URL [postgres://pangea_mcp_auth@localhost/pangea_mcp_auth]: ", "<");
    terminal.answer("Choice [2]: ", "4");
    terminal.answer("Vault URL [https://vault.aws.us.pangea.cloud]: ", "http://127.0.0.1:1/");
    terminal.answer("Vault token (not shown): ", "");
    terminal.see("An answer is required");
    terminal.answer("Vault token (not shown): ", "pts_wrong");
    terminal.see("FAIL  ");
    terminal.answer("[again]: ", "<");
    terminal.answer("Vault token, Enter to keep the previous one (not shown): ", "<");
    terminal.answer("Vault URL [http://127.0.0.1:1]: ", "<");
    terminal.answer("Choice [4]: ", "1");
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    let written = beginning.home.read("config.toml");
    assert!(written.contains(&format!("public_url = \"{}\"", beginning.public_url)), "{written}");
    assert!(written.contains("kind = \"sqlite\"") && !written.contains("127.0.0.1:1\""), "{written}");
    assert_eq!(beginning.files(), ["authn-client-secret", "config.toml", "sealing-key"]);
    assert!(!transcript.contains("pts_wrong"));
    let echoes = transcript.matches("pck_pasted").count();
    assert_eq!(echoes, 1, "the terminal shows what is typed, and init never repeats it: {transcript}");
    assert!(!written.contains("ada@example.org"), "everyone may sign in after all: {written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_came_along_with_a_pasted_answer_is_left_out() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", "https://two words");
    terminal.see("it contains a space");
    terminal.answer("Hosted Login URL: ", &format!(" \"{}/v2/oauth/authorize?x=y\" ", beginning.upstream));
    terminal.see(&format!("Using {}\r\n", beginning.upstream));
    terminal.answer("Scope [user]: ", "\u{1b}[A");
    terminal.see("such as an arrow");
    terminal.answer("Scope [user]: ", " 'user' ");
    terminal.answer("Client ID: ", &format!("`{}`", PANGEA.0));
    // The line breaks after the pasted text do not answer the next question.
    terminal.answer("Client secret (not shown): ", &format!("  \"{}\" \n\n", PANGEA.1));
    terminal.see("ok    upstream.credentials");
    terminal.see("Choice [1]: ");
    terminal.type_line("1");
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    assert_eq!(beginning.home.read("authn-client-secret"), PANGEA.1);
    let written = beginning.home.read("config.toml");
    assert!(written.contains(&format!("issuer_url = \"{}\"\n", beginning.upstream)), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_console_is_said_in_words_with_what_to_do() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.answer("Choice [1]: ", "");
    terminal.answer("Public URL [http://localhost:8000]: ", "http://localhost:1");
    terminal.answer("MCP server [http://localhost:9000/mcp]: ", "");
    terminal.answer("Name [My server]: ", "");
    terminal.answer("Choice [1]: ", "");
    terminal.answer("Hosted Login URL: ", &beginning.upstream);
    terminal.answer("Scope [user]: ", "other");
    terminal.answer("Client ID: ", "no-psa");
    terminal.see("begin with psa_; continuing");
    terminal.answer("Client secret (not shown): ", "no-pck");
    terminal.see("begin with pck_; continuing");
    terminal.see("FAIL  upstream.authorize");
    terminal.answer("[again]: ", "<");
    terminal.answer("Client ID [no-psa]: ", PANGEA.0);
    terminal.answer("(not shown): ", PANGEA.1);
    terminal.see("exactly this redirect URI");
    terminal.see("Allowed Redirect URIs");
    terminal.see("\n               http://localhost:1/pangea/callback\r\n");
    terminal.answer("[again]: ", "what");
    terminal.see("type keep to continue anyway");
    terminal.answer("[again]: ", "keep");
    terminal.answer("Choice [1]: ", "");
    assert_eq!(terminal.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_pangea_is_told_from_what_is() {
    let beginning = Beginning::start().await;
    let other = Scripted::start(|_| Scene::new(200, "<html>Welcome").with("content-type", "text/html")).await;
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", &other.origin);
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", PANGEA.0);
    terminal.answer("(not shown): ", PANGEA.1);
    terminal.see("FAIL  upstream.credentials: HTTP 200 without an OAuth answer");
    terminal.see("this is not the token endpoint");
    terminal.see("[again]: ");
    terminal.control('c');
    assert_eq!(terminal.end().0, 130);
    assert_eq!(beginning.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_terminals_are_written_to_and_nothing_depends_on_colour() {
    for variables in [[("TERM", "dumb"), ("NO_COLOR", "")], [("TERM", "xterm"), ("NO_COLOR", "1")]] {
        let beginning = Beginning::start().await;
        let mut terminal = Terminal::with(&beginning, 40, &[], &variables);
        terminal.begin(&beginning);
        terminal.name_pangea(&beginning);
        let (code, transcript) = terminal.end();
        assert_eq!(code, 0, "{transcript}");
        assert!(!transcript.contains('\u{1b}'), "{transcript:?}");
        assert_eq!(long_lines(&transcript, 40), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_proposed_and_a_place_that_cannot_be_written_to_is_said_first() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::with(&beginning, 80, &["--client-id", PANGEA.0, "--scope", "user"], &[]);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", &beginning.upstream);
    terminal.answer("Scope [user]: ", "");
    terminal.see(&format!("Client ID [{}]: ", PANGEA.0));
    terminal.control('c');
    assert_eq!(terminal.end().0, 130);
    beginning.home.write("config.toml.d", "a file");
    let outcome = beginning.home.run(&["init", "--non-interactive", "--config", "config.toml.d/config.toml"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("cannot write") && outcome.err.contains("--config"), "{}", outcome.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_it_shows_does_the_same() {
    let beginning = Beginning::start().await;
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.name_pangea(&beginning);
    let (code, transcript) = terminal.end();
    assert_eq!(code, 0, "{transcript}");
    let written = beginning.home.read("config.toml");
    let command = transcript.split("without questions:").nth(1).unwrap();
    let command =
        command.replace("\\\r\n", " ").replace("--config config.toml", "--config again/config.toml");
    // As a shell reads it.
    let words = command.replace("'My server'", "My\u{2423}server");
    let words: Vec<String> =
        words.split_whitespace().skip(1).map(|word| word.replace('\u{2423}', " ")).collect();
    let outcome = beginning.home.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(outcome.code, Some(0), "{words:?} {outcome:?}");
    assert_eq!(beginning.home.read("again/config.toml"), written);
}
