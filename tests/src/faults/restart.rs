//! All ordinary nodes of a network vanish and come back at the same moment.

use super::{start, start_some};
use crate::process::processors_time;
use crate::{Crowd, Farm, Ordinary, Place};
use relay_node::files;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked who is back.
const LOOK: Duration = Duration::from_millis(100);
/// How many come at a time at first.
const PORTION: usize = 200;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many super nodes.
    pub super_nodes: usize,
    /// How many ordinary nodes.
    pub ordinary: usize,
    /// Whether they come by TLS.
    pub secure: bool,
    /// How long it may take.
    pub patience: Duration,
}

/// How long after the restart so many in a hundred were registered, by two super nodes each.
#[derive(Debug)]
pub struct Report {
    ordinary: usize,
    /// Half of them.
    pub half: Duration,
    /// 95 %.
    pub most: Duration,
    /// All, if they were in time.
    pub all: Option<Duration>,
    /// How many were at the end.
    pub back: usize,
    /// How often they dialled.
    pub dials: u32,
    /// The processors' time of all super nodes, and of all ordinary nodes.
    pub used: (Duration, Duration),
}

/// Does it.
///
/// # Panics
///
/// When the network does not come up, or does not take all of them one after the other.
pub async fn run(plan: Plan) -> Report {
    let files = 4_096 + 4 * plan.ordinary as u64;
    files::raise(files).unwrap_or_else(|error| panic!("{files} open files are needed: {error}"));
    let place = Place {
        secure: plan.secure,
        ..Place::default()
    };
    let farm = Farm::start_at(&vec![place; plan.super_nodes], &[]).await;
    let mut crowd = Crowd::new(&farm, plan.ordinary);
    if plan.secure {
        crowd.trust(&farm.trust());
    }
    // They have been there before, and did not come all at once: each has a record.
    let numbers: Vec<usize> = (0..plan.ordinary).collect();
    let mut first = Vec::new();
    for portion in numbers.chunks(PORTION) {
        let mut nodes = start_some(&crowd, &farm, portion);
        for node in &mut nodes {
            node.stands(1, true).await;
        }
        first.extend(nodes);
    }
    drop(first);
    let before = used(&farm);
    let begin = Instant::now();
    let nodes = start(&crowd, &farm);
    let (mut half, mut most, mut all) = (None, None, None);
    let mut back = 0;
    while all.is_none() && begin.elapsed() < plan.patience {
        sleep(LOOK).await;
        back = nodes.iter().filter(|node| is_back(node)).count();
        let now = begin.elapsed();
        for (mark, share) in [(&mut half, 50), (&mut most, 95), (&mut all, 100)] {
            if mark.is_none() && back * 100 >= plan.ordinary * share {
                *mark = Some(now);
            }
        }
    }
    let after = used(&farm);
    let dials = nodes.iter().map(|node| node.standing.borrow().dials);
    Report {
        ordinary: plan.ordinary,
        half: half.unwrap_or(plan.patience),
        most: most.unwrap_or(plan.patience),
        all,
        back,
        dials: dials.sum(),
        used: (after.0 - before.0, after.1 - before.1),
    }
}

fn is_back(node: &Ordinary) -> bool {
    let standing = node.standing.borrow();
    standing.associations == 2 && standing.placed.is_some()
}

fn used(farm: &Farm) -> (Duration, Duration) {
    let nodes = farm.nodes().iter().filter_map(|node| node.pid());
    let nodes = nodes.map(|pid| processors_time(&pid.to_string()));
    (nodes.sum(), processors_time("self"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| time.as_secs_f64();
        writeln!(
            f,
            "  registered again: half after {:.1} s, 95 % after {:.1} s, {} of {} {}",
            seconds(self.half),
            seconds(self.most),
            self.back,
            self.ordinary,
            match self.all {
                Some(all) => format!("after {:.1} s", seconds(all)),
                None => "in time".to_owned(),
            }
        )?;
        writeln!(
            f,
            "  dials: {} for each",
            f64::from(self.dials) / self.ordinary as f64
        )?;
        write!(
            f,
            "  processors' time: super nodes {:.1} s, ordinary nodes {:.1} s",
            seconds(self.used.0),
            seconds(self.used.1)
        )
    }
}
