//! Records that are forged, replayed, or somebody else's.

use std::time::Duration;

use overlay::association::{Mode, PutOutcome};
use overlay::peer::Message;
use overlay::{GetError, Offence, Offender, RecordFault, Refused, SignedRecord, Writer};

use crate::authority::Authority;
use crate::raw::node;
use crate::world::{World, key};

fn refused(fault: RecordFault) -> PutOutcome {
    PutOutcome::Refused(Refused::Record(fault))
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

#[test]
fn a11_r034_the_store_enforces_the_policy_whatever_the_node_at_the_other_end_does() {
    let mut world = World::with_super_nodes(59, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let sealed = |world: &World, body: &[u8], ahead: u64, update| {
        world.record(&alice, key("sealed"), body, |control| {
            control.policy.update = update;
            control.sequence += ahead;
        })
    };
    let first = sealed(&world, b"1", 0, Writer::Nobody);
    assert_eq!(world.put(raw, Mode::Add, first), PutOutcome::Stored);
    let second = sealed(&world, b"2", 1_000, Writer::Owner);
    let refused = PutOutcome::Refused(Refused::Policy);
    assert_eq!(world.put(raw, Mode::Update, second), refused);
}
