//! Pages of rows: `size`, `offset`, `filter`, `fields` (contract logicmonitor 4.1).

use serde_json::{Value, json};

use super::filter::passes;
use crate::sandbox::wire::{Call, Reply};

const DEFAULT_SIZE: usize = 50;
const LARGEST: usize = 1000;

/// One page of rows in the order of a key. Without a filter nothing but the page is put in order.
pub fn page_by<T, K: Ord>(
    call: &Call,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> K,
    show: impl Fn(&T) -> Value,
) -> Reply {
    match bounds(call).filter(|(_, offset)| *offset < rows.len() && call.param("filter").is_none()) {
        Some((size, offset)) => {
            rows.select_nth_unstable_by_key(offset, &key);
            let rest = &mut rows[offset..];
            if size < rest.len() {
                rest.select_nth_unstable_by_key(size, &key);
            }
            let end = size.min(rest.len());
            rest[..end].sort_unstable_by_key(&key);
        }
        None => rows.sort_unstable_by_key(&key),
    }
    page(call, &rows, show)
}

/// One page of rows. Rows are built when they are needed: a filter needs all, a plain page its own.
pub fn page<T>(call: &Call, rows: &[T], show: impl Fn(&T) -> Value) -> Reply {
    let Some((size, offset)) = bounds(call) else {
        return super::error(400, 1400, "size and offset must be numbers");
    };
    let fields = call.param("fields").map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let (total, items): (usize, Vec<Value>) = match call.param("filter") {
        None => (rows.len(), rows.iter().skip(offset).take(size).map(show).collect()),
        Some(filter) => {
            let all: Vec<Value> = rows.iter().map(show).filter(|row| passes(filter, row)).collect();
            (all.len(), all.into_iter().skip(offset).take(size).collect())
        }
    };
    let items: Vec<Value> = items.into_iter().map(|row| narrow(row, fields.as_deref())).collect();
    Reply::json(200, &json!({ "total": total, "searchId": null, "isMin": false, "items": items }))
}

/// The size and the offset of a page.
fn bounds(call: &Call) -> Option<(usize, usize)> {
    let (size, offset) = (number(call, "size", DEFAULT_SIZE)?, number(call, "offset", 0)?);
    // 0 behaves as 1000.
    Some((if size == 0 { LARGEST } else { size.min(LARGEST) }, offset))
}

fn number(call: &Call, name: &str, default: usize) -> Option<usize> {
    call.param(name).map_or(Some(default), |text| text.parse().ok())
}

/// Only the named fields of a row.
pub fn narrow(row: Value, fields: Option<&[&str]>) -> Value {
    match (row, fields) {
        (Value::Object(members), Some(fields)) => {
            members.into_iter().filter(|(key, _)| fields.contains(&key.as_str())).collect()
        }
        (row, _) => row,
    }
}
