//! What hostile super nodes try against an ordinary node.

use std::time::Duration;

use credential::NodeId;
use overlay::association::{FromSuperNode, Mode, SearchEnd};
use overlay::peer::Message;
use overlay::{
    FrameFault, GetError, Misbehaviour, Offence, Offender, Placement, Reading, RecordFault,
    SignedRecord, frame,
};
use sim::HostId;

use crate::authority::{Authority, Identity};
use crate::node::Node;
use crate::world::{World, key};

impl World {
    /// Makes a super node change the answers that it gives to searches.
    fn corrupt(
        &mut self,
        at: usize,
        mut change: impl FnMut(Vec<SignedRecord>) -> (Vec<SignedRecord>, Option<SearchEnd>) + 'static,
    ) {
        let overlay = self.overlay();
        let id = self.super_nodes[at];
        self.network.with(id, |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| {
                let message = frame::decode::<FromSuperNode>(overlay, &bytes);
                let Ok(FromSuperNode::Records {
                    request,
                    records,
                    end,
                }) = message
                else {
                    return vec![bytes];
                };
                let (records, forced) = change(records);
                let end = forced.or(end);
                let message = FromSuperNode::Records {
                    request,
                    records,
                    end,
                };
                vec![frame::encode(overlay, &message)]
            }));
        });
    }

    fn id_of(&self, at: usize) -> NodeId {
        self.sn(self.super_nodes[at]).machine.node()
    }
}

/// Bob is associated with an evil super node and an honest one; what does he find?
fn bob_reads(
    world: &mut World,
    change: impl FnMut(Vec<SignedRecord>) -> (Vec<SignedRecord>, Option<SearchEnd>) + 'static,
) -> (Result<Vec<Vec<u8>>, GetError>, HostId) {
    world.corrupt(2, change);
    // The evil one comes first: it is asked first.
    let bob = world.user("bob", &[2, 3]);
    (world.bodies(bob, key("k")), bob)
}

fn with_record(seed: u8) -> (World, Identity) {
    let mut world = World::with_super_nodes(seed, 7);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let record = world.record(&alice, key("k"), b"true", |_| {});
    world.put(raw, Mode::Update, record);
    (world, alice)
}

#[test]
fn a14_r138_faulty_records_are_rejected_the_liar_named_and_the_true_one_found() {
    let (world, alice) = with_record(61);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let other = Authority::new(7).user("sip:alice@example.org", 1);
    let record = |who: &Identity, change: fn(&mut overlay::Control)| {
        world.record(who, key("k"), b"evil", change)
    };
    let mut altered = record(&alice, |_| {});
    altered.body = b"altered".to_vec();
    let mut posed = record(&mallory, |control| {
        control.owner = "sip:alice@example.org".into()
    });
    let of_mallory = posed.clone();
    posed.certificate = alice.certificate.der().to_vec();
    let lies = [
        (altered, RecordFault::Signature),
        (posed, RecordFault::Signature),
        (of_mallory, RecordFault::Owner),
        (record(&other, |_| {}), RecordFault::Chain),
        (
            record(&alice, |control| control.sequence -= 3_600_001),
            RecordFault::Expired,
        ),
        (
            record(&alice, |control| control.sequence = 1 << 63),
            RecordFault::Sequence,
        ),
        (
            record(&alice, |control| control.overlay.0 = [8; 16]),
            RecordFault::Overlay,
        ),
        (
            world.record(&alice, key("other"), b"evil", |_| {}),
            RecordFault::Key,
        ),
        (
            record(&alice, |control| control.lifetime = u32::MAX),
            RecordFault::Lifetime,
        ),
    ];
    for (at, (lie, fault)) in lies.into_iter().enumerate() {
        let (mut world, alice) = with_record(62 + at as u8);
        // The lie was told by somebody of this run's overlay.
        let lie = retold(&world, &alice, lie, fault);
        let (found, bob) = bob_reads(&mut world, move |_| {
            (vec![lie.clone()], Some(SearchEnd::Complete))
        });
        assert_eq!(found, Ok(vec![b"true".to_vec()]), "{fault}");
        let named = (Some(world.id_of(2)), Misbehaviour::Record(fault));
        assert!(world.complaints(bob).contains(&named), "{fault}");
        assert_eq!(world.on(bob).machine.associations().count(), 2);
    }
}

