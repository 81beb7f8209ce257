//! The calls that change nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    action::Body,
    call::{Context, typed},
    failure::Failure,
    filter,
    item::{Item, Selector},
    items::ById,
    order::{Direction, Part},
};

/// As many items as an answer has when nothing is said.
const USUAL_PAGE: usize = 50;

#[derive(Deserialize)]
struct Search {
    filter: Option<Value>,
    size: Option<usize>,
    #[serde(default)]
    order: Direction,
    order_by: Option<String>,
    last: Option<String>,
    #[serde(default)]
    version: BTreeMap<String, u64>,
}

/// `POST /v2/get_bulk`: items with their secrets.
pub(super) fn get_bulk(items: &ById, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    let search: Search = typed(body)?;
    let versions = search.version.clone();
    found(items, &search, context, |item| {
        let selector = versions.get(&item.id).map_or(Selector::Current, |number| Selector::Number(*number));
        let versions = item.selected(selector).unwrap_or_default();
        item.told_with(versions, true, context.now, context.habits)
    })
}

/// `POST /v2/list`: items without their secrets.
pub(super) fn list(items: &ById, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    found(items, &typed(body)?, context, |item| item.told(context.now, context.habits))
}

fn found(
    items: &ById,
    search: &Search,
    context: &Context<'_>,
    tell: impl Fn(&Item) -> Value,
) -> Result<Value, Failure> {
    let (now, habits) = (context.now, context.habits);
    let filter = search.filter.as_ref().map(filter::parse).transpose().map_err(Failure::Invalid)?;
    let fits = |item: &&Item| filter.as_ref().is_none_or(|filter| filter.fits(item, now, habits));
    let hits: Vec<&Item> = items.values().filter(|item| !item.is_hidden(now, habits)).filter(fits).collect();
    let count = hits.len();
    let part = Part {
        size: search.size.unwrap_or(USUAL_PAGE),
        direction: search.order,
        order_by: search.order_by.as_deref().unwrap_or("id"),
        last: search.last.as_deref(),
    };
    let (hits, last) = part.of(hits, now, habits)?;
    let times = if context.call.repeated { 2 } else { 1 };
    let told: Vec<Value> = hits.into_iter().flat_map(|item| vec![tell(item); times]).collect();
    let mut result = json!({"items": told});
    if let Some(last) = last {
        result["last"] = json!(last);
    }
    if habits.count {
        result["count"] = json!(count);
    }
    Ok(result)
}

/// `POST /v2/get`: one item with the secrets of the versions that are asked for.
pub(super) fn get(items: &ById, body: Body, context: &Context<'_>) -> Result<Value, Failure> {
    #[derive(Deserialize)]
    struct Get {
        id: String,
        version: Option<Value>,
    }
    let get: Get = typed(body)?;
    let item = items.get(&get.id).ok_or(Failure::ItemNotFound)?;
    let selector = get.version.as_ref().and_then(Selector::parse).unwrap_or(Selector::Current);
    let versions = item.selected(selector).ok_or(Failure::ItemNotFound)?;
    Ok(item.told_with(versions, true, context.now, context.habits))
}
