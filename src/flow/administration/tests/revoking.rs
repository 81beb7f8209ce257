use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::oauth::{
    grant::{MOST_LIVE_TOKENS, RevokedBy, Standing},
    token::TokenId,
};

fn nothing_seen(_: &GrantId) {}

#[tokio::test]
async fn a_grant_is_revoked_once_and_says_who_did_it() {
    let office = Office::open();
    let grant = office.active(&DRAFT).await;
    let revoked = office.desk.revoke_grant(grant.id()).await.unwrap();
    assert!(matches!(revoked, Revocation::Done(_)), "{revoked:?}");
    let stored = office.stored(&grant).await;
    assert_eq!(stored.revocation().unwrap().by, RevokedBy::Operator);
    assert_eq!(stored.operated(), Some(&Operated { action: Action::Revoked, at: START, by: operator() }));
    let again = office.desk.revoke_grant(grant.id()).await.unwrap();
    assert!(matches!(again, Revocation::Already(_)), "{again:?}");
    let absent = office.desk.revoke_grant(&GrantId::of_login("other", START)).await.unwrap();
    assert!(matches!(absent, Revocation::Absent), "{absent:?}");
}

#[tokio::test]
async fn an_access_token_is_revoked_without_its_grant() {
    let office = Office::open();
    let draft = Draft { lifetime: DAY, ..DRAFT };
    let chain = RefreshChain {
        seed: String::new(),
        generation: 0,
        current: TokenHash::of("refresh"),
        exchanges: Vec::new(),
        expires_at: START.plus(30 * DAY),
    };
    let mut grant = active(&draft, Some(chain), START);
    let issued = MOST_LIVE_TOKENS as u64 + 2;
    for number in 2..=issued {
        grant = grant.refreshable().unwrap().repeat(access_token(number, DAY, START));
    }
    office.keep(grant.clone()).await;
    let revoke = async |number| {
        let id = TokenId { grant: grant.id().clone(), number };
        office.desk.revoke_token(&id).await.unwrap().map(|(_, revocation)| revocation)
    };

    let ends = START.plus(DAY);
    assert_eq!(revoke(0).await, None, "no token has this number");
    assert_eq!(revoke(issued + 1).await, None, "no token has this number yet");
    assert_eq!(revoke(2).await, Some(TokenRevocation::Untracked(ends)));
    assert_eq!(office.stored(&grant).await.operated(), None);
    assert_eq!(revoke(issued).await, Some(TokenRevocation::Done(ends)));
    let operated = Operated { action: Action::TokenRevoked, at: START, by: operator() };
    let stored = office.stored(&grant).await;
    assert_eq!(stored.operated(), Some(&operated));
    assert_eq!(stored.live_tokens(START).count(), MOST_LIVE_TOKENS - 1);
    assert_eq!(stored.standing(START), Standing::Active);

    office.clock.advance(MINUTE);
    assert_eq!(revoke(issued).await, Some(TokenRevocation::Already));
    office.clock.advance(DAY);
    assert_eq!(revoke(issued - 1).await, Some(TokenRevocation::Already), "it has expired");
    assert_eq!(office.stored(&grant).await.operated(), Some(&operated), "nothing more was done");
    office.desk.revoke_grant(grant.id()).await.unwrap();
    assert_eq!(revoke(3).await, Some(TokenRevocation::Already));
    let other = TokenId { grant: GrantId::of_login("other", START), number: 1 };
    assert!(office.desk.revoke_token(&other).await.unwrap().is_none());
}

