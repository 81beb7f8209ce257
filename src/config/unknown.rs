//! Unknown keys and variables, with a suggestion.

use super::{
    keys::KEYS,
    problem::{Complaint, did_you_mean},
    table::{FILE_SUFFIX, FILE_VARIABLE, Key, Kind, PREFIX, header, join, pattern},
};

pub(super) fn key(section: &str, name: &str) -> Complaint {
    let section = pattern(section);
    let siblings: Vec<&str> = KEYS.iter().filter_map(|key| child(&section, key.path)).collect();
    let fix = if let Some(meant) = did_you_mean(name, siblings.iter().copied()) {
        format!("Did you mean `{meant}`?")
    } else if let Some(elsewhere) = KEYS.iter().find(|key| key.name() == name) {
        format!("`{name}` belongs {}", whereabouts(elsewhere.section()))
    } else {
        format!("Remove it, or use one of: {}", distinct(siblings).join(", "))
    };
    Complaint::new("unknown key", fix)
}

pub(super) fn variable(name: &str) -> Complaint {
    let mut known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let secrets = KEYS.iter().filter(|key| matches!(key.kind, Kind::Secret | Kind::TextOrSecret));
    known.extend(secrets.map(|key| key.variable() + FILE_SUFFIX));
    known.push(FILE_VARIABLE.to_owned());
    let written = name.strip_prefix(PREFIX).unwrap_or(name).to_uppercase();
    let candidates = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
    let fix = match did_you_mean(&written, candidates) {
        Some(meant) => format!("Did you mean `{PREFIX}{meant}`?"),
        None => "Unset it; docs/configuration.md lists the variables".to_owned(),
    };
    Complaint::new("unknown variable", fix)
}

/// Where to write the keys of a section.
pub(super) fn whereabouts(section: &str) -> String {
    if section.is_empty() {
        "at the top of the file, before the first `[section]`".to_owned()
    } else {
        format!("under `{}`", header(section))
    }
}

/// The part that follows `section` in `path`.
fn child<'a>(section: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(&join(section, ""))?;
    rest.split('.').next()
}

fn distinct(mut names: Vec<&str>) -> Vec<&str> {
    names.dedup();
    names
}
