//! Every request about records. Each is atomic: a command, or a script.
//!
//! All keys of a kind share a hash tag, so that they are on one Cluster node:
//!
//! - `pangea-mcp-auth:{grant}:record:KEY` holds a record, as `stored.rs` writes it;
//! - `pangea-mcp-auth:{grant}:keys` holds the keys in their order;
//! - `pangea-mcp-auth:{grant}:children` holds `PARENT KEY` of each record with a parent;
//! - `pangea-mcp-auth:{grant}:expiry` holds the keys of records that expire, ordered by time.
//!
//! The server's clock and its expiry of keys are not used.

use std::sync::LazyLock;

use ::redis::{Cmd, Script, cmd};

use super::stored;
use crate::{
    clock::UnixTime,
    repository::{Kind, Order, Page, Record, Version},
};

/// The version of the stored format.
pub(super) const SCHEMA: &str = "1";

/// Most expired records of a kind that one call removes, in a few milliseconds.
const PURGE_BATCH: usize = 500;

macro_rules! script {
    ($text:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                "local function head(text) return string.match(text, '^(%d+) (%d*) ([^\\n]*)\\n') end
                local function is_live(expires_at, now)
                    return expires_at == '' or tonumber(expires_at) > tonumber(now)
                end
                local function store(was_there, expires_at, parent)
                    local key = ARGV[2]
                    redis.call('SET', KEYS[1], ARGV[5])
                    if not was_there then redis.call('ZADD', KEYS[2], 0, key) end
                    if parent ~= ARGV[4] then
                        if parent ~= '' then redis.call('ZREM', KEYS[3], parent .. ' ' .. key) end
                        if ARGV[4] ~= '' then redis.call('ZADD', KEYS[3], 0, ARGV[4] .. ' ' .. key) end
                    end
                    if ARGV[3] == '' then
                        if expires_at ~= '' then redis.call('ZREM', KEYS[4], key) end
                    elseif expires_at ~= ARGV[3] then
                        redis.call('ZADD', KEYS[4], ARGV[3], key)
                    end
                end
                local function remove(record, keys, children, expiry, key, parent)
                    redis.call('DEL', record)
                    redis.call('ZREM', keys, key)
                    redis.call('ZREM', expiry, key)
                    if parent ~= '' then redis.call('ZREM', children, parent .. ' ' .. key) end
                end
                ",
                $text
            ))
        })
    };
}

/// Keys: record, keys, children, expiry. Arguments: now, key, expiry, parent, stored.
static INSERT: LazyLock<Script> = script!(
    "local found = redis.call('GETRANGE', KEYS[1], 0, 319)
    local version, expires_at, parent = head(found)
    if found ~= '' and (not version or is_live(expires_at, ARGV[1])) then return 0 end
    store(version, expires_at or '', parent or '')
    return 1"
);

/// Also: the version that was read, and its own. It accepts both, so that it can be sent again.
static REPLACE: LazyLock<Script> = script!(
    "local version, expires_at, parent = head(redis.call('GETRANGE', KEYS[1], 0, 319))
    if version ~= ARGV[6] and version ~= ARGV[7] then return 0 end
    if not is_live(expires_at, ARGV[1]) then return 0 end
    store(true, expires_at, parent)
    return 1"
);

/// Keys: record, keys, children, expiry. Arguments: now, key. A record that cannot be read stays.
static TAKE: LazyLock<Script> = script!(
    "local found = redis.call('GET', KEYS[1])
    if not found then return false end
    local version, expires_at, parent = head(found)
    if not version then return found end
    if not is_live(expires_at, ARGV[1]) then return false end
    remove(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], parent)
    return found"
);

