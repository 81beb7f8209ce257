//! The operator who runs this command, for the audit log and for the records that it changes.

use std::fs;

use serde::Serialize;

use super::{output::Style, times::Moment};
use crate::{
    config::{Environment, SystemEnvironment},
    oauth::operator::{Operated, Operator},
};

const ACCOUNTS: &str = "/etc/passwd";

/// The account and machine that run this process.
pub(super) fn operator() -> Operator {
    let id = rustix::process::getuid().as_raw();
    let accounts = fs::read_to_string(ACCOUNTS).unwrap_or_default();
    let sudo_user = SystemEnvironment.variables().remove("SUDO_USER").filter(|name| !name.is_empty());
    Operator {
        user: name_of(id, &accounts).map_or_else(|| id.to_string(), str::to_owned),
        sudo_user,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

/// The name in `name:password:number:…`.
fn name_of(id: u32, accounts: &str) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then_some(name)
    })
}

/// An operator's last action on a record, for `show`.
#[derive(Debug, Serialize)]
pub(super) struct OperatedRow {
    action: &'static str,
    at: Moment,
    user: String,
    sudo_user: Option<String>,
    host: String,
}

impl OperatedRow {
    pub(super) fn of(operated: &Operated) -> Self {
        let Operator { user, sudo_user, host } = operated.by.clone();
        Self { action: operated.action.as_str(), at: operated.at.into(), user, sudo_user, host }
    }

    pub(super) fn words(&self, style: Style) -> String {
        let Self { action, at, user, sudo_user, host } = self;
        let sudo = sudo_user.as_ref().map(|name| format!(" (sudo by {name})")).unwrap_or_default();
        format!("{action} {} by {user}@{host}{sudo}", style.full_time(at.time()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_known_by_its_number() {
        let accounts = "root:x:0:0:root:/:/bin/sh\nbroken\nada:x:1000:1000::/srv/ada:/bin/sh\n";
        for (id, name) in [(0, Some("root")), (1000, Some("ada")), (7, None)] {
            assert_eq!(name_of(id, accounts), name);
        }
    }
}
