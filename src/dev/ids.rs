//! Identifiers and tokens in Pangea's form: `p`, two letters, `_`, 32 characters of `[a-z2-7]`.

use data_encoding::BASE32_NOPAD;

use crate::secret::{Random, sha256};

/// A new one that cannot be guessed (160 bits).
#[must_use]
pub fn fresh(prefix: &str, random: &dyn Random) -> String {
    let mut bytes = [0; 20];
    random.fill(&mut bytes);
    format!("{prefix}_{}", base32(&bytes))
}

/// The one that always belongs to `name`.
pub(super) fn derived(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", base32(&sha256(name.as_bytes())[..20]))
}

fn base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32(b"fooba"), "mzxw6ytb");
        assert_eq!(base32(b"\xff\xff\xff\xff\xff\0\0\0\0\0"), "77777777aaaaaaaa");
    }

    #[test]
    fn fresh_ones_differ_and_derived_ones_do_not() {
        assert_ne!(fresh("ptu", &SystemRandom), fresh("ptu", &SystemRandom));
        assert_eq!(derived("pui", "ada@example.com"), derived("pui", "ada@example.com"));
        assert_ne!(derived("pui", "ada@example.com"), derived("pui", "bob@example.com"));
        let id = derived("pui", "ada@example.com");
        assert_eq!((id.len(), &id[..4]), (36, "pui_"));
    }
}
