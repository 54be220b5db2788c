//! All ordinary nodes of a network vanish and come back at the same moment.

use super::portion::{Part, Portion};
use crate::process::processors_time;
use crate::{Farm, Place};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often it is looked who is back.
const LOOK: Duration = Duration::from_millis(100);
/// How many a process of their own takes.
const PORTION: usize = 2_500;

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many super nodes.
    pub super_nodes: usize,
    /// How many ordinary nodes.
    pub ordinary: usize,
    /// Whether they come by TLS.
    pub secure: bool,
    /// How long it may take.
    pub patience: Duration,
    /// The program whose processes they are ([`Portion::apart`]), in portions; without one they are in this process.
    pub program: Option<PathBuf>,
}

/// How long after the restart so many in a hundred were registered again: reachable by one super node at least.
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
    /// When all had their second associations, too.
    pub twice: Option<Duration>,
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
    let place = Place {
        secure: plan.secure,
        ..Place::default()
    };
    let farm = Farm::start_at(&vec![place; plan.super_nodes], &[]).await;
    let mut portions: Vec<Portion> = Vec::new();
    for first in (0..plan.ordinary).step_by(PORTION) {
        let part = Part {
            authority: farm.authority_directory(),
            trust: plan.secure.then(|| farm.trust()),
            users: first..plan.ordinary.min(first + PORTION),
            urls: farm.urls(),
        };
        portions.push(match &plan.program {
            Some(program) => Portion::apart(program, &part),
            None => Portion::here(part),
        });
    }
    for portion in &mut portions {
        portion.ready().await;
    }
    for portion in &mut portions {
        portion.come().await;
    }
    let before = used(&farm);
    let begin = Instant::now();
    for portion in &mut portions {
        portion.restart().await;
    }
    let (mut half, mut most, mut all, mut twice) = (None, None, None, None);
    let mut back = 0;
    while twice.is_none() && begin.elapsed() < plan.patience {
        sleep(LOOK).await;
        let counts = portions.iter().map(Portion::count);
        back = counts.clone().map(|count| count.back).sum();
        let whole: usize = counts.map(|count| count.twice).sum();
        let now = begin.elapsed();
        for (mark, count, share) in [
            (&mut half, back, 50),
            (&mut most, back, 95),
            (&mut all, back, 100),
            (&mut twice, whole, 100),
        ] {
            if mark.is_none() && count * 100 >= plan.ordinary * share {
                *mark = Some(now);
            }
        }
    }
    let counts = portions.iter().map(Portion::count);
    Report {
        ordinary: plan.ordinary,
        half: half.unwrap_or(plan.patience),
        most: most.unwrap_or(plan.patience),
        all,
        back,
        twice,
        dials: counts.clone().map(|count| count.dials).sum(),
        used: (used(&farm) - before, counts.map(|count| count.used).sum()),
    }
}

/// The processors' time of the super nodes.
fn used(farm: &Farm) -> Duration {
    let nodes = farm.nodes().iter().filter_map(|node| node.pid());
    nodes.map(|pid| processors_time(&pid.to_string())).sum()
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
        if let Some(twice) = self.twice {
            let twice = seconds(twice);
            writeln!(f, "  by two super nodes each: all after {twice:.1} s")?;
        }
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
