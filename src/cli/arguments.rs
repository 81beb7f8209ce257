//! Refuses secrets among the arguments, before an error message can repeat them.

use std::ffi::OsString;

use super::failure::{Exit, Failure};
use crate::config;

/// How to recognise a kind of secret.
struct Secret {
    beginning: &'static str,
    /// Minimum number of characters after the prefix; a shorter word is not a secret.
    rest: usize,
    remedy: &'static str,
}

const SECRETS: [Secret; 6] = [
    Secret { beginning: "mcp_rt_", rest: 1, remedy: LEAKED },
    Secret { beginning: "mcp_ac_", rest: 1, remedy: LEAKED },
    Secret { beginning: "mcp_cs_", rest: 1, remedy: LEAKED_OF_CLIENT },
    Secret { beginning: "eyJ", rest: 12, remedy: LEAKED },
    Secret { beginning: "pck_", rest: 12, remedy: OF_PANGEA },
    Secret { beginning: "pts_", rest: 12, remedy: OF_SERVICE },
];
const LEAKED: &str = "pipe it into `tokens revoke --token-stdin`";
const LEAKED_OF_CLIENT: &str = "run `clients revoke ID` for a client whose secret leaked; pipe a leaked token into `tokens revoke --token-stdin`";
const OF_PANGEA: &str = "it looks like Pangea's client secret: use --client-secret-file, --client-secret-env or --client-secret-stdin (client IDs begin with psa_)";
const OF_SERVICE: &str = "it looks like a Pangea service token: put it in a file of mode 600";

/// Refuses a command line that contains a secret: every user of this machine can read it in the process
/// list, and an error would repeat it. Secrets are recognised by their prefix, because a truncated secret
/// still helps an attacker to guess the rest.
pub(super) fn refuse_secrets() -> Result<(), Failure> {
    refuse_secrets_in(config::arguments())
}

fn refuse_secrets_in(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    for argument in arguments.skip(1) {
        if let Some(remedy) = remedy(&argument.to_string_lossy()) {
            let message =
                "an argument is a secret, and every user of this machine can read it in the process list";
            return Err(Failure::new(Exit::Usage, message).hint(remedy));
        }
    }
    Ok(())
}

/// What to do instead, if a text contains a secret.
pub(super) fn remedy(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    words.find_map(|word| {
        // After a `%3D`, which is an encoded `=`.
        let word = word.strip_prefix("3D").unwrap_or(word);
        let is_secret = |secret: &&Secret| {
            word.strip_prefix(secret.beginning).is_some_and(|rest| rest.len() >= secret.rest)
        };
        SECRETS.iter().find(is_secret).map(|secret| secret.remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_begins_like_a_secret_is_refused_and_not_repeated() {
        let long = "x".repeat(20);
        for text in [
            format!("mcp_rt_{long}"),
            format!("mcp_ac_{long}"),
            format!("mcp_cs_{long}"),
            format!("pck_{long}"),
            format!("pts_{long}"),
            format!("eyJ{long}"),
            format!("--user=mcp_rt_{long}"),
            format!("Bearer eyJ{long}.{long}"),
            format!("https://a.example/cb?code=mcp_ac_{long}&state=x"),
            format!("redirect%3Fcode%3Dmcp_ac_{long}"),
        ] {
            let arguments = ["program", "tokens", &text].map(OsString::from);
            let failure = refuse_secrets_in(arguments.into_iter()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            let said = failure.message + &failure.hint.unwrap_or_default();
            assert!(!said.contains(&long), "{said}");
        }
    }

    #[test]
    fn ids_names_files_and_the_program_itself_are_none() {
        for text in [
            "mcp_q7ZxAmV0bT5cK2hYw1uLrA",
            "psa_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "d5k9c3a0m6r0r5o8k8q7j0c2a4s6u8v0.3",
            "mcp_rt_",
            "eyJohn",
            "MonkeyJumpingAroundTheHouse",
            "pck_secret.txt",
            "--client-secret-file",
            "https://mcp.example.org/mcp",
        ] {
            assert_eq!(remedy(text), None, "{text}");
        }
        let program = OsString::from("/tmp/eyJxxxxxxxxxxxxxxxxxxxxxxx/pangea-mcp-auth");
        assert!(refuse_secrets_in([program].into_iter()).is_ok());
    }
}
