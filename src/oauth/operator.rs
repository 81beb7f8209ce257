//! What operators did with a record, stored in the record.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// Who ran a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The account on the machine.
    pub user: String,
    /// The account that ran `sudo`, from `SUDO_USER`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sudo_user: Option<String>,
    /// The host name of the machine.
    pub host: String,
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Added,
    /// Gave the client a new secret.
    SecretRotated,
    Revoked,
    /// Revoked one access token of the grant.
    TokenRevoked,
}

impl Action {
    /// As in the output of commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::SecretRotated => "secret_rotated",
            Self::Revoked => "revoked",
            Self::TokenRevoked => "token_revoked",
        }
    }
}

/// The last operator command that changed a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operated {
    pub action: Action,
    pub at: UnixTime,
    #[serde(flatten)]
    pub by: Operator,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_commands_names_actions_as_records_do() {
        for action in [Action::Added, Action::SecretRotated, Action::Revoked, Action::TokenRevoked] {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }
}