/// Keys: keys, children, expiry, and records. Arguments: now, and the records' keys. Repairs index entries that
/// differ from their record.
static PURGE: LazyLock<Script> = script!(
    "local purged = 0
    for at = 4, #KEYS do
        local key = ARGV[at - 2]
        local version, expires_at, parent = head(redis.call('GETRANGE', KEYS[at], 0, 319))
        if not version or expires_at == '' then
            redis.call('ZREM', KEYS[3], key)
        elseif is_live(expires_at, ARGV[1]) then
            redis.call('ZADD', KEYS[3], expires_at, key)
        else
            remove(KEYS[at], KEYS[1], KEYS[2], KEYS[3], key, parent)
            purged = purged + 1
        end
    end
    return purged"
);

/// Runs every command of the other scripts on nothing. Keys: a record that never exists, keys, children, expiry.
static REHEARSAL: LazyLock<Script> = script!(
    "redis.call('GET', KEYS[1])
    redis.call('MGET', KEYS[1])
    redis.call('GETRANGE', KEYS[1], 0, 0)
    redis.call('ZRANGEBYLEX', KEYS[2], '(~', '(~', 'LIMIT', 0, 1)
    redis.call('ZREVRANGEBYLEX', KEYS[3], '(~', '(~', 'LIMIT', 0, 1)
    redis.call('ZRANGEBYSCORE', KEYS[4], 1, 0, 'LIMIT', 0, 1)
    redis.call('SET', KEYS[1], '', 'XX')
    redis.call('DEL', KEYS[1])
    for at = 2, 4 do
        redis.call('ZADD', KEYS[at], 'XX', 0, '~')
        redis.call('ZREM', KEYS[at], '~')
    end
    return 1"
);

/// Key: the mark. Argument: the version. Returns the stored version.
static MARK: LazyLock<Script> = script!(
    "redis.call('SET', KEYS[1], ARGV[1], 'NX')
    return redis.call('GET', KEYS[1])"
);

/// A request about records of one kind.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: Kind,
    script: Option<&'static LazyLock<Script>>,
    arguments: Vec<Argument>,
    name: &'static str,
}

type Argument = Vec<u8>;

impl Request {
    fn plain(
        kind: Kind,
        name: &'static str,
        arguments: impl IntoIterator<Item = impl Into<Argument>>,
    ) -> Self {
        Self { kind, script: None, arguments: arguments.into_iter().map(Into::into).collect(), name }
    }

    fn script(
        kind: Kind,
        script: &'static LazyLock<Script>,
        keys: Vec<String>,
        arguments: impl IntoIterator<Item = impl Into<Argument>>,
    ) -> Self {
        let count = keys.len().to_string().into_bytes();
        let keys = keys.into_iter().map(String::into_bytes);
        let arguments = arguments.into_iter().map(Into::into);
        let arguments = std::iter::once(count).chain(keys).chain(arguments).collect();
        Self { kind, script: Some(script), arguments, name: "" }
    }

    /// The stored text under a key.
    pub(super) fn get(kind: Kind, key: &str) -> Self {
        Self::plain(kind, "GET", [record_key(kind, key)])
    }

    /// Stores a new record, or replaces an expired one.
    pub(super) fn insert(kind: Kind, record: &Record, mine: Version, now: UnixTime) -> Self {
        Self::script(kind, &INSERT, places(kind, &record.key), written(record, mine, now))
    }

    /// Replaces the record that was read.
    pub(super) fn replace(kind: Kind, record: &Record, read: Version, mine: Version, now: UnixTime) -> Self {
        let mut arguments = written(record, mine, now);
        arguments.extend([read.0.to_string(), mine.0.to_string()]);
        Self::script(kind, &REPLACE, places(kind, &record.key), arguments)
    }

    /// Removes the live record under a key and returns its stored text.
    pub(super) fn take(kind: Kind, key: &str, now: UnixTime) -> Self {
        Self::script(kind, &TAKE, places(kind, key), [now.as_secs().to_string(), key.to_owned()])
    }