/// The same lie with the keys of another run.
fn retold(world: &World, alice: &Identity, lie: SignedRecord, fault: RecordFault) -> SignedRecord {
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let stranger = Authority::new(7).user("sip:alice@example.org", 1);
    let signer = match fault {
        RecordFault::Owner => &mallory,
        RecordFault::Chain => &stranger,
        _ => alice,
    };
    let wall = world.wall();
    let mut told = lie;
    if !matches!(fault, RecordFault::Sequence | RecordFault::Expired) {
        told.control.sequence = wall;
    }
    told.certificate = signer.certificate.der().to_vec();
    if fault != RecordFault::Signature {
        told.signature = signer.sign(&told.message());
    }
    told
}

#[test]
fn a14_another_users_valid_record_is_left_out() {
    let (mut world, _) = with_record(71);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let valid = world.record(&mallory, key("k"), b"call me", |_| {});
    world.corrupt(2, move |_| (vec![valid.clone()], Some(SearchEnd::Complete)));
    let bob = world.user("bob", &[2, 3]);
    let overlay = world.overlay();
    let query = world.with_on(bob, |on, now| {
        let owner = Some("sip:alice@example.org");
        on.get(overlay, key("k"), owner, Reading::Quick, now)
    });
    let found = world.got(bob, query).unwrap();
    assert_eq!(found[0].body, b"true");
    assert_eq!(found.len(), 1);
    let named = (
        Some(world.id_of(2)),
        Misbehaviour::Record(RecordFault::OtherOwner),
    );
    assert!(world.complaints(bob).contains(&named));
}

#[test]
fn a14_not_found_from_one_is_not_believed() {
    let (mut world, _) = with_record(72);
    let (found, _) = bob_reads(&mut world, |_| (Vec::new(), Some(SearchEnd::Complete)));
    assert_eq!(found, Ok(vec![b"true".to_vec()]));
}

#[test]
fn a14_silence_of_one_is_overcome() {
    let (mut world, _) = with_record(73);
    let id = world.super_nodes[2];
    let overlay = world.overlay();
    world.network.with(id, |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            let message = frame::decode::<FromSuperNode>(overlay, &bytes);
            let is_answer = matches!(message, Ok(FromSuperNode::Records { .. }));
            (!is_answer).then_some(bytes).into_iter().collect()
        }));
    });
    let bob = world.user("bob", &[2, 3]);
    let start = world.network.now();
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"true".to_vec()]));
    assert!(world.network.now() - start < Duration::from_millis(1_200));
}

#[test]
fn a14_a_replayed_old_version_is_outdone_by_the_newest() {
    let (mut world, alice) = with_record(74);
    let old = world.record(&alice, key("k"), b"old", |control| {
        control.sequence -= 60_000
    });
    world.corrupt(2, move |_| (vec![old.clone()], Some(SearchEnd::Complete)));
    let bob = world.user("bob", &[2, 3]);
    let records = world.get_as(bob, key("k"), Reading::Newest).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].body, b"true");
    let stale = (
        Some(world.id_of(2)),
        Misbehaviour::Record(RecordFault::Stale),
    );
    assert!(world.complaints(bob).contains(&stale));
    // Once he has seen the newest, a quick look doesn't fall for it either.
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"true".to_vec()]));
}

