//! Many super nodes are killed at once while ordinary nodes update and get.

use super::{REPLICAS, replicas, seen, shuffle, start};
use crate::process::signal;
use crate::{Crowd, Farm, Ordinary};
use machine::Rng;
use overlay::{PlaceError, Reading, Refused};
use relay_node::crypto::entropy;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a slice of the report is.
const SLICE: Duration = Duration::from_secs(10);
/// How long lost records may take to come back.
const BACK: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many super nodes there are, and how many are killed.
    pub super_nodes: (usize, usize),
    /// Whether those killed are neighbours on the ring, so that some records lose all their replicas; else any.
    pub neighbours: bool,
    /// How many ordinary nodes.
    pub ordinary: usize,
    /// How long they go on afterwards, and how long each rests between two operations.
    pub after: Duration,
    /// How long each rests between two operations, on average.
    pub rest: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The operations begun in each ten seconds after the deaths: how many, and how many succeeded.
    pub slices: Vec<(u32, u32)>,
    /// The operations before the deaths.
    pub before: (u32, u32),
    /// Why operations failed, and how often.
    pub failures: BTreeMap<String, u32>,
    /// How many records had been acknowledged and kept a replica; those of them that are not there at the end.
    pub kept: (usize, Vec<String>),
    /// How many records lost all replicas, and how long after the deaths each of them was found again.
    pub back: Vec<Option<Duration>>,
}

struct Done {
    begun: Instant,
    failed: Option<String>,
}

/// Does it.
///
/// # Panics
///
/// When the network does not come up.
pub async fn run(plan: Plan) -> Report {
    let mut farm = Farm::start(plan.super_nodes.0).await;
    let crowd = Crowd::new(&farm, plan.ordinary);
    let mut nodes = start(&crowd, &farm);
    for node in &mut nodes {
        node.stands(2, true).await;
    }
    let nodes: Arc<[Ordinary]> = nodes.into();
    let end = Instant::now() + 2 * SLICE / 4 + plan.after;
    let mut using = JoinSet::new();
    for number in 0..nodes.len() {
        using.spawn(work(nodes.clone(), number, plan.rest, end));
    }
    sleep(2 * SLICE / 4).await;

    let killed = choose(&farm, plan);
    let acknowledged: Vec<_> = nodes
        .iter()
        .map(|node| node.standing.borrow().placed)
        .collect();
    let at = Instant::now();
    for &number in &killed {
        if let Some(pid) = farm.nodes()[number].pid() {
            signal("KILL", &pid.to_string());
        }
    }
    let dead: Vec<_> = killed
        .iter()
        .map(|&number| farm.nodes()[number].id)
        .collect();
    for number in killed {
        farm.kill(number);
    }

    let mut report = Report::default();
    let (mut kept, mut searching) = (Vec::new(), JoinSet::new());
    for (number, node) in nodes.iter().enumerate() {
        let keepers = replicas(&farm, &node.uri);
        if keepers.iter().all(|keeper| dead.contains(keeper)) {
            let reader = nodes.clone();
            searching.spawn(async move {
                let other = &reader[(number + 1) % reader.len()];
                seen(other, &reader[number].uri, 0, at + BACK)
                    .await
                    .map(|when| when - at)
            });
        } else {
            kept.push((number, acknowledged[number].unwrap_or(u64::MAX)));
        }
    }
    report.back = searching.join_all().await;
    sleep_until(end).await;
    for done in using.join_all().await.into_iter().flatten() {
        report.count(done, at);
    }
    report.kept.0 = kept.len();
    for (number, sequence) in kept {
        let other = &nodes[(number + 1) % nodes.len()];
        let patience = Instant::now() + SLICE;
        if seen(other, &nodes[number].uri, sequence, patience)
            .await
            .is_none()
        {
            report.kept.1.push(nodes[number].uri.clone());
        }
    }
    report
}

/// Which super nodes are killed.
fn choose(farm: &Farm, plan: Plan) -> Vec<usize> {
    let mut order: Vec<usize> = (0..farm.nodes().len()).collect();
    if plan.neighbours {
        order.sort_by_key(|&number| farm.nodes()[number].id);
    } else {
        shuffle(&mut order, &mut Rng::new(entropy()));
    }
    order.truncate(plan.super_nodes.1);
    order
}

/// Updates the own record and gets those of others, until the end.
async fn work(nodes: Arc<[Ordinary]>, number: usize, rest: Duration, end: Instant) -> Vec<Done> {
    let (own, mut rng, mut done) = (&nodes[number], Rng::new(entropy()), Vec::new());
    loop {
        // Between nothing and twice the rest.
        sleep(rest * rng.below(2_000) / 1_000).await;
        let begun = Instant::now();
        if begun >= end {
            return done;
        }
        let failed = if rng.below(4) == 0 {
            match own.update().await {
                // One of the node's own, that is newer still, went before it.
                Ok(_) | Err(PlaceError::Refused(Refused::Older(_))) => None,
                Err(error) => Some(format!("update: {error:?}")),
            }
        } else {
            let other = &nodes[rng.below(nodes.len() as u32) as usize];
            let got = own.get(&other.uri, &other.uri, Reading::Quick).await;
            got.err().map(|error| format!("get: {error:?}"))
        };
        done.push(Done { begun, failed });
    }
}

impl Report {
    fn count(&mut self, done: Done, at: Instant) {
        let slice = match done.begun.checked_duration_since(at) {
            None => &mut self.before,
            Some(after) => {
                let number = (after.as_secs() / SLICE.as_secs()) as usize;
                if self.slices.len() <= number {
                    self.slices.resize(number + 1, (0, 0));
                }
                &mut self.slices[number]
            }
        };
        slice.0 += 1;
        match done.failed {
            None => slice.1 += 1,
            Some(why) => *self.failures.entry(why).or_default() += 1,
        }
    }

    /// The share of the operations begun from a second on that succeeded; `None` if there were none.
    pub fn success_from(&self, second: u64) -> Option<f64> {
        let slices = self.slices.iter().skip((second / SLICE.as_secs()) as usize);
        let (all, good) = slices.fold((0, 0), |sum, slice| (sum.0 + slice.0, sum.1 + slice.1));
        (all > 0).then(|| f64::from(good) / f64::from(all))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |(all, good): (u32, u32)| f64::from(good) * 100.0 / f64::from(all.max(1));
        writeln!(
            f,
            "  operations before: {} ({:.2} % succeeded)",
            self.before.0,
            share(self.before)
        )?;
        for (number, slice) in self.slices.iter().enumerate() {
            let from = number as u64 * SLICE.as_secs();
            writeln!(
                f,
                "  begun {from:>3} s after: {:>6} ({:.2} % succeeded)",
                slice.0,
                share(*slice)
            )?;
        }
        for (why, count) in &self.failures {
            writeln!(f, "  failed: {count} x {why}")?;
        }
        let (kept, missing) = &self.kept;
        writeln!(
            f,
            "  records that kept one of {REPLICAS} replicas: {kept}, not there at the end: {}",
            missing.len()
        )?;
        let slowest = self
            .back
            .iter()
            .map(|back| back.unwrap_or(BACK))
            .max()
            .unwrap_or_default();
        let never = self.back.iter().filter(|back| back.is_none()).count();
        write!(
            f,
            "  records that lost all: {}, the last one back after {:.1} s, never: {never}",
            self.back.len(),
            slowest.as_secs_f64()
        )
    }
}
