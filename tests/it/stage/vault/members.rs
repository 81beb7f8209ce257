//! What the body of each call may and must have; anything else is refused.

use super::schema::{Member, Shape};

/// As many characters as a secret may have.
const LONGEST_SECRET: usize = 10_240;
/// As many items as one answer may have.
const LARGEST_PAGE: i64 = 100;

const ID: Member = Member::required("id", Shape::Text);
const SECRET: Member = Member::required("secret", Shape::Bounded(1, LONGEST_SECRET));
const NAME: Member = Member::optional("name", Shape::Text);
const FOLDER: Member = Member::optional("folder", Shape::Folder);
const METADATA: Member = Member::optional("metadata", Shape::TextMap);
const TAGS: Member = Member::optional("tags", Shape::Texts);
const DISABLED_AT: Member = Member::optional("disabled_at", Shape::Time);
const CONFIG: Member = Member::optional("config_id", Shape::ConfigId);

const FILTER: Member = Member::optional("filter", Shape::Filter);
const SIZE: Member = Member::optional("size", Shape::Whole(1, LARGEST_PAGE));
const ORDER: Member = Member::optional("order", Shape::OneOf(&["asc", "desc"]));
const ORDER_BY: Member = Member::optional("order_by", Shape::OneOf(&FIELDS));
const FIELDS: [&str; 11] = [
    "id",
    "type",
    "created_at",
    "algorithm",
    "purpose",
    "expiration",
    "last_rotated",
    "next_rotation",
    "name",
    "folder",
    "item_state",
];
const LAST: Member = Member::optional("last", Shape::Text);

const ROTATION_FREQUENCY: Member = Member::optional("rotation_frequency", Shape::Text);
const ROTATION_STATE: Member =
    Member::optional("rotation_state", Shape::OneOf(&["deactivated", "destroyed", "inherited"]));
const ROTATION_GRACE_PERIOD: Member = Member::optional("rotation_grace_period", Shape::Text);

pub(super) const GET_BULK: &[Member] =
    &[CONFIG, FILTER, SIZE, ORDER, ORDER_BY, LAST, Member::optional("version", Shape::VersionMap)];
pub(super) const LIST: &[Member] = &[CONFIG, FILTER, SIZE, ORDER, ORDER_BY, LAST];
pub(super) const GET: &[Member] = &[CONFIG, ID, Member::optional("version", Shape::Version)];
pub(super) const SECRET_STORE: &[Member] = &[
    CONFIG,
    Member::optional("type", Shape::OneOf(&["secret"])),
    SECRET,
    NAME,
    FOLDER,
    METADATA,
    TAGS,
    DISABLED_AT,
];
pub(super) const SECRET_ROTATE: &[Member] = &[
    CONFIG,
    ID,
    SECRET,
    Member::optional("rotation_state", Shape::OneOf(&["deactivated", "suspended", "destroyed"])),
];
pub(super) const DELETE: &[Member] = &[CONFIG, ID, Member::optional("recursive", Shape::Flag)];
pub(super) const STATE_CHANGE: &[Member] = &[
    CONFIG,
    ID,
    Member::required("state", Shape::OneOf(&STATES)),
    Member::optional("version", Shape::Whole(1, i64::MAX)),
    Member::optional("destroy_period", Shape::Text),
];
const STATES: [&str; 5] = ["active", "deactivated", "suspended", "compromised", "destroyed"];
pub(super) const UPDATE: &[Member] = &[
    CONFIG,
    ID,
    NAME,
    FOLDER,
    METADATA,
    TAGS,
    DISABLED_AT,
    Member::optional("enabled", Shape::Flag),
    ROTATION_FREQUENCY,
    ROTATION_STATE,
    ROTATION_GRACE_PERIOD,
];
pub(super) const FOLDER_CREATE: &[Member] = &[
    CONFIG,
    Member::required("name", Shape::FolderName),
    Member::required("folder", Shape::Folder),
    METADATA,
    TAGS,
    DISABLED_AT,
    ROTATION_FREQUENCY,
    ROTATION_STATE,
    ROTATION_GRACE_PERIOD,
];
