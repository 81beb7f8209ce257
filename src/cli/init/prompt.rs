//! Questions and answers, line by line: they work over ssh, without colour, and for people who cannot
//! see arrows move.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::{
    super::{
        failure::{Exit, Failure},
        output::Output,
    },
    Writing,
};

/// What somebody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply<T> {
    /// `<`
    Back,
    /// This.
    Given(T),
}

/// Whether somebody can be asked.
pub(super) fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Ctrl-C ends the program with 130 at once, or when the files are written that are being written. The
/// terminal gets back what a hidden question took from it.
pub(super) fn leave_on_interrupt(runtime: &Runtime, writing: &Writing) {
    let (writing, before) = (writing.clone(), termios::tcgetattr(io::stdin()).ok());
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _written = writing.lock();
            if let Some(before) = &before {
                set(before);
            }
            std::process::exit(i32::from(Exit::Interrupted as u8));
        }
    });
}

/// Asks until the answer can be used. Enter takes what stands in brackets.
pub(super) fn ask<T>(
    output: &Output,
    question: &str,
    default: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Reply<T>, Failure> {
    loop {
        match default {
            Some(default) => output.ask(&format!("{question} [{default}]: ")),
            None => output.ask(&format!("{question}: ")),
        }
        let line = line()?;
        let answer = match (line.trim(), default) {
            ("<", _) => return Ok(Reply::Back),
            ("", Some(default)) => default,
            ("", None) => {
                output.say("  This needs an answer; < goes back.");
                continue;
            }
            (answer, _) => answer,
        };
        match parse(answer) {
            Ok(value) => return Ok(Reply::Given(value)),
            Err(why) => output.say(&format!("  That does not work: {why}.")),
        }
    }
}

/// Asks which of several; the first is the default unless another one is.
pub(super) fn choose<T: Copy + PartialEq>(
    output: &Output,
    question: &str,
    choices: &[(T, &str)],
    default: T,
) -> Result<Reply<T>, Failure> {
    for (number, (_, words)) in choices.iter().enumerate() {
        output.say(&format!("  {}  {words}", number + 1));
    }
    let position = choices.iter().position(|(choice, _)| *choice == default).unwrap_or(0) + 1;
    ask(output, question, Some(&position.to_string()), |answer| {
        let chosen = answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
        chosen.map(|(choice, _)| *choice).ok_or_else(|| format!("write a number from 1 to {}", choices.len()))
    })
}

/// Asks for something that must not be seen; `None` when nothing was typed.
pub(super) fn ask_hidden(
    output: &Output,
    question: &str,
) -> Result<Reply<Option<Zeroizing<String>>>, Failure> {
    let before = termios::tcgetattr(io::stdin()).ok();
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        set(&silent);
    }
    output.ask(&format!("{question} (not shown): "));
    let answer = line();
    if let Some(before) = &before {
        set(before);
    }
    output.say("");
    let answer = Zeroizing::new(answer?);
    Ok(match answer.trim() {
        "<" => Reply::Back,
        "" => Reply::Given(None),
        answer => Reply::Given(Some(Zeroizing::new(answer.to_owned()))),
    })
}

/// What was typed already stays typed.
fn set(state: &Termios) {
    let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, state);
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(read) if read > 0 => Ok(line),
        _ => Err(interrupted()),
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; nothing was written")
}
