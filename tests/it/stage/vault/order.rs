//! The order of items in an answer, and how the next part of them is asked for.

use pangea_mcp_auth::{
    clock::UnixTime,
    secret::{decode, encode},
};
use serde::Deserialize;

use super::{
    failure::{Failure, Flaw},
    filter,
    item::Item,
    switches::{Habits, LastAtEnd},
};

/// Ascending unless the request says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    #[default]
    Asc,
    Desc,
}

/// Which part of the items is wanted, in which order.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) size: usize,
    pub(super) direction: Direction,
    /// By id when nothing is said: that says nothing of age.
    pub(super) order_by: &'a str,
    pub(super) last: Option<&'a str>,
}

/// The position of an item in the order.
type Place = (String, String);

impl Part<'_> {
    /// The items of this part, and the `last` that leads to the next one.
    pub(super) fn of<'a>(
        &self,
        items: Vec<&'a Item>,
        now: UnixTime,
        habits: &Habits,
    ) -> Result<(Vec<&'a Item>, Option<String>), Failure> {
        let after = self.last.map(|last| read(last).ok_or(Flaw::new("BadFormat", "/last"))).transpose()?;
        let place = |item: &Item| {
            let value = filter::values(item, self.order_by, now, habits).into_iter().next();
            (value.unwrap_or_default(), item.id.clone())
        };
        let mut placed: Vec<(Place, &Item)> = items.into_iter().map(|item| (place(item), item)).collect();
        placed.sort_by(|one, other| one.0.cmp(&other.0));
        if self.direction == Direction::Desc {
            placed.reverse();
        }
        placed.retain(|(place, _)| after.as_ref().is_none_or(|after| self.comes_after(place, after)));
        let goes_on = placed.len() > self.size;
        placed.truncate(self.size);
        let end = placed.last().map(|(place, _)| write(place));
        let last = match habits.last_at_end {
            _ if goes_on => end,
            LastAtEnd::Absent => None,
            LastAtEnd::Empty => Some(String::new()),
            LastAtEnd::Present => end,
        };
        Ok((placed.into_iter().map(|(_, item)| item).collect(), last))
    }

    fn comes_after(&self, place: &Place, after: &Place) -> bool {
        match self.direction {
            Direction::Asc => place > after,
            Direction::Desc => place < after,
        }
    }
}

fn write((value, id): &Place) -> String {
    encode(format!("{id}{value}").as_bytes())
}

fn read(last: &str) -> Option<Place> {
    let place = String::from_utf8(decode(last)?).ok()?;
    let (id, value) = place.split_at_checked(ID_LENGTH)?;
    Some((value.to_owned(), id.to_owned()))
}

/// `pvi_` and 32 characters.
const ID_LENGTH: usize = 36;
