//! How Vault behaves: what is not known of it, and what goes wrong.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{VAULT_TOKEN, action::Action};
use crate::stage::{dial::Dial, faults::Fault, switches::SwitchError};

/// All switches of Vault. In JSON: `{"vault": {"store": {"fault": "unauthorized", "times": 1}}}`.
#[derive(Debug)]
pub struct VaultSwitches {
    /// What holds for every call.
    pub habits: Dial<Habits>,
    /// `get_bulk`.
    pub get_bulk: Dial<VaultCall>,
    /// `list`.
    pub list: Dial<VaultCall>,
    /// `get`.
    pub get: Dial<VaultCall>,
    /// `secret/store`.
    pub store: Dial<VaultCall>,
    /// `secret/rotate`.
    pub rotate: Dial<VaultCall>,
    /// `delete`.
    pub delete: Dial<VaultCall>,
    /// `state/change`.
    pub state_change: Dial<VaultCall>,
    /// `update`.
    pub update: Dial<VaultCall>,
    /// `folder/create`.
    pub folder_create: Dial<VaultCall>,
    /// `GET /request/{id}`.
    pub request: Dial<VaultCall>,
}

/// What holds for every call, and is mostly not known of Pangea.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Habits {
    /// The token that is accepted, and no other.
    pub token: String,
    /// Where a name may stand once only.
    pub unique_names: UniqueNames,
    /// The `status` for a name that is taken.
    pub name_taken: String,
    /// The HTTP status of `VaultItemNotFound` and `NotFound`.
    pub not_found: u16,
    /// Whether the answer of `secret/store` has the secret.
    pub secret_in_answers: bool,
    /// What a filter for a folder finds.
    pub folder_filter: FolderFilter,
    /// The `last` of an answer behind which nothing comes.
    pub last_at_end: LastAtEnd,
    /// Whether answers of `list` and `get_bulk` have a `count`.
    pub count: bool,
    /// What happens at an item's `disabled_at`.
    pub at_disabled_at: AtDisabledAt,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            token: VAULT_TOKEN.to_owned(),
            unique_names: UniqueNames::PerFolder,
            name_taken: "ValidationError".to_owned(),
            not_found: 404,
            secret_in_answers: false,
            folder_filter: FolderFilter::AnySpelling,
            last_at_end: LastAtEnd::Absent,
            count: false,
            at_disabled_at: AtDisabledAt::Disabled,
        }
    }
}

/// Where the name of a secret may stand once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniqueNames {
    /// In each folder.
    PerFolder,
    /// In all folders together.
    PerProject,
    /// Names may repeat.
    Off,
}

/// What a filter for a folder finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderFilter {
    /// What is in this folder itself; `a/b`, `/a/b` and `/a/b/` are the same.
    AnySpelling,
    /// As above, but only `/a/b/` finds anything.
    SlashAtEnd,
    /// As above, but `/a/b/` finds nothing.
    NoSlashAtEnd,
    /// What is in this folder and in those below.
    Subtree,
}

/// The `last` of an answer behind which nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastAtEnd {
    /// Not there.
    Absent,
    /// `""`
    Empty,
    /// As ever; the next answer has no items.
    Present,
}

/// What happens at an item's `disabled_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDisabledAt {
    /// It is no longer enabled.
    Disabled,
    /// No search finds it any more.
    Hidden,
    /// Nothing.
    Nothing,
}

/// One kind of call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VaultCall {
    /// Milliseconds before the answer.
    pub delay_ms: u64,
    /// A failure in place of the answer.
    pub fault: VaultFault,
    /// Whether what was asked for is done before the wait and the failure; it is not done otherwise.
    pub after_commit: bool,
    /// How often the client has to poll: 1 is the first answer alone (202).
    pub put_off: u32,
    /// Whether `get_bulk` and `list` give each hit twice.
    pub repeated: bool,
    /// How many changes `get_bulk`, `list` and `get` are behind.
    pub stale: usize,
}

/// A failure in place of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultFault {
    /// None.
    #[default]
    None,
    /// 401, `Unauthorized`.
    Unauthorized,
    /// 403, `ForbiddenVaultOperation`.
    Forbidden,
    /// 429, `TooManyRequests`, and what `Retry-After` says, if it is there.
    TooManyRequests(Option<String>),
    /// 500, `InternalError`.
    InternalError,
    /// 503, `ServiceNotAvailable`.
    NotAvailable,
    /// Any other `status`, in Pangea's envelope.
    Refused {
        /// The `status`.
        status: String,
        /// The HTTP status.
        http_status: u16,
    },
    /// An answer that is not Pangea's, or none at all.
    Foreign(Fault),
}

impl VaultSwitches {
    pub(in crate::stage) fn new() -> Self {
        let call = || Dial::new(VaultCall::default());
        Self {
            habits: Dial::new(Habits::default()),
            get_bulk: call(),
            list: call(),
            get: call(),
            store: call(),
            rotate: call(),
            delete: call(),
            state_change: call(),
            update: call(),
            folder_create: call(),
            request: call(),
        }
    }

    pub(super) fn of(&self, action: Action) -> &Dial<VaultCall> {
        match action {
            Action::GetBulk => &self.get_bulk,
            Action::List => &self.list,
            Action::Get => &self.get,
            Action::SecretStore => &self.store,
            Action::SecretRotate => &self.rotate,
            Action::Delete => &self.delete,
            Action::StateChange => &self.state_change,
            Action::Update => &self.update,
            Action::FolderCreate => &self.folder_create,
        }
    }

    fn calls(&self) -> [(&'static str, &Dial<VaultCall>); 10] {
        [
            ("get_bulk", &self.get_bulk),
            ("list", &self.list),
            ("get", &self.get),
            ("store", &self.store),
            ("rotate", &self.rotate),
            ("delete", &self.delete),
            ("state_change", &self.state_change),
            ("update", &self.update),
            ("folder_create", &self.folder_create),
            ("request", &self.request),
        ]
    }

    /// Applies changes given as JSON, one kind of call after the other.
    pub(in crate::stage) fn apply(&self, changes: &Value) -> Result<(), SwitchError> {
        let unknown = |name: &str| SwitchError::Unknown(format!("vault {name}"));
        let changes: &Map<String, Value> = changes.as_object().ok_or_else(|| unknown("without calls"))?;
        for (name, change) in changes {
            let applied = match self.calls().iter().find(|(call, _)| call == name) {
                Some((_, dial)) => dial.apply(change),
                None if name == "habits" => self.habits.apply(change),
                None => return Err(unknown(name)),
            };
            applied.map_err(|error| SwitchError::Refused(format!("vault {name}"), error))?;
        }
        Ok(())
    }

    pub(in crate::stage) fn reset(&self) {
        self.habits.reset();
        self.calls().iter().for_each(|(_, dial)| dial.reset());
    }

    /// What the next call of each kind will meet.
    pub(in crate::stage) fn to_json(&self) -> Value {
        let mut all: Map<String, Value> =
            self.calls().iter().map(|(name, dial)| ((*name).to_owned(), json!(dial.peek()))).collect();
        all.insert("habits".to_owned(), json!(self.habits.peek()));
        all.into()
    }
}
