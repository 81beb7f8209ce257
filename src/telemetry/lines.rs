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
        match self.0 {
            LogFormat::Json => {
                let line = JsonLine { timestamp: &timestamp, message: &message.0, event };
                writer.write_str(&serde_json::to_string(&line).map_err(|_| fmt::Error)?)?;
            }
            LogFormat::Text => write_text(&mut writer, &timestamp, message, event)?,
        }
        writer.write_char('\n')
    }
}

fn write_text(writer: &mut Writer<'_>, timestamp: &str, message: Message, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    write!(writer, "{timestamp} {:>5} {}: ", metadata.level().as_str(), metadata.target())?;
    write_readable(writer, &message.0)?;
    let mut fields = TextFields { writer, shown: message.0, written: Ok(()) };
    event.record(&mut fields);
    fields.written?;
    each_known(|name, value| {
        if has(event, name) {
            return Ok(());
        }
        write_name(writer, name)?;
        write_quoted(writer, value)
    })
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
struct TextFields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    /// Space for an output.
    shown: String,
    written: fmt::Result,
}

impl TextFields<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if field.name() != MESSAGE && self.written.is_ok() {
            self.written = write_name(self.writer, field.name()).and_then(|()| value(self.writer));
        }
    }
}

impl Visit for TextFields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| write_quoted(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut shown = std::mem::take(&mut self.shown);
        shown.clear();
        let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
        self.write(field, |writer| {
            write!(shown, "{value:?}")?;
            if !shown.is_empty() && shown.bytes().all(is_plain) {
                writer.write_str(&shown)
            } else {
                write_quoted(writer, &shown)
            }
        });
        self.shown = shown;
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
