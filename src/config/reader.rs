//! Takes values out of the settings, and collects what is wrong with them.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeValue;

use super::{
    environment::Environment,
    keys::KEYS,
    problem::{Complaint, Place, Problem, did_you_mean},
    sealing_keys,
    secret_source::{self, SecretPlace},
    settings::{Given, Settings, Value},
    table::{Fallback, Key, find, join},
    unknown::whereabouts,
    value::{self, quoted},
};
use crate::{
    permissions::{self, Contents, Fault, Verdict},
    secret::{KeyRing, Secret},
};

/// Takes values out of the settings. A method whose value is missing or wrong notes the problem
/// and returns an empty value, which nobody sees: with problems there is no configuration.
pub(super) struct Reader<'a> {
    pub(super) settings: &'a Settings,
    pub(super) environment: &'a dyn Environment,
    pub(super) variables: &'a BTreeMap<String, String>,
    /// Where missing keys would be written.
    pub(super) file: Place,
    pub(super) problems: Vec<Problem>,
    /// What works, but should be corrected.
    pub(super) warnings: Vec<Problem>,
}

/// Shorter secrets are refused, in characters: an attacker can guess them.
const SHORTEST_SECRET: usize = 16;
/// Shorter secrets get a warning, in characters: generators make longer ones.
const SHORT_SECRET: usize = 32;

