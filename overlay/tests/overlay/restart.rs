//! What a super node keeps over the end of its process.

use std::time::Duration;

use overlay::association::{Mode, PutOutcome};
use overlay::{Key, Refused, SuperNodeEvent};
use sim::HostId;

use crate::node::Node;
use crate::world::{World, key};

fn with_disk(world: &mut World, id: HostId, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    world.network.with(id, |node, _| {
        let Node::Sn(sn) = node else {
            panic!("no super node")
        };
        let (slots, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut sn.disk).into_iter().unzip();
        change(&mut kept);
        sn.disk = slots.into_iter().zip(kept).collect();
    });
}

fn restored(world: &World, at: usize) -> Option<(usize, usize)> {
    let mut events = world.sn(world.super_nodes[at]).events.iter();
    events.find_map(|event| match event {
        SuperNodeEvent::Restored { records, damaged } => Some((*records, *damaged)),
        _ => None,
    })
}

#[test]
fn a11_a13_r130_sequences_survive_the_end_of_the_record_and_a_restart() {
    let mut world = World::with_super_nodes(61, 1);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let old = world.record(&alice, key("brief"), b"old", |_| {});
    let brief = world.record(&alice, key("brief"), b"new", |control| {
        control.sequence += 1;
        control.lifetime = 60;
    });
    let newest = brief.control.sequence;
    let first = world.record(&alice, key("gone"), b"first", |_| {});
    let stays = world.record(&alice, key("stays"), b"stays", |_| {});
    for record in [&old, &brief, &first, &stays] {
        let placed = world.put(raw, Mode::Update, record.clone());
        assert_eq!(placed, PutOutcome::Stored);
    }
    let tombstone = world.record(&alice, key("gone"), b"", |control| control.removed = true);
    let removed_at = tombstone.control.sequence;
    assert_eq!(world.put(raw, Mode::Remove, tombstone), PutOutcome::Stored);
    // Time enough for the newer version to end, and to be swept away.
    world.network.run_for(Duration::from_secs(120));
    for restarts in 0..2 {
        let raw = world.raw_user(&alice, 0);
        let replayed = world.put(raw, Mode::Update, old.clone());
        let older = PutOutcome::Refused(Refused::Older(newest));
        assert_eq!(replayed, older, "after {restarts} restarts");
        let replayed = world.put(raw, Mode::Add, first.clone());
        let older = PutOutcome::Refused(Refused::Older(removed_at));
        assert_eq!(replayed, older, "after {restarts} restarts");
        let reader = world.user(&format!("reader{restarts}"), &[0]);
        assert_eq!(
            world.bodies(reader, key("stays")),
            Ok(vec![b"stays".to_vec()])
        );
        world.restart(0);
        assert!(world.settle(1));
        assert_eq!(restored(&world, 0), Some((3, 0)));
    }
    // Once no earlier version could count any more, nothing is left of either, nor on the disk.
    world.network.run_for(Duration::from_secs(3_600));
    let id = world.super_nodes[0];
    assert_eq!(world.sn(id).machine.stored(), 0);
    assert!(world.sn(id).disk.is_empty());
}

#[test]
fn a25_records_survive_a_restart_of_all_super_nodes_at_once() {
    let mut world = World::with_super_nodes(62, 8);
    let alice = world.user("alice", &[0, 1]);
    let keys: Vec<Key> = (0..12).map(|number| key(&format!("{number}"))).collect();
    for &key in &keys {
        world.network.run_for(Duration::from_millis(300));
        world.update(alice, key, b"kept").unwrap();
    }
    world.remove(alice, keys[0], None).unwrap();
    world.network.run_for(Duration::from_secs(1));
    for at in 0..8 {
        world.network.kill(world.super_nodes[at]);
    }
    for at in 0..8 {
        world.restart(at);
    }
    assert!(world.settle(8));
    let reader = world.user("reader", &[2, 3]);
    assert_eq!(world.get(reader, keys[0]), Err(overlay::GetError::Gone));
    for &key in &keys[1..] {
        assert_eq!(world.bodies(reader, key), Ok(vec![b"kept".to_vec()]));
    }
}

#[test]
fn what_is_damaged_on_the_disk_comes_back_from_the_replicas() {
    let mut world = World::with_super_nodes(63, 3);
    let alice = world.user("alice", &[0, 1]);
    for number in 0..4 {
        let key = key(&format!("{number}"));
        world.update(alice, key, b"true").unwrap();
    }
    world.network.run_for(Duration::from_secs(1));
    let victim = world.super_nodes[2];
    assert_eq!(world.sn(victim).disk.len(), 4);
    with_disk(&mut world, victim, |kept| {
        let at = kept[0].len() / 2;
        kept[0][at] ^= 1;
        let half = kept[1].len() / 2;
        kept[1].truncate(half);
        kept[2].clear();
    });
    world.restart(2);
    assert!(world.settle(3));
    world.network.run_for(Duration::from_secs(12));
    assert_eq!(restored(&world, 2), Some((1, 3)));
    let restarted = world.sn(world.super_nodes[2]);
    assert_eq!(restarted.machine.stored(), 4);
    assert_eq!(restarted.disk.len(), 4, "and is kept again");
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn r036_what_ended_while_the_node_was_down_does_not_come_back() {
    let mut world = World::with_super_nodes(64, 1);
    let alice = world.user("alice", &[0]);
    world.update(alice, key("k"), b"here").unwrap();
    world.network.run_for(Duration::from_secs(1));
    world.network.kill(world.super_nodes[0]);
    world.network.run_for(Duration::from_secs(3_600));
    world.restart(0);
    assert!(world.settle(1));
    let id = world.super_nodes[0];
    assert_eq!(world.sn(id).machine.stored(), 0);
    assert!(world.sn(id).disk.is_empty());
}
