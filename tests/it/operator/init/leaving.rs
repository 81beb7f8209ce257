//! Leaving at any question: 130, the terminal as it was, nothing behind.

use std::process::Command;

use super::{Beginning, terminal::Terminal};
use crate::support::process::PANGEA;

/// Each question with what leads to the next; the last ones ask a database that hangs.
fn questions(beginning: &Beginning, database: &str) -> Vec<(&'static str, String)> {
    let own = str::to_owned;
    vec![
        ("Choice [1]: ", own("1")),
        ("Public URL [", beginning.public_url.clone()),
        ("MCP server [", beginning.mcp_url.clone()),
        ("Name [My server]: ", own("")),
        ("Choice [1]: ", own("2")),
        ("Domains: ", own("example.org")),
        ("Hosted Login URL: ", beginning.upstream.clone()),
        ("Scope [user]: ", own("")),
        ("Client ID: ", own(PANGEA.0)),
        ("Client secret (not shown): ", own("pck_wrong")),
        ("[again]: ", own("keep")),
        ("Choice [1]: ", own("2")),
        ("Database URL [", database.to_owned()),
        ("Password, Enter for none (not shown): ", own("open sesame")),
    ]
}

/// Answers this many questions and waits for the next one.
fn walk(terminal: &mut Terminal, questions: &[(&str, String)], answered: usize) {
    for (question, answer) in &questions[..answered] {
        terminal.answer(question, answer);
    }
    if let Some((question, _)) = questions.get(answered) {
        terminal.see(question);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_and_ctrl_d_at_any_question_leave_nothing_behind() {
    let beginning = Beginning::start().await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("postgres://u@{}/d", hanging.local_addr().unwrap());
    let questions = questions(&beginning, &database);
    for key in ['c', 'd'] {
        // The last one is no question: the database is being asked, which Ctrl-D does not end.
        let all = if key == 'c' { questions.len() + 1 } else { questions.len() };
        for answered in 0..all {
            let mut terminal = Terminal::open(&beginning);
            walk(&mut terminal, &questions, answered);
            terminal.control(key);
            let (code, transcript) = terminal.end();
            assert_eq!(code, 130, "{key} after {answered}: {transcript}");
            assert!(transcript.ends_with("\nerror: interrupted; nothing was written\r\n"), "{transcript}");
            assert_eq!(beginning.files(), [""; 0], "{key} after {answered}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_pangea_is_asked_and_the_end_of_the_process_leave_nothing_behind() {
    let beginning = Beginning::start().await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", &format!("http://{}", hanging.local_addr().unwrap()));
    let _asked = hanging.accept().await.unwrap();
    terminal.control('c');
    let (code, transcript) = terminal.end();
    assert_eq!(code, 130, "{transcript}");
    assert_eq!(beginning.files(), [""; 0]);

    let mut terminal = Terminal::open(&beginning);
    terminal.begin(&beginning);
    terminal.answer("Hosted Login URL: ", &beginning.upstream);
    terminal.answer("Scope [user]: ", "");
    terminal.answer("Client ID: ", PANGEA.0);
    terminal.see("(not shown): ");
    let told = Command::new("pkill").args(["-TERM", "-P", &terminal.shell]).status().unwrap();
    assert!(told.success());
    assert_eq!(terminal.end().0, 130);
    assert_eq!(beginning.files(), [""; 0]);
}
