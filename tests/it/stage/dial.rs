//! A group of settings that can be turned for good or for the next few requests.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Settings of one endpoint.
#[derive(Debug)]
pub struct Dial<T>(Mutex<Positions<T>>);

#[derive(Debug)]
struct Positions<T> {
    initial: T,
    standing: T,
    upcoming: VecDeque<(u32, T)>,
}

/// Why a change in JSON was refused.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No object.
    #[error("settings are a JSON object")]
    NotAnObject,
    /// Not a setting of this endpoint.
    #[error("there is no setting {0:?} here")]
    Unknown(String),
    /// `times` has no meaning.
    #[error("\"times\" is a whole number from 1")]
    Times,
    /// A setting has no such value.
    #[error(transparent)]
    Value(#[from] serde_json::Error),
}

impl<T: Clone + Serialize + DeserializeOwned> Dial<T> {
    pub(super) fn new(initial: T) -> Self {
        let standing = initial.clone();
        Self(Mutex::new(Positions { initial, standing, upcoming: VecDeque::new() }))
    }

    /// Changes the settings for good.
    pub fn set(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.positions().standing);
    }

    /// Changes the settings for the next `times` requests that ask for them; behind those, the
    /// standing ones return.
    pub fn set_for_next(&self, times: u32, change: impl FnOnce(&mut T)) {
        let mut positions = self.positions();
        let mut settings = positions.standing.clone();
        change(&mut settings);
        positions.upcoming.push_back((times, settings));
    }

    /// Goes back to the start.
    pub fn reset(&self) {
        let mut positions = self.positions();
        positions.standing = positions.initial.clone();
        positions.upcoming.clear();
    }

    /// The change as JSON: members to replace, and `times` to do it for the next few requests only.
    pub(super) fn apply(&self, change: &Value) -> Result<(), DialError> {
        let mut change = change.as_object().cloned().ok_or(DialError::NotAnObject)?;
        let times = change.remove("times");
        let settings = merged(&self.positions().standing, change)?;
        match times {
            None => self.set(|standing| *standing = settings),
            Some(times) => {
                let times = times.as_u64().and_then(|times| u32::try_from(times).ok());
                let times = times.filter(|times| *times > 0).ok_or(DialError::Times)?;
                self.set_for_next(times, |next| *next = settings);
            }
        }
        Ok(())
    }

    /// What the next request will meet.
    pub fn peek(&self) -> T {
        let positions = self.positions();
        positions.upcoming.front().map_or(&positions.standing, |(_, settings)| settings).clone()
    }

    /// What this request meets; counts it.
    pub(super) fn take(&self) -> T {
        let mut positions = self.positions();
        let Some((left, settings)) = positions.upcoming.front_mut() else {
            return positions.standing.clone();
        };
        let settings = settings.clone();
        *left = left.saturating_sub(1);
        if *left == 0 {
            positions.upcoming.pop_front();
        }
        settings
    }

    fn positions(&self) -> MutexGuard<'_, Positions<T>> {
        self.0.lock().unwrap()
    }
}

/// The settings with some members replaced. All members are always serialized, so a member that is missing
/// does not exist.
fn merged<T: Serialize + DeserializeOwned>(settings: &T, change: Map<String, Value>) -> Result<T, DialError> {
    let mut members = serde_json::to_value(settings)?;
    for (name, value) in change {
        let member = members.get_mut(&name).ok_or(DialError::Unknown(name))?;
        *member = value;
    }
    Ok(serde_json::from_value(members)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Settings {
        size: u32,
        name: Option<String>,
    }

    fn dial() -> Dial<Settings> {
        Dial::new(Settings { size: 1, name: None })
    }

    fn sizes(dial: &Dial<Settings>, count: usize) -> Vec<u32> {
        (0..count).map(|_| dial.take().size).collect()
    }

    #[test]
    fn a_limited_change_ends_after_its_requests() {
        let dial = dial();
        dial.set_for_next(2, |settings| settings.size = 2);
        dial.apply(&json!({"size": 3, "times": 1})).unwrap();
        assert_eq!(dial.peek().size, 2);
        assert_eq!(sizes(&dial, 5), [2, 2, 3, 1, 1]);
    }

    #[test]
    fn a_standing_change_stays_until_the_reset() {
        let dial = dial();
        dial.apply(&json!({"name": "x"})).unwrap();
        dial.set(|settings| settings.size = 5);
        assert_eq!(dial.take(), Settings { size: 5, name: Some("x".to_owned()) });
        dial.set_for_next(1, |settings| settings.size = 6);
        dial.reset();
        assert_eq!(dial.take(), Settings { size: 1, name: None });
    }

    #[test]
    fn a_change_that_makes_no_sense_changes_nothing() {
        let dial = dial();
        for change in [
            json!(7),
            json!({"size": "big"}),
            json!({"colour": 1}),
            json!({"size": 2, "times": 0}),
            json!({"size": 2, "times": "x"}),
        ] {
            assert!(dial.apply(&change).is_err(), "{change}");
        }
        assert_eq!(sizes(&dial, 2), [1, 1]);
    }
}
