//! What operators did with a record, kept in it.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

/// Who runs an operator command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The account of the operating system.
    pub user: String,
    /// The account that called `sudo`, as `sudo` says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sudo_user: Option<String>,
    /// The name of the machine.
    pub host: String,
}

/// What an operator did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Added the client.
    Added,
    /// Revoked the grant.
    Revoked,
    /// Revoked one access token of the grant.
    TokenRevoked,
}

impl Action {
    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Revoked => "revoked",
            Self::TokenRevoked => "token_revoked",
        }
    }
}

/// The last thing that an operator did with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operated {
    /// What.
    pub action: Action,
    /// When.
    pub at: UnixTime,
    /// Who.
    #[serde(flatten)]
    pub by: Operator,
}
