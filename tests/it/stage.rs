//! Pangea as the tests need it: the stand-in of `serve --dev`, and all that it never does on its own. It fails, delays
//! and distorts answers, counts requests, disables people, and has a simulator of Pangea Vault. A test turns the
//! [switches](Switches); a program turns them over HTTP, under `/__stand-in`.

mod conduct;
mod control;
mod dial;
mod faults;
mod layer;
mod people;
mod requests;
mod switches;
mod tests;
mod vault;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};
use pangea_mcp_auth::{
    clock::Clock,
    dev::{StandIn, StandInConfig},
    secret::Random,
};

use self::{conduct::Scripted, people::People, requests::RequestCounts, vault::Vault};
pub use self::{
    faults::Fault,
    switches::{AccessTokenForm, Answer, ExpiresIn, IdToken, IssParameter, Switches},
    vault::{
        AtDisabledAt, FolderFilter, LastAtEnd, UniqueNames, VAULT_TOKEN, VaultCall, VaultFault, VaultSwitches,
    },
};

/// Pangea's `AuthN` and Vault in this process. Clones share everything.
#[derive(Clone)]
pub struct Stage(Arc<Inner>);

struct Inner {
    issuer: String,
    stand_in: StandIn,
    switches: Arc<Switches>,
    people: Arc<People>,
    requests: RequestCounts,
    vault: Vault,
}

impl Stage {
    /// A stage on which everything goes well.
    pub fn new(config: StandInConfig, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let switches = Arc::new(Switches::new(config.sign_in_as.clone()));
        let people = Arc::new(People::default());
        let conduct = Scripted { switches: Arc::clone(&switches), people: Arc::clone(&people) };
        let issuer = config.issuer.clone();
        let vault = Vault::new(Arc::clone(&clock), Arc::clone(&random));
        let config = StandInConfig { sign_in_as: None, ..config };
        let stand_in = StandIn::conducted(config, Box::new(conduct), clock, random).expect("a stand-in");
        Self(Arc::new(Inner {
            issuer,
            stand_in,
            switches,
            people,
            requests: RequestCounts::default(),
            vault,
        }))
    }

    /// Everything that it serves.
    pub fn router(&self) -> Router {
        let more = vault::routes().nest("/vault", vault::routes()).merge(control::routes());
        let all = self.0.stand_in.router().merge(more.with_state(self.clone()));
        all.layer(from_fn_with_state(self.clone(), layer::perform))
    }

    /// The switches.
    pub fn switches(&self) -> &Switches {
        &self.0.switches
    }

    /// How often each path was asked for.
    pub fn requests(&self) -> &RequestCounts {
        &self.0.requests
    }

    /// Disables a person: no sign-in, no refresh, and every token is inactive.
    pub fn disable(&self, email: &str) {
        self.0.people.set_disabled(email, true);
    }

    /// Enables a disabled person. Tokens that were issued before work again.
    pub fn enable(&self, email: &str) {
        self.0.people.set_disabled(email, false);
    }

    /// The groups that a person is in from now on.
    pub fn set_groups(&self, email: &str, groups: &[&str]) {
        self.0.people.set_groups(email, groups.iter().map(|&group| group.to_owned()).collect());
    }
}
