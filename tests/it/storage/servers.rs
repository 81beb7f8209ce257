//! What the repositories in `PostgreSQL` and Redis promise alike, over servers that the tests start and kill.

pub(crate) mod doubt;
pub(crate) mod restart;

use std::{sync::Arc, time::Duration};

use pangea_mcp_auth::{
    clock::UnixTime,
    repository::{Kind, Record, Repository, Version, Write},
};

pub(crate) const NOW: UnixTime = UnixTime::from_secs(4_102_444_800);

/// How long a call may take where the test waits for it to fail.
pub(crate) const HASTE: Duration = Duration::from_secs(3);

pub(crate) fn grant(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned(),
        value: value.to_owned(),
        parent: Some("client".to_owned()),
        expires_at: None,
    }
}

pub(crate) async fn insert(repository: &Arc<impl Repository + ?Sized>, record: &Record) -> Version {
    done(repository.insert(Kind::Grant, record, NOW).await.unwrap())
}

pub(crate) async fn value(repository: &Arc<impl Repository + ?Sized>, key: &str) -> Option<String> {
    repository.get(Kind::Grant, key, NOW).await.unwrap().map(|found| found.record.value)
}

pub(crate) fn done(write: Write) -> Version {
    match write {
        Write::Done(version) => version,
        Write::Conflict => panic!("the write conflicts"),
    }
}
