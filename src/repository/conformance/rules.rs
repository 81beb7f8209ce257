//! Rules that one caller can check.

use super::{
    Kind, NOW, Record, RepositoryError, Rule, Storage, Verdict, Write, conflicts, ensure, fault, record,
    seconds_from_now,
};
use crate::repository::{Order, Page};

/// Limit on purge calls.
const MAX_PURGES: usize = 10_000;

pub(super) const RULES: &[Rule] = &[
    ("the storage engine answers", |s| Box::pin(answers(s))),
    ("a record comes back as it was stored", |s| Box::pin(round_trip(s))),
    ("what is too large is refused, never cut", |s| Box::pin(too_large(s))),
    ("what was never stored is absent", |s| Box::pin(absence(s))),
    ("every kind has keys of its own", |s| Box::pin(kinds_are_apart(s))),
    ("an insert conflicts with a live record and leaves it alone", |s| Box::pin(insert_conflicts(s))),
    ("an insert takes the place of an expired record", |s| Box::pin(insert_over_expired(s))),
    ("a replace by the present version is stored, and its version serves the next", |s| {
        Box::pin(replace_present(s))
    }),
    ("a replace by a stale version conflicts and changes nothing", |s| Box::pin(replace_stale(s))),
    ("a replace of what is absent or expired conflicts and stores nothing", |s| Box::pin(replace_absent(s))),
    ("a version is never used again under its key", |s| Box::pin(versions_never_return(s))),
    ("a replace may change parent and expiry, and the lists follow", |s| Box::pin(replace_moves(s))),
    ("a take gives the record once", |s| Box::pin(take_once(s))),
    ("a record ceases to exist in the second of its expiry", |s| Box::pin(expiry(s))),
    ("a list is in the byte order of its keys, in either direction", |s| Box::pin(list_order(s))),
    ("pages that continue each other hold every record once", |s| Box::pin(paging(s))),
    ("a list of a parent holds its children alone", |s| Box::pin(list_of_parent(s))),
    ("a list is as long as its limit allows", |s| Box::pin(list_limit(s))),
    ("a purge removes the expired records of every kind and counts them", |s| Box::pin(purge(s))),
];

async fn answers(storage: Storage) -> Verdict {
    storage.writer().ping().await?;
    Ok(storage.reader().ping().await?)
}

async fn round_trip(storage: Storage) -> Verdict {
    let longest = "k".repeat(255);
    let records = [
        record("plain", "value"),
        record("all", "fields").of_parent("parent").expiring(1),
        record("expires-late", "value").expiring(100 * 365 * 24 * 3600),
        record("of-a-parent", "value").of_parent(&longest),
        record(&longest, "longest key"),
        record("0", "shortest key"),
        record(".-_09azAZ", "every class of character"),
        record("CASE", "upper"),
        record("case", "lower"),
        record("unicode", "\u{1f980} \u{2028} ß e\u{301} \u{fffd} \u{10ffff} \\u0000 \\\" ' ; -- %s {0}"),
        record("spaces", "  trailing and leading\t\r\n  "),
        record("large", &"0123456789abcdef".repeat(512)),
    ];
    for record in &records {
        let stored = storage.insert(Kind::Grant, record).await?;
        let found = storage.expect(Kind::Grant, record).await?;
        ensure(stored == found, || format!("insert gave {stored:?} and get {found:?}"))?;
    }
    let listed = storage.reader().list(Kind::Grant, &page(100), NOW).await?;
    for record in &records {
        ensure(listed.contains(record), || format!("the list lacks {record:?}"))?;
        let taken = storage.writer().take(Kind::Grant, &record.key, NOW).await?;
        ensure(taken.as_ref() == Some(record), || format!("take gave {taken:?}, not {record:?}"))?;
    }
    Ok(())
}

