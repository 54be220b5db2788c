//! Super nodes that come, go, crash, and lose sight of each other.

use std::rc::Rc;
use std::time::Duration;

use credential::NodeId;
use overlay::association::{Mode, PutOutcome};
use overlay::{Key, PlaceError, SuperNodeEvent};
use sim::HostId;

use crate::authority::{Authority, Identity};
use crate::raw::node;
use crate::world::{World, key};

/// Places so many records from several users, each with a few.
pub(crate) fn fill(world: &mut World, count: usize) -> Vec<Key> {
    let users: Vec<HostId> = (0..count.div_ceil(8))
        .map(|at| world.user(&format!("user{at}"), &[0, 1]))
        .collect();
    (0..count)
        .map(|number| {
            let key = key(&format!("resource {number}"));
            world.network.run_for(Duration::from_millis(300));
            let body = format!("body {number}");
            world
                .update(users[number / 8], key, body.as_bytes())
                .unwrap();
            key
        })
        .collect()
}

pub(crate) fn all_found(world: &mut World, reader: HostId, keys: &[Key]) {
    for (number, &key) in keys.iter().enumerate() {
        let body = format!("body {number}").into_bytes();
        assert_eq!(world.bodies(reader, key), Ok(vec![body]), "{number}");
    }
}

fn copies(world: &World) -> usize {
    let stored = world
        .super_nodes
        .iter()
        .map(|&id| world.sn(id).machine.stored());
    stored.sum()
}

