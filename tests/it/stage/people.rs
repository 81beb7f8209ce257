//! What a test decided about people: who is disabled, and the groups.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// People by email address, in lower case. Who is missing is enabled and in no group.
#[derive(Debug, Default)]
pub(super) struct People(Mutex<BTreeMap<String, Person>>);

#[derive(Debug, Default)]
struct Person {
    disabled: bool,
    groups: Vec<String>,
}

impl People {
    pub(super) fn set_disabled(&self, email: &str, disabled: bool) {
        self.all().entry(email.to_lowercase()).or_default().disabled = disabled;
    }

    pub(super) fn set_groups(&self, email: &str, groups: Vec<String>) {
        self.all().entry(email.to_lowercase()).or_default().groups = groups;
    }

    pub(super) fn is_disabled(&self, email: &str) -> bool {
        self.all().get(email).is_some_and(|person| person.disabled)
    }

    pub(super) fn groups(&self, email: &str) -> Vec<String> {
        self.all().get(email).map(|person| person.groups.clone()).unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Person>> {
        self.0.lock().unwrap()
    }
}
