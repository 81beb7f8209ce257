//! Rules that only a race can break: 32 callers at once, half of them on each handle.

use std::{future::Future, sync::Arc};

use tokio::{sync::Barrier, task::JoinSet};

use super::{Kind, NOW, Repository, Rule, Storage, Verdict, Write, ensure, fault, record, seconds_from_now};
use crate::repository;

/// Concurrent callers.
const RACERS: usize = 32;

/// Runs of each race.
const ROUNDS: usize = 4;

/// Tries of one racer before the lack of progress counts as a failure.
const MAX_TRIES: usize = 10_000;

pub(super) const RULES: &[Rule] = &[
    ("of many inserts of one key one succeeds", |s| Box::pin(inserts(s))),
    ("of many inserts over one expired record one succeeds", |s| Box::pin(inserts_over_expired(s))),
    ("of many replaces by one version one succeeds", |s| Box::pin(replaces(s))),
    ("of many takes of one record one gets it", |s| Box::pin(takes(s))),
    ("a record that was taken is not brought back by a replace", |s| Box::pin(takes_and_replaces(s))),
    ("no update is lost", |s| Box::pin(counter(s))),
];

async fn inserts(storage: Storage) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let done = race(&storage, move |racer, handle| {
            let mine = record(&key, &racer.to_string());
            async move { handle.insert(Kind::Replay, &mine, NOW).await }
        });
        one_winner(&storage, &format!("key-{round}"), &done.await?).await?;
    }
    Ok(())
}

async fn inserts_over_expired(storage: Storage) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        storage.insert(Kind::Replay, &record(&key, "old").expiring(1)).await?;
        let done = race(&storage, move |racer, handle| {
            let mine = record(&key, &racer.to_string());
            async move { handle.insert(Kind::Replay, &mine, seconds_from_now(1)).await }
        });
        one_winner(&storage, &format!("key-{round}"), &done.await?).await?;
    }
    Ok(())
}

async fn replaces(storage: Storage) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let read = storage.insert(Kind::Replay, &record(&key, "old")).await?;
        let done = race(&storage, move |racer, handle| {
            let mine = record(&key, &racer.to_string());
            async move { handle.replace(Kind::Replay, &mine, read, NOW).await }
        });
        one_winner(&storage, &format!("key-{round}"), &done.await?).await?;
    }
    Ok(())
}

/// Checks that one racer succeeded, and that its record is stored.
async fn one_winner(storage: &Storage, key: &str, writes: &[(usize, Write)]) -> Verdict {
    let winners: Vec<_> = writes.iter().filter(|(_, write)| *write != Write::Conflict).collect();
    let [(winner, write)] = winners[..] else {
        return fault(format!("{} of {RACERS} succeeded", winners.len()));
    };
    let version = storage.expect(Kind::Replay, &record(key, &winner.to_string())).await?;
    ensure(*write == Write::Done(version), || {
        "the winner was given another version than is stored".to_owned()
    })
}

async fn takes(storage: Storage) -> Verdict {
    for round in 0..ROUNDS {
        let stored = record(&format!("key-{round}"), "value").of_parent("parent");
        storage.insert(Kind::Replay, &stored).await?;
        let key = stored.key.clone();
        let taken = race(&storage, move |_, handle| {
            let key = key.clone();
            async move { handle.take(Kind::Replay, &key, NOW).await }
        });
        let taken: Vec<_> = taken.await?.into_iter().filter_map(|(_, taken)| taken).collect();
        ensure(taken == [stored], || format!("{} of {RACERS} got it", taken.len()))?;
    }
    Ok(())
}

async fn takes_and_replaces(storage: Storage) -> Verdict {
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let read = storage.insert(Kind::Replay, &record(&key, "old")).await?;
        let raced = key.clone();
        let won = race(&storage, move |racer, handle| {
            let mine = record(&raced, &racer.to_string());
            async move {
                // A quarter for each combination of handle and call.
                if racer / 2 % 2 == 0 {
                    Ok(handle.take(Kind::Replay, &mine.key, NOW).await?.is_some())
                } else {
                    Ok(handle.replace(Kind::Replay, &mine, read, NOW).await? != Write::Conflict)
                }
            }
        });
        let won = won.await?;
        let taken = won.iter().filter(|(racer, won)| racer / 2 % 2 == 0 && *won).count();
        ensure(taken == 1, || format!("{taken} got it"))?;
        storage.expect_absent(Kind::Replay, &key).await?;
    }
    Ok(())
}

async fn counter(storage: Storage) -> Verdict {
    storage.insert(Kind::Replay, &counted(0)).await?;
    let all_have_read = Arc::new(Barrier::new(RACERS));
    let done = race(&storage, move |_, handle| {
        let all_have_read = Arc::clone(&all_have_read);
        async move {
            for attempt in 0..MAX_TRIES {
                let found = handle.get(Kind::Replay, "counter", NOW).await?;
                if attempt == 0 {
                    all_have_read.wait().await;
                }
                let Some(found) = found else { return Ok(false) };
                let next = (1..=RACERS).map(counted).find(|next| next.value > found.record.value);
                let next = next.unwrap_or(found.record);
                if handle.replace(Kind::Replay, &next, found.version, NOW).await? != Write::Conflict {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    });
    let done = done.await?.into_iter().filter(|(_, done)| *done).count();
    ensure(done == RACERS, || format!("only {done} of {RACERS} came to count"))?;
    storage.expect(Kind::Replay, &counted(RACERS)).await.map(|_| ())
}

/// A counter record. Its value sorts by its count.
fn counted(count: usize) -> super::Record {
    record("counter", &format!("{count:02}"))
}

/// Starts all racers together. Returns their answers in order.
async fn race<T, F>(
    storage: &Storage,
    call: impl Fn(usize, Arc<dyn Repository>) -> F,
) -> Verdict<Vec<(usize, T)>>
where
    T: Send + 'static,
    F: Future<Output = repository::Result<T>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(RACERS));
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (start, call) = (Arc::clone(&start), call(racer, storage.of(racer)));
        racers.spawn(async move {
            start.wait().await;
            (racer, call.await)
        });
    }
    let mut answers = Vec::with_capacity(RACERS);
    while let Some(answer) = racers.join_next().await {
        let (racer, answer) = answer?;
        answers.push((racer, answer?));
    }
    Ok(answers)
}
