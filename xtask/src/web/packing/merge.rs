//! Functions that do the same become one.
//!
//! The compiler merges those whose code is equal before it chooses instructions; many become equal only by that.

use super::Functions;
use anyhow::Result;
use std::collections::BTreeMap;

/// The same module with each function once.
pub(super) fn merge(mut module: Vec<u8>) -> Result<Vec<u8>> {
    // Callers of two functions that have become one may be equal now.
    while let Some(merged) = merge_once(&module)? {
        module = merged;
    }
    Ok(module)
}

/// Nothing if there is nothing to merge.
fn merge_once(module: &[u8]) -> Result<Option<Vec<u8>>> {
    let functions = Functions::of(module)?;
    let (mut kept, mut places) = (Vec::new(), Vec::new());
    let mut known = BTreeMap::new();
    for (number, function) in functions.types.iter().zip(&functions.bodies).enumerate() {
        let place = *known.entry(function).or_insert(kept.len());
        if place == kept.len() {
            kept.push(number);
        }
        places.push(Some(place));
    }
    if kept.len() == places.len() {
        return Ok(None);
    }
    functions.placed(module, kept, places).map(Some)
}
