//! Refreshing a record without sending it again, and adding it again when it was lost.

use std::time::Duration;

use credential::Signature;
use overlay::association::{FromOrdinary, FromSuperNode, Mode, PutOutcome};
use overlay::peer::Message;
use overlay::{Key, OrdinaryEvent, Placement, RecordFault, Refused, frame};
use sim::HostId;

use crate::raw::node;
use crate::world::{World, key};

/// A key none of whose replicas is among these super nodes.
fn far_from(world: &World, taken: &[usize]) -> Key {
    let taken: Vec<_> = taken
        .iter()
        .map(|&at| world.sn(world.super_nodes[at]).machine.node())
        .collect();
    let mut keys = (0..).map(|number| key(&format!("far {number}")));
    let far = |key: &Key| {
        let replicas = world.sn(world.super_nodes[0]).machine.replicas(*key);
        replicas.iter().all(|replica| !taken.contains(replica))
    };
    keys.find(far).unwrap()
}

fn replicas(world: &World, key: Key) -> Vec<HostId> {
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(key);
    let nodes = world.super_nodes.iter().copied();
    nodes
        .filter(|&id| replicas.contains(&world.sn(id).machine.node()))
        .collect()
}

fn losses(world: &World, on: HostId, key: Key) -> usize {
    let lost = |event: &&OrdinaryEvent| **event == OrdinaryEvent::Lost(key);
    world.on(on).events.iter().filter(lost).count()
}

#[test]
fn r036_a_refresh_carries_neither_body_nor_certificate() {
    let mut world = World::with_super_nodes(65, 6);
    let alice = world.user("alice", &[0, 1]);
    let k = key("k");
    let place = |world: &mut World, body: &[u8]| {
        let (overlay, body) = (world.overlay(), body.to_vec());
        let query = world.with_on(alice, |on, now| {
            on.update(overlay, k, body, Placement::lasting(40), now)
        });
        world.placed(alice, query).unwrap()
    };
    let body = [7; 6_000];
    let first = place(&mut world, &body);
    for _ in 0..3 {
        world.network.run_for(Duration::from_secs(20));
        world.network.keep_log();
        place(&mut world, &body);
        let largest = world.network.take_log().into_iter();
        let largest = largest.map(|traffic| traffic.payload.len()).max();
        assert!(largest < Some(600), "{largest:?}");
    }
    // Past what the record as it was first placed would have lived.
    let reader = world.user("reader", &[2, 3]);
    let records = world.get(reader, k).unwrap();
    assert_eq!(records[0].body, body);
    assert!(records[0].control.sequence >= first + 60_000);
    assert!(world.complaints(reader).is_empty());
    assert!(world.offences().is_empty(), "{:?}", world.offences());
    // Another body goes there whole, and a refresh does not outlive its own lifetime.
    place(&mut world, b"changed");
    assert_eq!(world.bodies(reader, k), Ok(vec![b"changed".to_vec()]));
    place(&mut world, b"changed");
    world.network.run_for(Duration::from_secs(41));
    assert!(world.get(reader, k).is_err());
}

#[test]
fn who_has_no_record_to_refresh_asks_for_the_whole_one() {
    let mut world = World::with_super_nodes(66, 1);
    let alice = world.user("alice", &[0]);
    world.update(alice, key("k"), b"body").unwrap();
    // Its disk is lost, too.
    let id = world.super_nodes[0];
    world.network.with(id, |node, _| {
        if let crate::node::Node::Sn(sn) = node {
            sn.disk.clear();
        }
    });
    world.restart(0);
    assert!(world.settle(1));
    assert_eq!(world.sn(world.super_nodes[0]).machine.stored(), 0);
    assert!(world.associated(alice, 1));
    world.update(alice, key("k"), b"body").unwrap();
    let reader = world.user("reader", &[0]);
    assert_eq!(world.bodies(reader, key("k")), Ok(vec![b"body".to_vec()]));
}