#[tokio::test]
async fn many_revocations_are_counted_by_user_client_and_resource() {
    let office = Office::open();
    let draft = Draft { lifetime: DAY, ..DRAFT };
    let one = office.active(&draft).await;
    let longest = office.active(&Draft { lifetime: 3 * DAY, ..DRAFT }).await;
    let two = office.active(&Draft { client: "mail", lifetime: 2 * DAY, ..DRAFT }).await;
    let waiting =
        office.pending(&Draft { user: "bob", resource: "https://other.example/mcp", ..draft }).await;
    let before = office.active(&draft).await;
    office.desk.revoke_grant(before.id()).await.unwrap();
    office.active(&Draft { lifetime: Duration::ZERO, ..DRAFT }).await;
    office.keep_damaged(Kind::Grant, "damaged", None).await;

    let expected = Tally {
        revoked: 4,
        already_revoked: 1,
        whose: Whose {
            users: BTreeMap::from([
                ("pui_ada".to_owned(), UserGrants { email: Some("ada@example.com".to_owned()), grants: 3 }),
                ("pui_bob".to_owned(), UserGrants { email: Some("bob@example.com".to_owned()), grants: 1 }),
            ]),
            clients: BTreeMap::from([(id("mail"), 1), (id("notes"), 3)]),
        },
        accepted_until: BTreeMap::from([
            ("https://mcp.example/mcp".to_owned(), Some(START.plus(3 * DAY))),
            ("https://other.example/mcp".to_owned(), None),
        ]),
        ..Tally::default()
    };
    let (all, seen) = (GrantFilter::default(), RefCell::new(Vec::new()));
    let note = |id: &GrantId| seen.borrow_mut().push(id.clone());
    let live = || {
        let mut live = [&one, &longest, &two, &waiting].map(|grant| grant.id().clone()).to_vec();
        live.sort();
        live
    };
    let seen_since = || {
        let mut ids = seen.take();
        ids.sort();
        ids
    };
    let mut counted = office.desk.count(&all, &note).await.unwrap();
    assert_eq!(std::mem::take(&mut counted.unreadable).len(), 1);
    assert_eq!((counted, seen_since()), (expected.clone(), live()));
    assert_eq!(office.stored(&one).await.standing(START), Standing::Active, "counting changes nothing");

    let mut tally = Tally::default();
    office.desk.revoke_all(&all, &mut tally, &note).await.unwrap();
    assert_eq!(std::mem::take(&mut tally.unreadable).len(), 1);
    assert_eq!((tally, seen_since()), (expected, live()));
    for grant in [one, longest, two, waiting] {
        assert_eq!(office.stored(&grant).await.standing(START), Standing::Revoked);
    }
}

#[test]
fn revoked_access_tokens_are_counted_by_what_came_of_them() {
    let (grant, until) = (active(&DRAFT, None, START), START.plus(DAY));
    let mut tally = Tally::default();
    for (revocation, times) in [
        (TokenRevocation::Done(START), 2),
        (TokenRevocation::Already, 3),
        (TokenRevocation::Untracked(until), 4),
    ] {
        (0..times).for_each(|_| tally.add_token(&grant, revocation));
    }
    assert_eq!((tally.revoked, tally.already_revoked, tally.untracked), (2, 3, 4));
    assert_eq!(tally.whose.clients, BTreeMap::from([(id("notes"), 2)]));
    assert_eq!(tally.accepted_until, BTreeMap::from([("https://mcp.example/mcp".to_owned(), Some(until))]));
}

#[tokio::test]
async fn a_grant_that_a_user_makes_meanwhile_is_revoked_too() {
    let office = Office::open();
    office.active(&DRAFT).await;
    let meanwhile = active(&DRAFT, None, START.plus(MINUTE));
    let made = RefCell::new(Some(meanwhile.clone()));
    let make_once = |_: &GrantId| {
        let Some(grant) = made.take() else { return };
        let kept = pin!(office.keep(grant));
        assert_eq!(kept.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    };
    let mut tally = Tally::default();
    office.desk.revoke_all(&GrantFilter::default(), &mut tally, &make_once).await.unwrap();
    assert_eq!(tally.revoked, 2);
    assert_eq!(office.stored(&meanwhile).await.standing(START), Standing::Revoked);
}

#[tokio::test]
async fn revoking_a_client_removes_it_and_revokes_only_its_grants() {
    let office = Office::open();
    office.client("notes", None).await;
    let own = office.active(&DRAFT).await;
    let other = office.active(&Draft { client: "mail", ..DRAFT }).await;
    let mut tally = Tally::default();
    assert!(office.desk.revoke_client(&id("notes"), &mut tally, &nothing_seen).await.unwrap());
    assert!(!office.desk.has_client(&id("notes")).await.unwrap());
    assert_eq!(tally.revoked, 1);
    assert_eq!(office.stored(&own).await.standing(START), Standing::Revoked);
    assert_eq!(office.stored(&other).await.standing(START), Standing::Active);
    assert!(!office.desk.revoke_client(&id("notes"), &mut tally, &nothing_seen).await.unwrap());
    assert_eq!((tally.revoked, tally.already_revoked), (1, 1));
}
