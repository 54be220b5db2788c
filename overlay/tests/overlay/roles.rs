//! Who does what in the overlay, and how many may fail to.

use std::collections::BTreeSet;

use credential::OverlayId;
use overlay::association::FromSuperNode;
use overlay::peer::Message;
use overlay::{Placement, Policy, SignedRecord, Writer, frame};
use sim::HostId;

use crate::node::Node;
use crate::world::{World, key};

#[test]
fn r002_r003_r012_what_a_newcomer_places_is_found_by_all_who_were_there() {
    let mut world = World::with_super_nodes(110, 6);
    let mut users: Vec<HostId> = Vec::new();
    for at in 0..6 {
        // Nobody has heard of this resource, its kind or its owner before.
        let newcomer = world.user(&format!("user{at}"), &[at, (at + 1) % 6]);
        users.push(newcomer);
        let new = key(&format!("new kind {at}|"));
        world.update(newcomer, new, b"new").unwrap();
        for &user in &users {
            assert_eq!(world.bodies(user, new), Ok(vec![b"new".to_vec()]));
        }
    }
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn r008_r014_who_is_no_super_node_is_served_and_keeps_no_share() {
    let mut world = World::with_super_nodes(111, 4);
    let users: Vec<HostId> = (0..8)
        .map(|at| world.user(&format!("user{at}"), &[at % 4, (at + 1) % 4]))
        .collect();
    world.network.keep_log();
    for (at, &user) in users.iter().enumerate() {
        let own = key(&format!("user location|user{at}"));
        world.update(user, own, b"here").unwrap();
        let reader = users[(at + 3) % 8];
        assert_eq!(world.bodies(reader, own), Ok(vec![b"here".to_vec()]));
    }
    let stored = world.super_nodes.iter();
    let stored = stored.map(|&id| world.sn(id).machine.stored());
    assert_eq!(
        stored.sum::<usize>(),
        8 * 4,
        "all copies lie at super nodes"
    );
    for traffic in world.network.take_log() {
        if users.contains(&traffic.to) {
            let message = frame::decode::<FromSuperNode>(world.overlay(), &traffic.payload);
            assert!(message.is_ok(), "nothing of the table goes to {message:?}");
        }
    }
    for &id in &world.super_nodes {
        assert_eq!(world.sn(id).machine.members().count(), 4);
    }
}

#[test]
fn r027_r035_the_control_record_says_whose_a_record_is_and_who_may_change_it() {
    let mut world = World::with_super_nodes(112, 3);
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[1, 2]);
    let k = key("shared");
    let sealed = Placement {
        policy: Policy {
            update: Writer::Nobody,
            remove: Writer::Owner,
        },
        ..Placement::lasting(60)
    };
    let sequence = world.add(alice, k, b"of alice", sealed).unwrap();
    world
        .add(bob, k, b"of bob", Placement::lasting(90))
        .unwrap();
    let mut records = world.get(bob, k).unwrap();
    records.sort_by(|one, other| one.body.cmp(&other.body));
    let [of_alice, of_bob] = records.as_slice() else {
        panic!("one each: {records:?}");
    };
    let control = &of_alice.control;
    assert_eq!((control.overlay, control.key), (world.overlay(), k));
    assert_eq!(control.owner, "sip:alice@example.org");
    assert_eq!(control.policy, sealed.policy);
    let credential = world.on(alice).identity.certificate.der();
    assert_eq!(of_alice.certificate, credential, "kept with the record");
    assert_eq!((control.sequence, control.lifetime), (sequence, 60));
    assert_eq!(of_bob.control.owner, "sip:bob@example.org");
    // Managed by key and owner: what one of them does is nothing to the other.
    world.remove(alice, k, None).unwrap();
    assert_eq!(world.bodies(alice, k), Ok(vec![b"of bob".to_vec()]));
}

/// What an evil super node makes of an answer to a search: the records that it tells, or silence.
type Lie = fn(Vec<SignedRecord>) -> Option<Vec<SignedRecord>>;

const LIES: [Lie; 3] = [
    |_| None,
    |_| Some(Vec::new()),
    |mut records| {
        for record in &mut records {
            record.body = b"altered".to_vec();
        }
        Some(records)
    },
];

fn corrupt(world: &mut World, at: usize, lie: Lie) {
    let overlay = world.overlay();
    world.network.with(world.super_nodes[at], |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            tell(overlay, bytes, lie).into_iter().collect()
        }));
    });
}

/// Changes the answers to searches, of super nodes as of ordinary nodes; all else goes as it is.
fn tell(overlay: OverlayId, bytes: Vec<u8>, lie: Lie) -> Option<Vec<u8>> {
    if let Ok(Message::Found { request, records }) = frame::decode(overlay, &bytes) {
        let records = lie(records)?;
        return Some(frame::encode(overlay, &Message::Found { request, records }));
    }
    if let Ok(FromSuperNode::Records {
        request,
        records,
        end,
    }) = frame::decode(overlay, &bytes)
    {
        let records = lie(records)?;
        let message = FromSuperNode::Records {
            request,
            records,
            end,
        };
        return Some(frame::encode(overlay, &message));
    }
    Some(bytes)
}

#[test]
fn a21_r023_r138_a_quarter_of_evil_super_nodes_hides_no_record() {
    for evil in [1, 2, 4, 5] {
        let mut world = World::with_super_nodes(113, 20);
        let alice = world.user("alice", &[18, 19]);
        let keys: Vec<_> = (0..15).map(|at| key(&format!("resource {at}"))).collect();
        for &key in &keys {
            world.update(alice, key, b"true").unwrap();
        }
        for at in 0..evil {
            corrupt(&mut world, at * 3, LIES[at % LIES.len()]);
        }
        // One of Bob's two super nodes is evil, too.
        let bob = world.user("bob", &[0, 1]);
        for &key in &keys {
            let start = world.network.now();
            assert_eq!(world.bodies(bob, key), Ok(vec![b"true".to_vec()]));
            let took = world.network.now() - start;
            assert!(took.as_millis() < 4_000, "{evil} evil: {took:?}");
        }
    }
}

#[test]
fn a21_r023_four_of_five_replicas_together_hide_no_record() {
    let mut world = World::with_super_nodes(114, 12);
    let alice = world.user("alice", &[0, 1]);
    let k = key("user location|alice@example.org");
    world.update(alice, k, b"true").unwrap();
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(k);
    let places: Vec<usize> = (0..12)
        .filter(|&at| replicas.contains(&world.sn(world.super_nodes[at]).machine.node()))
        .collect();
    let honest: BTreeSet<usize> = (0..12).filter(|at| !places.contains(at)).collect();
    for (lie, &at) in LIES.iter().cycle().zip(&places[1..]) {
        corrupt(&mut world, at, *lie);
    }
    let known: Vec<usize> = honest.into_iter().take(2).collect();
    let bob = world.user("bob", &known);
    assert_eq!(world.bodies(bob, k), Ok(vec![b"true".to_vec()]));
}
