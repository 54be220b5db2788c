//! The overlay at sizes and session times that no test can afford, with the state machines that the nodes run.

mod authority;
mod chance;
mod others;
mod part;
mod plot;
mod report;
mod scenario;
mod search;
mod traffic;
mod world;

use std::time::Instant;

use anyhow::{Context as _, bail};

use report::Row;
use scenario::{Outcome, Scenario};

/// Median session times, in hours.
const SESSIONS: [f64; 3] = [24.0, 5.5, 2.9];

fn stopwatch() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a run took is no part of it"
    )]
    Instant::now()
}

/// `bench overlay [--full] [--write] [--members N] [--hours H] [--seeds N] [--minutes N] [--table N]`
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let (mut full, mut write, mut members, mut hours) = (false, false, None, None);
    let (mut seeds, mut minutes, mut table) = (None, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if *word == "--full" {
            (full, write) = (true, true);
            continue;
        }
        if *word == "--write" {
            write = true;
            continue;
        }
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value"))?;
        match *word {
            "--members" => members = Some(value.parse()?),
            "--hours" => hours = Some(value.parse()?),
            "--seeds" => seeds = Some(value.parse()?),
            "--minutes" => minutes = Some(value.parse()?),
            "--table" => table = Some(value.parse()?),
            other => bail!("bench overlay has no option '{other}'"),
        }
    }
    if write && table.is_some() {
        bail!("the page has rows of rings in which all know all: leave --write or --table out");
    }
    let sizes: Vec<usize> = match members {
        Some(members) => vec![members],
        None if full => vec![100, 1_000, 10_000],
        None => vec![100, 1_000],
    };
    let sessions = hours.map_or(SESSIONS.to_vec(), |hours| vec![hours]);
    let mut rows = Vec::new();
    println!("{}", report::HEADER);
    for &members in &sizes {
        for &hours in &sessions {
            let seeds: u64 = seeds.unwrap_or(match (full, members) {
                (false, _) => 1,
                (true, ..=1_000) => 10,
                (true, _) => 3,
            });
            let scenario = Scenario::new(
                members,
                hours,
                minutes.unwrap_or(if full { 60 } else { 15 }),
            );
            let scenario = scenario.with_tables_of(table);
            let watch = stopwatch();
            let mut all: Option<Outcome> = None;
            for seed in 1..=seeds {
                let outcome = scenario.run(seed)?;
                all = Some(match all {
                    Some(all) => all.with(outcome),
                    None => outcome,
                });
            }
            let Some(all) = all else { continue };
            let row = Row::of(&all);
            println!("{row}");
            eprintln!("{}", report::details(&all, watch.elapsed()));
            rows.push(row);
        }
    }
    println!();
    println!("{}", others::table(&sizes));
    if write {
        report::write(&rows)?;
    }
    Ok(())
}