#[test]
fn r022_newcomers_get_their_share_before_they_announce_themselves() {
    let mut world = World::with_super_nodes(91, 6);
    let keys = fill(&mut world, 40);
    let reader = world.user("reader", &[2, 3]);
    for _ in 0..6 {
        let newcomer = world.add_super_node();
        let wanted = world.super_nodes.len();
        let joined = world.network.run_until(Duration::from_secs(20), |network| {
            matches!(network.host(newcomer), crate::node::Node::Sn(sn)
                if sn.events.contains(&SuperNodeEvent::Joined))
        });
        assert!(joined);
        let own = world.sn(newcomer).machine.node();
        let mine = keys.iter().filter(|&&key| {
            let replicas = world.sn(newcomer).machine.replicas(key);
            replicas.contains(&own)
        });
        assert_eq!(
            world.sn(newcomer).machine.stored(),
            mine.count(),
            "copied first"
        );
        all_found(&mut world, reader, &keys);
        assert!(world.settle(wanted));
    }
    all_found(&mut world, reader, &keys);
    // What others are responsible for now is dropped in time.
    world.network.run_for(Duration::from_secs(120));
    assert_eq!(copies(&world), 5 * keys.len());
    all_found(&mut world, reader, &keys);
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn a25_r022_r023_records_survive_crashes_one_after_the_other() {
    let mut world = World::with_super_nodes(92, 12);
    let keys = fill(&mut world, 30);
    let reader = world.user("reader", &[10, 11]);
    for _ in 0..7 {
        // Never one that the reader dials first.
        let lost = world.super_nodes.remove(2);
        world.network.kill(lost);
        let wanted = world.super_nodes.len();
        assert!(world.settle(wanted));
        world.network.run_for(Duration::from_secs(5));
        assert_eq!(copies(&world), 5 * keys.len(), "{wanted} left");
    }
    all_found(&mut world, reader, &keys);
}

#[test]
fn r023_records_survive_the_loss_of_two_replicas_at_once() {
    let mut world = World::with_super_nodes(93, 8);
    let keys = fill(&mut world, 24);
    let reader = world.user("reader", &[6, 7]);
    for lost in [2, 3] {
        world.network.kill(world.super_nodes[lost]);
    }
    // At once, before anybody has noticed.
    all_found(&mut world, reader, &keys);
    world.super_nodes.drain(2..4);
    assert!(world.settle(6));
    world.network.run_for(Duration::from_secs(10));
    assert_eq!(copies(&world), 5 * keys.len());
}

#[test]
fn r001_r022_a_clean_leave_loses_nothing() {
    let mut world = World::with_super_nodes(94, 9);
    let keys = fill(&mut world, 30);
    let reader = world.user("reader", &[7, 8]);
    for _ in 0..4 {
        let leaver = world.super_nodes.remove(2);
        world.with_sn(leaver, |sn, now| sn.leave(now));
        let wanted = world.super_nodes.len();
        assert!(world.settle(wanted));
        assert!(world.sn(leaver).events.contains(&SuperNodeEvent::Left));
        assert!(
            copies(&world) >= 5 * keys.len(),
            "handed over before it left"
        );
        all_found(&mut world, reader, &keys);
    }
    let lost = world.sn(world.super_nodes[0]).events.iter();
    let lost = lost.filter(|event| matches!(event, SuperNodeEvent::MemberLost(_)));
    assert_eq!(lost.count(), 4);
}

#[test]
fn r022_whoever_leaves_hands_on_to_those_who_have_just_become_replicas() {
    let mut world = World::with_super_nodes(96, 8);
    let keys = fill(&mut world, 16);
    let keepers = world.sn(world.super_nodes[0]).machine.replicas(keys[0]);
    let (kept, others): (Vec<HostId>, Vec<HostId>) = world
        .super_nodes
        .iter()
        .partition(|&&id| keepers.contains(&world.sn(id).machine.node()));
    let last = kept[2];
    for &lost in kept.iter().filter(|&&id| id != last) {
        world.network.kill(lost);
    }
    let noticed = world.network.run_until(Duration::from_secs(20), |network| {
        matches!(network.host(last), crate::node::Node::Sn(sn) if sn.machine.members().count() == 4)
    });
    assert!(noticed);
    world.with_sn(last, |sn, now| sn.leave(now));
    world.super_nodes = others;
    assert!(world.settle(3));
    let reader = world.user("reader", &[0, 1]);
    let body = world.bodies(reader, keys[0]);
    assert_eq!(body, Ok(vec![b"body 0".to_vec()]));
}

#[test]
fn a24_r022_a_record_placed_beside_its_replicas_is_handed_to_them_and_kept_for_a_minute() {
    let mut world = World::with_super_nodes(96, 10);
    let mut nodes: Vec<(NodeId, HostId)> = world
        .super_nodes
        .iter()
        .map(|&id| (world.sn(id).machine.node(), id))
        .collect();
    nodes.sort_unstable_by_key(|(node, _)| *node);
    let first = nodes.partition_point(|(node, _)| node.0 < key("k").0);
    nodes.rotate_left(first % 10);
    let (replica, beside) = (nodes[0].1, nodes[5].1);

    // Somebody whose table is behind holds the sixth for a replica.
    let alice = world.authority.user("sip:alice@example.org", 1);
    let record = world.record(&alice, key("k"), b"here", |_| {});
    let behind = world.authority.super_node(node(177));
    let at = world.super_nodes.iter().position(|&id| id == beside);
    let raw = world.raw_peer(&behind, at.unwrap());
    let placed = world.place(raw, Mode::Update, record);
    assert_eq!(placed, PutOutcome::Stored);
    assert_eq!(copies(&world), 1);

    world.network.run_for(Duration::from_secs(50));
    assert_eq!(world.sn(replica).machine.stored(), 1, "handed on");
    assert_eq!(world.sn(beside).machine.stored(), 1, "and kept for now");
    world.network.run_for(Duration::from_secs(60));
    assert_eq!(world.sn(beside).machine.stored(), 0);
    assert_eq!(copies(&world), 5, "at its five replicas");
}

#[test]
fn a_write_needs_a_quorum() {
    let mut world = World::with_super_nodes(95, 5);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"1").unwrap();
    for lost in [3, 4] {
        world.network.isolate(world.super_nodes[lost]);
    }
    world.update(alice, key("k"), b"2").unwrap();
    world.network.isolate(world.super_nodes[2]);
    assert_eq!(
        world.update(alice, key("k"), b"3"),
        Err(PlaceError::Timeout)
    );
    // Two are left, and know it after a while: a smaller ring has a smaller quorum.
    world.super_nodes.truncate(2);
    assert!(world.settle(2));
    world.update(alice, key("k"), b"4").unwrap();
    assert_eq!(world.bodies(alice, key("k")), Ok(vec![b"4".to_vec()]));
}

#[test]
fn a25_two_halves_find_each_other_again_and_no_record_is_lost() {
    let mut world = World::with_super_nodes(96, 8);
    let keys = fill(&mut world, 16);
    for one in 0..4 {
        for other in 4..8 {
            let (one, other) = (world.super_nodes[one], world.super_nodes[other]);
            world.network.cut(one, other);
        }
    }
    world.network.run_for(Duration::from_secs(60));
    for &id in &world.super_nodes {
        assert_eq!(world.sn(id).machine.members().count(), 4);
    }
    let left = world.user("left", &[0, 1]);
    let right = world.user("right", &[4, 5]);
    world
        .update(left, key("left"), b"written in the split")
        .unwrap();
    world
        .update(right, key("right"), b"written in the split")
        .unwrap();
    world.network.heal();
    let start = world.network.now();
    assert!(world.settle(8));
    assert!(world.network.now() - start < Duration::from_secs(30));
    world.network.run_for(Duration::from_secs(15));
    let written = Ok(vec![b"written in the split".to_vec()]);
    assert_eq!(world.bodies(left, key("right")), written);
    assert_eq!(world.bodies(right, key("left")), written);
    all_found(&mut world, left, &keys);
    all_found(&mut world, right, &keys);
}