#[test]
fn a14_no_super_node_answers_for_another() {
    let (mut world, alice) = with_record(76);
    let old = world.record(&alice, key("k"), b"old", |control| {
        control.sequence -= 60_000
    });
    let (overlay, id) = (world.overlay(), world.super_nodes[2]);
    world.network.with(id, |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            let Ok(FromSuperNode::Records { request, .. }) = frame::decode(overlay, &bytes) else {
                return vec![bytes];
            };
            // What the reader asked the other super node has a number near his own.
            let answer = |request| FromSuperNode::Records {
                request,
                records: vec![old.clone()],
                end: Some(SearchEnd::Complete),
            };
            let others = (request.saturating_sub(3)..request + 4).filter(|other| *other != request);
            let requests = others.chain([request]);
            requests
                .map(|request| frame::encode(overlay, &answer(request)))
                .collect()
        }));
    });
    let bob = world.user("bob", &[2, 3]);
    let records = world.get_as(bob, key("k"), Reading::Newest).unwrap();
    assert_eq!(records[0].body, b"true");
    let named = (Some(world.id_of(2)), Misbehaviour::OutOfPlace);
    assert!(world.complaints(bob).contains(&named));
}

#[test]
fn nothing_trustworthy_anywhere_is_an_error_of_its_own() {
    let (mut world, _) = with_record(75);
    for at in 0..7 {
        world.corrupt(at, |mut records| {
            for record in &mut records {
                record.body = b"altered".to_vec();
            }
            (records, None)
        });
    }
    let bob = world.user("bob", &[2, 3]);
    assert_eq!(world.get(bob, key("k")), Err(GetError::Refused));
}

#[test]
fn a09_a_super_node_that_sends_rubbish_is_left_for_another() {
    let mut world = World::with_super_nodes(80, 4);
    let alice = world.user("alice", &[0, 1]);
    let victim = world.super_nodes[0];
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let bad: [(Change, Misbehaviour); 4] = [
        (
            |mut bytes| {
                bytes.push(0);
                bytes
            },
            Misbehaviour::Frame(FrameFault::Trailing),
        ),
        (
            |mut bytes| {
                bytes[5] ^= 1;
                bytes
            },
            Misbehaviour::Frame(FrameFault::Overlay),
        ),
        (
            |mut bytes| {
                bytes.resize(70_000, 0);
                bytes
            },
            Misbehaviour::Frame(FrameFault::TooLarge),
        ),
        (
            |mut bytes| {
                bytes[17] = 99;
                bytes
            },
            Misbehaviour::Frame(FrameFault::Malformed),
        ),
    ];
    for (change, how) in bad {
        world.network.with(victim, |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| vec![change(bytes)]));
        });
        world.network.run_for(Duration::from_secs(3));
        let complaints = world.complaints(alice);
        assert!(
            complaints.iter().any(|(_, of)| *of == how),
            "{how:?} {complaints:?}"
        );
        assert!(world.associated(alice, 2), "{how:?}");
        let node = world.id_of(0);
        assert!(
            world
                .on(alice)
                .machine
                .associations()
                .all(|(_, other, _)| other != node)
        );
        // Start again with somebody who has not been warned.
        world.network.with(victim, |node, _| {
            if let Node::Sn(sn) = node {
                sn.evil = None;
            }
        });
        world = World::with_super_nodes(81, 4);
        let again = world.user("alice", &[0, 1]);
        assert_eq!(again, alice);
    }
}

#[test]
fn r130_a_wrong_clock_does_not_lock_the_owner_out() {
    let mut world = World::with_super_nodes(86, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    // A version from the near future, as a device with a fast clock would have left it.
    let ahead = world.record(&alice, key("k"), b"ahead", |control| {
        control.sequence += 300_000
    });
    world.put(raw, Mode::Update, ahead.clone());
    let device = world.user("alice", &[0, 1]);
    let sequence = world.update(device, key("k"), b"now").unwrap();
    assert!(sequence > ahead.control.sequence);
    let overlay = world.overlay();
    let query = world.with_on(device, |on, now| {
        on.add(
            overlay,
            key("other"),
            Vec::new(),
            Placement::lasting(60),
            now,
        )
    });
    assert!(world.placed(device, query).is_ok());
}

#[test]
fn a21_replicas_that_answer_for_others_hide_nothing() {
    let mut world = World::with_super_nodes(112, 12);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"true").unwrap();
    let overlay = world.overlay();
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(key("k"));
    let keeps = |world: &World, at: usize| {
        let id = world.sn(world.super_nodes[at]).machine.node();
        replicas.iter().position(|replica| *replica == id)
    };
    for at in 0..12 {
        if keeps(&world, at).is_none_or(|place| place >= 3) {
            continue;
        }
        let id = world.super_nodes[at];
        world.network.with(id, |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| {
                let Ok(Message::Found { request, .. }) = frame::decode(overlay, &bytes) else {
                    return vec![bytes];
                };
                let records = Vec::new();
                let nothing = frame::encode(overlay, &Message::Found { request, records });
                vec![nothing; 4]
            }));
        });
    }
    // Both of his super nodes have to ask.
    let asking: Vec<usize> = (0..12).filter(|&at| keeps(&world, at).is_none()).collect();
    let bob = world.user("bob", &asking[..2]);
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"true".to_vec()]));
}

