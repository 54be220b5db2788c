//! Forming the ring, finding records, losing nodes.

use std::time::Duration;

use overlay::{GetError, Reading};

use crate::node::Node;
use crate::world::{World, key};

#[test]
fn r001_nodes_form_one_ring_and_every_key_has_one_responsible_node() {
    for count in [1, 2, 3, 5, 6, 12, 30] {
        let world = World::with_super_nodes(3, count);
        for number in 0..50 {
            let key = key(&format!("resource {number}"));
            let first = world.sn(world.super_nodes[0]).machine.replicas(key);
            assert_eq!(first.len(), count.min(5));
            for &node in &world.super_nodes {
                assert_eq!(world.sn(node).machine.replicas(key), first);
            }
        }
        assert!(world.offences().is_empty(), "{:?}", world.offences());
    }
}

#[test]
fn r002_a_record_placed_anywhere_is_found_everywhere() {
    let mut world = World::with_super_nodes(4, 9);
    let key = key("user location|alice@example.org");
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key, b"here").unwrap();
    for at in 0..9 {
        let reader = world.user(&format!("reader{at}"), &[at, (at + 1) % 9]);
        assert_eq!(world.bodies(reader, key), Ok(vec![b"here".to_vec()]));
        let node = world.super_nodes[at];
        let overlay = world.overlay();
        let query = world.with_sn(node, |sn, now| sn.get(overlay, key, None, now));
        world.network.run_for(Duration::from_secs(3));
        assert!(world.sn(node).events.iter().any(|event| matches!(
            event,
            overlay::SuperNodeEvent::Records { query: of, records, .. }
                if *of == query && records[0].body == b"here"
        )));
    }
    let copies = world
        .super_nodes
        .iter()
        .map(|&node| world.sn(node).machine.stored());
    assert_eq!(copies.sum::<usize>(), 5);
    assert!(world.offences().is_empty());
}

#[test]
fn not_found_needs_all_replicas_and_says_so() {
    let mut world = World::with_super_nodes(5, 7);
    let alice = world.user("alice", &[0, 1]);
    assert_eq!(world.get(alice, key("nobody")), Err(GetError::NotFound));
    assert_eq!(
        world.get_as(alice, key("nobody"), Reading::Newest),
        Err(GetError::NotFound)
    );
}

#[test]
fn r011_losing_a_super_node_does_not_end_service() {
    let mut world = World::with_super_nodes(6, 4);
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[2, 3]);
    let key = key("user location|alice@example.org");
    world.update(alice, key, b"one").unwrap();
    let lost = world.super_nodes[0];
    world.network.kill(lost);
    world.super_nodes.remove(0);
    assert_eq!(world.bodies(bob, key), Ok(vec![b"one".to_vec()]));
    world.update(alice, key, b"two").unwrap();
    assert_eq!(world.bodies(bob, key), Ok(vec![b"two".to_vec()]));
    assert!(
        world.associated(alice, 2),
        "a second one is found by itself"
    );
    let start = world.network.now();
    assert!(world.settle(3));
    assert!(world.network.now() - start < Duration::from_secs(5));
}

#[test]
fn silent_super_node_is_noticed_within_seconds() {
    let mut world = World::with_super_nodes(7, 4);
    let alice = world.user("alice", &[0, 1]);
    let lost = world.super_nodes[0];
    world.network.isolate(lost);
    let start = world.network.now();
    let noticed = world.network.run_until(Duration::from_secs(10), |network| {
        matches!(network.host(alice), Node::On(on) if on.machine.associations().count() < 2)
    });
    assert!(noticed, "{:?}", world.on(alice).events);
    let took = world.network.now() - start;
    assert!(took <= Duration::from_millis(2_200), "{took:?}");
    world.super_nodes.remove(0);
    assert!(world.settle(3));
    let took = world.network.now() - start;
    assert!(took <= Duration::from_millis(5_500), "{took:?}");
}
