//! What goes wrong in real networks, done to real super-node processes under real ordinary nodes.

use crate::Farm;
use crate::crowd::key;
use credential::NodeId;

/// How many super nodes keep a record.
const REPLICAS: usize = 5;

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