/// One replica of Alice's record changes what it answers to searches. Bob gets the true one, and nothing false reaches
/// him: the super node that asked sees the fault.
fn evil_replica_is_caught(fault: RecordFault, change: impl Fn(&mut SignedRecord) + 'static) {
    let mut world = World::with_super_nodes(113, 12);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"true").unwrap();
    let overlay = world.overlay();
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(key("k"));
    let number = |world: &World, id: NodeId| {
        let mut all = 0..12;
        all.find(|&at| world.id_of(at) == id).expect("one of them")
    };
    let evil = world.super_nodes[number(&world, replicas[0])];
    world.network.with(evil, |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            let Ok(Message::Found {
                request,
                mut records,
            }) = frame::decode(overlay, &bytes)
            else {
                return vec![bytes];
            };
            records.iter_mut().for_each(&change);
            vec![frame::encode(overlay, &Message::Found { request, records })]
        }));
    });
    let asking: Vec<usize> = (0..12)
        .filter(|&at| !replicas.contains(&world.id_of(at)))
        .collect();
    let bob = world.user("bob", &asking[..2]);
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"true".to_vec()]));
    assert!(
        world.complaints(bob).is_empty(),
        "nothing false reached him"
    );
    let who = Offender::SuperNode(replicas[0]);
    assert!(world.offences().contains(&(who, Offence::Record(fault))));
}

#[test]
fn a14_an_evil_replica_is_caught_by_the_super_node_that_asks() {
    evil_replica_is_caught(RecordFault::Signature, |record| {
        record.body = b"altered".to_vec();
        record.control.sequence += 1;
    });
    let other = World::with_super_nodes(115, 1);
    let mallory = other.authority.user("sip:mallory@example.org", 1);
    let elsewhere = other.record(&mallory, key("other"), b"true elsewhere", |_| {});
    evil_replica_is_caught(RecordFault::Key, move |record| *record = elsewhere.clone());
}

#[test]
fn a26_one_honest_replica_among_those_asked_is_enough() {
    let mut world = World::with_super_nodes(114, 12);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let old = world.record(&alice, key("k"), b"old", |_| {});
    world.put(raw, Mode::Update, old.clone());
    let new = world.record(&alice, key("k"), b"new", |_| {});
    world.put(raw, Mode::Update, new);
    let overlay = world.overlay();
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(key("k"));
    for at in 0..12 {
        if !replicas[..2].contains(&world.id_of(at)) {
            continue;
        }
        let (id, old) = (world.super_nodes[at], old.clone());
        world.network.with(id, |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| {
                let Ok(Message::Found { request, .. }) = frame::decode(overlay, &bytes) else {
                    return vec![bytes];
                };
                let records = vec![old.clone()];
                // As often as if a quorum had answered.
                vec![frame::encode(overlay, &Message::Found { request, records }); 4]
            }));
        });
    }
    let asking: Vec<usize> = (0..12)
        .filter(|&at| !replicas.contains(&world.id_of(at)))
        .collect();
    for reader in 0..4 {
        let reader = world.user(&format!("reader{reader}"), &asking[reader..=reader]);
        assert_eq!(world.bodies(reader, key("k")), Ok(vec![b"new".to_vec()]));
    }
}
