//! Logos of clients. The page contains them: if browsers fetched them, the client's host would learn which users are
//! asked. Only raster images are accepted, because others can contain scripts and links.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{clock::UnixTime, raster::RasterFormat};

/// Largest logo, in bytes.
pub(super) const LARGEST_LOGO: usize = 64 * 1024;
/// Most logos. Beyond that, the one that expires first is evicted.
const MOST: usize = 256;
/// How long a logo is used.
const KEPT: Duration = Duration::from_hours(24);
/// How long a failed fetch is not repeated. A page without a logo is complete.
const AGAIN: Duration = Duration::from_hours(1);
/// How long one request has the turn to fetch.
const TURN: Duration = Duration::from_mins(1);

/// A raster image.
#[derive(Debug, PartialEq, Eq)]
pub struct Logo {
    data_uri: String,
}

impl Logo {
    /// The image in an answer; `None` if it is not a PNG, JPEG or WebP image that says so.
    pub(super) fn of(content_type: Option<&str>, bytes: &[u8]) -> Option<Self> {
        let media_type = RasterFormat::of(bytes)?.media_type();
        let essence = content_type?.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(media_type).then(|| {
            let data_uri = format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
            Self { data_uri }
        })
    }

    /// For `src`.
    #[must_use]
    pub fn data_uri(&self) -> &str {
        &self.data_uri
    }
}

/// What is known about a logo.
#[derive(Debug, PartialEq, Eq)]
pub enum KnownLogo {
    /// This is shown.
    Shown(Option<Arc<Logo>>),
    /// The caller has the turn to fetch.
    Due,
}

/// The logos that this process knows, by URL.
#[derive(Debug, Default)]
pub(super) struct Logos(Mutex<HashMap<String, Held>>);

#[derive(Debug)]
struct Held {
    /// `None` after a failure.
    logo: Option<Arc<Logo>>,
    /// When the next fetch is due.
    until: UnixTime,
}

impl Logos {
    pub(super) fn known(&self, url: &str, now: UnixTime) -> KnownLogo {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.get(url).filter(|known| now < known.until) {
            return KnownLogo::Shown(known.logo.clone());
        }
        // Until the fetch has ended, others are shown what was known.
        let logo = held.remove(url).and_then(|known| known.logo);
        insert(&mut held, url, Held { logo, until: now.plus(TURN) });
        KnownLogo::Due
    }

    pub(super) fn note(&self, url: &str, logo: Option<Arc<Logo>>, now: UnixTime) {
        let until = now.plus(if logo.is_some() { KEPT } else { AGAIN });
        insert(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), url, Held { logo, until });
    }
}

fn insert(all: &mut HashMap<String, Held>, url: &str, held: Held) {
    if all.len() >= MOST && !all.contains_key(url) {
        let first = all.iter().min_by_key(|(_, held)| held.until).map(|(url, _)| url.clone());
        first.map(|first| all.remove(&first));
    }
    all.insert(url.to_owned(), held);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    #[test]
    fn cimd_13_only_raster_images_are_shown() {
        for (content_type, bytes, shown) in [
            (Some("image/png"), PNG, true),
            (Some("Image/PNG; q=1"), PNG, true),
            (Some("image/jpeg"), b"\xff\xd8\xff\xe0rest", true),
            (Some("image/webp"), b"RIFF0000WEBPVP8 ", true),
            (None, PNG, false),
            (Some("image/jpeg"), PNG, false),
            (Some("image/svg+xml"), PNG, false),
            (Some("text/html"), PNG, false),
            (Some("image/svg+xml"), b"<svg xmlns='http://www.w3.org/2000/svg'/>", false),
            (Some("image/png"), b"<svg xmlns='http://www.w3.org/2000/svg'/>", false),
            (Some("image/gif"), b"GIF89a", false),
            (Some("image/png"), b"", false),
        ] {
            assert_eq!(Logo::of(content_type, bytes).is_some(), shown, "{content_type:?} {bytes:?}");
        }
        let uri = Logo::of(Some("image/png"), PNG).unwrap();
        assert_eq!(uri.data_uri(), "data:image/png;base64,iVBORw0KGgpyZXN0");
    }

    #[test]
    fn one_request_fetches_and_others_are_shown_what_is_known() {
        let (logos, at) = (Logos::default(), |second| UnixTime::from_secs(1_000_000 + second));
        assert_eq!(logos.known("a", at(0)), KnownLogo::Due);
        assert_eq!(logos.known("a", at(1)), KnownLogo::Shown(None));
        assert_eq!(logos.known("a", at(60)), KnownLogo::Due, "the first may have been lost");
        let logo = Logo::of(Some("image/png"), PNG).map(Arc::new);
        logos.note("a", logo.clone(), at(60));
        assert_eq!(logos.known("a", at(61)), KnownLogo::Shown(logo.clone()));
        let tomorrow = 61 + KEPT.as_secs();
        assert_eq!(logos.known("a", at(tomorrow)), KnownLogo::Due);
        assert_eq!(logos.known("a", at(tomorrow)), KnownLogo::Shown(logo));
        logos.note("a", None, at(tomorrow));
        assert_eq!(logos.known("a", at(tomorrow + AGAIN.as_secs() - 1)), KnownLogo::Shown(None));
    }

    #[test]
    fn the_number_of_logos_is_bounded() {
        let (logos, now) = (Logos::default(), UnixTime::from_secs(1));
        (0..2 * MOST).for_each(|number| _ = logos.known(&number.to_string(), now));
        assert_eq!(logos.0.lock().unwrap().len(), MOST);
    }
}
