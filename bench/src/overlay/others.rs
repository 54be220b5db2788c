//! What other overlays take on the same latencies, by arithmetic: their best case, with tables that are never wrong
//! for Chord, and with entries that have gone stale between two refreshes for Kademlia.

use std::fmt::Write as _;

use super::chance::{Chance, MEDIAN, SPREAD};

const DRAWS: usize = 20_000;
/// Between ordinary node and super node, ms, there and back.
const ACCESS: f64 = 30.0;
/// Kademlia: contacts in a bucket, asked at once, bits that a round gains, refresh in hours, time-out in ms.
const BUCKET: f64 = 20.0;
const AT_ONCE: usize = 3;
const GAIN: f64 = 3.0;
const REFRESH: f64 = 1.0;
const TIMEOUT: f64 = 1_000.0;

fn round_trip(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * chance.unit().ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * chance.unit()).cos();
    MEDIAN * (SPREAD * normal).exp()
}

fn percentiles(mut draws: Vec<f64>) -> (f64, f64) {
    draws.sort_by(f64::total_cmp);
    (draws[draws.len() / 2], draws[draws.len() * 99 / 100])
}

/// Median and 99th percentile of a recursive Chord lookup: half of log2 N hops, one way each, and the answer directly.
pub(super) fn chord(members: usize) -> (f64, f64) {
    let mut chance = Chance::new(members as u64);
    let hops = (members as f64).log2() / 2.0;
    let draw = |_| {
        let whole = hops.floor() as usize + usize::from(chance.unit() < hops.fract());
        let trips = (0..=whole).map(|_| round_trip(&mut chance) / 2.0);
        trips.sum::<f64>() + ACCESS
    };
    percentiles((0..DRAWS).map(draw).collect())
}

/// The same for an iterative Kademlia lookup: three contacts a round, each round waits for the answers of all three or
/// a time-out for those that have gone since the last refresh of their bucket.
pub(super) fn kademlia(members: usize, hours: f64) -> (f64, f64) {
    let mut chance = Chance::new(members as u64);
    let rounds = 1 + ((members as f64 / BUCKET).log2().max(0.0) / GAIN).ceil() as usize;
    let stale = 1.0 - (-std::f64::consts::LN_2 * REFRESH / 2.0 / hours).exp();
    let draw = |_| {
        let rounds = (0..rounds).map(|_| {
            let answers = (0..AT_ONCE).map(|_| {
                if chance.unit() < stale {
                    TIMEOUT
                } else {
                    round_trip(&mut chance)
                }
            });
            answers.fold(0.0, f64::max)
        });
        rounds.sum::<f64>() + ACCESS
    };
    percentiles((0..DRAWS).map(draw).collect())
}

/// Both, for all sizes.
pub(super) fn table(sizes: &[usize]) -> String {
    let mut table = String::from(
        "| members | Chord p50 | p99 | Kademlia 24 h p50 | p99 | Kademlia 2.9 h p50 | p99 |\n|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for &members in sizes {
        let (chord, long, short) = (
            chord(members),
            kademlia(members, 24.0),
            kademlia(members, 2.9),
        );
        let _ = writeln!(
            table,
            "| {members} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms |",
            chord.0, chord.1, long.0, long.1, short.0, short.1
        );
    }
    table
}
