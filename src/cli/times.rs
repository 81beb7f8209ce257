//! Times and durations as operators write and read them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use crate::clock::UnixTime;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time in JSON: RFC 3339, UTC.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(into = "String")]
pub(super) struct Moment(UnixTime);

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        Self(time)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        rfc3339(moment.0)
    }
}

impl Moment {
    pub(super) const fn time(self) -> UnixTime {
        self.0
    }
}

/// RFC 3339, UTC.
pub(super) fn rfc3339(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// A time relative to now, such as "3 d ago".
pub(super) fn relative(time: UnixTime, now: UnixTime) -> String {
    let (ago, ahead) = (now.since(time).as_secs(), time.since(now).as_secs());
    match (ago, ahead) {
        (0..MINUTE, 0) => "just now".to_owned(),
        (ago, 0) => format!("{} ago", length(ago)),
        (_, ahead) => format!("in {}", length(ahead)),
    }
}

/// A duration, rounded down to its largest unit.
fn length(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..MINUTE => (seconds, "s"),
        MINUTE..HOUR => (seconds / MINUTE, "min"),
        HOUR..DAY => (seconds / HOUR, "h"),
        _ => (seconds / DAY, "d"),
    };
    format!("{count} {unit}")
}

/// A duration such as `30m`, `24h`, `7d` or `2 weeks`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: Option<Span> = text.trim().parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| "write a duration such as 30m, 24h or 7d".to_owned())
}

/// A moment in the past, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    At(UnixTime),
    Ago(Duration),
}

impl Since {
    /// Reads `24h`, `2026-11-24` or `2026-11-24T04:10:00Z`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = duration(text) {
            return Ok(Self::Ago(ago));
        }
        let date = || Some(text.parse::<Date>().ok()?.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
        let at = text.parse::<Timestamp>().ok().or_else(date);
        let seconds = at.and_then(|at| u64::try_from(at.as_second()).ok());
        seconds.map(|seconds| Self::At(UnixTime::from_secs(seconds))).ok_or_else(|| {
            "write how long ago (24h, 7d) or a date (2026-11-24, 2026-11-24T04:10:00Z)".to_owned()
        })
    }

    /// The moment that is meant.
    pub(super) fn moment(self, now: UnixTime) -> UnixTime {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => UnixTime::from_secs(now.since(UnixTime::from_secs(ago.as_secs())).as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn times_are_told_in_the_largest_unit() {
        for (seconds, told) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (7_200, "2 h ago"),
            (3 * DAY, "3 d ago"),
        ] {
            assert_eq!(relative(UnixTime::from_secs(NOW.as_secs() - seconds), NOW), told);
        }
        assert_eq!(relative(NOW.plus(Duration::from_mins(5)), NOW), "in 5 min");
        assert_eq!(rfc3339(NOW), "2027-01-15T08:00:00Z");
        assert!(rfc3339(UnixTime::from_secs(u64::MAX)).starts_with("9999-"));
    }

    #[test]
    fn since_is_a_length_of_time_or_a_moment() {
        for (text, seconds) in [
            ("24h", NOW.as_secs() - DAY),
            ("7d", NOW.as_secs() - 7 * DAY),
            ("2 weeks", NOW.as_secs() - 14 * DAY),
            ("2027-01-15", 1_799_971_200),
            ("2027-01-15T08:00:00Z", 1_800_000_000),
            ("2027-01-15T09:00:00+01:00", 1_800_000_000),
        ] {
            assert_eq!(Since::parse(text).map(|since| since.moment(NOW).as_secs()), Ok(seconds), "{text}");
        }
        for text in ["", "yesterday", "-1h", "24", "1900-01-01"] {
            assert!(Since::parse(text).is_err(), "{text}");
        }
    }
}
