//! Whether a body fits: members that are unknown, missing, of the wrong type, too long.

use serde_json::{Map, Value};

use super::{
    failure::{Failure, Flaw},
    filter, folder, item,
};

/// A member of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    name: &'static str,
    shape: Shape,
    required: bool,
}

impl Member {
    pub(super) const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: true }
    }

    pub(super) const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false }
    }
}

/// What a member may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Text,
    /// Text with at least and at most this many characters.
    Bounded(usize, usize),
    ConfigId,
    Folder,
    FolderName,
    Flag,
    /// A whole number from and to.
    Whole(i64, i64),
    OneOf(&'static [&'static str]),
    Texts,
    TextMap,
    Time,
    Filter,
    /// Which versions of an item are meant.
    Version,
    /// The version that is meant, by item id.
    VersionMap,
}

/// Reads a body and complains about all that is wrong with it.
pub(super) fn read(body: &[u8], members: &[Member]) -> Result<Map<String, Value>, Failure> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(Flaw::new("InvalidObject", "").into());
    };
    let mut flaws = Vec::new();
    for member in members {
        match body.get(member.name) {
            Some(value) => flaws.extend(member.flaws(value)),
            None if member.required => flaws.push(Flaw::new("FieldRequired", format!("/{}", member.name))),
            None => {}
        }
    }
    let unknown = body.keys().filter(|name| members.iter().all(|member| member.name != name.as_str()));
    flaws.extend(unknown.map(|name| Flaw::new("UnexpectedProperty", format!("/{name}"))));
    if flaws.is_empty() { Ok(body) } else { Err(Failure::Invalid(flaws)) }
}

impl Member {
    fn flaws(&self, value: &Value) -> Vec<Flaw> {
        let at = format!("/{}", self.name);
        if let Shape::Filter = self.shape {
            return filter::parse(value).err().unwrap_or_default();
        }
        let broken = self.shape.complaint(value);
        let flaw = |(code, rule): (&'static str, &'static str)| Flaw {
            path: Some(format!("/properties/{}/{rule}", self.name)),
            ..Flaw::new(code, at)
        };
        broken.map(flaw).into_iter().collect()
    }
}

impl Shape {
    /// The code of the problem, and the rule of JSON Schema that it breaks.
    fn complaint(self, value: &Value) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Text
            | Self::Bounded(..)
            | Self::ConfigId
            | Self::Folder
            | Self::FolderName
            | Self::Time
            | Self::OneOf(_) => {
                value.as_str().map_or(Some(("InvalidString", "type")), |text| self.complaint_of_text(text))
            }
            Self::Flag => (!value.is_boolean()).then_some(("InvalidBool", "type")),
            Self::Whole(least, most) => match value.as_i64() {
                None => Some(("InvalidInteger", "type")),
                Some(number) if number < least => Some(("NotWithinRange", "minimum")),
                Some(number) if number > most => Some(("NotWithinRange", "maximum")),
                Some(_) => None,
            },
            Self::Texts => match value.as_array() {
                None => Some(("InvalidArray", "type")),
                Some(values) => {
                    values.iter().any(|value| !value.is_string()).then_some(("InvalidString", "items"))
                }
            },
            Self::TextMap => map_complaint(value, Value::is_string, "InvalidString"),
            Self::VersionMap => map_complaint(value, Value::is_u64, "InvalidInteger"),
            Self::Version => {
                item::Selector::parse(value).is_none().then_some(("DoesNotMatchPattern", "pattern"))
            }
            Self::Filter => None,
        }
    }

    fn complaint_of_text(self, text: &str) -> Option<(&'static str, &'static str)> {
        let length = text.chars().count();
        match self {
            Self::Bounded(least, _) if length < least => Some(("BelowMinLength", "minLength")),
            Self::Bounded(_, most) if length > most => Some(("AboveMaxLength", "maxLength")),
            Self::ConfigId if !is_config_id(text) => Some(("DoesNotMatchPattern", "pattern")),
            Self::Folder | Self::FolderName if !folder::is_allowed(text) => {
                Some(("DoesNotMatchPattern", "pattern"))
            }
            Self::FolderName if folder::parts(text).next().is_none() => Some(("BelowMinLength", "minLength")),
            Self::Time if text.parse::<jiff::Timestamp>().is_err() => Some(("BadFormatDateTime", "format")),
            Self::OneOf(values) if !values.contains(&text) => Some(("NotEnumMember", "enum")),
            _ => None,
        }
    }
}

fn map_complaint(
    value: &Value,
    fits: impl Fn(&Value) -> bool,
    code: &'static str,
) -> Option<(&'static str, &'static str)> {
    match value.as_object() {
        None => Some(("InvalidObject", "type")),
        Some(members) => members.values().any(|value| !fits(value)).then_some((code, "additionalProperties")),
    }
}

fn is_config_id(text: &str) -> bool {
    text.strip_prefix("pci_")
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')))
}
