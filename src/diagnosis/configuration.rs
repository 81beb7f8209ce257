//! The configuration itself: each problem is a finding.

use super::{
    Finding, Topic,
    finding::{Fix, Question},
};
use crate::config::{Problem, Survey};

/// The last words of keys whose values are secrets.
const SECRETS: [&str; 5] = ["client_secret", "sealing", "service_token", "password", "token"];

/// Every problem, or that there is none.
pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let file = survey.file.as_ref().map_or_else(|| "the environment".to_owned(), |f| f.display().to_string());
    match &survey.whole {
        Ok(config) => {
            let resources: Vec<&str> = config.resources.iter().map(|r| r.url.as_str()).collect();
            let found = format!("public_url {}, for {}", config.public_url, resources.join(", "));
            vec![
                Question::new(Topic::Configuration, format!("reading {file}")).pass(found),
                Question::new(Topic::Secrets, "reading every secret that it names")
                    .pass("all are there, and files with secrets are for their owner alone"),
            ]
        }
        Err(problems) => problems.iter().map(problem).collect(),
    }
}

fn problem(problem: &Problem) -> Finding {
    let last = problem.key.rsplit('.').next().unwrap_or_default();
    let topic = if SECRETS.contains(&last) { Topic::Secrets } else { Topic::Configuration };
    let tried = match problem.key.as_str() {
        "" => format!("reading {}", problem.place),
        key => format!("reading {key} ({})", problem.place),
    };
    let cause = match topic {
        Topic::Secrets => "the daemon does not start without it, nor with one that others may have read",
        _ => "the configuration cannot be used like this",
    };
    Question::new(topic, tried).fail(&problem.what, cause, fix(&problem.fix))
}

/// A sentence of the configuration's, with what it quotes first as the line to paste.
fn fix(words: &str) -> Fix {
    let quoted = words.split('`').nth(1).filter(|quoted| quoted.contains(' '));
    quoted.map_or_else(|| Fix::from(words), |quoted| Fix::pasting(words, quoted))
}
