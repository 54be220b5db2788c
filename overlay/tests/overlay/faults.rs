//! Many super nodes at once that lie, alter what they hand over, or fall.

use std::time::Duration;

use overlay::association::FromSuperNode;
use overlay::peer::Message;
use overlay::{GetError, Key, Offence, OrdinaryEvent, RecordFault, SignedRecord, frame};
use sim::HostId;

use crate::node::Node;
use crate::world::{World, key};

/// What an evil super node does to the records on their way out; none: it says nothing.
type Lie = fn(Vec<SignedRecord>) -> Option<Vec<SignedRecord>>;

const LIES: [Lie; 4] = [
    |_| None,
    |_| Some(Vec::new()),
    alter,
    // Somebody else's.
    |mut records| {
        for record in &mut records {
            record.control.owner = "sip:mallory@example.org".into();
        }
        Some(records)
    },
];

fn alter(mut records: Vec<SignedRecord>) -> Option<Vec<SignedRecord>> {
    for record in &mut records {
        record.body = b"altered".to_vec();
    }
    Some(records)
}

impl World {
    /// From now on a super node changes every answer to a search, and every copy.
    fn turn_evil(&mut self, id: HostId, lie: Lie) {
        let overlay = self.overlay();
        let change = move |bytes: &[u8]| -> Option<Vec<u8>> {
            match frame::decode(overlay, bytes) {
                Ok(Message::Found { request, records }) => {
                    let records = lie(records)?;
                    return Some(frame::encode(overlay, &Message::Found { request, records }));
                }
                Ok(Message::Copies { records }) => {
                    let records = lie(records)?;
                    return Some(frame::encode(overlay, &Message::Copies { records }));
                }
                _ => {}
            }
            match frame::decode(overlay, bytes) {
                Ok(FromSuperNode::Records {
                    request,
                    records,
                    end,
                }) => {
                    let records = lie(records)?;
                    let answer = FromSuperNode::Records {
                        request,
                        records,
                        end,
                    };
                    Some(frame::encode(overlay, &answer))
                }
                _ => Some(bytes.to_vec()),
            }
        };
        self.network.with(id, |node, _| {
            if let Node::Sn(sn) = node {
                sn.evil = Some(Box::new(move |_, bytes| {
                    change(&bytes).into_iter().collect()
                }));
            }
        });
    }

    fn number_of(&self, node: credential::NodeId) -> usize {
        let mut nodes = self.super_nodes.iter();
        nodes
            .position(|&id| self.sn(id).machine.node() == node)
            .unwrap()
    }
}

/// One user places so many records.
fn fill(world: &mut World, on: HostId, count: usize) -> Vec<Key> {
    let keys: Vec<Key> = (0..count)
        .map(|at| key(&format!("resource {at}")))
        .collect();
    for &key in &keys {
        world.network.run_for(Duration::from_millis(300));
        world.update(on, key, b"true").unwrap();
    }
    keys
}

#[test]
fn a14_a21_r023_success_over_the_share_of_super_nodes_that_collude_round_a_key() {
    const NODES: usize = 20;
    const KEYS: usize = 24;
    let mut curve = [(5, 0, 0), (10, 0, 0), (20, 0, 0), (25, 0, 0)];
    for seed in [121, 122, 123] {
        let mut world = World::with_super_nodes(seed, NODES);
        let alice = world.user("alice", &[0, 1]);
        let keys = fill(&mut world, alice, KEYS);
        // The evil ones sit side by side from the first key on, as its replicas and those of keys nearby.
        let mut ring: Vec<_> = world.sn(world.super_nodes[0]).machine.members().collect();
        ring.sort();
        let first = world.sn(world.super_nodes[0]).machine.replicas(keys[0])[0];
        let begin = ring.iter().position(|(node, _)| *node == first).unwrap();
        let order: Vec<_> = (0..NODES).map(|at| ring[(begin + at) % NODES].0).collect();
        let order: Vec<usize> = order.iter().map(|&node| world.number_of(node)).collect();
        let mut evil = 0;
        for (share, tried, found) in &mut curve {
            while evil < *share * NODES / 100 {
                let id = world.super_nodes[order[evil]];
                world.turn_evil(id, LIES[evil % LIES.len()]);
                evil += 1;
            }
            // One of the reader's two super nodes is evil as well.
            let reader = world.user(&format!("reader{share}"), &[order[NODES - 1], order[0]]);
            for &key in &keys {
                *tried += 1;
                let bodies = world.bodies(reader, key);
                assert_ne!(bodies, Ok(vec![b"altered".to_vec()]), "never believed");
                *found += u32::from(bodies == Ok(vec![b"true".to_vec()]));
            }
        }
    }
    println!("evil super nodes | found");
    for (share, tried, found) in curve {
        println!(
            "{share:>14} % | {:.2} %",
            f64::from(found) * 100.0 / f64::from(tried)
        );
        // With a quarter of them, all five replicas of the keys next to the first are evil.
        let enough = if share <= 20 { 999 } else { 850 };
        assert!(
            found * 1_000 >= tried * enough,
            "{share} %: {found} of {tried}"
        );
    }
}

