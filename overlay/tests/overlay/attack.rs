//! What hostile ordinary nodes, super nodes and strangers try against a super node.

use std::time::Duration;

use overlay::association::{Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome};
use overlay::peer::Message;
use overlay::{FrameFault, GetError, Offence, Offender, RecordFault, Refused, SignedRecord, frame};

use crate::authority::Authority;
use crate::raw::node;
use crate::world::{World, key};

fn refused(fault: RecordFault) -> PutOutcome {
    PutOutcome::Refused(Refused::Record(fault))
}

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
fn r102_a_super_node_answers_only_under_its_own_names() {
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

/// Every faulty record, with what is wrong with it.
fn faulty(world: &World) -> Vec<(SignedRecord, RecordFault)> {
    let alice = world.authority.user("sip:alice@example.org", 1);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let k = key("k");
    let record = |change: fn(&mut overlay::Control)| world.record(&alice, k, b"body", change);

    let mut altered = record(|_| {});
    altered.body = b"evil".to_vec();
    let mut extended = record(|_| {});
    extended.control.lifetime += 1;
    let mut stolen = world.record(&mallory, k, b"body", |control| {
        control.owner = "sip:alice@example.org".into();
    });
    let of_mallory = stolen.clone();
    stolen.certificate = alice.certificate.der().to_vec();
    let mut other = record(|_| {});
    other.control.overlay = Authority::new(8).overlay();
    other.signature = alice.sign(&other.message());
    let of_other_authority = Authority::new(7).user("sip:alice@example.org", 1);
    let of_other_overlay = Authority::new(8).user("sip:alice@example.org", 1);
    let mut broken = record(|_| {});
    broken.certificate.truncate(100);
    broken.signature = alice.sign(&broken.message());
    let expired = world
        .authority
        .user_until("sip:alice@example.org", 1, Duration::ZERO);

    vec![
        (altered, RecordFault::Signature),
        (extended, RecordFault::Signature),
        (stolen, RecordFault::Signature),
        (of_mallory, RecordFault::Owner),
        (other, RecordFault::Overlay),
        (
            world.record(&of_other_authority, k, b"body", |_| {}),
            RecordFault::Chain,
        ),
        (
            world.record(&of_other_overlay, k, b"body", |_| {}),
            RecordFault::Certificate,
        ),
        (broken, RecordFault::Certificate),
        (
            world.record(&expired, k, b"body", |_| {}),
            RecordFault::Certificate,
        ),
        (
            record(|control| control.sequence -= 3_600_000),
            RecordFault::Expired,
        ),
        (
            record(|control| control.sequence += 7_200_000),
            RecordFault::Sequence,
        ),
        (
            record(|control| control.sequence = 1 << 63),
            RecordFault::Sequence,
        ),
        (
            record(|control| control.sequence = u64::MAX),
            RecordFault::Sequence,
        ),
        (
            record(|control| control.lifetime = 0),
            RecordFault::Lifetime,
        ),
        (
            record(|control| control.lifetime = u32::MAX),
            RecordFault::Lifetime,
        ),
        (
            record(|control| control.removed = true),
            RecordFault::Tombstone,
        ),
        (
            record(|control| control.instance.0[0] ^= 1),
            RecordFault::Instance,
        ),
        (
            world.record(&alice, k, &[0; 16 * 1024 + 1], |_| {}),
            RecordFault::TooLarge,
        ),
    ]
}

#[test]
fn a06_a12_r029_r127_faulty_records_are_refused_where_they_are_placed() {
    let mut world = World::with_super_nodes(38, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    for (record, fault) in faulty(&world) {
        let mode = if record.control.removed {
            Mode::Remove
        } else {
            Mode::Update
        };
        assert_eq!(world.put(raw, mode, record), refused(fault), "{fault}");
        let who = Offender::User("sip:alice@example.org".into());
        let offence = (who, Offence::Record(fault));
        assert!(world.offences().contains(&offence), "{fault}");
    }
    for &node in &world.super_nodes {
        assert_eq!(world.sn(node).machine.stored(), 0);
    }
    let good = world.record(&alice, key("k"), b"body", |_| {});
    assert_eq!(world.put(raw, Mode::Update, good), PutOutcome::Stored);
}

#[test]
fn a06_r029_the_record_of_another_is_refused_at_the_own_super_node() {
    let mut world = World::with_super_nodes(39, 1);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let raw = world.raw_user(&mallory, 0);
    // Even an intact one: it would use up somebody else's quota at a time of mallory's choosing.
    let record = world.record(&alice, key("k"), b"body", |_| {});
    assert_eq!(
        world.put(raw, Mode::Update, record),
        refused(RecordFault::Owner)
    );
}

#[test]
fn a06_a24_r127_faulty_records_are_refused_by_every_replica() {
    let mut world = World::with_super_nodes(40, 3);
    for (at, (record, fault)) in faulty(&world).into_iter().enumerate() {
        // Each from a super node of its own, for it is left alone after a few forgeries.
        let evil = world.authority.super_node(node(100 + at as u8));
        let raw = world.raw_peer(&evil, 1);
        let mode = if record.control.removed {
            Mode::Remove
        } else {
            Mode::Update
        };
        assert_eq!(
            world.place(raw, mode, record.clone()),
            refused(fault),
            "{fault}"
        );
        let records = vec![record];
        world.say(raw, &Message::Copies { records });
        let who = Offender::SuperNode(node(100 + at as u8));
        let offences = world.offences();
        let named = offences.iter().filter(|offence| offence.0 == who);
        let expected = if fault == RecordFault::Expired { 1 } else { 2 };
        assert_eq!(named.count(), expected, "{fault}: placed and copied");
        assert_eq!(world.sn(world.super_nodes[1]).machine.stored(), 0);
    }
}

#[test]
fn a11_r044_r130_an_older_version_never_replaces_a_newer_one() {
    let mut world = World::with_super_nodes(41, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let old = world.record(&alice, key("k"), b"old", |control| control.sequence -= 10);
    let new = world.record(&alice, key("k"), b"new", |_| {});
    let twin = world.record(&alice, key("k"), b"twin", |control| {
        control.sequence = new.control.sequence;
    });
    let newest = new.control.sequence;
    assert_eq!(
        world.put(raw, Mode::Update, old.clone()),
        PutOutcome::Stored
    );
    assert_eq!(
        world.put(raw, Mode::Update, new.clone()),
        PutOutcome::Stored
    );
    let older = PutOutcome::Refused(Refused::Older(newest));
    assert_eq!(world.put(raw, Mode::Update, old.clone()), older);
    assert_eq!(world.put(raw, Mode::Update, twin), older);
    assert_eq!(
        world.put(raw, Mode::Update, new),
        PutOutcome::Stored,
        "itself"
    );

    // From a super node: placed, and as a copy.
    let evil = world.authority.super_node(node(77));
    let evil = world.raw_peer(&evil, 1);
    assert_eq!(world.place(evil, Mode::Update, old.clone()), older);
    let records = vec![old];
    world.say(evil, &Message::Copies { records });
    let reader = world.user("reader", &[1, 2]);
    assert_eq!(world.bodies(reader, key("k")), Ok(vec![b"new".to_vec()]));
}

#[test]
fn a13_r031_forged_and_replayed_tombstones_remove_nothing() {
    let mut world = World::with_super_nodes(42, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let evil = world.authority.super_node(node(77));
    let evil = world.raw_peer(&evil, 1);
    let first = world.record(&alice, key("k"), b"first", |_| {});
    assert_eq!(
        world.put(raw, Mode::Update, first.clone()),
        PutOutcome::Stored
    );

    let forged = world.record(&mallory, key("k"), b"", |control| {
        control.owner = "sip:alice@example.org".into();
        control.removed = true;
    });
    let outcome = world.place(evil, Mode::Remove, forged);
    assert_eq!(outcome, refused(RecordFault::Owner));

    let tombstone = world.record(&alice, key("k"), b"", |control| control.removed = true);
    assert_eq!(
        world.put(raw, Mode::Remove, tombstone.clone()),
        PutOutcome::Stored
    );
    // The removed record can't be brought back, by an add as little as by a copy.
    let removed_at = tombstone.control.sequence;
    let older = PutOutcome::Refused(Refused::Older(removed_at));
    assert_eq!(world.place(evil, Mode::Add, first.clone()), older);
    let records = vec![first];
    world.say(evil, &Message::Copies { records });
    let reader = world.user("reader", &[1, 2]);
    assert_eq!(world.get(reader, key("k")), Err(GetError::Gone));

    let second = world.record(&alice, key("k"), b"second", |_| {});
    assert_eq!(
        world.put(raw, Mode::Add, second.clone()),
        PutOutcome::Stored
    );
    let newest = second.control.sequence;
    let older = PutOutcome::Refused(Refused::Older(newest));
    assert_eq!(world.place(evil, Mode::Remove, tombstone.clone()), older);
    let records = vec![tombstone];
    world.say(evil, &Message::Copies { records });
    assert_eq!(world.bodies(reader, key("k")), Ok(vec![b"second".to_vec()]));
}

#[test]
fn a11_r129_other_credentials_stand_beside() {
    let mut world = World::with_super_nodes(43, 3);
    let alice = world.user("alice", &[0, 1]);
    let mallory = world.user("mallory", &[1, 2]);
    world.update(alice, key("k"), b"true").unwrap();
    world.update(mallory, key("k"), b"junk").unwrap();
    assert!(world.remove(mallory, key("k"), None).is_ok());
    assert_eq!(world.bodies(mallory, key("k")), Ok(vec![b"true".to_vec()]));
}

#[test]
fn a13_a_tombstone_outlives_what_it_removed() {
    let mut world = World::with_super_nodes(59, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let evil = world.authority.super_node(node(77));
    let evil = world.raw_peer(&evil, 1);
    let nothing = world.record(&alice, key("k"), b"", |control| control.removed = true);
    let not_found = PutOutcome::Refused(Refused::NotFound);
    assert_eq!(world.put(raw, Mode::Remove, nothing), not_found);
    assert_eq!(world.sn(world.super_nodes[1]).machine.stored(), 0);

    let record = world.record(&alice, key("k"), b"record", |_| {});
    assert_eq!(
        world.put(raw, Mode::Update, record.clone()),
        PutOutcome::Stored
    );
    let brief = world.record(&alice, key("k"), b"", |control| {
        control.removed = true;
        control.lifetime = 5;
    });
    let removed_at = brief.control.sequence;
    assert_eq!(world.put(raw, Mode::Remove, brief), PutOutcome::Stored);
    world.network.run_for(Duration::from_secs(60));
    let older = PutOutcome::Refused(Refused::Older(removed_at));
    assert_eq!(world.place(evil, Mode::Update, record.clone()), older);
    let records = vec![record];
    world.say(evil, &Message::Copies { records });
    let reader = world.user("reader", &[1, 2]);
    assert!(world.get(reader, key("k")).is_err());
    // And goes with it.
    world.network.run_for(Duration::from_secs(3_600));
    for &node in &world.super_nodes {
        assert_eq!(world.sn(node).machine.stored(), 0);
    }
}
