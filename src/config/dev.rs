//! Defaults of `--dev` for missing keys.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    model::LoopbackResources,
    private_file::{Existing, create_private_folder, write_private_file},
    problem::Complaint,
    secret_source,
    settings::{Settings, Value},
    value::socket_address,
};
use crate::secret::{KeyRing, Random, SealingKey, Secret};

/// Defaults of `--dev`. File, environment and options override them.
#[derive(Debug, Clone)]
pub struct DevDefaults<'a> {
    /// Directory of the sealing key and the database; created if it is missing.
    pub state_dir: PathBuf,
    /// The default upstream.
    pub stand_in: StandIn,
    /// Scopes and credentials of any loopback URL as a resource.
    pub any_loopback_resource: LoopbackResources,
    /// Generates the sealing key; `None` does not create one.
    pub random: Option<&'a dyn Random>,
}

/// The stand-in for Pangea `AuthN`.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// Base URL.
    pub issuer_url: String,
    /// ID of its client.
    pub client_id: String,
    /// Secret of its client.
    pub client_secret: Secret,
    /// Scopes to request.
    pub scopes: Vec<String>,
}

pub(super) fn fill(settings: &mut Settings, dev: &DevDefaults<'_>) -> Result<(), Complaint> {
    if let Some(port) = port(settings) {
        settings.fill("public_url", Value::Text(format!("http://localhost:{port}")));
    }
    let own = ["authn.issuer_url", "authn.client_id", "authn.client_secret"];
    if own.iter().all(|path| settings.get(path).is_none()) {
        let StandIn { issuer_url, client_id, client_secret, scopes } = dev.stand_in.clone();
        settings.fill("authn.issuer_url", Value::Text(issuer_url));
        settings.fill("authn.client_id", Value::Text(client_id));
        settings.fill("authn.client_secret", Value::Secret(client_secret));
        settings.fill("authn.scopes", Value::texts(&scopes));
    }
    settings.fill("tokens.claims", Value::texts(&["email".to_owned()]));
    let database = dev.state_dir.join("dev.sqlite");
    settings.fill("repository.path", Value::Text(database.to_string_lossy().into_owned()));
    if settings.get("keys.sealing").is_none() {
        let file = sealing_key_file(&dev.state_dir, dev.random)?;
        settings.fill("keys.sealing", Value::secret_file(&file));
    }
    Ok(())
}

/// The port of the first listener, by default 8000; `None` if it is unknown.
fn port(settings: &Settings) -> Option<u16> {
    let address = match settings.get("listen").map(|given| &given.value) {
        None => return Some(8000),
        Some(Value::List(addresses)) => &addresses.first()?.value,
        Some(address) => address,
    };
    let Value::Text(address) = address else { return None };
    socket_address(address).ok().map(|address| address.port()).filter(|port| *port != 0)
}

/// The file of the sealing key. Processes that create it at the same time get the same key.
fn sealing_key_file(state_dir: &Path, random: Option<&dyn Random>) -> Result<PathBuf, Complaint> {
    let path = state_dir.join("sealing-key");
    if let Some(random) = random.filter(|_| !path.exists()) {
        let key = SealingKey::generate(random).to_text();
        let made = create_private_folder(state_dir)
            .and_then(|()| write_private_file(&path, &key, Existing::Stays, random));
        made.map_err(|error| {
            Complaint::new(
                format!("cannot create the sealing key {} ({error})", path.display()),
                "Make its directory writable for the user of the daemon",
            )
        })?;
    }
    let text = secret_source::read_file(&path, &BTreeMap::new())?;
    KeyRing::parse(&text).map(|_| path.clone()).map_err(|_| {
        let what = format!("{} does not contain a sealing key", path.display());
        Complaint::new(what, "Remove it together with the database next to it; both are created again")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Barrier, thread};

    use super::*;
    use crate::secret::SystemRandom;

    fn key_in(file: &Path) -> String {
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn processes_that_make_the_sealing_key_at_once_agree() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let state_dir = folder.path().join("state");
            let start = Barrier::new(8);
            let keys: Vec<_> = thread::scope(|scope| {
                let make = || {
                    start.wait();
                    key_in(&sealing_key_file(&state_dir, Some(&SystemRandom)).unwrap())
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(keys.iter().all(|key| key == &keys[0]));
            let names: Vec<_> = fs::read_dir(&state_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, ["sealing-key"]);
        }
    }

    #[test]
    fn the_sealing_key_is_for_its_owner_alone_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("a/b");
        let first = key_in(&sealing_key_file(&state_dir, Some(&SystemRandom)).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state_dir), mode(&state_dir.join("sealing-key"))), (0o700, 0o600));
        assert_eq!(key_in(&sealing_key_file(&state_dir, Some(&SystemRandom)).unwrap()), first);
    }

    #[test]
    fn a_spoilt_sealing_key_is_not_replaced_silently() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing-key");
        write_private_file(&path, "spoilt", Existing::Stays, &SystemRandom).unwrap();
        let complaint = sealing_key_file(folder.path(), Some(&SystemRandom)).unwrap_err();
        assert!(complaint.what.contains("does not contain a sealing key"), "{complaint:?}");
        assert_eq!(fs::read_to_string(path).unwrap(), "spoilt");
    }
}
