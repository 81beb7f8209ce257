//! The parts that need no Vault.