#[test]
fn a26_r130_replicas_that_missed_a_write_or_a_removal_catch_up() {
    let mut world = World::with_super_nodes(97, 5);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"old").unwrap();
    world.update(alice, key("gone"), b"old").unwrap();
    let (behind, others) = (world.super_nodes[4], world.super_nodes[..4].to_vec());
    for &other in &others {
        world.network.cut(behind, other);
    }
    world.update(alice, key("k"), b"new").unwrap();
    world.remove(alice, key("gone"), None).unwrap();
    world.network.heal();
    assert!(world.settle(5));
    world.network.run_for(Duration::from_secs(12));
    for &other in &others {
        world.network.kill(other);
    }
    world.super_nodes = vec![behind];
    assert!(world.settle(1));
    let reader = world.user("reader", &[4]);
    assert_eq!(world.bodies(reader, key("k")), Ok(vec![b"new".to_vec()]));
    let gone = world.get(reader, key("gone"));
    assert_eq!(gone, Err(overlay::GetError::Gone));
}

#[test]
fn r001_nodes_that_start_at_the_same_moment_form_one_ring() {
    let mut world = World::new(98);
    // None of them has joined when the others ask.
    for _ in 0..6 {
        world.add_super_node();
    }
    assert!(world.settle(6));
}

#[test]
fn r001_nodes_that_began_alone_become_one_ring_once_they_hear_of_each_other() {
    let mut world = World::new(89);
    for _ in 0..4 {
        // Nobody is listed yet when each of them asks.
        let before = std::mem::take(&mut world.super_nodes);
        let number = before.len();
        let alone = world.add_super_node_named(number);
        world.super_nodes = before;
        world.super_nodes.push(alone);
    }
    world.network.run_for(Duration::from_secs(1));
    let seeds: Vec<overlay::Seed> = (0..4).map(|at| world.seed_of(at)).collect();
    let start = world.network.now();
    for id in world.super_nodes.clone() {
        let seeds = seeds.clone();
        world.with_sn(id, |sn, now| {
            let input = overlay::SuperNodeInput::Seeds(seeds);
            machine::Machine::handle_input(sn, input, now);
        });
    }
    assert!(world.settle(4));
    assert!(world.network.now() - start < Duration::from_secs(4));
}

#[test]
fn a25_a_node_that_restarts_is_not_mistaken_for_its_dead_self() {
    let mut world = World::with_super_nodes(90, 4);
    let keys = fill(&mut world, 8);
    let dead = world.super_nodes.remove(3);
    let identity = world.sn(dead).identity.clone();
    world.network.isolate(dead);
    // Before anybody has noticed. The links of the dead one still stand, and it is in everybody's table.
    let restarted = world.add_super_node_as(identity);
    let joined = world.network.run_until(Duration::from_secs(1), |network| {
        matches!(network.host(restarted), crate::node::Node::Sn(sn)
            if sn.events.contains(&SuperNodeEvent::Joined))
    });
    assert!(joined, "{:?}", world.sn(restarted).events);
    assert!(world.settle(4));
    let reader = world.user("reader", &[3, 0]);
    all_found(&mut world, reader, &keys);
    assert_eq!(world.sn(restarted).machine.stored(), keys.len());
}

#[test]
fn a_member_that_falls_silent_for_a_while_is_a_member_again() {
    let mut world = World::with_super_nodes(99, 5);
    let away = world.super_nodes[3];
    world.network.isolate(away);
    world.network.run_for(Duration::from_secs(20));
    assert_eq!(world.sn(world.super_nodes[0]).machine.members().count(), 4);
    world.network.heal();
    assert!(world.settle(5));
}

#[test]
fn same_seed_same_trace() {
    // Keys and certificates are drawn once: everything else depends on the seed.
    let authority = Rc::new(Authority::new(7));
    let quick = |mut identity: Identity| {
        identity.quick = true;
        Rc::new(identity)
    };
    let nodes: Vec<Rc<Identity>> = (0..6)
        .map(|number| quick(authority.super_node(node(number * 40))))
        .collect();
    let alice = quick(authority.user("sip:alice@example.org", 1));
    let run = |seed: u8| {
        let mut world = World::of(authority.clone(), seed);
        world.network.set_loss(20);
        for identity in &nodes {
            world.add_super_node_as(identity.clone());
        }
        assert!(world.settle(6));
        let alice = world.add_ordinary(alice.clone(), &[0, 1]);
        world.update(alice, key("k"), b"here").unwrap();
        world.network.kill(world.super_nodes[2]);
        world.bodies(alice, key("k")).unwrap();
        world.network.run_for(Duration::from_secs(20));
        world.network.trace()
    };
    assert_eq!(run(100), run(100));
    assert_ne!(run(100), run(101));
}
