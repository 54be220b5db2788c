//! Who is let in, and what is read of what he says.

use std::time::Duration;

use overlay::association::{Denial, FromOrdinary, FromSuperNode, Mode};
use overlay::peer::Message;
use overlay::{FrameFault, Offence, Offender, frame};

use crate::authority::Authority;
use crate::raw::node;
use crate::world::{World, key};

fn named(world: &World, how: Offence) -> bool {
    world.offences().iter().any(|(_, offence)| *offence == how)
}

#[test]
fn a05_r124_a_users_certificate_is_refused_between_super_nodes() {
    let mut world = World::with_super_nodes(31, 3);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let raw = world.raw_peer(&mallory, 0);
    assert!(world.is_closed(raw));
    assert!(named(&world, Offence::Role));
    let members = world.sn(world.super_nodes[0]).machine.members();
    assert_eq!(members.count(), 3);
}

#[test]
fn a05_a_super_node_of_another_overlay_or_authority_is_refused() {
    let mut world = World::with_super_nodes(32, 3);
    for other in [Authority::new(8), Authority::new(7)] {
        let stranger = other.super_node(node(5));
        if other.overlay() != world.overlay() {
            let raw = world.raw_peer(&stranger, 0);
            assert!(world.is_closed(raw));
            assert!(named(&world, Offence::Certificate));
        }
        // Announced by a true member, too.
        let member = world.authority.super_node(node(6));
        let raw = world.raw_peer(&member, 1);
        let announcement = world.announcement(&stranger, |_| {});
        world.say(
            raw,
            &Message::Announcements {
                announcements: vec![announcement],
            },
        );
        world.network.run_for(Duration::from_secs(2));
        let mut members = world.sn(world.super_nodes[1]).machine.members();
        assert!(members.all(|(id, _)| id != node(5)));
        assert!(named(&world, Offence::Announcement));
    }
}

#[test]
fn r008_an_ordinary_node_is_never_in_a_table() {
    let mut world = World::with_super_nodes(33, 4);
    let _ = world.user("alice", &[0, 1]);
    world.network.run_for(Duration::from_secs(20));
    for &node in &world.super_nodes {
        assert_eq!(world.sn(node).machine.members().count(), 4);
    }
}

#[test]
fn a07_r103_r106_who_may_associate() {
    let mut world = World::with_super_nodes(34, 2);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    assert_eq!(world.denied(raw), None);

    let of_other_overlay = Authority::new(8).user("sip:alice@example.org", 1);
    let raw = world.raw_ordinary(&of_other_overlay, 0);
    assert_eq!(world.denied(raw), Some(Denial::Overlay));

    let of_other_authority = Authority::new(7).user("sip:alice@example.org", 1);
    let raw = world.raw_ordinary(&of_other_authority, 0);
    assert_eq!(world.denied(raw), Some(Denial::Signature));

    let ended = Duration::ZERO;
    let expired = world
        .authority
        .user_until("sip:alice@example.org", 1, ended);
    let raw = world.raw_ordinary(&expired, 0);
    assert_eq!(world.denied(raw), Some(Denial::Expired));

    let super_node = world.authority.super_node(node(9));
    let raw = world.raw_ordinary(&super_node, 0);
    assert_eq!(world.denied(raw), Some(Denial::Certificate));

    let mut thief = world.authority.user("sip:mallory@example.org", 1);
    thief.certificate = alice.certificate.clone();
    let raw = world.raw_ordinary(&thief, 0);
    assert_eq!(world.denied(raw), Some(Denial::Signature));
    assert!(named(&world, Offence::Proof));
}

#[test]
fn a04_r102_a_super_node_answers_only_under_its_own_names() {
    let mut world = World::with_super_nodes(35, 1);
    let raw = world.raw_stranger(0);
    world.say(
        raw,
        &FromOrdinary::Hello {
            nonce: [1; 32],
            host: "sn0.mallory.example".into(),
            revocations: 0,
        },
    );
    assert_eq!(world.denied(raw), Some(Denial::Host));
    assert!(world.is_closed(raw));
    assert!(named(&world, Offence::Host));
}

#[test]
fn r101_requests_before_the_proof_are_refused() {
    let mut world = World::with_super_nodes(36, 1);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let record = world.record(&alice, key("k"), b"", |_| {});
    let early = [
        FromOrdinary::Get {
            request: 1,
            key: key("k"),
            owner: None,
            newest: false,
        },
        FromOrdinary::Put {
            request: 1,
            mode: Mode::Update,
            record,
        },
        FromOrdinary::Ping { number: 1 },
    ];
    for message in early {
        let raw = world.raw_stranger(0);
        world.say(raw, &message);
        assert_eq!(world.denied(raw), Some(Denial::Protocol));
        assert_eq!(world.heard::<FromSuperNode>(raw).len(), 1);
    }
    assert_eq!(world.sn(world.super_nodes[0]).machine.stored(), 0);
}

#[test]
fn r018_a09_frames_of_others_and_malformed_ones_are_dropped_and_named() {
    let mut world = World::with_super_nodes(37, 1);
    let overlay = world.overlay();
    let hello = FromOrdinary::Hello {
        nonce: [1; 32],
        host: "sn0".into(),
        revocations: 0,
    };
    let good = frame::encode(overlay, &hello);
    let mut version = good.clone();
    version[0] = 2;
    let mut trailing = good.clone();
    trailing.push(0);
    let mut large = good.clone();
    large.resize(frame::MAX_FRAME + 1, 0);
    let bad = [
        (
            frame::encode(Authority::new(8).overlay(), &hello),
            FrameFault::Overlay,
        ),
        (version, FrameFault::Version),
        (trailing, FrameFault::Trailing),
        (large, FrameFault::TooLarge),
        (good[..10].to_vec(), FrameFault::TooShort),
        (good[..good.len() - 3].to_vec(), FrameFault::Malformed),
        (Vec::new(), FrameFault::TooShort),
    ];
    let super_node = world.authority.super_node(node(9));
    for (bytes, fault) in bad {
        let raw = world.raw_stranger(0);
        world.send_bytes(raw, bytes);
        world.network.run_for(Duration::from_millis(200));
        assert_eq!(world.denied(raw), Some(Denial::Protocol), "{fault}");
        assert!(named(&world, Offence::Frame(fault)), "{fault}");
    }

    let good = frame::encode(overlay, &Message::Want { slots: Vec::new() });
    let mut version = good.clone();
    version[0] = 2;
    let mut trailing = good.clone();
    trailing.push(0);
    let mut large = good.clone();
    large.resize(frame::MAX_FRAME + 1, 0);
    let bad = [
        (
            frame::encode(Authority::new(8).overlay(), &0_u8),
            FrameFault::Overlay,
        ),
        (version, FrameFault::Version),
        (trailing, FrameFault::Trailing),
        (large, FrameFault::TooLarge),
        (good[..10].to_vec(), FrameFault::TooShort),
        (good[..good.len() - 1].to_vec(), FrameFault::Malformed),
    ];
    for (bytes, fault) in bad {
        let raw = world.raw_peer(&super_node, 0);
        world.send_bytes(raw, bytes);
        world.network.run_for(Duration::from_millis(200));
        let offences = world.offences();
        let who = Offender::SuperNode(node(9));
        assert!(offences.contains(&(who, Offence::Frame(fault))), "{fault}");
    }
    let raw = world.raw_stranger(0);
    world.say(raw, &hello);
    assert_eq!(
        world.heard::<FromSuperNode>(raw).len(),
        1,
        "the good one is answered"
    );
}
