//! What goes wrong in real networks, done to real super-node processes under real ordinary nodes: tests run it small and
//! assert, `cargo xtask bench faults` runs it in full and prints.

pub mod crash;
pub mod portion;
pub mod restart;
pub mod split;

use crate::crowd::key;
use crate::{Crowd, Farm, Ordinary};
use credential::NodeId;
use machine::Rng;
use overlay::Reading;
use relay_node::crypto::entropy;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How many super nodes keep a record.
const REPLICAS: usize = 5;
const PAUSE: Duration = Duration::from_millis(250);

/// The super nodes that keep the records of a name, nearest first.
pub fn replicas(farm: &Farm, name: &str) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = farm.nodes().iter().map(|node| node.id).collect();
    nodes.sort();
    let first = nodes.partition_point(|node| node.0 < key(name).0);
    let count = nodes.len();
    nodes.rotate_left(first % count.max(1));
    nodes.truncate(REPLICAS);
    nodes
}

/// Starts all users' nodes, each with the super nodes in an order of its own.
fn start(crowd: &Crowd, farm: &Farm) -> Vec<Ordinary> {
    let users: Vec<usize> = (0..crowd.uris().count()).collect();
    start_some(crowd, &farm.urls(), &users)
}

/// The same for some users.
fn start_some(crowd: &Crowd, urls: &[String], users: &[usize]) -> Vec<Ordinary> {
    let mut rng = Rng::new(entropy());
    let one = |&number: &usize| {
        let mut urls = urls.to_vec();
        shuffle(&mut urls, &mut rng);
        crowd.start(number, urls, true)
    };
    users.iter().map(one).collect()
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for place in 1..items.len() {
        items.swap(place, rng.below(place as u32 + 1) as usize);
    }
}

/// Waits until a record is found that is as new as this; says when it was.
pub async fn seen(
    reader: &Ordinary,
    uri: &str,
    sequence: u64,
    patience: Instant,
) -> Option<Instant> {
    let looking = async {
        loop {
            match reader.get(uri, uri, Reading::Newest).await {
                Ok(found) if found >= sequence => return Instant::now(),
                Ok(_) | Err(_) => sleep(PAUSE).await,
            }
        }
    };
    timeout_at(patience, looking).await.ok()
}
