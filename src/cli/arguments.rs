//! Secrets among the arguments: refused before anything can repeat them.

use std::{env, ffi::OsString};

use super::failure::{Exit, Failure};

/// How a kind of secret is known.
struct Secret {
    beginning: &'static str,
    /// What follows the beginning is at least so long; a word that only looks like a secret is shorter.
    rest: usize,
    /// Where it belongs.
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
const LEAKED: &str = "give it to `tokens revoke --token-stdin`";
const LEAKED_OF_CLIENT: &str = "`clients revoke ID` ends a client whose secret leaked, `tokens revoke --token-stdin` takes leaked tokens";
const OF_PANGEA: &str = "it looks like Pangea's client secret: use --client-secret-file, -env or -stdin; client ids begin with psa_";
const OF_SERVICE: &str = "it looks like a service token of Pangea: put it into a file of mode 600";

/// Refuses a command line that holds a secret: every user of this machine can read it in the list of
/// processes, and an error would repeat it. It goes by how secrets begin, because one that was cut short
/// is as good as whole to whoever guesses the rest.
pub(super) fn refuse_secrets() -> Result<(), Failure> {
    refuse_secrets_in(env::args_os())
}

fn refuse_secrets_in(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    for argument in arguments.skip(1) {
        if let Some(remedy) = remedy(&argument.to_string_lossy()) {
            let message =
                "an argument is a secret, which every user of this machine can read in the list of processes";
            return Err(Failure::new(Exit::Usage, message).hint(remedy));
        }
    }
    Ok(())
}

/// What to do with the secret in a text, if there is one.
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
