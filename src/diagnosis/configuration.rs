//! The configuration itself: each problem is a finding.

use super::{
    Finding, Topic,
    finding::{Fix, Question},
};
use crate::config::{Access, Config, Problem, Survey};

/// The last words of keys whose values are secrets.
const SECRETS: [&str; 5] = ["client_secret", "sealing", "service_token", "password", "token"];

/// Every problem, or that there is none.
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
            let found = format!("public_url {}, for {}{given}", config.public_url, resources.join(", "));
            let mut findings = vec![
                Question::new(Topic::Configuration, format!("reading {file}")).pass(found),
                Question::new(Topic::Secrets, "reading every secret that it names")
                    .pass("all are there, and files with secrets are for their owner alone"),
            ];
            findings.extend(wide_proxies(config));
            findings.extend(config.warnings.iter().map(warning));
            findings.push(access(&config.access));
            findings
        }
        Err(problems) => problems.iter().map(problem).collect(),
    }
}

/// A warning if `trusted_proxies` lets half the internet choose its own address.
fn wide_proxies(config: &Config) -> Option<Finding> {
    // 10.0.0.0/8 and fc00::/7 are the widest networks that belong to one operator.
    let is_wide = |net: &&ipnet::IpNet| match net {
        ipnet::IpNet::V4(net) => net.prefix_len() < 8,
        ipnet::IpNet::V6(net) => net.prefix_len() < 7,
    };
    let wide = config.trusted_proxies.iter().find(is_wide)?;
    Some(Question::new(Topic::Configuration, "reading trusted_proxies").warn(
        format!("{wide} is trusted as a proxy"),
        "every client in that network chooses the address that rate limits and the audit log see",
        "List only the addresses of your own proxies in `trusted_proxies`",
    ))
}

fn access(access: &Access) -> Finding {
    let question = Question::new(Topic::Access, "reading who may sign in");
    if !access.is_open() {
        return question.pass(access.to_string());
    }
    let cause = if access.says_everybody {
        "`everybody = true` stands under [access]"
    } else {
        "the configuration has no [access] section"
    };
    let words = "Write who may sign in, unless everybody with an account at the upstream may";
    question.warn(access.to_string(), cause, Fix::pasting(words, "[access]\ndomains = [\"example.org\"]"))
}

fn warning(warning: &Problem) -> Finding {
    let cause = "it works, and is less safe than it should be";
    question(warning).warn(&warning.what, cause, fix(&warning.fix))
}

fn problem(problem: &Problem) -> Finding {
    let cause = match topic(problem) {
        Topic::Secrets => "the daemon does not start without it, nor with one that others may have read",
        _ => "the configuration cannot be used like this",
    };
    question(problem).fail(&problem.what, cause, fix(&problem.fix))
}

fn topic(problem: &Problem) -> Topic {
    let last = problem.key.rsplit('.').next().unwrap_or_default();
    if SECRETS.contains(&last) { Topic::Secrets } else { Topic::Configuration }
}

fn question(problem: &Problem) -> Question {
    let tried = match problem.key.as_str() {
        "" => format!("reading {}", problem.place),
        key => format!("reading {key} ({})", problem.place),
    };
    Question::new(topic(problem), tried)
}

/// A sentence of the configuration's, with what it quotes first as the line to paste.
fn fix(words: &str) -> Fix {
    let quoted = words.split('`').nth(1).filter(|quoted| quoted.contains(' '));
    quoted.map_or_else(|| Fix::from(words), |quoted| Fix::pasting(words, quoted))
}
