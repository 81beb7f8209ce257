//! The life of a sealing key: `keys rotate --sealing` adds one to the ring, every daemon reads the ring again
//! and installs it, everything stored is re-encrypted, and the old key is removed when nothing needs it.
//!
//! The ring itself and the encryption are in `secret`, the file or keyring entry that holds the ring is in
//! `config`, and the stored signing keys are in `keys`.

mod rotation;
mod sessions;
mod watch;

pub use self::{
    rotation::{Addition, Removal, Rotation, RotationError, SEALS_AFTER},
    sessions::{Resealed, SealedSessions},
    watch::{SealingWatch, reseal},
};
