//! Forming the ring, finding records, losing nodes.

use std::time::Duration;

use overlay::association::FromSuperNode;
use overlay::peer::Message;
use overlay::{GetError, Key, Placement, Reading, SuperNodeEvent, frame};

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
fn r002_r045_a_record_placed_anywhere_is_found_everywhere() {
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
fn r024_not_found_needs_all_replicas_and_says_so() {
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

#[test]
fn r012_r013_super_nodes_alone_place_and_find() {
    let mut world = World::with_super_nodes(8, 8);
    let (first, last) = (world.super_nodes[0], world.super_nodes[7]);
    let (overlay, body) = (world.overlay(), b"proxy".to_vec());
    let key = key("proxy location|example.org");
    let placed = world.with_sn(first, |sn, now| {
        sn.update(overlay, key, body, Placement::lasting(3_600), now)
    });
    world.network.run_for(Duration::from_secs(1));
    let events = &world.sn(first).events;
    assert!(events.iter().any(|event| matches!(
        event,
        SuperNodeEvent::Placed { query, .. } if *query == placed
    )));
    let found = world.with_sn(last, |sn, now| sn.get(overlay, key, None, now));
    let missed = world.with_sn(last, |sn, now| sn.get(overlay, Key([0; 20]), None, now));
    world.network.run_for(Duration::from_secs(1));
    let owner = world.sn(first).machine.node().to_string();
    let events = &world.sn(last).events;
    assert!(events.iter().any(|event| matches!(
        event,
        SuperNodeEvent::Records { query, records, .. }
            if *query == found && records[0].control.owner == owner
    )));
    let not_found = SuperNodeEvent::GetFailed {
        query: missed,
        error: GetError::NotFound,
    };
    assert!(events.contains(&not_found));
}

#[test]
fn r009_r010_r015_r017_a_super_node_asks_others_only_if_its_own_store_has_nothing() {
    let mut world = World::with_super_nodes(9, 12);
    let alice = world.user("alice", &[0, 1]);
    let key = key("user location|alice@example.org");
    world.update(alice, key, b"here").unwrap();
    for at in 0..12 {
        let reader = world.user(&format!("reader{at}"), &[at]);
        world.network.run_for(Duration::from_secs(1));
        world.network.keep_log();
        world.network.take_log();
        world.bodies(reader, key).unwrap();
        let log = world.network.take_log().into_iter();
        let searches = log.filter(|traffic| {
            let message = traffic.payload.get(17..).map(postcard::from_bytes);
            let between = world.super_nodes.contains(&traffic.to);
            between
                && traffic.from == world.super_nodes[at]
                && matches!(message, Some(Ok(Message::Find(_))))
        });
        let keeps = world.sn(world.super_nodes[at]).machine.stored() == 1;
        let expected = if keeps { 0 } else { 3 };
        assert_eq!(searches.count(), expected, "keeps it: {keeps}");
    }
}

#[test]
fn r011_a_write_goes_by_the_other_association_when_one_is_slow() {
    let mut world = World::with_super_nodes(10, 5);
    let alice = world.user("alice", &[0, 1]);
    let overlay = world.overlay();
    let links: Vec<_> = world.on(alice).machine.associations().collect();
    let first = links[0].1;
    let silent = world.super_nodes.iter().copied();
    let silent = silent
        .filter(|&id| world.sn(id).machine.node() == first)
        .collect::<Vec<_>>();
    world.network.with(silent[0], |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            let message = frame::decode::<FromSuperNode>(overlay, &bytes);
            let is_answer = matches!(message, Ok(FromSuperNode::Put { .. }));
            (!is_answer).then_some(bytes).into_iter().collect()
        }));
    });
    let start = world.network.now();
    world.update(alice, key("k"), b"here").unwrap();
    let took = world.network.now() - start;
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    assert!(took > Duration::from_millis(900), "the first one was tried");
}