impl Reader<'_> {
    /// Notes a problem with a key, at the place of its value, else of its table, else of the file.
    pub(super) fn complain(&mut self, path: &str, complaint: Complaint) {
        let place = self.place(path);
        self.problems.push(complaint.at(place, path));
    }

    /// Notes a warning about a key, once for each text.
    pub(super) fn warn(&mut self, path: &str, complaint: Complaint) {
        let warning = complaint.at(self.place(path), path);
        let is_known = self.warnings.iter().any(|known| known.what == warning.what);
        if !is_known {
            self.warnings.push(warning);
        }
    }

    /// Where a key's value was written, or should have been.
    fn place(&self, path: &str) -> Place {
        let is_written = |place: &&Place| **place != Place::Nowhere;
        let value = self.settings.get(path).map(|given| &given.place).or_else(|| self.settings.section(path));
        let value = value.filter(is_written);
        let section = path.rsplit_once('.').and_then(|(section, _)| self.settings.section(section));
        let section = section.filter(|place| matches!(place, Place::File(..)));
        value.or(section).unwrap_or(&self.file).clone()
    }

    /// Whether somebody wrote this key, be it right or wrong.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.settings.get(path).is_some_and(|given| given.place != Place::Nowhere)
    }

    /// A value of any type.
    pub(super) fn value<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&Value) -> Result<T, Complaint>,
    ) -> Option<T> {
        let given = self.settings.get(path)?;
        parse(&given.value).map_err(|complaint| self.complain(path, complaint)).ok()
    }

    /// A value that is text.
    pub(super) fn text<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.value(path, |given| value::text(given).and_then(parse))
    }

    pub(super) fn plain_text(&mut self, path: &str) -> Option<String> {
        self.text(path, |text| Ok(text.to_owned()))
    }

    pub(super) fn boolean(&mut self, path: &str) -> bool {
        self.value(path, value::boolean).unwrap_or_default()
    }

    pub(super) fn number(&mut self, path: &str, range: &RangeInclusive<u32>) -> u32 {
        self.value(path, |given| value::number(given, range)).unwrap_or_default()
    }

    pub(super) fn duration(&mut self, path: &str, range: &RangeInclusive<Duration>) -> Duration {
        self.value(path, |given| value::duration(given, range)).unwrap_or_default()
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        self.text(path, |text| choose(text, choices))
    }

    /// A list of some words.
    pub(super) fn choices<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Vec<T> {
        self.texts(path, |text| choose(text, choices))
    }

    /// A list of texts.
    pub(super) fn texts<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Vec<T> {
        self.list(path, |given| value::text(&given.value).and_then(&parse))
    }

    /// A list of who may sign in. An empty one is a mistake: it could mean all users or none.
    pub(super) fn allow_list<T>(
        &mut self,
        path: &str,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Vec<T> {
        if let Some(Value::List(items)) = self.settings.get(path).map(|given| &given.value)
            && items.is_empty()
        {
            let fix =
                "Name who may sign in, or remove it; `everybody = true` under `[access]` admits everybody";
            self.complain(path, Complaint::new("is an empty list", fix));
        }
        self.texts(path, parse)
    }

    /// A list, each item with its own place in complaints.
    pub(super) fn list<T>(&mut self, path: &str, parse: impl Fn(&Given) -> Result<T, Complaint>) -> Vec<T> {
        let settings = self.settings;
        let items = match settings.get(path).map(|given| &given.value) {
            Some(Value::List(items)) => items.as_slice(),
            Some(other) => {
                let complaint = value::wrong_type::<T>(other, "a list", "Write it as a list: [\"…\", \"…\"]");
                if let Err(complaint) = complaint {
                    self.complain(path, complaint);
                }
                &[]
            }
            None => &[],
        };
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            match parse(item) {
                Ok(value) => list.push(value),
                Err(complaint) => self.problems.push(complaint.at(item.place.clone(), path)),
            }
        }
        list
    }

    /// A text, or a list of texts.
    pub(super) fn text_or_list<T>(
        &mut self,
        path: &str,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Vec<T> {
        match self.settings.get(path).map(|given| &given.value) {
            Some(Value::List(_)) => self.texts(path, parse),
            _ => self.text(path, parse).into_iter().collect(),
        }
    }

    /// A path; a relative one from the file starts at the file's folder.
    pub(super) fn path(&mut self, path: &str) -> Option<PathBuf> {
        let place = &self.settings.get(path)?.place;
        self.text(path, |text| Ok(secret_source::relative_to_file(place, text)))
    }

    pub(super) fn secret(&mut self, path: &str) -> Option<Secret> {
        let given = self.settings.get(path)?;
        let name = find(path).map_or("secret", |key| key.path);
        if let Ok(place) = secret_source::place_of(given) {
            self.warn_of_secret_file(path, &place);
        }
        secret_source::read(given, name, self.environment, self.variables)
            .map_err(|complaint| self.complain(path, complaint))
            .ok()
    }

    /// A secret that the operator made up.
    pub(super) fn chosen_secret(&mut self, path: &str) -> Option<Secret> {
        let secret = self.secret(path)?;
        let length = secret.expose().chars().count();
        let complaint = |limit: usize| {
            let what = format!("the secret has {length} characters, fewer than {limit}");
            Complaint::new(what, "Make one with `openssl rand -hex 32`")
        };
        if length < SHORTEST_SECRET {
            self.complain(path, complaint(SHORTEST_SECRET));
        } else if length < SHORT_SECRET {
            self.warn(path, complaint(SHORT_SECRET));
        }
        Some(secret)
    }

    /// Warns about a secret file that is accepted; reading it refuses the others.
    fn warn_of_secret_file(&mut self, path: &str, place: &SecretPlace) {
        if let SecretPlace::File(file) = place {
            let faults =
                permissions::faults(file, Contents::Secret, secret_source::credentials(self.variables));
            for fault in faults.into_iter().flatten().filter(|fault| fault.verdict == Verdict::Tolerated) {
                self.warn(path, Complaint::new(fault.what, fault.fix));
            }
        }
    }

    /// Judges who may read and change a file that a key names, if it is there, and its folder.
    pub(super) fn judge_file(&mut self, path: &str, file: &Path, contents: Contents) {
        let faults = permissions::faults(file, contents, None).unwrap_or_else(|_| {
            let folder = file.ancestors().skip(1).find(|folder| folder.is_dir());
            folder
                .and_then(|folder| permissions::faults_of_folder(folder).ok())
                .flatten()
                .into_iter()
                .collect()
        });
        for Fault { what, fix, verdict } in faults {
            match verdict {
                Verdict::Refused => self.complain(path, Complaint::new(what, fix)),
                Verdict::Tolerated => self.warn(path, Complaint::new(what, fix)),
            }
        }
    }

    /// The path of a file that is believed.
    pub(super) fn trusted_file(&mut self, path: &str) -> Option<PathBuf> {
        let file = self.path(path)?;
        self.judge_file(path, &file, Contents::Trusted);
        Some(file)
    }

    /// The sealing keys, and where they are kept.
    pub(super) fn sealing_keys(&mut self, path: &str) -> Option<(KeyRing, SecretPlace)> {
        let given = self.settings.get(path)?;
        let read = secret_source::place_of(given).and_then(|place| {
            self.warn_of_secret_file(path, &place);
            let keys = sealing_keys::read(&place, self.environment, self.variables)?;
            Ok((keys, place))
        });
        read.map_err(|complaint| self.complain(path, complaint)).ok()
    }

    /// A secret that may also stand there as it is.
    pub(super) fn text_or_secret(&mut self, path: &str) -> Option<Secret> {
        match &self.settings.get(path)?.value {
            Value::Text(_) => {
                let name = find(path).map_or("secret", |key| key.path);
                self.plain_text(path).map(|text| Secret::new(name, text))
            }
            _ => self.secret(path),
        }
    }

    /// The file that a secret comes from, if it comes from one.
    pub(super) fn secret_file(&self, path: &str) -> Option<PathBuf> {
        let Value::Table(members) = &self.settings.get(path)?.value else { return None };
        let file = members.get("file")?;
        value::text(&file.value).ok().map(|text| secret_source::relative_to_file(&file.place, text))
    }

    /// The paths of required keys that are not given, wherever their table is or must be; those
    /// about which something was said already are left out.
    pub(super) fn missing(&self) -> Vec<(&'static Key, String)> {
        let required =
            KEYS.iter().filter(|key| matches!(key.fallback, Fallback::Required(_) | Fallback::Made(..)));
        let paths = required.flat_map(|key| {
            let sections = self.settings.instances(key.section());
            sections.into_iter().map(move |section| (key, join(&section, key.name())))
        });
        paths.filter(|(_, path)| self.settings.get(path).is_none() && !self.has_complained(path)).collect()
    }

    /// Whether there is a problem with a key, or with a table that would hold it.
    pub(super) fn has_complained(&self, path: &str) -> bool {
        self.problems
            .iter()
            .filter_map(|problem| path.strip_prefix(&problem.key))
            .any(|rest| rest.is_empty() || (rest.len() < path.len() && rest.starts_with('.')))
    }

    /// Whether there is a problem with a key of a table.
    pub(super) fn has_complaint_below(&self, section: &str) -> bool {
        let below = join(section, "");
        self.problems.iter().any(|problem| problem.key.starts_with(&below))
    }

    /// Notes that a required key is not given.
    pub(super) fn complain_of_missing(&mut self, key: &Key, path: &str) {
        let (example, command) = match key.fallback {
            Fallback::Required(example) => (example, None),
            Fallback::Made(example, command) => (example, Some(command)),
            Fallback::Value(_) | Fallback::Absent(_) => return,
        };
        let made = command.map(|command| format!("; `{command}` makes its file")).unwrap_or_default();
        let fix = format!("Add `{} = {example}` {}{made}", key.name(), whereabouts(key.section()));
        self.complain(path, Complaint::new("is missing", fix));
    }

    /// Notes each value but the first of those that must differ.
    pub(super) fn complain_of_repeats(&mut self, values: &[(String, String)], what: &str, fix: &str) {
        let mut seen = HashSet::new();
        for (path, value) in values {
            if !seen.insert(value) {
                self.complain(path, Complaint::new(format!("{} {what}", quoted(value)), fix));
            }
        }
    }
}

/// The choice whose word is `text`.
fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, Complaint> {
    if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*chosen);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    let what = format!("{} is not among the choices", quoted(text));
    let meant = words().find(|word| word.eq_ignore_ascii_case(text));
    Err(match meant.or_else(|| did_you_mean(text, words())) {
        Some(meant) => Complaint::new(what, format!("Did you mean {meant:?}?")),
        None => Complaint::new(what, format!("Choose one of: {}", words().collect::<Vec<_>>().join(", "))),
    })
}

/// Fills in the defaults of the table of keys.
pub(super) fn fill_defaults(settings: &mut Settings) {
    for key in KEYS {
        let Fallback::Value(default) = key.fallback else { continue };
        let Ok(default) = DeValue::parse(default) else { continue };
        for section in settings.instances(key.section()) {
            let value = Value::from_toml(default.get_ref(), &|_| Place::Nowhere);
            settings.fill(&join(&section, key.name()), value);
        }
    }
}
