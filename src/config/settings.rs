//! The layers of the configuration: options override the environment, the file, and the defaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    lookup::{find, is_list_of_sections, is_section},
    problem::{Complaint, Place, Problem},
    table::{header, join, pattern},
    unknown,
};
use crate::secret::Secret;

/// A value that is not validated yet. It may be a secret in the wrong location, so it has no `Debug`.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Boolean(bool),
    List(Vec<Given>),
    Table(BTreeMap<String, Given>),
    /// A secret that the program generated.
    Secret(Secret),
    /// A type that no key accepts, with its description.
    Other(&'static str),
}

impl Value {
    /// A list of texts from the program itself.
    pub(super) fn texts(texts: &[String]) -> Self {
        let given = |text: &String| Given { value: Self::Text(text.clone()), place: Place::Nowhere };
        Self::List(texts.iter().map(given).collect())
    }

    /// The source of a secret in a file.
    pub(super) fn secret_file(path: &Path) -> Self {
        let path = Given { value: Self::Text(path.to_string_lossy().into_owned()), place: Place::Nowhere };
        Self::Table(BTreeMap::from([("file".to_owned(), path)]))
    }

    /// A TOML value; `place` returns the location of each part.
    pub(super) fn from_toml(value: &DeValue<'_>, place: &dyn Fn(&Spanned<DeValue<'_>>) -> Place) -> Self {
        let given = |value: &Spanned<DeValue<'_>>| Given {
            value: Self::from_toml(value.get_ref(), place),
            place: place(value),
        };
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Self::Other("a number out of range"), Self::Number),
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Array(elements) => Self::List(elements.iter().map(given).collect()),
            DeValue::Table(table) => Self::Table(
                table
                    .iter()
                    .map(|(name, value)| (name.get_ref().clone().into_owned(), given(value)))
                    .collect(),
            ),
        }
    }

    /// Its type, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Secret(_) => "a secret",
            Self::Other(words) => words,
        }
    }
}

#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// Values by path, such as `resources.0.url`, and their sections.
#[derive(Default)]
pub(super) struct Settings {
    values: BTreeMap<String, Given>,
    sections: BTreeMap<String, Place>,
    /// Values in the file that are overridden.
    overruled: BTreeMap<String, Place>,
}

/// A value that an environment variable sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromEnvironment {
    /// Name of the variable.
    pub variable: String,
    /// The key that it sets, such as `authn.client_id`.
    pub key: String,
    /// The overridden line of the configuration file.
    pub instead_of: Option<Place>,
}

impl Settings {
    pub(super) fn get(&self, path: &str) -> Option<&Given> {
        self.values.get(path)
    }

    /// Sets a value, and overrides an existing one.
    pub(super) fn set(&mut self, path: &str, value: Value, place: Place) {
        let mut section = path;
        while let Some((outer, _)) = section.rsplit_once('.') {
            section = outer;
            self.sections.entry(section.to_owned()).or_insert_with(|| place.clone());
        }
        let before = self.values.insert(path.to_owned(), Given { value, place });
        if let Some(Given { place: place @ Place::File(..), .. }) = before {
            self.overruled.insert(path.to_owned(), place);
        }
    }

    /// The values that come from environment variables.
    pub(super) fn given_by_environment(&self) -> Vec<FromEnvironment> {
        let from_variable = |(path, given): (&String, &Given)| match &given.place {
            Place::Variable(name) => Some(FromEnvironment {
                variable: name.clone(),
                key: path.clone(),
                instead_of: self.overruled.get(path).cloned(),
            }),
            Place::Flag(_) | Place::File(..) | Place::Nowhere => None,
        };
        self.values.iter().filter_map(from_variable).collect()
    }

    /// Sets a value if there is none.
    pub(super) fn fill(&mut self, path: &str, value: Value) {
        if !self.values.contains_key(path) {
            self.set(path, value, Place::Nowhere);
        }
    }

