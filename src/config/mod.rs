//! Reads the configuration from file, environment and options: [`load`] returns a valid [`Config`], or every problem
//! at once.
//!
//! `keys` is the table of all keys; `docs/configuration.md` is generated from it. `loading` merges the layers,
//! `sections` builds types from them.

mod branding;
mod chapters;
mod dev;
mod elsewhere;
mod environment;
mod filled;
mod keyring;
mod keys;
mod loading;
mod lookup;
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
    environment::{Directories, Environment, SystemEnvironment},
    keyring::{APPLICATION, KeyringError},
    loading::{load, load_repositories, parse},
    model::{
        Authn, AuthnService, Branding, ClientDocuments, Config, Introspection, Keys, Log, LogFormat,
        LoopbackResources, Repositories, RepositoryConfig, ResourceConfig, ScopeConfig, VaultConfig,
    },
    problem::{Place, Problem, Problems},
    secret_source::SecretPlace,
    settings::FromEnvironment,
};
pub(crate) use self::{
    elsewhere::section_of,
    environment::{arguments, working_directory},
    filled::filled_example,
    loading::{Survey, survey},
    private_file::{Existing, create_private_folder, write_private_file},
    problem::did_you_mean,
    sealing_keys::{read_sealing_keys, store_sealing_keys},
    secret_source::{handed_over_secret, read_secret_file},
    value::service_url,
};
pub use crate::oauth::policy::{AccessPolicy, Lifetimes, MostUnused, Rate, Rates, RegistrationPolicy};

/// An annotated configuration file with placeholders.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The layers of a configuration. Options override the environment, which overrides the file, which overrides the
/// defaults.
pub struct Source<'a> {
    /// The file of `--config`.
    pub file: Option<PathBuf>,
    /// Variables, keyring and directories.
    pub environment: &'a dyn Environment,
    /// Options of the command line.
    pub overrides: Overrides,
    /// Defaults of `--dev`. The file is then read only if the user names it.
    pub dev: Option<DevDefaults<'a>>,
}

/// Options of the command line, as they were written.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// The log filter that follows from `-v`.
    pub log_level: Option<String>,
    /// `--allow-volatile`: a repository in memory is wanted.
    pub allow_volatile: bool,
}
