//! How long a document is used without another fetch (RFC 9111 section 4.2), within bounds.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderMap, header};
use jiff::fmt::rfc2822;

use crate::clock::UnixTime;

/// Less would cost a fetch for each sign-in, more would keep what the client has changed.
const BOUNDS: RangeInclusive<Duration> = Duration::from_mins(5)..=Duration::from_hours(24);
/// For a document that does not say.
const USUAL: Duration = Duration::from_hours(1);

/// How long an answer that has just arrived is fresh: 5 minutes to 24 hours.
pub(super) fn lifetime(headers: &HeaderMap, now: UnixTime) -> Duration {
    let age = text(headers, header::AGE).and_then(seconds).unwrap_or_default();
    let lifetime = cache_control(headers).or_else(|| expires(headers, now)).unwrap_or(USUAL);
    lifetime.saturating_sub(age).clamp(*BOUNDS.start(), *BOUNDS.end())
}

/// What `Cache-Control` says (RFC 9111 section 5.2.2). This server is a shared cache.
fn cache_control(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let (mut max_age, mut s_maxage) = (None, None);
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => max_age = max_age.or_else(|| seconds(value)),
            "s-maxage" => s_maxage = s_maxage.or_else(|| seconds(value)),
            _ => {}
        }
    }
    s_maxage.or(max_age)
}

/// `Expires`, counted from `Date` (RFC 9111 section 5.3). An invalid date is in the past.
fn expires(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let expires = date(text(headers, header::EXPIRES)?);
    let from = text(headers, header::DATE).and_then(date).unwrap_or(now);
    Some(expires.map_or(Duration::ZERO, |expires| expires.since(from)))
}

fn date(text: &str) -> Option<UnixTime> {
    let date = rfc2822::parse(text).ok()?.timestamp().as_second();
    u64::try_from(date).ok().map(UnixTime::from_secs)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// RFC 9111 section 1.2.2. A number that is too large counts as very large.
fn seconds(text: &str) -> Option<Duration> {
    let digits = text.trim().trim_matches('"');
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| Duration::from_secs(digits.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;

    #[test]
    fn cimd_11_the_headers_decide_within_five_minutes_and_a_day() {
        let date = "Tue, 01 Dec 2026 12:00:00 GMT";
        for (headers, expected) in [
            (vec![], HOUR),
            (vec![("cache-control", "max-age=7200")], 2 * HOUR),
            (vec![("cache-control", "public, Max-Age=\"7200\", must-revalidate")], 2 * HOUR),
            (vec![("cache-control", "max-age=60, s-maxage=7200")], 2 * HOUR),
            (vec![("cache-control", "public"), ("cache-control", "max-age=7200")], 2 * HOUR),
            (vec![("cache-control", "max-age=7200"), ("age", "3600")], HOUR),
            (vec![("cache-control", "max-age=7200"), ("age", "9999999")], 5 * MINUTE),
            (vec![("cache-control", "max-age=0")], 5 * MINUTE),
            (vec![("cache-control", "no-store")], 5 * MINUTE),
            (vec![("cache-control", "no-cache, max-age=7200")], 5 * MINUTE),
            (vec![("cache-control", "max-age=31536000")], 24 * HOUR),
            (vec![("cache-control", "max-age=99999999999999999999999")], 24 * HOUR),
            (vec![("cache-control", "max-age=-1")], HOUR),
            (vec![("cache-control", "max-age=soon")], HOUR),
            (vec![("expires", "Tue, 01 Dec 2026 14:00:00 GMT"), ("date", date)], 2 * HOUR),
            (vec![("expires", "Tue, 01 Dec 2026 11:00:00 GMT"), ("date", date)], 5 * MINUTE),
            (vec![("expires", "0"), ("date", date)], 5 * MINUTE),
            (vec![("expires", "Tue, 01 Dec 2026 14:00:00 GMT"), ("cache-control", "max-age=600")], 600),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.append(*name, value.parse().unwrap());
            }
            let now = UnixTime::parse("2026-12-01T12:00:00Z").unwrap();
            assert_eq!(lifetime(&map, now).as_secs(), expected, "{headers:?}");
        }
    }
}