/// Every storage must accept eight kilobytes. Larger limits are its choice.
async fn too_large(storage: Storage) -> Verdict {
    let large = record("large", &"0123456789abcdef".repeat(4096));
    let refused = |error: &RepositoryError| matches!(error, RepositoryError::TooLarge { .. });
    match storage.writer().insert(Kind::Grant, &large, NOW).await {
        Err(error) if refused(&error) => storage.expect_absent(Kind::Grant, "large").await?,
        inserted => {
            ensure(inserted? != Write::Conflict, || "inserting it conflicts".to_owned())?;
            storage.expect(Kind::Grant, &large).await?;
        }
    }
    let small = record("grows", "small");
    let version = storage.insert(Kind::Grant, &small).await?;
    let grown = Record { key: small.key.clone(), ..large };
    match storage.writer().replace(Kind::Grant, &grown, version, NOW).await {
        Err(error) if refused(&error) => {
            let found = storage.expect(Kind::Grant, &small).await?;
            ensure(found == version, || "a refused replace changed the version".to_owned())
        }
        replaced => {
            ensure(replaced? != Write::Conflict, || "replacing it conflicts".to_owned())?;
            storage.expect(Kind::Grant, &grown).await.map(|_| ())
        }
    }
}

async fn absence(storage: Storage) -> Verdict {
    storage.expect_absent(Kind::Client, "none").await?;
    let taken = storage.writer().take(Kind::Client, "none", NOW).await?;
    ensure(taken.is_none(), || format!("take gave {taken:?}"))?;
    let listed = storage.reader().list(Kind::Client, &page(10), NOW).await?;
    ensure(listed.is_empty(), || format!("the list of an empty storage holds {listed:?}"))
}

async fn kinds_are_apart(storage: Storage) -> Verdict {
    let of_kind = |kind: Kind| record("same", kind.as_str()).of_parent("parent");
    for kind in Kind::ALL {
        storage.insert(kind, &of_kind(kind)).await?;
    }
    for kind in Kind::ALL {
        storage.expect(kind, &of_kind(kind)).await?;
        for page in [page(10), Page { parent: Some("parent".to_owned()), ..page(10) }] {
            let listed = storage.reader().list(kind, &page, NOW).await?;
            ensure(listed == [of_kind(kind)], || format!("the list of {kind:?} holds {listed:?}"))?;
        }
    }
    let taken = storage.writer().take(Kind::Client, "same", NOW).await?;
    ensure(taken == Some(of_kind(Kind::Client)), || format!("take gave {taken:?}"))?;
    storage.expect_absent(Kind::Client, "same").await?;
    storage.expect(Kind::Grant, &of_kind(Kind::Grant)).await.map(|_| ())
}

async fn insert_conflicts(storage: Storage) -> Verdict {
    let first = record("key", "first").expiring(1);
    let version = storage.insert(Kind::Client, &first).await?;
    let second = record("key", "second").of_parent("other");
    conflicts(storage.reader().insert(Kind::Client, &second, NOW).await?, "a second insert")?;
    let found = storage.expect(Kind::Client, &first).await?;
    ensure(found == version, || "the version has changed".to_owned())
}

async fn insert_over_expired(storage: Storage) -> Verdict {
    storage.insert(Kind::Replay, &record("key", "old").of_parent("old").expiring(5)).await?;
    let new = record("key", "new").of_parent("new").expiring(60);
    let later = seconds_from_now(5);
    let write = storage.writer().insert(Kind::Replay, &new, later).await?;
    ensure(write != Write::Conflict, || "the insert conflicts with an expired record".to_owned())?;
    storage.expect(Kind::Replay, &new).await?;
    let children = children(&storage, Kind::Replay, "old").await?;
    ensure(children.is_empty(), || "the new record is listed under the old one's parent".to_owned())
}

async fn replace_present(storage: Storage) -> Verdict {
    let mut version = storage.insert(Kind::Grant, &record("key", "0")).await?;
    for round in 1..5 {
        let next = record("key", &round.to_string());
        let stored = storage.replace(Kind::Grant, &next, version).await?;
        ensure(stored != version, || "a replace left the version as it was".to_owned())?;
        let found = storage.expect(Kind::Grant, &next).await?;
        ensure(stored == found, || format!("replace gave {stored:?} and get {found:?}"))?;
        version = stored;
    }
    Ok(())
}

