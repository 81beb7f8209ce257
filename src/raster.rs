//! Raster images, recognised by their bytes and not by what they are called. Other kinds of image can contain scripts
//! and links.

use bytes::Bytes;

/// The last chunk of every PNG file: no data, its type, its checksum.
const PNG_END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";
/// The last marker of every JPEG file.
const JPEG_END: &[u8] = &[0xFF, 0xD9];
/// What a WebP file's own length does not count: the word RIFF and that length.
const RIFF_HEADER: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RasterFormat {
    Png,
    Jpeg,
    WebP,
}

impl RasterFormat {
    /// What the first bytes of a file say.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Self::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }

    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
        }
    }

    /// Whether the image ends where the file ends.
    fn is_whole(self, bytes: &[u8]) -> bool {
        match self {
            Self::Png => bytes.ends_with(PNG_END),
            Self::Jpeg => bytes.ends_with(JPEG_END),
            Self::WebP => riff_length(bytes) == Some(bytes.len()),
        }
    }
}

/// The length that a WebP file says it has.
fn riff_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(4..RIFF_HEADER)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()?.checked_add(RIFF_HEADER)
}

/// Why a file is not used as an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    #[error("is not a PNG, JPEG or WebP image")]
    OtherFormat,
    /// It was cut off, or something follows the image.
    #[error("does not end where its image ends")]
    NotWhole,
}

/// A file with one image and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RasterImage {
    format: RasterFormat,
    bytes: Bytes,
}

impl RasterImage {
    /// # Errors
    ///
    /// When the bytes are not a whole image of a known format.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, NotAnImage> {
        let format = RasterFormat::of(&bytes).ok_or(NotAnImage::OtherFormat)?;
        if !format.is_whole(&bytes) {
            return Err(NotAnImage::NotWhole);
        }
        Ok(Self { format, bytes: bytes.into() })
    }

    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.format.media_type()
    }

    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...\0\0\0\0IEND\xae\x42\x60\x82";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0...\xff\xd9";
    const WEBP: &[u8] = b"RIFF\x08\0\0\0WEBPVP8 ";

    #[test]
    fn an_image_is_known_by_its_bytes() {
        for (bytes, media_type) in [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")] {
            assert_eq!(RasterImage::parse(bytes.to_vec()).unwrap().media_type(), media_type);
        }
        for bytes in [
            &b""[..],
            b"GIF89a",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"<!doctype html><script>alert(1)</script>",
            b"RIFF\x04\0\0\0WAVE",
        ] {
            assert_eq!(RasterImage::parse(bytes.to_vec()), Err(NotAnImage::OtherFormat), "{bytes:?}");
        }
    }

    #[test]
    fn an_image_is_taken_only_as_a_whole_and_alone() {
        for whole in [PNG, JPEG, WEBP] {
            let cut = whole[..whole.len() - 1].to_vec();
            let followed = [whole, b"<script>alert(1)</script>"].concat();
            for other in [cut, followed] {
                assert_eq!(RasterImage::parse(other.clone()), Err(NotAnImage::NotWhole), "{other:?}");
            }
        }
    }
}
