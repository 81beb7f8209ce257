//! What the pages say about the operator. The logo is read here, so that a file that is no image is reported with all
//! other problems.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use url::Url;

use super::{
    model::Branding,
    problem::Complaint,
    reader::Reader,
    value::{quoted, web_url},
};
use crate::{oauth::display_text::display_text, raster::RasterImage};

/// Longest name, in characters.
const LONGEST_NAME: usize = 80;
/// Largest logo, in bytes.
const LARGEST_LOGO: u64 = 256 * 1024;

pub(super) fn branding(reader: &mut Reader<'_>) -> Branding {
    Branding {
        name: reader.text("branding.name", name),
        logo: logo(reader, "branding.logo"),
        support_url: reader.text("branding.support_url", https_url),
        privacy_url: reader.text("branding.privacy_url", https_url),
    }
}

/// A name that every page shows as it is written.
fn name(text: &str) -> Result<String, Complaint> {
    if display_text(text, LONGEST_NAME) == text {
        return Ok(text.to_owned());
    }
    let what = format!("{} is too long, or has hidden characters or unusual spaces", quoted(text));
    let fix = format!("Write it in one line of at most {LONGEST_NAME} characters, with single spaces");
    Err(Complaint::new(what, fix))
}

/// A page that users open in another tab.
fn https_url(text: &str) -> Result<Url, Complaint> {
    let url = web_url(text)?;
    if url.scheme() == "https" {
        return Ok(url);
    }
    Err(Complaint::new(
        format!("{} is not an https URL", quoted(text)),
        "Write it like \"https://help.example.org\"",
    ))
}

fn logo(reader: &mut Reader<'_>, key: &str) -> Option<RasterImage> {
    let path = reader.trusted_file(key)?;
    image(&path).map_err(|complaint| reader.complain(key, complaint)).ok()
}

fn image(path: &Path) -> Result<RasterImage, Complaint> {
    const FIX: &str = "Use a PNG, JPEG or WebP file of at most 256 KiB";
    let shown = path.display();
    let bytes = read(path).map_err(|error| {
        let what = format!("cannot read {shown} ({error})");
        Complaint::new(what, "Name a file that the daemon can read, or remove the line")
    })?;
    let bytes = bytes.ok_or_else(|| Complaint::new(format!("{shown} is larger than 256 KiB"), FIX))?;
    RasterImage::parse(bytes).map_err(|error| Complaint::new(format!("{shown} {error}"), FIX))
}

/// The contents of a regular file; `None` if it is larger than a logo may be.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_LOGO + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= LARGEST_LOGO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_shows_every_character() {
        for good in ["Acme", "Müller & Söhne", "<script>alert(1)</script>", &"a".repeat(80)] {
            assert_eq!(name(good).as_deref().ok(), Some(good), "{good}");
        }
        for bad in [" Acme", "Acme\nInc", "Acme\u{202e}emcA", "Ac\u{200b}me", &"a".repeat(81)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_leads_to_a_page_over_https() {
        assert_eq!(https_url("https://Help.example.org").unwrap().as_str(), "https://help.example.org/");
        for bad in [
            "http://help.example.org",
            "http://localhost:8000/help",
            "javascript:alert(1)",
            "data:text/html,x",
            "mailto:help@example.org",
            "//help.example.org",
            "help.example.org",
            "https://user:canary@help.example.org",
        ] {
            let complaint = https_url(bad).unwrap_err();
            assert!(!complaint.what.contains("canary"), "{bad}");
        }
    }
}
