//! `clients`, `tokens` and `keys`, as operators run them: what is printed, what is said, and the exit code.

mod audit;
mod clients;
mod dry_run;
mod keys;
mod machines;
pub(crate) mod page;
mod records;
pub(crate) mod terminal;
mod tokens_list;
mod tokens_revoke;
mod tokens_show;
mod transcript;
pub(crate) mod unreadable;
mod which_repository;
