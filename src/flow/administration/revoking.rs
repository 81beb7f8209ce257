//! Revoking grants and access tokens. Revocation is final, so every command here can be interrupted and run
//! again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Administration, GrantFilter};
use crate::{
    audit::Event,
    clock::UnixTime,
    oauth::{
        client::ClientId,
        grant::{Grant, RevokedBy, Standing, Terms},
        operator::Action,
        token::{GrantId, TokenId},
    },
    repository::{Change, RepositoryError, Unreadable},
};

/// Passes over the grants until none is left to revoke, because users may sign in meanwhile.
const WALKS: usize = 3;

#[derive(Debug)]
pub enum Revocation {
    /// It is revoked now. The grant afterwards.
    Done(Box<Grant>),
    /// It was revoked before.
    Already(Box<Grant>),
    /// The grant does not exist, or was deleted.
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRevocation {
    /// It is revoked now. Without that it would have expired at this time.
    Done(UnixTime),
    /// It had expired, or was revoked before.
    Already,
    /// The grant no longer tracks it, because too many others were issued after it. It cannot be revoked, but
    /// introspection refuses it anyway. It expires at this time at the latest.
    Untracked(UnixTime),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Grants or access tokens that were revoked, or would be.
    pub revoked: u64,
    /// Grants or access tokens that had ended before.
    pub already_revoked: u64,
    /// Access tokens that are no longer tracked.
    pub untracked: u64,
    /// Records that cannot be parsed. They were left alone; whether they were selected is unknown.
    pub unreadable: BTreeSet<Unreadable>,
    /// Whose grants were revoked, or would be.
    pub whose: Whose,
    /// For each resource: until when it may accept a revoked token, if it verifies tokens offline.
    pub accepted_until: BTreeMap<String, Option<UnixTime>>,
}

/// The people and clients that grants belong to, with the number of grants of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    pub users: BTreeMap<String, UserGrants>,
    pub clients: BTreeMap<ClientId, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserGrants {
    /// If the upstream told one that counts for `[access]`.
    pub email: Option<String>,
    pub grants: u64,
}

impl Whose {
    fn add(&mut self, grant: &Grant) {
        let Terms { client_id, subject, .. } = grant.terms();
        if let Some(person) = subject.person() {
            let user = self.users.entry(person.subject.clone()).or_default();
            user.grants += 1;
            user.email = person.email.clone().or(user.email.take());
        }
        *self.clients.entry(client_id.clone()).or_default() += 1;
    }
}

impl Tally {
    pub fn add(&mut self, revocation: &Revocation, now: UnixTime) {
        match revocation {
            Revocation::Done(grant) => {
                self.revoked += 1;
                self.whose.add(grant);
                self.note(grant, grant.accepted_until(now));
            }
            Revocation::Already(grant) => {
                self.already_revoked += 1;
                self.note(grant, grant.accepted_until(now));
            }
            Revocation::Absent => {}
        }
    }

    /// Counts one access token that was revoked without its grant.
    pub fn add_token(&mut self, grant: &Grant, revocation: TokenRevocation) {
        let (count, until) = match revocation {
            TokenRevocation::Done(until) => (&mut self.revoked, Some(until)),
            TokenRevocation::Already => (&mut self.already_revoked, None),
            TokenRevocation::Untracked(until) => (&mut self.untracked, Some(until)),
        };
        *count += 1;
        if matches!(revocation, TokenRevocation::Done(_)) {
            self.whose.add(grant);
        }
        self.note(grant, until);
    }

    fn note(&mut self, grant: &Grant, until: Option<UnixTime>) {
        let noted = self.accepted_until.entry(grant.terms().resource.to_string()).or_default();
        *noted = (*noted).max(until);
    }
}

impl Administration {
    /// Revokes a grant.
    pub async fn revoke_grant(&self, id: &GrantId) -> Result<Revocation, RepositoryError> {
        let now = self.now();
        let updated = self.grants.update(id.as_str(), now, |grant| {
            let Some(revoked) = grant.revoked(RevokedBy::Operator, now) else { return Change::Leave(false) };
            Change::Write(revoked.noting(self.operated(Action::Revoked, now)), true)
        });
        let Some(updated) = updated.await? else { return Ok(Revocation::Absent) };
        let (grant, is_done) = (updated.stored.value, updated.outcome);
        if !is_done {
            return Ok(Revocation::Already(grant));
        }
        self.audit(Event::Revocation { by: RevokedBy::Operator.as_str() }, &*grant);
        Ok(Revocation::Done(grant))
    }

