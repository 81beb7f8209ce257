//! Filters: members that all have to fit, `{"folder": "/a", "name__contains": "x"}`.

use jiff::Timestamp;
use pangea_mcp_auth::{clock::UnixTime, dev::timestamp};
use serde_json::Value;

use super::{
    failure::Flaw,
    folder,
    item::{Item, ItemKind},
    switches::{FolderFilter, Habits},
};

const TEXTS: [&str; 8] = ["id", "type", "name", "folder", "tags", "item_state", "algorithm", "purpose"];
const TIMES: [&str; 5] = ["created_at", "destroyed_at", "expiration", "last_rotated", "next_rotation"];
const METADATA: &str = "metadata_";

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Filter(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    field: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    OneOf(Vec<String>),
    Contains(Vec<String>),
    Time(Order, Timestamp),
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Equal,
    After,
    NotBefore,
    Before,
    NotAfter,
}

/// Reads a filter and complains about all that is wrong with it.
pub(super) fn parse(filter: &Value) -> Result<Filter, Vec<Flaw>> {
    let Some(members) = filter.as_object() else {
        return Err(vec![Flaw::new("InvalidObject", "/filter")]);
    };
    let (mut rules, mut flaws) = (Vec::new(), Vec::new());
    for (name, value) in members {
        match rule(name, value) {
            Ok(more) => rules.extend(more),
            Err(code) => flaws.push(Flaw::new(code, format!("/filter/{name}"))),
        }
    }
    if flaws.is_empty() { Ok(Filter(rules)) } else { Err(flaws) }
}

/// What a member of a filter asks for; an array of tags asks for each of them.
fn rule(name: &str, value: &Value) -> Result<Vec<Rule>, &'static str> {
    let (field, operator) = match name.rsplit_once("__") {
        Some((field, operator)) => (field, operator),
        None => (name, ""),
    };
    let is_time = TIMES.contains(&field);
    if !is_time && !TEXTS.contains(&field) && !field.starts_with(METADATA) {
        return Err("UnexpectedProperty");
    }
    let texts = || match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(_) => array(value),
        _ => Err("InvalidString"),
    };
    let rule = |test| Rule { field: field.to_owned(), test };
    let test = match operator {
        "" if is_time => Test::Time(Order::Equal, time(value)?),
        "" if field == "tags" => {
            return Ok(texts()?.into_iter().map(|tag| rule(Test::OneOf(vec![tag]))).collect());
        }
        "" => Test::OneOf(vec![value.as_str().ok_or("InvalidString")?.to_owned()]),
        "in" if !is_time => Test::OneOf(array(value)?),
        "contains" if !is_time => Test::Contains(texts()?),
        "gt" if is_time => Test::Time(Order::After, time(value)?),
        "gte" if is_time => Test::Time(Order::NotBefore, time(value)?),
        "lt" if is_time => Test::Time(Order::Before, time(value)?),
        "lte" if is_time => Test::Time(Order::NotAfter, time(value)?),
        _ => return Err("UnexpectedProperty"),
    };
    Ok(vec![rule(test)])
}

fn array(value: &Value) -> Result<Vec<String>, &'static str> {
    let values = value.as_array().ok_or("InvalidArray")?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("InvalidString");
    values.iter().map(text).collect()
}

fn time(value: &Value) -> Result<Timestamp, &'static str> {
    value.as_str().ok_or("InvalidString")?.parse().map_err(|_| "BadFormatDateTime")
}

impl Filter {
    /// Whether the item fits.
    pub(super) fn fits(&self, item: &Item, now: UnixTime, habits: &Habits) -> bool {
        self.0.iter().all(|rule| rule.fits(item, now, habits))
    }
}

impl Rule {
    fn fits(&self, item: &Item, now: UnixTime, habits: &Habits) -> bool {
        let values = values(item, &self.field, now, habits);
        let any = |fits: &dyn Fn(&String) -> bool| values.iter().any(fits);
        match &self.test {
            Test::OneOf(wanted) if self.field == "folder" => {
                wanted.iter().any(|wanted| any(&|folder| is_folder(wanted, folder, habits.folder_filter)))
            }
            Test::OneOf(wanted) => any(&|value| wanted.contains(value)),
            Test::Contains(parts) => any(&|value| parts.iter().any(|part| value.contains(part.as_str()))),
            Test::Time(order, bound) => {
                any(&|value| value.parse().is_ok_and(|time| order.holds(time, *bound)))
            }
        }
    }
}

impl Order {
    fn holds(self, time: Timestamp, bound: Timestamp) -> bool {
        match self {
            Self::Equal => time == bound,
            Self::After => time > bound,
            Self::NotBefore => time >= bound,
            Self::Before => time < bound,
            Self::NotAfter => time <= bound,
        }
    }
}

/// Whether the folder of an item is the one that a filter wants.
fn is_folder(wanted: &str, folder: &str, habit: FolderFilter) -> bool {
    let spelled_right = match habit {
        FolderFilter::AnySpelling | FolderFilter::Subtree => true,
        FolderFilter::SlashAtEnd => wanted.ends_with('/'),
        FolderFilter::NoSlashAtEnd => wanted == folder::ROOT || !wanted.ends_with('/'),
    };
    let wanted = folder::normalized(wanted);
    let is_inside = habit == FolderFilter::Subtree && folder.starts_with(&wanted);
    spelled_right && (wanted == folder || is_inside)
}

/// What an item has under a name: several tags, one of most other things, none of some.
pub(super) fn values(item: &Item, field: &str, now: UnixTime, habits: &Habits) -> Vec<String> {
    let state = if item.is_enabled(now, habits) { "enabled" } else { "disabled" };
    let kind = match item.kind {
        ItemKind::Secret => "secret",
        ItemKind::Folder => "folder",
    };
    match field {
        "id" => vec![item.id.clone()],
        "type" => vec![kind.to_owned()],
        "name" => vec![item.name.clone()],
        "folder" => vec![item.folder.clone()],
        "tags" => item.tags.clone(),
        "item_state" => vec![state.to_owned()],
        "created_at" => vec![timestamp(item.created_at)],
        "destroyed_at" => {
            let destroyed_at = item.versions.last().and_then(|version| version.destroyed_at);
            destroyed_at.map(timestamp).into_iter().collect()
        }
        "expiration" => item.disabled_at.clone().into_iter().collect(),
        "last_rotated" => item.last_rotated.map(timestamp).into_iter().collect(),
        _ => {
            field.strip_prefix(METADATA).and_then(|key| item.metadata.get(key)).cloned().into_iter().collect()
        }
    }
}
