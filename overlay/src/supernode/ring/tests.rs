use super::*;
use crate::peer::About;
use alloc::string::String;
use credential::{PublicKey, Signature};
use machine::Rng;

fn node(first: u8) -> NodeId {
    let mut bytes = [0; 20];
    bytes[0] = first;
    NodeId(bytes)
}

const WHOLE: Window = Window {
    center: NodeId([0; 20]),
    reach: 0,
};

fn ring(nodes: &[u8], own: u8) -> Ring {
    let mut ring = Ring::new(node(own));
    for &first in nodes {
        ring.insert(member(node(first)));
    }
    ring
}

fn member(node: NodeId) -> Arc<Member> {
    let about = About {
        statement: Vec::new(),
        incarnation: 7,
        quic: String::new(),
        url: String::new(),
        reach: 0,
    };
    let statement = MemberStatement {
        node,
        serial: Serial([1; 16]),
        key: PublicKey([0; 64]),
        not_after: 0,
        signature: Signature([0; 64]),
    };
    let announcement = Announcement {
        about,
        signature: Signature([0; 64]),
    };
    Arc::new(Member::new(&statement, announcement))
}

#[test]
fn r007_a_key_belongs_to_the_members_that_follow_it() {
    let ring = ring(&[10, 20, 30, 40, 50, 60, 70], 10);
    let key = Key::from(node(45));
    let expected = [50, 60, 70, 10, 20].map(node);
    assert_eq!(ring.replicas(key), expected);
    assert!(ring.is_replica(node(20), key));
    assert!(!ring.is_replica(node(30), key));
    assert_eq!(ring.replicas(node(50).into())[0], node(50));
    assert_eq!(ring.replicas(node(71).into())[0], node(10));
}

#[test]
fn arc_and_segments_are_what_the_replicas_say() {
    let ring = ring(&[10, 20, 30, 40, 50, 60, 70], 10);
    for own in [10, 20, 30, 40, 50, 60, 70].map(node) {
        let (after, last) = ring.arc(own);
        let segments = ring.segments(own);
        for first in 0..=255 {
            let key = Key::from(node(first));
            assert_eq!(
                key.is_within(&after, &last),
                ring.is_replica(own, key),
                "{own} {first}"
            );
            let covering: Vec<_> = segments
                .iter()
                .filter(|(after, last, _)| key.is_within(after, last))
                .collect();
            assert_eq!(covering.len(), usize::from(ring.is_replica(own, key)));
            for (_, _, others) in covering {
                let mut replicas = ring.replicas(key);
                replicas.retain(|&replica| replica != own);
                assert_eq!(*others, replicas);
            }
        }
    }
}

#[test]
fn small_ring_keeps_everything_everywhere() {
    let ring = ring(&[10, 20, 30], 20);
    let (after, last) = ring.arc(node(20));
    assert!((0..=255).all(|first| Key::from(node(first)).is_within(&after, &last)));
    assert_eq!(ring.replicas(node(99).into()).len(), 3);
    assert_eq!(ring.segments(node(20)).len(), 1);
    assert_eq!(ring.predecessors(node(20), 5), [10, 30].map(node));
    assert_eq!(ring.successors(node(20), 5), [30, 10].map(node));
}

#[test]
fn a23_former_member_is_not_brought_back_by_its_old_announcement() {
    let mut ring = ring(&[10, 20, 30], 20);
    let at = (9, Instant::EPOCH);
    assert!(ring.remove(node(30), false, None, at));
    assert!(!ring.remove(node(30), false, None, at));
    assert_eq!(ring.incarnation(node(30)), Some(7));
    assert_eq!(ring.lost().count(), 1);
    assert!(ring.remove(node(10), true, None, at));
    assert_eq!(ring.lost().count(), 1, "the other one left by itself");
}

#[test]
fn places_between_two_members() {
    let ring = ring(&[10, 20, 30, 40, 50], 10);
    assert_eq!(ring.between(node(10), node(40)).len(), 2);
    assert_eq!(ring.between(node(40), node(20)).len(), 2);
    assert_eq!(ring.between(node(30), node(30)).len(), 4);
    assert_eq!(ring.between(node(31), node(31)).len(), 5);
    assert_eq!(ring.between(node(20), node(30)).len(), 0);
    let arc = ring.between(node(40), node(40));
    assert_eq!(arc.at(0).map(|member| member.node()), Some(node(50)));
    assert_eq!(arc.at(2).map(|member| member.node()), Some(node(20)));
    assert_eq!(arc.iter().count(), 4);
    assert!(ring.are_near(node(50), node(10), 0));
    assert!(ring.are_near(node(10), node(30), 1));
    assert!(!ring.are_near(node(10), node(30), 0));
}