    /// What revoking one access token of `grant` would do.
    #[must_use]
    pub fn look_at_token(&self, grant: &Grant, number: u64) -> TokenRevocation {
        let now = self.now();
        let live = grant.live_tokens(now).find(|token| token.number == number);
        match (live, grant.untracked_until(number, now)) {
            (Some(live), _) => TokenRevocation::Done(live.expires_at),
            (None, Some(until)) => TokenRevocation::Untracked(until),
            (None, None) => TokenRevocation::Already,
        }
    }

    /// Revokes one access token and keeps its grant. `None` if the token does not exist.
    pub async fn revoke_token(
        &self,
        id: &TokenId,
    ) -> Result<Option<(Box<Grant>, TokenRevocation)>, RepositoryError> {
        let now = self.now();
        let updated = self.grants.update(id.grant.as_str(), now, |grant| {
            if id.number == 0 || id.number > grant.issued() {
                return Change::Leave(None);
            }
            let revocation = self.look_at_token(grant, id.number);
            match grant.active() {
                Some(active) if matches!(revocation, TokenRevocation::Done(_)) => {
                    let operated = self.operated(Action::TokenRevoked, now);
                    Change::Write(active.without_token(id.number).noting(operated), Some(revocation))
                }
                _ => Change::Leave(Some(revocation)),
            }
        });
        let Some(updated) = updated.await? else { return Ok(None) };
        let Some(revocation) = updated.outcome else { return Ok(None) };
        let grant = updated.stored.value;
        if matches!(revocation, TokenRevocation::Done(_)) {
            self.audit(Event::TokenRevocation { jti: id, by: RevokedBy::Operator.as_str() }, &grant);
        }
        Ok(Some((grant, revocation)))
    }

    /// What revoking all selected grants would do. Calls `seen` for each that would be revoked.
    pub async fn count(
        &self,
        filter: &GrantFilter,
        seen: &dyn Fn(&GrantId),
    ) -> Result<Tally, RepositoryError> {
        let (mut tally, mut walk) = (Tally::default(), self.walk(filter, None));
        while let Some(page) = walk.next_page().await? {
            let now = self.now();
            tally.unreadable.extend(page.unreadable);
            for grant in page.values {
                match grant.standing(now) {
                    Standing::Pending | Standing::Active => {
                        seen(grant.id());
                        tally.add(&Revocation::Done(Box::new(grant)), now);
                    }
                    Standing::Revoked => tally.add(&Revocation::Already(Box::new(grant)), now),
                    Standing::Expired => {}
                }
            }
        }
        Ok(tally)
    }

    /// Revokes all selected grants that can still be used. `tally` says how far it came, also after an error.
    /// Calls `seen` for each grant that was revoked.
    pub async fn revoke_all(
        &self,
        filter: &GrantFilter,
        tally: &mut Tally,
        seen: &dyn Fn(&GrantId),
    ) -> Result<(), RepositoryError> {
        for round in 0..WALKS {
            let before = tally.revoked;
            let mut walk = self.walk(filter, None);
            while let Some(page) = walk.next_page().await? {
                tally.unreadable.extend(page.unreadable);
                for grant in page.values {
                    let revocation = match grant.standing(self.now()) {
                        Standing::Pending | Standing::Active => self.revoke_grant(grant.id()).await?,
                        Standing::Revoked if round == 0 => Revocation::Already(Box::new(grant)),
                        Standing::Revoked | Standing::Expired => continue,
                    };
                    tally.add(&revocation, self.now());
                    if let Revocation::Done(grant) = &revocation {
                        seen(grant.id());
                    }
                }
            }
            if tally.revoked == before {
                break;
            }
        }
        Ok(())
    }

    /// Removes a client, then revokes its grants, and returns whether the client existed. Without the client
    /// no daemon redeems its codes and refresh tokens, so a login that is under way fails. After an
    /// interruption it can be run again.
    pub async fn revoke_client(
        &self,
        id: &ClientId,
        tally: &mut Tally,
        seen: &dyn Fn(&GrantId),
    ) -> Result<bool, RepositoryError> {
        let was_there = self.clients.remove(id.key(), self.now()).await?;
        if was_there {
            self.audit(Event::ClientRemoval, id);
        }
        let filter = GrantFilter { client: Some(id.clone()), ..GrantFilter::default() };
        self.revoke_all(&filter, tally, seen).await?;
        Ok(was_there)
    }
}