#[test]
fn a06_a18_a_forged_refresh_changes_nothing_and_costs_little() {
    let mut world = World::with_super_nodes(67, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let record = world.record(&alice, key("k"), b"true", |_| {});
    assert_eq!(
        world.put(raw, Mode::Update, record.clone()),
        PutOutcome::Stored
    );
    // By another user.
    let of_mallory = world.raw_user(&mallory, 0);
    let mut control = record.control.clone();
    control.sequence += 1_000;
    let touch = FromOrdinary::Touch {
        request: 7,
        control: control.clone(),
        signature: Signature([1; 64]),
    };
    world.say(of_mallory, &touch);
    let refused = FromSuperNode::Put {
        request: 7,
        outcome: PutOutcome::Refused(Refused::Record(RecordFault::Owner)),
    };
    assert!(world.heard(of_mallory).contains(&refused));
    // By an evil super node, and many of them.
    let evil = world.authority.super_node(node(77));
    let evil = world.raw_peer(&evil, 1);
    let before = world.sn(world.super_nodes[1]).verifications;
    for request in 0..2_000 {
        let touch = Message::Touch {
            request,
            control: control.clone(),
            signature: Signature([1; 64]),
        };
        let bytes = frame::encode(world.overlay(), &touch);
        world.send_bytes(evil, bytes);
    }
    world.network.run_for(Duration::from_secs(2));
    let cost = world.sn(world.super_nodes[1]).verifications - before;
    assert!(cost < 200, "{cost} verifications");
    let absent = PutOutcome::Refused(Refused::Absent);
    let answers: Vec<Message> = world.heard(evil);
    assert!(
        answers
            .iter()
            .any(|answer| matches!(answer, Message::Placed { outcome, .. } if *outcome == absent))
    );
    let reader = world.user("reader", &[1, 2]);
    let found = world.get(reader, key("k")).unwrap();
    assert_eq!(found, [record]);
    // The owner himself can still refresh.
    let mut newer = world.record(&alice, key("k"), b"true", |_| {});
    newer.control.sequence += 2_000;
    newer.signature = alice.sign(&newer.message());
    world.say(
        raw,
        &FromOrdinary::Touch {
            request: 8,
            control: newer.control.clone(),
            signature: newer.signature,
        },
    );
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(world.get(reader, key("k")), Ok(vec![newer]));
}

#[test]
fn a25_an_owner_adds_again_what_all_its_keepers_took_along() {
    let mut world = World::with_super_nodes(68, 12);
    let alice = world.user("alice", &[0, 1]);
    let k = far_from(&world, &[0, 1]);
    world.update(alice, k, b"here").unwrap();
    let lost = replicas(&world, k);
    assert_eq!(lost.len(), 5);
    for &id in &lost {
        world.network.kill(id);
    }
    world.super_nodes.retain(|id| !lost.contains(id));
    let told = world.network.run_until(Duration::from_secs(20), |network| {
        matches!(network.host(alice), crate::node::Node::On(on)
            if on.events.contains(&OrdinaryEvent::Lost(k)))
    });
    assert!(told, "its super node says so");
    world.update(alice, k, b"here").unwrap();
    let reader = world.user("reader", &[0, 1]);
    assert_eq!(world.bodies(reader, k), Ok(vec![b"here".to_vec()]));
    world.network.run_for(Duration::from_secs(60));
    assert_eq!(losses(&world, alice, k), 1);
}

#[test]
fn nobody_is_asked_to_add_again_what_still_has_copies() {
    let mut world = World::with_super_nodes(69, 12);
    let alice = world.user("alice", &[0, 1]);
    let k = far_from(&world, &[0, 1]);
    world.update(alice, k, b"here").unwrap();
    let keepers = replicas(&world, k);
    // Four of five: it has to be looked for, and is found.
    for &id in &keepers[..4] {
        world.network.kill(id);
    }
    world.super_nodes.retain(|id| !keepers[..4].contains(id));
    world.network.run_for(Duration::from_secs(60));
    assert_eq!(losses(&world, alice, k), 0);
    let copies = world.super_nodes.iter();
    let copies = copies.filter(|&&id| world.sn(id).machine.stored() == 1);
    assert_eq!(copies.count(), 5, "from the one that was left");
}