#[test]
fn a24_what_a_leaving_super_node_alters_is_refused_and_made_up_for() {
    let mut world = World::with_super_nodes(124, 9);
    let alice = world.user("alice", &[0, 1]);
    let keys = fill(&mut world, alice, 20);
    let leaver = world.super_nodes.remove(4);
    world.turn_evil(leaver, alter);
    world.with_sn(leaver, |sn, now| sn.leave(now));
    assert!(world.settle(8));
    world.network.run_for(Duration::from_secs(15));
    let offence = Offence::Record(RecordFault::Signature);
    assert!(world.offences().iter().any(|(_, how)| *how == offence));
    let stored = world.super_nodes.iter();
    let stored: usize = stored.map(|&id| world.sn(id).machine.stored()).sum();
    assert!(stored >= 5 * keys.len(), "{stored} copies");
    let reader = world.user("reader", &[2, 3]);
    for &key in &keys {
        assert_eq!(world.bodies(reader, key), Ok(vec![b"true".to_vec()]));
    }
}

#[test]
fn a24_r023_a_joining_super_node_that_drops_its_share_takes_nothing_away() {
    let mut world = World::with_super_nodes(125, 8);
    let alice = world.user("alice", &[0, 1]);
    let keys = fill(&mut world, alice, 20);
    let newcomer = world.add_super_node();
    world.turn_evil(newcomer, |_| Some(Vec::new()));
    assert!(world.settle(9));
    // Whoever is no longer responsible has dropped its copies by now.
    world.network.run_for(Duration::from_secs(120));
    let reader = world.user("reader", &[2, 3]);
    for &key in &keys {
        assert_eq!(world.bodies(reader, key), Ok(vec![b"true".to_vec()]));
    }
}

#[test]
fn a25_copies_after_a_loss_go_at_the_rate_that_is_set() {
    const RATE: usize = 24_000;
    let mut world = World::new(127);
    world.limits.copy_rate = RATE as u32;
    world.grow(7);
    let alice = world.user("alice", &[0, 1]);
    for number in 0..30 {
        world.network.run_for(Duration::from_millis(300));
        let key = key(&format!("{number}"));
        world.update(alice, key, &[7; 6_000]).unwrap();
    }
    let lost = world.super_nodes.remove(4);
    let had = world.sn(lost).machine.stored();
    world.network.kill(lost);
    assert!(world.settle(6));
    world.network.keep_log();
    const SECONDS: usize = 20;
    world.network.run_for(Duration::from_secs(SECONDS as u64));
    let log = world.network.take_log();
    for &id in &world.super_nodes {
        let copies = log.iter().filter(|traffic| {
            let message = frame::decode(world.overlay(), &traffic.payload);
            traffic.from == id && matches!(message, Ok(Message::Copies { .. }))
        });
        let bytes: usize = copies.map(|traffic| traffic.payload.len()).sum();
        assert!(bytes <= RATE * SECONDS, "{bytes} bytes in {SECONDS} s");
    }
    world.network.run_for(Duration::from_secs(60));
    let stored = world.super_nodes.iter();
    let stored: usize = stored.map(|&id| world.sn(id).machine.stored()).sum();
    assert_eq!(
        stored,
        5 * 30,
        "{had} copies were lost, and are there again"
    );
}

#[test]
fn a25_r023_three_of_ten_super_nodes_fall_at_once_and_no_record_stays_lost() {
    let mut world = World::with_super_nodes(126, 20);
    let users: Vec<HostId> = (0..6)
        .map(|number| world.user(&format!("user{number}"), &[0, 1]))
        .collect();
    let mut keys = Vec::new();
    for (number, &user) in users.iter().enumerate() {
        for at in 0..8 {
            let key = key(&format!("{number} {at}"));
            world.network.run_for(Duration::from_millis(300));
            world.update(user, key, b"true").unwrap();
            keys.push((user, key));
        }
    }
    let reader = world.user("reader", &[0, 1]);
    let kept = |world: &World, key: Key| world.sn(world.super_nodes[0]).machine.replicas(key);
    let before: Vec<_> = keys.iter().map(|(_, key)| kept(&world, *key)).collect();
    let fallen: Vec<HostId> = world.super_nodes.drain(4..10).collect();
    let names: Vec<_> = fallen
        .iter()
        .map(|&id| world.sn(id).machine.node())
        .collect();
    for id in fallen {
        world.network.kill(id);
    }
    // At once, before anybody has noticed: whatever has a copy left is found.
    let mut found = 0;
    for ((_, key), keepers) in keys.iter().zip(&before) {
        let left = keepers.iter().any(|keeper| !names.contains(keeper));
        let bodies = world.bodies(reader, *key);
        assert_eq!(bodies.is_ok(), left, "{bodies:?}");
        found += usize::from(bodies.is_ok());
    }
    assert!(found * 100 >= keys.len() * 95, "{found} of {}", keys.len());
    assert!(world.settle(14));
    // Owners who are told add again what has none.
    world.network.run_for(Duration::from_secs(20));
    for &(user, key) in &keys {
        if world.on(user).events.contains(&OrdinaryEvent::Lost(key)) {
            world.update(user, key, b"true").unwrap();
        }
    }
    world.network.run_for(Duration::from_secs(30));
    for (_, key) in keys {
        assert_ne!(world.get(reader, key), Err(GetError::NotFound));
    }
    let copies = world.super_nodes.iter();
    let copies: usize = copies.map(|&id| world.sn(id).machine.stored()).sum();
    assert_eq!(copies, 5 * 48, "all replicas have their copies again");
}