async fn replace_stale(storage: Storage) -> Verdict {
    let stale = storage.insert(Kind::Grant, &record("key", "0")).await?;
    let present = record("key", "1").of_parent("parent").expiring(9);
    let version = storage.replace(Kind::Grant, &present, stale).await?;
    for other in [record("key", "2").of_parent("parent").expiring(9), record("key", "2").of_parent("other")] {
        conflicts(
            storage.reader().replace(Kind::Grant, &other, stale, NOW).await?,
            "a replace by a stale version",
        )?;
    }
    let found = storage.expect(Kind::Grant, &present).await?;
    ensure(found == version, || "the version has changed".to_owned())
}

async fn replace_absent(storage: Storage) -> Verdict {
    let version = storage.insert(Kind::Grant, &record("taken", "0")).await?;
    storage.writer().take(Kind::Grant, "taken", NOW).await?;
    let write = storage.reader().replace(Kind::Grant, &record("taken", "1"), version, NOW).await?;
    conflicts(write, "a replace of a taken record")?;
    storage.expect_absent(Kind::Grant, "taken").await?;

    let version = storage.insert(Kind::Grant, &record("expired", "0").expiring(5)).await?;
    let later = seconds_from_now(5);
    let write = storage.reader().replace(Kind::Grant, &record("expired", "1"), version, later).await?;
    conflicts(write, "a replace of an expired record")?;
    let found = storage.reader().get(Kind::Grant, "expired", later).await?;
    ensure(found.is_none(), || "an expired record was brought back".to_owned())
}

async fn versions_never_return(storage: Storage) -> Verdict {
    let mut seen = Vec::new();
    for round in 0..8 {
        let again = record("key", &round.to_string()).expiring(round);
        // Even rounds are taken, odd ones expire.
        let write = storage.writer().insert(Kind::Grant, &again, seconds_from_now(round - 1)).await?;
        let Write::Done(version) = write else {
            return fault("an insert into a free place conflicts");
        };
        for stale in &seen {
            let stolen = record("key", "stolen").expiring(1_000);
            let write =
                storage.reader().replace(Kind::Grant, &stolen, *stale, seconds_from_now(round - 1)).await?;
            conflicts(write, "a replace by the version of an earlier record")?;
        }
        seen.push(version);
        if round % 2 == 0 {
            storage.writer().take(Kind::Grant, "key", seconds_from_now(round - 1)).await?;
        }
    }
    Ok(())
}

async fn replace_moves(storage: Storage) -> Verdict {
    let version = storage.insert(Kind::Grant, &record("key", "0").of_parent("one").expiring(5)).await?;
    let moved = record("key", "1").of_parent("two").expiring(10);
    let version = storage.replace(Kind::Grant, &moved, version).await?;
    let (one, two) =
        (children(&storage, Kind::Grant, "one").await?, children(&storage, Kind::Grant, "two").await?);
    ensure(one.is_empty() && two == [moved], || format!("the lists hold {one:?} and {two:?}"))?;
    let purged = purge_all(&storage, 5).await?;
    ensure(purged == 0, || "a purge goes by the old expiry".to_owned())?;
    let alive = storage.reader().get(Kind::Grant, "key", seconds_from_now(5)).await?;
    ensure(alive.is_some(), || "the old expiry still holds".to_owned())?;

    let orphan = record("key", "2");
    let version = storage.replace(Kind::Grant, &orphan, version).await?;
    let two = children(&storage, Kind::Grant, "two").await?;
    ensure(two.is_empty(), || "a record without a parent is still listed under one".to_owned())?;
    let alive = storage.reader().get(Kind::Grant, "key", seconds_from_now(10)).await?;
    ensure(alive.is_some_and(|found| found.record == orphan), || "an expiry cannot be lifted".to_owned())?;

    storage.replace(Kind::Grant, &record("key", "3").expiring(2), version).await?;
    let dead = storage.reader().get(Kind::Grant, "key", seconds_from_now(2)).await?;
    ensure(dead.is_none(), || "an earlier expiry is not heeded".to_owned())
}

