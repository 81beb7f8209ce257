//! The reference that users and clients see, and that every log line about the request has.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::secret::Random;

/// The ID of one request in answers, pages and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference([u8; 12]);

/// Makes unique references. They protect nothing, so only their start is securely random.
#[derive(Debug)]
pub struct References {
    next: AtomicU64,
}

impl References {
    /// Starts at a random point, so that processes do not share references.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let mut seed = [0; 8];
        random.fill(&mut seed);
        Self { next: AtomicU64::new(u64::from_ne_bytes(seed)) }
    }

    #[must_use]
    pub fn next(&self) -> Reference {
        let mut mixed = self.next.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        mixed ^= mixed >> 31;
        let mut text = [0; 12];
        for digit in &mut text {
            let [.., last] = mixed.to_be_bytes();
            *digit = Reference::DIGITS[usize::from(last % 32)];
            mixed >>= 5;
        }
        Reference(text)
    }
}

impl Reference {
    /// Letters and digits that are not easily confused.
    const DIGITS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

    /// The text: 12 characters of `[A-Z2-9]`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn each_request_has_a_reference_of_its_own() {
        let references = References::new(&SystemRandom);
        let made: HashSet<String> = (0..10_000).map(|_| references.next().to_string()).collect();
        assert_eq!(made.len(), 10_000);
        let fits = |c: char| c.is_ascii_uppercase() || ('2'..='9').contains(&c);
        assert!(made.iter().all(|reference| reference.len() == 12 && reference.chars().all(fits)));
    }
}
