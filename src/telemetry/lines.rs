//! Formats an event as one line: its fields, then those of its request.

use std::fmt::{self, Debug, Write};

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

/// The field of an event that holds its sentence.
const MESSAGE: &str = "message";

/// Bytes that most lines fit into.
const USUAL_LENGTH: usize = 512;

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
        let mut timestamp = String::with_capacity(27);
        time().format_time(&mut Writer::new(&mut timestamp))?;
        let mut message = Message::default();
        event.record(&mut message);
        let line = match self.0 {
            LogFormat::Json => {
                let line = JsonLine { timestamp: &timestamp, message: &message.0, event };
                serde_json::to_string(&line).map_err(|_| fmt::Error)?
            }
            LogFormat::Text => text(&timestamp, message, event)?,
        };
        writer.write_str(&line)?;
        writer.write_char('\n')
    }
}

fn text(timestamp: &str, message: Message, event: &Event<'_>) -> Result<String, fmt::Error> {
    let metadata = event.metadata();
    let mut line = String::with_capacity(USUAL_LENGTH);
    write!(line, "{timestamp} {:>5} {}: ", metadata.level().as_str(), metadata.target())?;
    write_readable(&mut line, &message.0)?;
    let mut fields = TextFields { line, shown: message.0, written: Ok(()) };
    event.record(&mut fields);
    let TextFields { mut line, written, .. } = fields;
    written?;
    each_known(|name, value| {
        if has(event, name) {
            return Ok(());
        }
        write_name(&mut line, name);
        write_quoted(&mut line, value)
    })?;
    Ok(line)
}

/// Whether the event has a field of this name itself, which is then not repeated from its request.
fn has(event: &Event<'_>, name: &str) -> bool {
    event.metadata().fields().field(name).is_some()
}

/// The sentence of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0.push_str(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == MESSAGE {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Writes the fields of a text line. A text, possibly written by strangers, is quoted. A `Display` or `Debug`
/// output is quoted if it has characters that could be misread.
struct TextFields {
    line: String,
    /// Space for an output.
    shown: String,
    written: fmt::Result,
}

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE && self.written.is_ok() {
            write_name(&mut self.line, field.name());
            self.written = write_quoted(&mut self.line, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != MESSAGE && self.written.is_ok() {
            write_name(&mut self.line, field.name());
            self.shown.clear();
            self.written =
                write!(self.shown, "{value:?}").and_then(|()| write_shown(&mut self.line, &self.shown));
        }
    }
}

/// One flat object.
struct JsonLine<'a> {
    timestamp: &'a str,
    message: &'a str,
    event: &'a Event<'a>,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metadata = self.event.metadata();
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", self.timestamp)?;
        line.serialize_entry("level", metadata.level().as_str())?;
        line.serialize_entry("target", metadata.target())?;
        line.serialize_entry(MESSAGE, self.message)?;
        let mut fields = JsonFields { line: &mut line, written: Ok(()) };
        self.event.record(&mut fields);
        fields.written?;
        each_known(
            |name, value| {
                if has(self.event, name) { Ok(()) } else { line.serialize_entry(name, value) }
            },
        )?;
        line.end()
    }
}

/// Writes the fields of a JSON line.
struct JsonFields<'a, M: SerializeMap> {
    line: &'a mut M,
    written: Result<(), M::Error>,
}

impl<M: SerializeMap> JsonFields<'_, M> {
    fn write(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if field.name() != MESSAGE && self.written.is_ok() {
            self.written = self.line.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for JsonFields<'_, M> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, &format!("{value:?}"));
    }
}

fn write_name(line: &mut String, name: &str) {
    line.push(' ');
    line.push_str(name);
    line.push('=');
}

fn write_shown(line: &mut String, text: &str) -> fmt::Result {
    if text.is_empty() || text.contains(' ') || !is_plain(text) {
        return write_quoted(line, text);
    }
    line.push_str(text);
    Ok(())
}

fn write_quoted(line: &mut String, text: &str) -> fmt::Result {
    if !is_plain(text) {
        return write!(line, "{text:?}");
    }
    line.push('"');
    line.push_str(text);
    line.push('"');
    Ok(())
}

/// Whether a text is the same between quotes. Counts instead of stopping early, which compiles to far fewer
/// instructions.
fn is_plain(text: &str) -> bool {
    let is_special = |b: &u8| !matches!(b, b' '..=b'~') || matches!(b, b'"' | b'\\');
    text.bytes().filter(is_special).count() == 0
}

/// A message with control characters escaped.
fn write_readable(line: &mut String, message: &str) -> fmt::Result {
    if message.bytes().all(|b| matches!(b, b' '..=b'~')) {
        line.push_str(message);
        return Ok(());
    }
    message.chars().try_for_each(|c| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            write!(line, "{}", c.escape_default())
        } else {
            line.push(c);
            Ok(())
        }
    })
}