async fn take_once(storage: Storage) -> Verdict {
    let stored = record("key", "value").of_parent("parent").expiring(1);
    storage.insert(Kind::Replay, &stored).await?;
    let taken = storage.writer().take(Kind::Replay, "key", NOW).await?;
    ensure(taken.as_ref() == Some(&stored), || format!("take gave {taken:?}"))?;
    storage.expect_absent(Kind::Replay, "key").await?;
    let again = storage.reader().take(Kind::Replay, "key", NOW).await?;
    ensure(again.is_none(), || "the second take gave it again".to_owned())?;
    let children = children(&storage, Kind::Replay, "parent").await?;
    ensure(children.is_empty(), || "a taken record is listed".to_owned())
}

async fn expiry(storage: Storage) -> Verdict {
    storage.insert(Kind::Grant, &record("key", "value").of_parent("parent").expiring(10)).await?;
    let of_parent = Page { parent: Some("parent".to_owned()), ..page(10) };
    for (seconds, lives) in [(9, true), (10, false), (11, false)] {
        let now = seconds_from_now(seconds);
        let fault = |how| format!("{how} {seconds} s after a start with 10 s to live is wrong");
        let found = storage.reader().get(Kind::Grant, "key", now).await?;
        ensure(found.is_some() == lives, || fault("get"))?;
        for page in [&page(10), &of_parent] {
            let listed = storage.reader().list(Kind::Grant, page, now).await?;
            ensure(listed.is_empty() != lives, || fault("list"))?;
        }
    }
    let taken = storage.writer().take(Kind::Grant, "key", seconds_from_now(10)).await?;
    ensure(taken.is_none(), || "an expired record was taken".to_owned())
}

async fn list_order(storage: Storage) -> Verdict {
    let mut keys = ["b", "-", "B", "ab", "_", "a", "A", "10", "9", "a.b", "a-b", "aB", "0", ".", "z", "Z"];
    for key in keys {
        storage.insert(Kind::Client, &record(key, "value").of_parent("parent")).await?;
    }
    keys.sort_unstable();
    for parent in [None, Some("parent".to_owned())] {
        let listed = list_keys(&storage, &Page { parent: parent.clone(), ..page(100) }).await?;
        ensure(listed == keys, || format!("ascending: {listed:?}"))?;
        let descending = Page { order: Order::Descending, parent, ..page(100) };
        let mut listed = list_keys(&storage, &descending).await?;
        listed.reverse();
        ensure(listed == keys, || format!("descending, read backwards: {listed:?}"))?;
    }
    Ok(())
}

async fn paging(storage: Storage) -> Verdict {
    let keys: Vec<String> = (10..35).map(|number| format!("key-{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        let parent = if number % 2 == 0 { "even" } else { "odd" };
        storage.insert(Kind::Client, &record(key, "value").of_parent(parent)).await?;
        storage.insert(Kind::Client, &record(&format!("{key}.expired"), "value").expiring(-1)).await?;
    }
    for (parent, first, step) in [(None, 0, 1), (Some("even"), 0, 2), (Some("odd"), 1, 2)] {
        let expected: Vec<&String> = keys.iter().skip(first).step_by(step).collect();
        for limit in [1, 4, 5, 25] {
            for order in [Order::Ascending, Order::Descending] {
                let mut next = Page { parent: parent.map(str::to_owned), after: None, order, limit };
                let mut found = Vec::new();
                while let Some(last) = {
                    let keys = list_keys(&storage, &next).await?;
                    found.extend(keys.iter().cloned());
                    keys.into_iter().next_back()
                } {
                    ensure(found.len() <= keys.len(), || {
                        format!("pages of {limit} repeat or never end: {found:?}")
                    })?;
                    next.after = Some(last);
                }
                if order == Order::Descending {
                    found.reverse();
                }
                ensure(found.iter().eq(expected.iter().copied()), || {
                    format!("pages of {limit} under {parent:?}, {order:?}, hold {found:?}")
                })?;
            }
        }
    }
    let between = Page { after: Some("key-11.no-such-key".to_owned()), ..page(1) };
    let listed = list_keys(&storage, &between).await?;
    ensure(listed == ["key-12"], || format!("behind a key that is not stored comes {listed:?}"))
}

async fn list_of_parent(storage: Storage) -> Verdict {
    let one = [record("a", "1").of_parent("one"), record("c", "2").of_parent("one")];
    let others = [record("b", "3").of_parent("two"), record("d", "4"), record("one", "5").of_parent("on")];
    for record in one.iter().chain(&others) {
        storage.insert(Kind::Grant, record).await?;
    }
    let listed = children(&storage, Kind::Grant, "one").await?;
    ensure(listed == one, || format!("the children of \"one\" are {listed:?}"))?;
    let listed = children(&storage, Kind::Grant, "none").await?;
    ensure(listed.is_empty(), || format!("an unknown parent has the children {listed:?}"))
}

async fn list_limit(storage: Storage) -> Verdict {
    for key in ["a", "b", "c", "d"] {
        let expiry = if key == "b" { -1 } else { 1 };
        storage.insert(Kind::Grant, &record(key, "value").of_parent("parent").expiring(expiry)).await?;
    }
    for parent in [None, Some("parent".to_owned())] {
        for (limit, expected) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (usize::MAX, 3)] {
            let listed =
                list_keys_of(&storage, Kind::Grant, &Page { parent: parent.clone(), ..page(limit) }).await?;
            ensure(listed.len() == expected, || {
                format!("with three live records, a list of {limit} is {listed:?}")
            })?;
        }
    }
    Ok(())
}

