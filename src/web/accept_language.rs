//! Chooses the language of a page by `Accept-Language` (RFC 9110 section 12.5.4) with the lookup of RFC 4647.

use axum::http::{HeaderMap, HeaderValue, header};

use super::pages::texts::{EN, LANGUAGES, Texts};

/// Bytes of the header that are read. Browsers send fewer than 200.
const MAX_LENGTH: usize = 1000;

/// The texts in the language that the user prefers, or in English.
///
/// A longer tag means its language: `de-CH` is German. Chinese is written in simplified characters, whatever the
/// tag asks for. Only the first header counts, and a language that the header refuses (`q=0`) is never chosen.
pub(super) fn preferred(headers: &HeaderMap) -> &'static Texts {
    headers.get(header::ACCEPT_LANGUAGE).and_then(|value| best(value)).unwrap_or(&EN)
}

fn best(value: &HeaderValue) -> Option<&'static Texts> {
    let bytes = value.as_bytes();
    let read = std::str::from_utf8(&bytes[..bytes.len().min(MAX_LENGTH)]).ok()?;
    let mut best = None;
    for (range, weight) in read.split(',').filter_map(weighted) {
        let Some(texts) = lookup(range) else { continue };
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((texts, weight));
        }
    }
    best.map(|(texts, _)| texts)
}

/// A range and its weight in thousandths.
fn weighted(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim_ascii);
    let range = parts.next()?;
    let weight = match parts.next() {
        None => 1000,
        Some(parameter) => {
            thousandths(parameter.strip_prefix(['q', 'Q'])?.trim_ascii_start().strip_prefix('=')?)?
        }
    };
    Some((range, weight))
}

/// A weight of RFC 9110 section 12.4.2: 0 to 1 with up to three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.trim_ascii().split_once('.').unwrap_or((weight.trim_ascii(), ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = decimals.bytes().chain([b'0'; 3]).take(3);
    let fraction = digits.fold(0, |fraction, digit| fraction * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// The texts whose language begins the range (RFC 4647 section 3.4). Tags are compared without regard to case.
fn lookup(range: &str) -> Option<&'static Texts> {
    let language = range.split('-').next().unwrap_or_default();
    LANGUAGES
        .into_iter()
        .find(|texts| texts.tag.split('-').next().is_some_and(|own| own.eq_ignore_ascii_case(language)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &[u8]) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_bytes(header).unwrap());
        preferred(&headers).tag
    }

    #[test]
    fn the_most_wanted_language_is_chosen() {
        assert_eq!(preferred(&HeaderMap::new()).tag, "en");
        for (header, tag) in [
            ("de", "de"),
            ("de-CH", "de"),
            ("FR-ca", "fr"),
            ("de-CH, fr;q=0.9, en;q=0.8", "de"),
            ("it, es;q=0.5, ja;q=0.501", "ja"),
            ("en;q=0.1, es;q=0.2", "es"),
            ("fr, de", "fr"),
            ("fr ; q=0.5 , de ; q=0.6", "de"),
            ("fr;Q=0.5,de;Q=0.4", "fr"),
            ("ja;q=1.000, de", "ja"),
            ("zh", "zh-Hans"),
            ("zh-TW", "zh-Hans"),
            ("zh-Hant-HK", "zh-Hans"),
            ("es;q=0.05, fr;q=0.5", "fr"),
        ] {
            assert_eq!(chosen(header.as_bytes()), tag, "{header}");
        }
    }

    #[test]
    fn what_is_refused_unknown_or_malformed_is_left_out() {
        for (header, tag) in [
            ("de;q=0", "en"),
            ("de;q=0.000, fr;q=0.1", "fr"),
            ("*", "en"),
            ("*;q=0.5", "en"),
            ("it, pt", "en"),
            ("deutsch", "en"),
            ("de;q=2, fr", "fr"),
            ("de;q=1.001, fr;q=0.1", "fr"),
            ("de;q=0.9999, fr;q=0.1", "fr"),
            ("de;q=-1, fr;q=0.1", "fr"),
            ("de;q=, fr;q=0.1", "fr"),
            ("de;q=0.5.5", "en"),
            ("de;level=1", "en"),
            ("", "en"),
            (",,;;=,-,", "en"),
        ] {
            assert_eq!(chosen(header.as_bytes()), tag, "{header}");
        }
        assert_eq!(chosen(b"de, \xff\xfe"), "en");
    }

    #[test]
    fn only_the_start_of_a_long_header_is_read() {
        assert_eq!(chosen(format!("{}de", "it,".repeat(100)).as_bytes()), "de");
        assert_eq!(chosen(format!("{}de", "it,".repeat(3000)).as_bytes()), "en");
        assert_eq!(chosen(format!("de,{}", "it,".repeat(3000)).as_bytes()), "de");
    }
}
