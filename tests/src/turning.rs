//! A relay under load, beside coturn: the processor's time that it takes for each packet, what is lost, and how late packets come.
//!
//! ```text
//! client ── ChannelData ──► relay ──► peer      one half of the flows
//! client ◄── ChannelData ── relay ◄── peer      the other half
//! ```
//!
//! One thread with a processor of its own is all clients and the peer; the relay has the other processors.

mod client;
mod load;
mod server;

use std::fmt::Write as _;
use std::time::Duration;

use relay_node::files;
use rustix::thread::{CpuSet, sched_setaffinity};

use client::open;
use load::{Load, Seen};
use server::{Relay, Which};

/// What to measure.
#[derive(Debug)]
pub struct Plan {
    rounds: usize,
    time: Duration,
    loads: Vec<(&'static str, Load)>,
    servers: Vec<Which>,
}

/// All loads, with what of coturn's time is aimed at.
const LOADS: [(&str, Load, f64); 5] = [
    ("10 flows, 50/s", Load::Paced { flows: 10 }, 0.75),
    ("200 flows, 50/s", Load::Paced { flows: 200 }, 0.75),
    ("2,000 flows, 50/s", Load::Paced { flows: 2_000 }, 0.75),
    ("saturated", Load::Saturated { flows: 400 }, 0.95),
    ("bulk", Load::Bulk { flows: 8 }, 0.4),
];
/// The names of the loads for the command line.
const NAMES: [&str; 5] = ["few", "calls", "many", "saturated", "bulk"];
/// Allocations that are made to see what one costs.
const ALLOCATIONS: usize = 2_000;

impl Plan {
    /// Reads the words of the command line.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(words: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            rounds: 3,
            time: Duration::from_secs(5),
            loads: Vec::new(),
            servers: vec![Which::Ours, Which::Coturn],
        };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().and_then(|word| word.parse().ok());
                value.ok_or_else(|| format!("{word} needs a number"))
            };
            if let Some(place) = NAMES.iter().position(|name| *name == word) {
                plan.loads.push((LOADS[place].0, LOADS[place].1));
                continue;
            }
            match word {
                "--rounds" | "-n" => plan.rounds = number()?,
                "--seconds" => plan.time = Duration::from_secs(number()? as u64),
                "--ours" => plan.servers = vec![Which::Ours],
                "--coturn" => plan.servers = vec![Which::Coturn],
                _ => {
                    return Err(format!(
                        "usage: turn_bench [{}] [--rounds N] [--seconds N] [--ours | --coturn]",
                        NAMES.join("] [")
                    ));
                }
            }
        }
        if plan.loads.is_empty() {
            plan.loads = LOADS.iter().map(|(name, load, _)| (*name, *load)).collect();
        }
        Ok(plan)
    }
}

/// Measures, and gives the table; each row is printed as it comes, too.
///
/// # Panics
/// When a server does not start, or does not relay at all.
pub async fn run(plan: &Plan) -> String {
    files::raise(8_192).expect("8,192 open files");
    let own = split();
    let mut costs = vec![[0.0; 2]; plan.loads.len()];
    println!(
        "{:<9}{:<19}{:>11}{:>10}{:>7}{:>8}{:>9}{:>9}",
        "server", "load", "packets/s", "us each", "busy", "lost", "p50 us", "p99 us"
    );
    let mut making = Vec::new();
    for _ in 0..plan.rounds {
        for which in &plan.servers {
            for (place, (name, load)) in plan.loads.iter().enumerate() {
                let relay = Relay::start(*which, own).await;
                let seen = one(&relay, *load, plan.time);
                costs[place][*which as usize] += seen.each() / plan.rounds as f64;
                println!("{:<9}{name:<19}{seen}", which.name());
            }
            let relay = Relay::start(*which, own).await;
            making.push((*which, allocations(&relay)));
        }
    }
    let mut text = String::new();
    for (which, cost) in making {
        let _ = writeln!(
            text,
            "{:<9}allocations: {:.0} us each, {:.0}/s, {:.1} KiB each",
            which.name(),
            cost.each,
            cost.rate,
            cost.memory / 1024.0
        );
    }
    for ((name, _), [ours, theirs]) in plan.loads.iter().zip(&costs) {
        let aim = LOADS.iter().find(|(known, ..)| known == name);
        let aim = aim.map_or(f64::NAN, |(_, _, aim)| *aim);
        let _ = writeln!(
            text,
            "ours / coturn, {name}: {:.2} ({ours:.2} / {theirs:.2} us; expected: at most {aim})",
            ours / theirs
        );
    }
    text + "\nmeasured by: cargo xtask bench turn\n"
}

/// Takes the last processor for this thread, if there are several; gives those that are left for the server.
fn split() -> Option<CpuSet> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let last = count.checked_sub(1).filter(|last| *last > 0)?;
    let (mut own, mut rest) = (CpuSet::new(), CpuSet::new());
    own.set(last);
    (0..last).for_each(|processor| rest.set(processor));
    sched_setaffinity(None, &own).ok()?;
    Some(rest)
}

fn one(relay: &Relay, load: Load, time: Duration) -> Seen {
    let peer = load::peer();
    let flows = open(relay.address, &peer, load.flows());
    let mut run = load::Run::new(peer, flows);
    run.warm(load);
    let before = relay.processor();
    let mut seen = run.run(load, time);
    seen.processor = relay.processor() - before;
    seen
}

/// What an allocation costs.
struct Making {
    each: f64,
    rate: f64,
    memory: f64,
}

fn allocations(relay: &Relay) -> Making {
    let peer = load::peer();
    // What the server needs for the first ones is not counted.
    let _first = open(relay.address, &peer, 64);
    let (memory, processor) = (relay.memory(), relay.processor());
    let begun = tokio::time::Instant::now();
    let _flows = open(relay.address, &peer, ALLOCATIONS);
    let took = begun.elapsed();
    Making {
        each: (relay.processor() - processor).as_micros() as f64 / ALLOCATIONS as f64,
        rate: ALLOCATIONS as f64 / took.as_secs_f64(),
        memory: relay.memory().saturating_sub(memory) as f64 / ALLOCATIONS as f64,
    }
}