    /// At most `limit` index entries for a page, after `behind`.
    pub(super) fn entries(kind: Kind, page: &Page, behind: Option<&str>, limit: usize) -> Self {
        let first = page.parent.as_ref().map_or_else(|| "-".to_owned(), |parent| format!("[{parent} "));
        // A space sorts before every character of a key.
        let last = page.parent.as_ref().map_or_else(|| "+".to_owned(), |parent| format!("({parent}!"));
        let behind = behind.map(|entry| format!("({entry}"));
        let (name, from, to) = match page.order {
            Order::Ascending => ("ZRANGEBYLEX", behind.unwrap_or(first), last),
            Order::Descending => ("ZREVRANGEBYLEX", behind.unwrap_or(last), first),
        };
        let index = if page.parent.is_some() { "children" } else { "keys" };
        Self::plain(kind, name, [place(kind, index), from, to, "LIMIT".into(), "0".into(), limit.to_string()])
    }

    /// The stored texts under keys.
    pub(super) fn texts<'a>(kind: Kind, keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self::plain(kind, "MGET", keys.into_iter().map(|key| record_key(kind, key)))
    }

    /// The keys of a batch of expired records.
    pub(super) fn expired(kind: Kind, now: UnixTime) -> Self {
        let (now, limit) = (now.as_secs().to_string(), PURGE_BATCH.to_string());
        Self::plain(
            kind,
            "ZRANGEBYSCORE",
            [place(kind, "expiry"), "-inf".into(), now, "LIMIT".into(), "0".into(), limit],
        )
    }

    /// Removes the expired ones of these records, and counts them.
    pub(super) fn purge(kind: Kind, keys: Vec<String>, now: UnixTime) -> Self {
        let indexes = ["keys", "children", "expiry"].map(|index| place(kind, index));
        let records = keys.iter().map(|key| record_key(kind, key));
        let places = indexes.into_iter().chain(records).collect();
        Self::script(kind, &PURGE, places, std::iter::once(now.as_secs().to_string()).chain(keys))
    }

    /// Runs every command that the others need, and changes nothing.
    pub(super) fn rehearsal(kind: Kind) -> Self {
        // No record's key contains this character.
        Self::script(kind, &REHEARSAL, places(kind, "~"), <[String; 0]>::default())
    }

    /// Stores the schema version if there is none, and returns the stored one.
    pub(super) fn mark() -> Self {
        Self::script(Kind::Key, &MARK, vec![place(Kind::Key, "schema")], [SCHEMA])
    }

    /// The stored schema version, if any.
    pub(super) fn found_mark() -> Self {
        Self::plain(Kind::Key, "GET", [place(Kind::Key, "schema")])
    }

    /// `INFO`.
    pub(super) fn information(kind: Kind) -> Self {
        Self::plain(kind, "INFO", <[String; 0]>::default())
    }

    pub(super) fn setting(kind: Kind, name: &str) -> Self {
        Self::plain(kind, "CONFIG", ["GET", name])
    }

    /// The script, if the request is not a command.
    pub(super) fn script_of(&self) -> Option<&'static Script> {
        self.script.map(|script| &**script)
    }

    pub(super) fn command(&self) -> Cmd {
        let mut command = self.script.map_or_else(
            || cmd(self.name),
            |script| {
                let mut command = cmd("EVALSHA");
                command.arg(script.get_hash());
                command
            },
        );
        command.arg(&self.arguments);
        command
    }
}

/// The full key of something of a kind.
fn place(kind: Kind, what: &str) -> String {
    format!("pangea-mcp-auth:{{{}}}:{what}", kind.as_str())
}

fn record_key(kind: Kind, key: &str) -> String {
    format!("{}:{key}", place(kind, "record"))
}

/// The keys of a record and of its indexes.
fn places(kind: Kind, key: &str) -> Vec<String> {
    vec![record_key(kind, key), place(kind, "keys"), place(kind, "children"), place(kind, "expiry")]
}

/// The arguments that insert and replace share.
fn written(record: &Record, mine: Version, now: UnixTime) -> Vec<String> {
    vec![
        now.as_secs().to_string(),
        record.key.clone(),
        stored::expiry(record),
        record.parent.clone().unwrap_or_default(),
        stored::text(record, mine),
    ]
}
