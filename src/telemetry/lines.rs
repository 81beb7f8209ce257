//! Formats an event as one line: its fields, then those of its request.

use std::fmt::{self, Debug};

use serde::{
    Serialize,
    ser::{SerializeMap, Serializer},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, time},
    },
    registry::LookupSpan,
};

use crate::{audit::each_known, config::LogFormat};

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Value {
    /// A text, possibly written by strangers.
    Text(String),
    /// A `Display` or `Debug` output.
    Shown(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

/// Fields in order. The last one of a name wins.
#[derive(Debug, Clone, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    fn take_message(&mut self) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| *name == "message")?;
        match self.0.remove(at).1 {
            Value::Text(message) | Value::Shown(message) => Some(message),
            _ => None,
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Bool(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field.name(), Value::Shown(format!("{value:?}")));
    }
}

/// Writes an event as a line.
pub(super) struct Line(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take_message().unwrap_or_default();
        let mut timestamp = String::with_capacity(27);
        time().format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let (level, target) = (metadata.level().as_str(), metadata.target());
        match self.0 {
            LogFormat::Json => {
                let line = JsonLine { timestamp: &timestamp, level, target, message: &message, fields };
                writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
            }
            LogFormat::Text => {
                write!(writer, "{timestamp} {level:>5} {target}: ")?;
                write_readable(&mut writer, &message)?;
                for (name, value) in &fields.0 {
                    write_name(&mut writer, name)?;
                    value.write(&mut writer)?;
                }
                each_known(|name, value| {
                    if fields.has(name) {
                        return Ok(());
                    }
                    write_name(&mut writer, name)?;
                    write_quoted(&mut writer, value)
                })?;
                writeln!(writer)
            }
        }
    }
}

/// One flat object.
struct JsonLine<'a> {
    timestamp: &'a str,
    level: &'a str,
    target: &'a str,
    message: &'a str,
    fields: Fields,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        for (name, value) in [
            ("timestamp", self.timestamp),
            ("level", self.level),
            ("target", self.target),
            ("message", self.message),
        ] {
            line.serialize_entry(name, value)?;
        }
        for (name, value) in &self.fields.0 {
            line.serialize_entry(name, value)?;
        }
        each_known(
            |name, value| {
                if self.fields.has(name) { Ok(()) } else { line.serialize_entry(name, value) }
            },
        )?;
        line.end()
    }
}

impl Value {
    /// A value in a text line: quoted if it is a text, and without line breaks.
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        match self {
            Self::Shown(text) if !text.is_empty() && text.chars().all(is_plain) => writer.write_str(text),
            Self::Text(text) | Self::Shown(text) => write_quoted(writer, text),
            Self::Unsigned(number) => write!(writer, "{number}"),
            Self::Signed(number) => write!(writer, "{number}"),
            Self::Float(number) => write!(writer, "{number}"),
            Self::Bool(is_so) => write!(writer, "{is_so}"),
        }
    }
}

fn write_name(writer: &mut Writer<'_>, name: &str) -> fmt::Result {
    writer.write_char(' ')?;
    writer.write_str(name)?;
    writer.write_char('=')
}

fn write_quoted(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let is_plain = |b: u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    if text.bytes().all(is_plain) {
        writer.write_char('"')?;
        writer.write_str(text)?;
        writer.write_char('"')
    } else {
        write!(writer, "{text:?}")
    }
}

/// A message with control characters escaped.
fn write_readable(writer: &mut Writer<'_>, message: &str) -> fmt::Result {
    if message.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return writer.write_str(message);
    }
    message.chars().try_for_each(|c| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(writer, "{}", c.escape_default())
        } else {
            writer.write_char(c)
        }
    })
}
