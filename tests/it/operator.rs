//! The program as its operators use it: commands, the wizard, checks, logs, and how it starts and stops.

pub mod check;
pub mod commands;
mod completions;
pub mod help;
mod incident;
mod init;
pub mod log;
pub mod processes;
mod repository_command;