    /// Where a section begins.
    pub(super) fn section(&self, path: &str) -> Option<&Place> {
        self.sections.get(path)
    }

    /// The paths of all sections that match a pattern such as `resources.#`, in order.
    pub(super) fn instances(&self, section: &str) -> Vec<String> {
        if !section.contains('#') {
            return vec![section.to_owned()];
        }
        let found = self.sections.keys().filter(|path| pattern(path) == section).cloned();
        let by_number: BTreeSet<(Vec<usize>, String)> = found.map(|path| (numbers(&path), path)).collect();
        by_number.into_iter().map(|(_, path)| path).collect()
    }

    /// Reads the text of a TOML file. Returns whether it is valid TOML.
    pub(super) fn read_toml(&mut self, text: &str, file: &Path, problems: &mut Vec<Problem>) -> bool {
        let lines = Lines { file, starts: line_starts(text) };
        match DeTable::parse(text) {
            Ok(document) => {
                Reading { settings: self, lines, problems }.table("", document.get_ref());
                true
            }
            Err(error) => {
                let (line, column) = lines.position(error.span().map_or(0, |span| span.start));
                let what = format!("column {column}: {}", error.message().trim().replace('\n', "; "));
                let fix = "Correct this first; the rest of the file was not read";
                problems.push(Complaint::new(what, fix).at(Place::File(file.to_owned(), Some(line)), ""));
                false
            }
        }
    }
}

fn numbers(path: &str) -> Vec<usize> {
    path.split('.').filter_map(|word| word.parse().ok()).collect()
}

fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
}

/// Finds the line of a byte.
struct Lines<'a> {
    file: &'a Path,
    starts: Vec<usize>,
}

impl Lines<'_> {
    /// Line and column in bytes, both counted from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        (line, at - self.starts[line - 1] + 1)
    }

    fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        Place::File(self.file.to_owned(), Some(self.position(spanned.span().start).0))
    }
}

/// Reads a document according to the table of keys.
struct Reading<'a> {
    settings: &'a mut Settings,
    lines: Lines<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = join(section, name.get_ref());
            let is_plain = !name.get_ref().contains('.') && !pattern(name.get_ref()).contains('#');
            if !is_plain || (find(&path).is_none() && !is_section(&path)) {
                let complaint = unknown::key(section, name.get_ref());
                self.problems.push(complaint.at(self.lines.place(name), &path));
            } else if find(&path).is_some() {
                let place = self.lines.place(value);
                let value = Value::from_toml(value.get_ref(), &|part| self.lines.place(part));
                self.settings.set(&path, value, place);
            } else {
                self.section(&path, self.lines.place(name), value);
            }
        }
    }

    fn section(&mut self, path: &str, place: Place, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Array(elements) if is_list_of_sections(path) => {
                for (index, element) in elements.iter().enumerate() {
                    let path = format!("{path}.{index}");
                    match element.get_ref() {
                        DeValue::Table(table) => self.begin(&path, self.lines.place(element), table),
                        _ => self.complain_of_section(&path, self.lines.place(element)),
                    }
                }
            }
            DeValue::Table(table) if !is_list_of_sections(path) => {
                self.begin(path, place, table);
            }
            _ => self.complain_of_section(path, place),
        }
    }

    fn begin(&mut self, path: &str, place: Place, table: &DeTable<'_>) {
        self.settings.sections.insert(path.to_owned(), place);
        self.table(path, table);
    }

    fn complain_of_section(&mut self, path: &str, place: Place) {
        let (what, fix) = if is_list_of_sections(path) {
            let header = header(&format!("{path}.#"));
            (
                "is a list of tables",
                format!("Begin each table with `{header}` on its own line, with its keys below"),
            )
        } else {
            let header = header(&pattern(path));
            ("is a table", format!("Write `{header}` on its own line, with its keys below"))
        };
        self.problems.push(Complaint::new(what, fix).at(place, path));
    }
}
