//! Pages of rows: `size`, `offset`, `filter`, `fields` (contract logicmonitor 4.1).

use serde_json::{Value, json};

use super::filter::passes;
use crate::sandbox::wire::{Call, Reply};

const DEFAULT_SIZE: usize = 50;
const LARGEST: usize = 1000;

/// One page of rows. Rows are built when they are needed: a filter needs all, a plain page its own.
pub fn page<T>(call: &Call, rows: &[T], show: impl Fn(&T) -> Value) -> Reply {
    let (Some(size), Some(offset)) = (number(call, "size", DEFAULT_SIZE), number(call, "offset", 0)) else {
        return super::error(400, 1400, "size and offset must be numbers");
    };
    // 0 behaves as 1000.
    let size = if size == 0 { LARGEST } else { size.min(LARGEST) };
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
