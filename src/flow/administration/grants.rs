//! Listing grants, newest first, a page at a time.

use std::time::Duration;

use super::{Administration, PAGE};
use crate::{
    clock::UnixTime,
    oauth::{
        client::ClientId,
        grant::{Grant, Person, Standing},
        token::GrantId,
    },
    repository::{Collection, Listed, Order, Page, RepositoryError},
};

/// Grant IDs are in the order of authorization requests. A request leads to a grant within this time, with
/// room to spare.
const OUT_OF_ORDER: Duration = Duration::from_hours(1);

/// Selects grants. A field that is `None` selects all.
#[derive(Debug, Clone, Default)]
pub struct GrantFilter {
    pub client: Option<ClientId>,
    /// Of this person: the subject, or the email address in any case.
    pub user: Option<String>,
    /// At this resource, in any spelling.
    pub resource: Option<String>,
    pub standing: Option<Standing>,
    /// Made at this time or later.
    pub since: Option<UnixTime>,
}

impl GrantFilter {
    fn admits(&self, grant: &Grant, now: UnixTime) -> bool {
        let terms = grant.terms();
        self.client.as_ref().is_none_or(|client| terms.client_id == *client)
            && self
                .user
                .as_ref()
                .is_none_or(|user| terms.subject.person().is_some_and(|person| is(person, user)))
            && self.resource.as_ref().is_none_or(|resource| terms.resource.is_named_by(resource))
            && self.standing.is_none_or(|wanted| grant.standing(now) == wanted)
            && self.since.is_none_or(|since| terms.granted_at >= since)
    }

    /// Whether all grants after this one were made too early.
    fn ends_at(&self, grant: &Grant) -> bool {
        self.since.is_some_and(|since| grant.terms().granted_at.plus(OUT_OF_ORDER) < since)
    }
}

fn is(person: &Person, user: &str) -> bool {
    person.subject == user || person.known_email().is_some_and(|email| email.eq_ignore_ascii_case(user))
}

/// Reads grants, newest first. Holds one page at a time.
#[derive(Debug)]
pub struct Walk<'a> {
    grants: &'a Collection<Grant>,
    filter: &'a GrantFilter,
    after: Option<String>,
    over: bool,
    now: UnixTime,
}

impl Administration {
    /// Reads the selected grants, newest first, starting after `after`.
    #[must_use]
    pub fn walk<'a>(&'a self, filter: &'a GrantFilter, after: Option<&GrantId>) -> Walk<'a> {
        let after = after.map(GrantId::to_string);
        Walk { grants: &self.grants, filter, after, over: false, now: self.now() }
    }
}

impl Administration {
    /// Whether a grant is selected, or may be: a grant that cannot be parsed counts.
    pub async fn has_any(&self, filter: &GrantFilter) -> Result<bool, RepositoryError> {
        let mut walk = self.walk(filter, None);
        while let Some(page) = walk.next_page().await? {
            if page.count() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Walk<'_> {
    /// The next page; `None` after the last. Records that cannot be parsed are on every page, selected or
    /// not.
    pub async fn next_page(&mut self) -> Result<Option<Listed<Grant>>, RepositoryError> {
        if self.over {
            return Ok(None);
        }
        let parent = self.filter.client.as_ref().map(|client| client.key().to_owned());
        let page = Page { parent, after: self.after.take(), order: Order::Descending, limit: PAGE };
        let mut page = self.grants.page(&page, self.now).await?;
        self.after.clone_from(&page.last);
        self.over = page.count() < PAGE || page.values.last().is_some_and(|last| self.filter.ends_at(last));
        page.values.retain(|grant| self.filter.admits(grant, self.now));
        Ok(Some(page))
    }
}
