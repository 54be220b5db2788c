//! What was measured, and how the systems compare.

use std::time::Duration;

use super::{EACH, NODES};

/// What was seen of one system.
#[derive(Default)]
pub(super) struct Measured {
    name: &'static str,
    pub(super) put: Phase,
    pub(super) get: Phase,
}

/// What was seen of one kind of operation.
#[derive(Default)]
pub(super) struct Phase {
    /// How long each took, in milliseconds.
    times: Vec<f64>,
    failed: usize,
    processor: Duration,
    bytes: u64,
}

impl Measured {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, other: &mut Self) {
        self.put.add(&mut other.put);
        self.get.add(&mut other.get);
    }
}

impl Phase {
    /// Takes a node's answer: `done MICROSECONDS`, or why it failed.
    pub(super) fn take(&mut self, answer: &str) {
        let microseconds = answer.strip_prefix("done ");
        match microseconds.and_then(|number| number.parse::<f64>().ok()) {
            Some(number) => self.times.push(number / 1000.0),
            None => {
                if self.failed == 0 {
                    eprintln!("    {answer}");
                }
                self.failed += 1;
            }
        }
    }

    /// Takes processor time and bytes of all nodes before and after.
    pub(super) fn cost(&mut self, before: (Duration, u64), after: (Duration, u64)) {
        self.processor += after.0.saturating_sub(before.0);
        self.bytes += after.1.saturating_sub(before.1);
    }

    fn add(&mut self, other: &mut Self) {
        self.times.append(&mut other.times);
        self.failed += other.failed;
        self.processor += other.processor;
        self.bytes += other.bytes;
    }

    /// What so many of a hundred stay within.
    fn percentile(&self, share: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        let place = (times.len() * share).div_ceil(100).max(1) - 1;
        times.get(place).copied().unwrap_or(f64::NAN)
    }

    fn each(&self, sum: f64) -> f64 {
        match self.times.len() + self.failed {
            0 => f64::NAN,
            count => sum / count as f64,
        }
    }
}

/// A column: its name, its unit, and what it shows of a phase.
type Column = (&'static str, &'static str, fn(&Phase) -> f64);

/// A kind of operation: its name, and what was seen of it.
type Operation = (&'static str, fn(&Measured) -> &Phase);

const COLUMNS: [Column; 4] = [
    ("p50", "ms", |phase| phase.percentile(50)),
    ("p99", "ms", |phase| phase.percentile(99)),
    ("CPU", "ms", |phase| {
        phase.each(phase.processor.as_secs_f64() * 1000.0)
    }),
    ("bytes", "kB", |phase| {
        phase.each(phase.bytes as f64 / 1000.0)
    }),
];

pub(super) fn print(measured: &[Measured], rounds: u64) {
    let Some((ours, peers)) = measured.split_first() else {
        return;
    };
    print!("\n{:<20}", format!("{} of each", rounds * NODES * EACH));
    for seen in measured {
        print!("{:>13}", seen.name);
    }
    for peer in peers {
        print!("{:>20}", format!("ours / {}", peer.name));
    }
    println!();
    let phases: [Operation; 2] = [("put", |seen| &seen.put), ("get", |seen| &seen.get)];
    for (operation, phase) in phases {
        for (name, unit, value) in COLUMNS {
            print!("{:<20}", format!("{operation} {name}, {unit}"));
            let value = |seen| value(phase(seen));
            for seen in measured {
                print!("{:>13.2}", value(seen));
            }
            for peer in peers {
                print!("{:>20.2}", value(ours) / value(peer));
            }
            println!();
        }
        if measured.iter().any(|seen| phase(seen).failed > 0) {
            print!("{:<20}", format!("{operation} failed"));
            for seen in measured {
                print!("{:>13}", phase(seen).failed);
            }
            println!();
        }
    }
    println!("\nMeasured by: cargo xtask bench overlay-live -n {rounds}");
    println!(
        "{NODES} processes of each on this machine, one operation at a time, by turns; records of 900 bytes. A get() is made at a\n\
         node that does not keep the record, and is done when the record is there. CPU and bytes (with headers, on the\n\
         loopback interface) are those of all nodes together, upkeep included.\n\
         Partyline: the calls of a super node. A put() is signed, verified by five super nodes, and done when three have stored\n\
         it and said so; it is written to their disks. A get() asks three, verifies what it hands over, and is done when\n\
         their answers show that nothing newer exists.\n\
         libp2p: QUIC, links to all nodes stand. A record lies unsigned at 20 nodes; a put() is done when three have it, a\n\
         get() with the first record.\n\
         OpenDHT: UDP in clear text, records unsigned at 8 nodes; a get() is done with the first record."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_what_so_many_stay_within() {
        let mut phase = Phase::default();
        for number in 1..=200 {
            phase.take(&format!("done {}", number * 1000));
        }
        assert_eq!(phase.percentile(50), 100.0);
        assert_eq!(phase.percentile(99), 198.0);
        assert!(Phase::default().percentile(50).is_nan());
    }

    #[test]
    fn what_failed_costs_as_well() {
        let mut phase = Phase::default();
        phase.take("done 500");
        phase.take("failed Timeout");
        let second = Duration::from_secs(1);
        phase.cost((second, 1000), (second * 3, 5000));
        assert_eq!(phase.failed, 1);
        assert_eq!(phase.each(phase.bytes as f64), 2000.0);
        assert_eq!(phase.each(phase.processor.as_secs_f64()), 1.0);
    }
}
