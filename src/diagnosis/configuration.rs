//! The configuration: each problem is a finding.

use super::{
    Finding, Topic,
    finding::{Fix, Question},
};
use crate::config::{Config, Problem, Survey};

/// The last parts of keys whose values are secrets.
const SECRETS: [&str; 5] = ["client_secret", "sealing", "service_token", "password", "token"];

pub(super) fn findings(survey: &Survey) -> Vec<Finding> {
    let file = survey.file.as_ref().map_or_else(|| "the environment".to_owned(), |f| f.display().to_string());
    match &survey.whole {
        Ok(config) => {
            let resources: Vec<&str> = config.resources.iter().map(|r| r.url.as_str()).collect();
            let variables: Vec<&str> = config.from_environment.iter().map(|from| &*from.variable).collect();
            let given = if variables.is_empty() {
                String::new()
            } else {
                format!("; from the environment: {}", variables.join(", "))
            };
            let found =
                format!("public_url {}, resources {}{given}", config.public_url, resources.join(", "));
            let mut findings = vec![
                Question::new(Topic::Configuration, format!("read {file}")).pass(found),
                Question::new(Topic::Secrets, "read every secret it names")
                    .pass("all secrets can be read, and only their owner can read the files"),
            ];
            findings.extend(wide_proxies(config));
            findings.extend(config.warnings.iter().map(warning));
            findings.push(access(config));
            findings
        }
        Err(problems) => problems.iter().map(problem).collect(),
    }
}

/// A warning if `trusted_proxies` lets large parts of the internet choose their own address.
fn wide_proxies(config: &Config) -> Option<Finding> {
    // 10.0.0.0/8 and fc00::/7 are the largest networks that belong to one operator.
    let is_wide = |net: &&ipnet::IpNet| match net {
        ipnet::IpNet::V4(net) => net.prefix_len() < 8,
        ipnet::IpNet::V6(net) => net.prefix_len() < 7,
    };
    let wide = config.trusted_proxies.iter().find(is_wide)?;
    Some(Question::new(Topic::Configuration, "read trusted_proxies").warn(
        format!("{wide} is trusted as a proxy"),
        "every client in that network can choose the address that rate limits and the audit log use",
        "List only the addresses of your own proxies in `trusted_proxies`",
    ))
}

fn access(config: &Config) -> Finding {
    let access = &config.access;
    let question = Question::new(Topic::Access, "read who may sign in");
    if !access.everybody {
        return question.pass(access.to_string());
    }
    let cause = if config.says_everybody {
        "`everybody = true` is set under [access]"
    } else {
        "the configuration has no [access] section"
    };
    let words = "Restrict who may sign in, unless every user of the Pangea project may";
    question.warn(access.to_string(), cause, Fix::pasting(words, "[access]\ndomains = [\"example.org\"]"))
}

fn warning(warning: &Problem) -> Finding {
    let cause = "it works, but it is less secure than it should be";
    question(warning).warn(&warning.what, cause, fix(&warning.fix))
}

fn problem(problem: &Problem) -> Finding {
    let cause = match topic(problem) {
        Topic::Secrets => "the daemon does not start without this secret, or if other users may have read it",
        _ => "the daemon does not start with this configuration",
    };
    question(problem).fail(&problem.what, cause, fix(&problem.fix))
}

fn topic(problem: &Problem) -> Topic {
    let last = problem.key.rsplit('.').next().unwrap_or_default();
    if SECRETS.contains(&last) { Topic::Secrets } else { Topic::Configuration }
}

fn question(problem: &Problem) -> Question {
    let tried = match problem.key.as_str() {
        "" => format!("read {}", problem.place),
        key => format!("read {key} ({})", problem.place),
    };
    Question::new(topic(problem), tried)
}

/// The fix of a configuration problem. The first text in backquotes that contains a space is the line to paste.
fn fix(words: &str) -> Fix {
    let quoted = words.split('`').nth(1).filter(|quoted| quoted.contains(' '));
    quoted.map_or_else(|| Fix::from(words), |quoted| Fix::pasting(words, quoted))
}
