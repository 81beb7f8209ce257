//! Reads typed values from the settings, and collects problems.

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
    lookup::find,
    problem::{Complaint, Place, Problem, did_you_mean},
    sealing_keys,
    secret_source::{self, SecretPlace},
    settings::{Given, Settings, Value},
    table::{Fallback, Key, join},
    unknown::whereabouts,
    value::{self, quoted},
};
use crate::{
    permissions::{self, Contents, Fault, Verdict},
    secret::{KeyRing, Secret},
};

/// Reads typed values from the settings. If a value is missing or invalid, a method records the problem and returns
/// an empty value, which is never used: with problems, there is no configuration.
pub(super) struct Reader<'a> {
    pub(super) settings: &'a Settings,
    pub(super) environment: &'a dyn Environment,
    pub(super) variables: &'a BTreeMap<String, String>,
    /// The location of missing keys.
    pub(super) file: Place,
    pub(super) problems: Vec<Problem>,
    /// What works but should be corrected.
    pub(super) warnings: Vec<Problem>,
}

/// Minimum length of a secret in characters; shorter ones can be guessed.
const SHORTEST_SECRET: usize = 16;
/// Shorter secrets get a warning, in characters; generated secrets are longer.
const SHORT_SECRET: usize = 32;

impl Reader<'_> {
    /// Records a problem at the location of the value, otherwise of its section, otherwise of the file.
    pub(super) fn complain(&mut self, path: &str, complaint: Complaint) {
        let place = self.place(path);
        self.problems.push(complaint.at(place, path));
    }

    /// Records a warning about a key, once for each text.
    pub(super) fn warn(&mut self, path: &str, complaint: Complaint) {
        let warning = complaint.at(self.place(path), path);
        let is_known = self.warnings.iter().any(|known| known.what == warning.what);
        if !is_known {
            self.warnings.push(warning);
        }
    }

    /// Where a key is, or should be.
    fn place(&self, path: &str) -> Place {
        let is_written = |place: &&Place| **place != Place::Nowhere;
        let value = self.settings.get(path).map(|given| &given.place).or_else(|| self.settings.section(path));
        let value = value.filter(is_written);
        let section = path.rsplit_once('.').and_then(|(section, _)| self.settings.section(section));
        let section = section.filter(|place| matches!(place, Place::File(..)));
        value.or(section).unwrap_or(&self.file).clone()
    }

    /// Whether the key is set, even to an invalid value.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.settings.get(path).is_some_and(|given| given.place != Place::Nowhere)
    }

    pub(super) fn value<T>(
        &mut self,
        path: &str,
        parse: impl FnOnce(&Value) -> Result<T, Complaint>,
    ) -> Option<T> {
        let given = self.settings.get(path)?;
        parse(&given.value).map_err(|complaint| self.complain(path, complaint)).ok()
    }

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

    pub(super) fn texts<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, Complaint>) -> Vec<T> {
        self.list(path, |given| value::text(&given.value).and_then(&parse))
    }

    /// A list of who may sign in. An empty list is a problem, because it could mean all users or none.
    pub(super) fn allow_list<T>(
        &mut self,
        path: &str,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Vec<T> {
        if let Some(Value::List(items)) = self.settings.get(path).map(|given| &given.value)
            && items.is_empty()
        {
            let fix = "List who may sign in, or remove the key; `everybody = true` under `[access]` lets every user sign in";
            self.complain(path, Complaint::new("is an empty list", fix));
        }
        self.texts(path, parse)
    }

    /// A list; problems have the location of their item.
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

    /// A path; in the configuration file, it is relative to the directory of that file.
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

    /// A secret that the operator chose.
    pub(super) fn chosen_secret(&mut self, path: &str) -> Option<Secret> {
        let secret = self.secret(path)?;
        let length = secret.expose().chars().count();
        let complaint = |limit: usize| {
            let what = format!("the secret has {length} characters, fewer than {limit}");
            Complaint::new(what, "Generate one with `openssl rand -hex 32`")
        };
        if length < SHORTEST_SECRET {
            self.complain(path, complaint(SHORTEST_SECRET));
        } else if length < SHORT_SECRET {
            self.warn(path, complaint(SHORT_SECRET));
        }
        Some(secret)
    }

    /// Warns of an accepted secret file with weak permissions.
    fn warn_of_secret_file(&mut self, path: &str, place: &SecretPlace) {
        if let SecretPlace::File(file) = place {
            let faults =
                permissions::faults(file, Contents::Secret, secret_source::credentials(self.variables));
            for fault in faults.into_iter().flatten().filter(|fault| fault.verdict == Verdict::Tolerated) {
                self.warn(path, Complaint::new(fault.what, fault.fix));
            }
        }
    }

    /// Checks the permissions of a file, if it exists, and of its directory.
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

    /// The path of a file whose contents are trusted.
    pub(super) fn trusted_file(&mut self, path: &str) -> Option<PathBuf> {
        let file = self.path(path)?;
        self.judge_file(path, &file, Contents::Trusted);
        Some(file)
    }

    pub(super) fn sealing_keys(&mut self, path: &str) -> Option<(KeyRing, SecretPlace)> {
        let given = self.settings.get(path)?;
        let read = secret_source::place_of(given).and_then(|place| {
            self.warn_of_secret_file(path, &place);
            let keys = sealing_keys::read(&place, self.environment, self.variables)?;
            Ok((keys, place))
        });
        read.map_err(|complaint| self.complain(path, complaint)).ok()
    }

    /// A secret that may also be written as plain text.
    pub(super) fn text_or_secret(&mut self, path: &str) -> Option<Secret> {
        match &self.settings.get(path)?.value {
            Value::Text(_) => {
                let name = find(path).map_or("secret", |key| key.path);
                self.plain_text(path).map(|text| Secret::new(name, text))
            }
            _ => self.secret(path),
        }
    }

    /// The file of a secret, if its source is a file.
    pub(super) fn secret_file(&self, path: &str) -> Option<PathBuf> {
        let Value::Table(members) = &self.settings.get(path)?.value else { return None };
        let file = members.get("file")?;
        value::text(&file.value).ok().map(|text| secret_source::relative_to_file(&file.place, text))
    }

    /// The paths of missing required keys, except those with a problem already.
    pub(super) fn missing(&self) -> Vec<(&'static Key, String)> {
        let required =
            KEYS.iter().filter(|key| matches!(key.fallback, Fallback::Required(_) | Fallback::Made(..)));
        let paths = required.flat_map(|key| {
            let sections = self.settings.instances(key.section());
            sections.into_iter().map(move |section| (key, join(&section, key.name())))
        });
        paths.filter(|(_, path)| self.settings.get(path).is_none() && !self.has_complained(path)).collect()
    }

    /// Whether there is a problem with a key or its section.
    pub(super) fn has_complained(&self, path: &str) -> bool {
        self.problems
            .iter()
            .filter_map(|problem| path.strip_prefix(&problem.key))
            .any(|rest| rest.is_empty() || (rest.len() < path.len() && rest.starts_with('.')))
    }

    /// Whether there is a problem with a key in a section.
    pub(super) fn has_complaint_below(&self, section: &str) -> bool {
        let below = join(section, "");
        self.problems.iter().any(|problem| problem.key.starts_with(&below))
    }

    pub(super) fn complain_of_missing(&mut self, key: &Key, path: &str) {
        let (example, command) = match key.fallback {
            Fallback::Required(example) => (example, None),
            Fallback::Made(example, command) => (example, Some(command)),
            Fallback::Value(_) | Fallback::Absent(_) => return,
        };
        let made = command.map(|command| format!("; create it with `{command}`")).unwrap_or_default();
        let fix = format!("Add `{} = {example}` {}{made}", key.name(), whereabouts(key.section()));
        self.complain(path, Complaint::new("is missing", fix));
    }

    /// Records a problem for each repeated value.
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
    let what = format!("{} is not a valid choice", quoted(text));
    let meant = words().find(|word| word.eq_ignore_ascii_case(text));
    Err(match meant.or_else(|| did_you_mean(text, words())) {
        Some(meant) => Complaint::new(what, format!("Did you mean {meant:?}?")),
        None => Complaint::new(what, format!("Use one of: {}", words().collect::<Vec<_>>().join(", "))),
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
