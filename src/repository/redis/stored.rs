//! The stored form of a record: `VERSION EXPIRY PARENT`, a line break, and the value.

use std::num::NonZeroU64;

use crate::{
    clock::UnixTime,
    repository::{Record, RepositoryError, Result, Version, Versioned},
};

/// Writes a record under this version.
pub(super) fn text(record: &Record, version: Version) -> String {
    let parent = record.parent.as_deref().unwrap_or_default();
    format!("{} {} {parent}\n{}", version.0, expiry(record), record.value)
}

/// The time in seconds; empty for never.
pub(super) fn expiry(record: &Record) -> String {
    record.expires_at.map(|time| time.as_secs().to_string()).unwrap_or_default()
}

/// Reads the stored form of a key.
pub(super) fn read(key: &str, text: Vec<u8>) -> Result<Versioned> {
    let corrupt = |what: &str| RepositoryError::Corrupt(format!("the record {key}: {what}"));
    let mut text = String::from_utf8(text).map_err(|_| corrupt("it is not UTF-8"))?;
    let end = text.find('\n').ok_or_else(|| corrupt("it has no head"))?;
    let value = text.split_off(end + 1);
    let mut head = text.trim_end_matches('\n').splitn(3, ' ');
    let [Some(version), Some(expires_at), Some(parent)] = [head.next(), head.next(), head.next()] else {
        return Err(corrupt("its head is cut"));
    };
    let version: NonZeroU64 = version.parse().map_err(|_| corrupt("its version is no number"))?;
    let expires_at = match expires_at {
        "" => None,
        digits => Some(UnixTime::from_secs(digits.parse().map_err(|_| corrupt("its expiry is no number"))?)),
    };
    let parent = Some(parent.to_owned()).filter(|parent| !parent.is_empty());
    let record = Record { key: key.to_owned(), value, parent, expires_at };
    Ok(Versioned { record, version: Version(version) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        for (value, parent, expires_at) in
            [("{}", None, None), ("a\nb \n", Some("client"), Some(7)), ("", Some("-"), Some(u64::MAX))]
        {
            let record = Record {
                key: "key".to_owned(),
                value: value.to_owned(),
                parent: parent.map(str::to_owned),
                expires_at: expires_at.map(UnixTime::from_secs),
            };
            let version = Version(NonZeroU64::MIN);
            let read = read("key", text(&record, version).into_bytes()).expect("it can be read");
            assert_eq!(read, Versioned { record, version });
        }
    }

    #[test]
    fn what_was_not_written_here_is_corrupt() {
        for text in ["", "1", "1 2\n{}", "one  \n{}", "0  \n{}", "1 soon \n{}"] {
            let found = read("key", text.as_bytes().to_vec());
            assert!(matches!(found, Err(RepositoryError::Corrupt(_))), "{text}: {found:?}");
        }
        assert!(read("key", b"1  \n\xff".to_vec()).is_err());
    }
}
