//! The configuration itself: each problem is a finding.

use super::{Finding, finding::Question};
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
                Question::new("configuration", format!("reading {file}")).pass(found),
                Question::new("secrets", "reading every secret that it names")
                    .pass("all are there, and files with secrets are for their owner alone"),
            ]
        }
        Err(problems) => problems.iter().map(problem).collect(),
    }
}

fn problem(problem: &Problem) -> Finding {
    let last = problem.key.rsplit('.').next().unwrap_or_default();
    let name = if SECRETS.contains(&last) { "secrets" } else { "configuration" };
    let tried = match problem.key.as_str() {
        "" => format!("reading {}", problem.place),
        key => format!("reading {key} ({})", problem.place),
    };
    Question::new(name, tried).fail(&problem.what, "the configuration cannot be used like this", &problem.fix)
}
