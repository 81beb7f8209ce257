//! The wizard's questions, line by line: they work over ssh, without colour and with a screen reader.
//!
//! `dialoguer` asks for consent ([`Output::confirm`](crate::cli::output::Output::confirm)). It cannot ask
//! these questions: its `Input` and `Password` do not end at Ctrl-D, erase each answered question with
//! control sequences that a dumb terminal prints, and take what was typed ahead as an answer.

use std::io::{self, BufRead};

use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, Termios};
use zeroize::Zeroizing;

use super::interruption::Interruption;
use crate::cli::{failure::Failure, output::Output};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply<T> {
    /// `<`
    Back,
    Given(T),
}

/// Asks until the answer is valid. Enter accepts the default in brackets.
pub(super) fn ask<T>(
    output: &Output,
    question: &str,
    default: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Reply<T>, Failure> {
    loop {
        discard_typed_ahead();
        match default {
            Some(default) => output.ask(&format!("{question} [{default}]: ")),
            None => output.ask(&format!("{question}: ")),
        }
        let line = line(output)?;
        let answer = match (unquoted(&line), default) {
            ("<", _) => return Ok(Reply::Back),
            ("", Some(default)) => default,
            ("", None) => {
                output.say("  An answer is required; < goes back.");
                continue;
            }
            (answer, _) => answer,
        };
        match readable(answer).and_then(&parse) {
            Ok(value) => return Ok(Reply::Given(value)),
            Err(why) => output.tell(2, &format!("Invalid: {}.", why.trim_end_matches('.'))),
        }
    }
}

/// Asks for one of several choices.
pub(super) fn choose<T: Copy + PartialEq>(
    output: &Output,
    question: &str,
    choices: &[(T, &str)],
    default: T,
) -> Result<Reply<T>, Failure> {
    for (number, (_, words)) in choices.iter().enumerate() {
        output.tell_item(&format!("  {}", number + 1), 5, words);
    }
    let position = choices.iter().position(|(choice, _)| *choice == default).unwrap_or(0) + 1;
    ask(output, question, Some(&position.to_string()), |answer| {
        let chosen = answer.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
        chosen.map(|(choice, _)| *choice).ok_or_else(|| format!("enter a number from 1 to {}", choices.len()))
    })
}

/// Asks for a secret without echo; `None` if the user only pressed Enter.
pub(super) fn ask_hidden(
    output: &Output,
    question: &str,
) -> Result<Reply<Option<Zeroizing<String>>>, Failure> {
    loop {
        discard_typed_ahead();
        let before = termios::tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            set(&silent);
        }
        output.ask(&format!("{question} (not shown): "));
        let answer = line(output);
        if let Some(before) = &before {
            set(before);
        }
        output.say("");
        let answer = Zeroizing::new(answer?);
        match unquoted(&answer) {
            "<" => return Ok(Reply::Back),
            "" => return Ok(Reply::Given(None)),
            answer => match readable(answer) {
                Ok(answer) => return Ok(Reply::Given(Some(Zeroizing::new(answer.to_owned())))),
                Err(why) => output.tell(2, &format!("Invalid: {why}.")),
            },
        }
    }
}

/// Discards input that was typed before the question appeared: an extra line break in a pasted answer must not
/// accept a default.
fn discard_typed_ahead() {
    let _ = termios::tcflush(io::stdin(), QueueSelector::IFlush);
}

fn set(state: &Termios) {
    let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, state);
}

fn line(output: &Output) -> Result<String, Failure> {
    let mut line = Zeroizing::new(Vec::new());
    match io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(read) if read > 0 => Ok(String::from_utf8_lossy(&line).into_owned()),
        _ => {
            output.say("");
            Err(Interruption::failure())
        }
    }
}

/// The answer without the spaces and quotes that were copied with it.
fn unquoted(line: &str) -> &str {
    let line = line.trim();
    let inner = ['"', '\'', '`'].iter().find_map(|&quote| line.strip_prefix(quote)?.strip_suffix(quote));
    inner.map_or(line, str::trim)
}

fn readable(answer: &str) -> Result<&str, String> {
    if answer.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        return Err("it contains a key that is not a character, such as an arrow".to_owned());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_surrounds_a_pasted_answer_is_left_out() {
        for (typed, meant) in [
            ("  psa_x \r\n", "psa_x"),
            ("\"psa_x\"", "psa_x"),
            (" 'psa_x ' ", "psa_x"),
            ("`psa_x`", "psa_x"),
            ("\"", "\""),
            ("\"psa_x", "\"psa_x"),
            ("it's", "it's"),
        ] {
            assert_eq!(unquoted(typed), meant, "{typed:?}");
        }
        assert!(readable("\u{1b}[A").is_err() && readable("a\u{fffd}").is_err() && readable("a b é").is_ok());
    }
}
