//! A network is split in two, both halves go on, and the line between them heals.

use super::seen;
use crate::line::{Line, Namespace};
use crate::{Crowd, Farm, Ordinary};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// How long each ordinary node rests between two updates.
const REST: Duration = Duration::from_secs(1);
/// How often super nodes are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many super nodes in each half.
    pub super_nodes: usize,
    /// How many ordinary nodes in each half.
    pub ordinary: usize,
    /// How long it is split.
    pub split: Duration,
    /// How long the ring may take to be one, and the records to be there.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// How long after the cut each half was a ring of its own; `None` if the line healed before.
    pub parted: Option<Duration>,
    /// Of how many records a newer version was acknowledged while the network was split.
    pub updated: usize,
    /// How long after it healed the ring was one, if it was in time.
    pub merged: Option<Duration>,
    /// How many records were acknowledged.
    pub records: usize,
    /// Those that were not found from both halves as new as they had been acknowledged.
    pub missing: Vec<String>,
    /// How long after it healed the last one was found.
    pub found: Duration,
}

/// One half of the network.
struct Half {
    numbers: Vec<usize>,
    urls: Vec<String>,
    runtime: Option<Runtime>,
}

impl Half {
    fn start(&self, crowd: &Crowd, number: usize, registers: bool) -> Ordinary {
        let runtime = self.runtime.as_ref().expect("it runs");
        let _inside = runtime.enter();
        let mut urls = self.urls.clone();
        let places = urls.len();
        urls.rotate_left(number / 2 % places);
        crowd.start(number, urls, registers)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does it.
///
/// # Panics
///
/// When the network does not come up, or this process may make no network namespaces.
pub async fn run(plan: Plan) -> Report {
    let line = Line::lay().await;
    let ends = line.ends().iter().cycle().take(2 * plan.super_nodes);
    let places: Vec<_> = ends.clone().map(Namespace::place).collect();
    let mut farm = Farm::prepare(&places, &[]);
    for (number, end) in ends.enumerate() {
        farm.within(number, end.within());
    }
    farm.run_all().await;
    let crowd = Crowd::new(&farm, 2 * plan.ordinary);
    let halves = [0, 1].map(|half| {
        let numbers: Vec<usize> = (half..places.len()).step_by(2).collect();
        let urls = numbers.iter().map(|&number| &farm.nodes()[number].url);
        Half {
            urls: urls.cloned().collect(),
            numbers,
            runtime: Some(line.ends()[half].runtime()),
        }
    });
    let uris: Vec<String> = crowd.uris().map(str::to_owned).collect();
    let users = 0..uris.len();
    let start = |user: usize| halves[user % 2].start(&crowd, user, true);
    let mut nodes: Vec<Ordinary> = users.clone().map(start).collect();
    for node in &mut nodes {
        node.stands(2, true).await;
    }
    let before = acknowledged(&nodes);

    line.cut();
    let cut = Instant::now();
    let end = cut + plan.split;
    let mut updating: JoinSet<_> = nodes.into_iter().map(|node| update(node, end)).collect();
    let halved = async {
        for half in &halves {
            they_see(&farm, &half.numbers, plan.super_nodes).await;
        }
        cut.elapsed()
    };
    let parted = timeout_at(end, halved).await.ok();
    let mut placed = vec![0; uris.len()];
    let mut updated = 0;
    while let Some(Ok(node)) = updating.join_next().await {
        let user = uris.iter().position(|uri| *uri == node.uri);
        let user = user.expect("one of the users");
        placed[user] = node.standing.borrow().placed.unwrap_or(u64::MAX);
        updated += usize::from(placed[user] > before[user]);
        // The owner vanishes, and will not place it again.
    }

    line.heal();
    let healed = Instant::now();
    let everybody: Vec<usize> = (0..places.len()).collect();
    let one = they_see(&farm, &everybody, places.len());
    let merged = timeout_at(healed + plan.patience, one).await.ok();
    let merged = merged.map(|()| healed.elapsed());

    let mut searching = JoinSet::new();
    for user in users {
        // In the half that the user was not in, where the next one was.
        let reader = halves[(user + 1) % 2].start(&crowd, user, false);
        let next = (user + 1) % uris.len();
        let wanted = [user, next].map(|owner| (uris[owner].clone(), placed[owner]));
        searching.spawn(async move {
            let mut missing = Vec::new();
            for (uri, sequence) in wanted {
                if seen(&reader, &uri, sequence, healed + plan.patience)
                    .await
                    .is_none()
                {
                    missing.push(uri);
                }
            }
            (missing, healed.elapsed())
        });
    }
    let searched = searching.join_all().await;
    Report {
        parted,
        updated,
        merged,
        records: uris.len(),
        missing: searched
            .iter()
            .flat_map(|(missing, _)| missing.clone())
            .collect(),
        found: searched
            .iter()
            .map(|(_, found)| *found)
            .max()
            .unwrap_or_default(),
    }
}

fn acknowledged(nodes: &[Ordinary]) -> Vec<u64> {
    let placed = nodes.iter().map(|node| node.standing.borrow().placed);
    placed.map(Option::unwrap_or_default).collect()
}

async fn update(node: Ordinary, end: Instant) -> Ordinary {
    while Instant::now() < end {
        let _ = node.update().await;
        sleep(REST).await;
    }
    node
}

async fn they_see(farm: &Farm, numbers: &[usize], members: usize) {
    for &number in numbers {
        while farm.nodes()[number].members() != Some(members) {
            sleep(LOOK).await;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = |time: Option<Duration>| match time {
            Some(time) => format!("after {:.1} s", time.as_secs_f64()),
            None => "never".to_owned(),
        };
        writeln!(f, "  two rings: {}", after(self.parted))?;
        writeln!(
            f,
            "  records: {}, updated while split: {}",
            self.records, self.updated
        )?;
        writeln!(f, "  one ring again: {}", after(self.merged))?;
        write!(
            f,
            "  records not found from both halves: {}; the last one was found {}",
            self.missing.len(),
            after(Some(self.found))
        )
    }
}