#[test]
fn every_place_is_found_however_the_ids_are_spread() {
    let mut rng = Rng::new([5; 32]);
    for crowded in [0, 40, 120] {
        // Most ids in one small part of the ring, the rest anywhere.
        let ids = (0..300).map(|at| {
            let mut id: [u8; 20] = rng.bytes();
            if at >= crowded {
                id[..7].copy_from_slice(&[0x80; 7]);
            }
            NodeId(id)
        });
        let mut ids: Vec<NodeId> = ids.chain([NodeId([0; 20]), NodeId([0xff; 20])]).collect();
        let mut ring = Ring::new(ids[0]);
        for &id in &ids {
            ring.insert(member(id));
        }
        ids.sort_unstable();
        assert!(
            ring.members()
                .map(|member| member.node())
                .eq(ids.iter().copied())
        );
        let strangers: Vec<NodeId> = (0..300).map(|_| NodeId(rng.bytes())).collect();
        for id in ids.iter().chain(&strangers) {
            let first = ids.partition_point(|other| other < id);
            assert_eq!(ring.first_from(*id), first);
            assert_eq!(
                ring.first_after(*id),
                ids.partition_point(|other| other <= id)
            );
            assert_eq!(ring.member(*id).is_some(), ids.get(first) == Some(id));
        }
    }
}

#[test]
fn the_hash_leaves_out_what_is_young() {
    let (mut one, other) = (ring(&[10, 20, 30], 20), ring(&[10, 20, 30], 10));
    assert_eq!(one.hash(100), other.hash(100));
    one.remove(node(30), false, None, (50, Instant::EPOCH));
    assert_ne!(one.hash(50), other.hash(50));
    assert_eq!(one.hash(49), other.hash(49));
    for at in [49, 50] {
        let same = one.hashes_within(WHOLE, Prefix::WHOLE, at)
            == other.hashes_within(WHOLE, Prefix::WHOLE, at);
        assert_eq!(same, at == 49);
        let part = Prefix::WHOLE.child(1).unwrap();
        let hashes = one.hashes_within(WHOLE, part, at);
        let all = hashes.iter().fold(0, |all, hash| all ^ hash);
        assert_eq!(all, one.hashes_within(WHOLE, Prefix::WHOLE, at)[1]);
    }
}

#[test]
fn a_prefix_covers_what_begins_with_it() {
    let ring = ring(&[0x10, 0x1f, 0x20, 0x2f, 0x30], 0x10);
    let part = Prefix::WHOLE.child(2).unwrap();
    let inside: Vec<u8> = ring.inside(part).iter().map(|m| m.node().0[0]).collect();
    assert_eq!(inside, [0x20, 0x2f]);
    assert!(part.covers(node(0x2f)) && !part.covers(node(0x30)));
    assert_eq!(part.child(15).unwrap().digit(node(0x2f)), 0);
    assert_eq!(part.digit(node(0x2f)), 15);
    let mut deepest = part;
    while let Some(child) = deepest.child(15) {
        deepest = child;
    }
    assert_eq!((deepest.digits, deepest.bits), (8, 0x2fff_ffff));
    assert!(deepest.is_sound() && part.is_sound());
    assert!(!Prefix { digits: 9, bits: 0 }.is_sound());
    assert!(!Prefix { digits: 1, bits: 1 }.is_sound());
}

#[test]
fn a_window_covers_as_much_on_either_side_and_goes_round() {
    let window = Window {
        center: node(10),
        reach: 3,
    };
    for first in 0..=255_u8 {
        let apart = first.wrapping_sub(10).min(10_u8.wrapping_sub(first));
        // The 32nd place of 256 itself is just outside.
        assert_eq!(window.covers(node(first)), apart < 32, "{first}");
        let onward = first.wrapping_sub(10) < 32;
        assert_eq!(window.covers_onward(node(first)), onward, "{first}");
    }
}

#[test]
fn who_knows_a_part_knows_the_keys_in_it_only() {
    let nodes: Vec<u8> = (0..=255).step_by(4).collect();
    let mut partial = ring(&nodes, 8);
    let all = ring(&nodes, 8);
    let dropped = partial.set_reach(3, 24);
    assert_eq!(partial.within(partial.window()).count(), 15);
    assert_eq!(partial.members().count(), 24, "and a few who know all");
    assert_eq!(dropped.len(), nodes.len() - 24);
    for first in 0..=255_u8 {
        let key = Key::from(node(first));
        if partial.knows(key) {
            assert_eq!(partial.replicas(key), all.replicas(key));
        }
    }
    assert!(partial.knows(node(236).into()) && partial.knows(node(20).into()));
    assert!(
        !partial.knows(node(24).into()),
        "whose last replica is outside"
    );
    assert!(!partial.knows(node(128).into()));
    // What it has in common with one who knows all looks alike to both.
    let (window, at) = (partial.window(), u64::MAX);
    assert_eq!(partial.hash_within(window, at), all.hash_within(window, at));
    let hashes = |ring: &Ring| ring.hashes_within(window, Prefix::WHOLE, at);
    assert_eq!(hashes(&partial), hashes(&all));
    assert_ne!(all.hash_within(window, at), all.hash(at));
}
