//! `cargo xtask bench overlay-live`: what put() and get() cost among thirty real nodes, beside libp2p's Kademlia and
//! OpenDHT on the same machine in the same run.
//!
//! Each system has thirty processes in a network of its own, which has nothing but a loopback interface, so that what
//! goes over it can be counted. They are measured by turns, one operation at a time.

mod fleet;
mod report;
mod space;
mod systems;

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{shell, tools, workspace};
use fleet::Fleet;
use report::Measured;
use space::Space;
use systems::{LibP2p, OpenDht, Ours, System};

/// Nodes of each system.
const NODES: u64 = 30;
/// Records that one node places in a round. With the rounds below, each stays within what a super node may own.
const EACH: u64 = 10;
const ROUNDS: u64 = 5;
const MOST_ROUNDS: u64 = 5;
/// How long after the last operation of a phase its consequences are still counted: copies, what is written to the disk.
const SETTLING: Duration = Duration::from_millis(600);

pub(crate) fn overlay_live(arguments: &[&str]) -> Result<()> {
    let rounds = match arguments {
        [] => ROUNDS,
        ["-n", number] => number.parse().context("-n needs a number")?,
        _ => bail!("bench overlay-live has the option -n NUMBER"),
    };
    if !(1..=MOST_ROUNDS).contains(&rounds) {
        bail!("-n takes 1 to {MOST_ROUNDS} rounds");
    }
    tools::packages(&[
        (&["g++"], "g++"),
        (&["ip"], "iproute2"),
        (&["unshare"], "util-linux"),
    ])?;
    tools::headers(&[("opendht.h", "libopendht-dev")])?;
    let directory = workspace::cache()?.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let systems: [Box<dyn System>; 3] = [
        Box::new(Ours::build(&directory)?),
        Box::new(LibP2p::build()?),
        Box::new(OpenDht::build(&directory)?),
    ];
    let mut running = Vec::new();
    for system in &systems {
        shell::step(&format!("starting {NODES} nodes of {}", system.name()));
        let space = Space::open()?;
        let fleet = Fleet::start(system.as_ref(), &space, NODES)?;
        running.push((space, fleet, Measured::new(system.name())));
    }
    shell::step("a first round, which is not counted, then those that are");
    for round in 0..=rounds {
        for (space, fleet, measured) in &mut running {
            let mut seen = measure(space, fleet, round)?;
            if round > 0 {
                measured.add(&mut seen);
            }
        }
        eprintln!("    round {round} of {rounds}");
    }
    let measured: Vec<Measured> = running.into_iter().map(|(_, _, seen)| seen).collect();
    report::print(&measured, rounds);
    fs::remove_dir_all(&directory)?;
    Ok(())
}

/// One round at one system: each node places records in turn, then each record is read at a node that does not keep it.
fn measure(space: &Space, fleet: &mut Fleet, round: u64) -> Result<Measured> {
    let mut seen = Measured::default();
    let numbers = (0..NODES * EACH).map(|place| round * NODES * EACH + place);
    let before = (fleet.processor_time()?, space.bytes()?);
    for number in numbers.clone() {
        let answer = fleet.ask(number % NODES, &format!("put {number}"))?;
        seen.put.take(&answer);
    }
    sleep(SETTLING);
    let after = (fleet.processor_time()?, space.bytes()?);
    seen.put.cost(before, after);

    let mut readers = Vec::new();
    for number in numbers {
        readers.push((number, reader(fleet, number)?));
    }
    let before = (fleet.processor_time()?, space.bytes()?);
    for (number, reader) in readers {
        let answer = fleet.ask(reader, &format!("get {number}"))?;
        seen.get.take(&answer);
    }
    sleep(SETTLING);
    let after = (fleet.processor_time()?, space.bytes()?);
    seen.get.cost(before, after);
    Ok(seen)
}

/// A node that neither keeps the record nor placed it. Which one is as good as random.
fn reader(fleet: &mut Fleet, number: u64) -> Result<u64> {
    for step in 0..NODES {
        let node = (number * 7 + number / NODES + step) % NODES;
        if node != number % NODES && fleet.ask(node, &format!("holds {number}"))? == "no" {
            return Ok(node);
        }
    }
    bail!("every node keeps record {number}")
}
