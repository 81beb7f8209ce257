//! The configuration: file, environment and flags in, a valid [`Config`] out, or every problem at
//! once.
//!
//! `keys` is the one table of what there is; docs/configuration.md is generated from it. `loading`
//! lays file, environment, flags and defaults over one another, `sections` makes types of them.

mod dev;
mod elsewhere;
mod environment;
mod filled;
mod keyring;
mod keys;
mod loading;
mod model;
mod private_file;
mod problem;
mod reader;
mod reference;
mod repositories;
mod sealing_keys;
mod secret_source;
mod sections;
mod settings;
mod table;
mod unknown;
mod value;
mod variables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

#[doc(hidden)]
pub use self::reference::{reference, variables};
pub use self::{
    dev::{DevDefaults, StandIn},
    environment::{APPLICATION, Directories, Environment, KeyringError, SystemEnvironment},
    loading::{load, load_repositories, parse},
    model::{
        Access, Authn, AuthnService, Config, FromEnvironment, Introspection, Keys, Limits, Log, LogFormat,
        LoopbackResources, Rate, Registration, Repositories, RepositoryConfig, ResourceConfig, ScopeConfig,
        ServerConfig, Tokens, VaultConfig,
    },
    problem::{Place, Problem, Problems},
    secret_source::SecretPlace,
};
pub(crate) use self::{
    filled::filled_example,
    loading::{Survey, survey},
    private_file::{Existing, create_private_folder, write_private_file},
    problem::did_you_mean,
    sealing_keys::{read_sealing_keys, store_sealing_keys},
    secret_source::{handed_over_secret, read_secret_file},
    value::service_url,
};

/// An annotated configuration file that works once its placeholders are filled in.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Where a configuration comes from. Flags stand above the environment, that above the file, and
/// that above defaults.
pub struct Source<'a> {
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// Variables, keyring and directories.
    pub environment: &'a dyn Environment,
    /// What flags say.
    pub overrides: Overrides,
    /// With `--dev`: what stands in for missing keys. The file is then read only when it is named.
    pub dev: Option<DevDefaults<'a>>,
}

/// What flags say, as it was written.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// The log filter that follows from `-v`.
    pub log_level: Option<String>,
    /// `--allow-volatile`: a repository in memory is wanted.
    pub allow_volatile: bool,
}
