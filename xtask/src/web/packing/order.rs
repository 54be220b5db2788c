//! Puts the functions of a module into the order that packs best.
//!
//! wasm-bindgen leaves them by size. A packer finds repetitions cheaper the closer they lie, so each function is put
//! behind the one that is most like it; that takes a fortieth off what a browser downloads.

use super::Functions;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that make a likeness: about two instructions. Measured, as is the other limit.
const GRAM: usize = 4;
/// What this many functions have is no likeness.
const COMMON: usize = 300;

/// What a likeness to those before counts, the last one first.
const WEIGHTS: [usize; 4] = [8, 4, 2, 1];

/// The same module with its functions in another order.
pub(super) fn by_likeness(module: &[u8]) -> Result<Vec<u8>> {
    let functions = Functions::of(module)?;
    let order = chain(&functions.bodies);
    reordered(&functions, module, order)
}

/// Numbers of bodies, each behind those that it shares most with of those that were left.
fn chain(bodies: &[&[u8]]) -> Vec<usize> {
    let grams = |body: &&'_ [u8]| body.windows(GRAM).map(<[u8]>::to_vec).collect();
    let grams: Vec<BTreeSet<Vec<u8>>> = bodies.iter().map(grams).collect();
    let mut holders: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (number, grams) in grams.iter().enumerate() {
        for gram in grams {
            holders.entry(gram).or_default().push(number);
        }
    }
    holders.retain(|_, holders| holders.len() < COMMON);

    let mut left: BTreeSet<usize> = (0..bodies.len()).collect();
    let mut order = Vec::with_capacity(bodies.len());
    let mut next = left.pop_first();
    while let Some(last) = next {
        order.push(last);
        let mut shared = vec![0; bodies.len()];
        for (before, weight) in order.iter().rev().zip(WEIGHTS) {
            let common = |gram: &Vec<u8>| holders.get(&**gram);
            for other in grams[*before].iter().filter_map(common).flatten() {
                shared[*other] += weight;
            }
        }
        let likeness = |&other: &usize| {
            let all = WEIGHTS[0] * (grams[last].len() + grams[other].len());
            shared[other] * 1_000_000 / all.saturating_sub(shared[other]).max(1)
        };
        // Of several the first: what is like nothing keeps its place.
        next = left.iter().copied().rev().max_by_key(likeness);
        next.inspect(|next| _ = left.remove(next));
    }
    order
}

pub(super) fn reordered(
    functions: &Functions<'_>,
    module: &[u8],
    order: Vec<usize>,
) -> Result<Vec<u8>> {
    let mut places = vec![None; order.len()];
    for (place, number) in order.iter().enumerate() {
        places[*number] = Some(place);
    }
    functions.placed(module, order, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_comes_to_like() {
        let bodies = [
            &b"one kind"[..],
            b"quite another",
            b"one kind more",
            b"quite another one",
        ];
        assert_eq!(chain(&bodies), [0, 2, 1, 3]);
        assert!(chain(&[]).is_empty());
    }
}