async fn purge(storage: Storage) -> Verdict {
    const EXPIRED: usize = 1_100;
    let live = [record("live", "1").expiring(100), record("forever", "2").of_parent("parent")];
    for kind in Kind::ALL {
        for record in &live {
            storage.insert(kind, record).await?;
        }
        storage.insert(kind, &record("expired", "3").of_parent("parent").expiring(50)).await?;
    }
    insert_many(&storage, EXPIRED - Kind::ALL.len(), 50).await?;
    let purged = purge_all(&storage, 49).await?;
    ensure(purged == 0, || format!("{purged} live records were purged"))?;
    let purged = purge_all(&storage, 50).await?;
    ensure(purged == EXPIRED as u64, || format!("of {EXPIRED} expired records, {purged} were counted"))?;
    for kind in Kind::ALL {
        // At a time before its expiry, only a removed record is absent.
        storage.expect_absent(kind, "expired").await?;
        for record in &live {
            storage.expect(kind, record).await?;
        }
    }
    Ok(())
}

/// Inserts `count` records concurrently, which expire in `seconds`.
async fn insert_many(storage: &Storage, count: usize, expiry: i64) -> Verdict {
    let mut inserts = tokio::task::JoinSet::new();
    for number in 0..count {
        let handle = storage.of(number);
        let many = record(&format!("many-{number}"), "value").expiring(expiry);
        inserts.spawn(async move { handle.insert(Kind::Replay, &many, NOW).await.map(|_| ()) });
        if inserts.len() >= 32
            && let Some(inserted) = inserts.join_next().await
        {
            inserted??;
        }
    }
    while let Some(inserted) = inserts.join_next().await {
        inserted??;
    }
    Ok(())
}

/// Purges at a time, in seconds from now, until nothing is left. Returns how many records were removed.
async fn purge_all(storage: &Storage, seconds: i64) -> Verdict<u64> {
    let mut purged = 0;
    for _ in 0..MAX_PURGES {
        match storage.writer().purge_expired(seconds_from_now(seconds)).await? {
            0 => return Ok(purged),
            batch => purged += batch,
        }
    }
    fault("a purge never comes to its end")
}

async fn children(storage: &Storage, kind: Kind, parent: &str) -> Verdict<Vec<Record>> {
    let page = Page { parent: Some(parent.to_owned()), ..page(100) };
    Ok(storage.reader().list(kind, &page, NOW).await?)
}

async fn list_keys(storage: &Storage, page: &Page) -> Verdict<Vec<String>> {
    list_keys_of(storage, Kind::Client, page).await
}

async fn list_keys_of(storage: &Storage, kind: Kind, page: &Page) -> Verdict<Vec<String>> {
    let listed = storage.reader().list(kind, page, NOW).await?;
    Ok(listed.into_iter().map(|record| record.key).collect())
}

fn page(limit: usize) -> Page {
    Page { limit, ..Page::default() }
}
