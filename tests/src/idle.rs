//! Many ordinary nodes that are associated with one super node by secured WebSockets, and do nothing.

use crate::process::processors_time;
use crate::{Crowd, Farm, Ordinary, Place};
use relay_node::files;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many may be on their way at a time.
const AT_ONCE: usize = 128;
/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many associations.
    pub associations: usize,
    /// How long they rest before it is measured.
    pub rest: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    /// How many there were at the end.
    pub associations: usize,
    /// The super node's resident memory without any, and with all after they rested, in bytes.
    pub memory: (u64, u64),
    /// How long it took until all stood.
    pub took: Duration,
    /// The share of one processor that the super node took while they rested.
    pub busy: f64,
}

impl Report {
    /// Bytes of resident memory that each association takes.
    pub fn each(&self) -> u64 {
        let (before, after) = self.memory;
        after.saturating_sub(before) / self.associations.max(1) as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        write!(
            f,
            "  {} associations stood after {:.1} s\n  resident memory: {:.1} MiB without them, {:.1} MiB with them: {:.1} KiB \
             each\n  at rest they take {:.1} % of a processor",
            self.associations,
            self.took.as_secs_f64(),
            megabytes(self.memory.0),
            megabytes(self.memory.1),
            self.each() as f64 / 1024.0,
            self.busy * 100.0
        )
    }
}

/// Does it.
///
/// # Panics
///
/// When the super node does not start, or the system does not allow as many files.
pub async fn run(plan: Plan) -> Report {
    let files = 1_024 + plan.associations as u64;
    files::raise(files).unwrap_or_else(|error| panic!("{files} open files are needed: {error}"));
    let place = Place {
        secure: true,
        ..Place::default()
    };
    let farm = Farm::start_at(&[place], &[]).await;
    let mut crowd = Crowd::new(&farm, plan.associations);
    crowd.trust(&farm.trust());
    let process = farm.nodes()[0].pid().expect("it runs");
    let before = resident(process);

    let begin = Instant::now();
    let mut nodes: Vec<Ordinary> = Vec::new();
    while nodes.len() < plan.associations {
        let under_way = nodes.len() - standing(&nodes);
        for _ in under_way..AT_ONCE.min(plan.associations - nodes.len() + under_way) {
            nodes.push(crowd.start(nodes.len(), farm.urls(), false));
        }
        sleep(LOOK).await;
    }
    for node in &mut nodes {
        node.stands(1, false).await;
    }
    let took = begin.elapsed();

    let (used, began) = (processors_time(&process.to_string()), Instant::now());
    sleep(plan.rest).await;
    let used = processors_time(&process.to_string()).saturating_sub(used);
    let busy = used.as_secs_f64() / began.elapsed().as_secs_f64();
    Report {
        associations: standing(&nodes),
        memory: (before, resident(process)),
        took,
        busy,
    }
}

fn standing(nodes: &[Ordinary]) -> usize {
    let standing = |node: &&Ordinary| node.standing.borrow().associations > 0;
    nodes.iter().filter(standing).count()
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilobytes.expect("the system says what a process has") << 10
}
