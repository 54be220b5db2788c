//! Too much of what is allowed.

use std::time::Duration;

use credential::Signature;
use overlay::association::{Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome, SearchEnd};
use overlay::peer::{Find, Message};
use overlay::{GetError, Key, Limits, Misbehaviour, Offence, Offender, Refused, frame};

use sim::Action;

use crate::authority::Authority;
use crate::raw::node;
use crate::world::{World, key};

#[test]
fn a17_r135_quotas_are_per_identity_and_end_with_the_record() {
    let mut world = World::new(44);
    world.limits = Limits {
        owner_records: 5,
        owner_bytes: 8_000,
        ..Limits::default()
    };
    world.grow(2);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let laptop = world.authority.user("sip:alice@example.org", 2);
    let bob = world.user("bob", &[0, 1]);
    let (one, two) = (world.raw_user(&alice, 0), world.raw_user(&laptop, 1));
    let quota = PutOutcome::Refused(Refused::Quota);
    for number in 0..8 {
        let name = key(&format!("junk {number}"));
        let (raw, who) = if number % 2 == 0 {
            (one, &alice)
        } else {
            (two, &laptop)
        };
        let record = world.record(who, name, b"junk", |control| control.lifetime = 60);
        let expected = if number < 5 {
            PutOutcome::Stored
        } else {
            quota
        };
        assert_eq!(world.put(raw, Mode::Update, record), expected, "{number}");
    }
    let large = world.record(&alice, key("junk 0"), &[0; 7_000], |_| {});
    assert_eq!(world.put(one, Mode::Update, large), quota);
    world.update(bob, key("his own"), b"passes").unwrap();
    world.network.run_for(Duration::from_secs(90));
    let record = world.record(&alice, key("junk 9"), b"again", |_| {});
    assert_eq!(world.put(one, Mode::Update, record), PutOutcome::Stored);
}

#[test]
fn r021_the_reserve_is_enforced() {
    let mut world = World::new(45);
    world.limits.records = 3;
    world.grow(1);
    let alice = world.user("alice", &[0]);
    for number in 0..3 {
        world.update(alice, key(&format!("{number}")), b"").unwrap();
    }
    assert!(world.update(alice, key("one too many"), b"").is_err());
    world.update(alice, key("1"), b"replaced").unwrap();
}

#[test]
fn a18_r136_forged_writes_use_up_nobodys_rate_and_the_forger_is_left_alone() {
    let mut world = World::with_super_nodes(46, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    let first = world.record(&alice, key("k"), b"first", |_| {});
    assert_eq!(world.put(raw, Mode::Update, first), PutOutcome::Stored);
    let evil = world.authority.super_node(node(77));
    let forger = world.raw_peer(&evil, 1);
    for number in 0..200 {
        let mut forged = world.record(&alice, key("k"), b"forged", |control| {
            control.sequence += number;
        });
        forged.signature = Signature([1; 64]);
        let place = Message::Place {
            request: number,
            mode: Mode::Update,
            record: forged,
        };
        let bytes = frame::encode(world.overlay(), &place);
        world.send_bytes(forger, bytes);
    }
    world.network.run_for(Duration::from_secs(1));
    assert!(world.is_closed(forger), "left alone");
    let again = world.raw_peer(&evil, 1);
    assert!(world.is_closed(again), "and not let in again");
    let second = world.record(&alice, key("k"), b"second", |_| {});
    assert_eq!(world.put(raw, Mode::Update, second), PutOutcome::Stored);
}

#[test]
fn a16_r134_r137_requests_are_limited_per_user_and_others_are_served() {
    let mut world = World::with_super_nodes(47, 3);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let alice = world.user("alice", &[0, 1]);
    let links: Vec<_> = (0..3).map(|_| world.raw_user(&mallory, 0)).collect();
    for request in 0..1_000 {
        let get = FromOrdinary::Get {
            request,
            key: key("hot"),
            owner: None,
            newest: true,
        };
        let bytes = frame::encode(world.overlay(), &get);
        world.send_bytes(links[request as usize % 3], bytes);
    }
    assert_eq!(world.get(alice, key("hot")), Err(GetError::NotFound));
    world.network.run_for(Duration::from_secs(3));
    let answers = links
        .iter()
        .flat_map(|&raw| world.heard::<FromSuperNode>(raw));
    let busy = answers.filter(|answer| {
        matches!(
            answer,
            FromSuperNode::Records {
                end: Some(SearchEnd::Busy),
                ..
            }
        )
    });
    assert!(busy.count() >= 800, "over all of his links together");
    let who = Offender::User("sip:mallory@example.org".into());
    let floods = world
        .offences()
        .into_iter()
        .filter(|offence| *offence == (who.clone(), Offence::Flood));
    assert!(floods.count() < 10, "named, but not a thousand times");
}

#[test]
fn a15_r016_r133_the_holder_answers_the_asker_directly_and_never_learns_who_asked() {
    let mut world = World::with_super_nodes(48, 12);
    let alice = world.user("alice", &[0, 1]);
    let k = key("user location|alice@example.org");
    world.update(alice, k, b"here").unwrap();
    // A super node whose table differs asks one that does not keep the record.
    let asker = world.authority.super_node(node(3));
    let raw = world.raw_member(&asker, 0);
    world.network.run_for(Duration::from_secs(2));
    let stored = |world: &World, at: usize| world.sn(world.super_nodes[at]).machine.stored();
    let relay = (0..12).find(|&at| {
        let id = world.sn(world.super_nodes[at]).machine.node();
        stored(&world, at) == 0
            && !world
                .sn(world.super_nodes[0])
                .machine
                .replicas(k)
                .contains(&id)
    });
    let relay = relay.expect("somebody does not keep it");
    let to_relay = world.raw_from(
        raw.host,
        &format!("sn{relay}:quic"),
        crate::node::preface(&asker.certificate, 1),
    );
    world.network.run_for(Duration::from_millis(300));
    world.network.keep_log();
    let find = Find {
        asker: node(3),
        request: 4711,
        key: k,
        owner: None,
        ttl: 2,
        visited: vec![node(3)],
    };
    world.say(to_relay, &Message::Find(find));
    world.network.run_for(Duration::from_secs(2));
    let relay = world.super_nodes[relay];
    let mut answers = 0;
    for traffic in world.network.take_log() {
        match postcard::from_bytes(traffic.payload.get(17..).unwrap_or_default()) {
            Ok(Message::Found { request: 4711, .. }) => {
                assert_eq!(traffic.to, raw.host, "straight to the asker");
                assert_ne!(traffic.from, relay, "not back the way it came");
                answers += 1;
            }
            Ok(Message::Find(find)) => assert_eq!(find.asker, node(3)),
            _ => {}
        }
    }
    assert_eq!(answers, 1);

    // An ordinary node's search carries nothing of him.
    world.network.keep_log();
    let bob = world.user("bob", &[5, 6]);
    world.network.take_log();
    world.bodies(bob, k).unwrap();
    let frames = world.network.take_log();
    let nodes: Vec<_> = world.super_nodes.clone();
    let between = frames
        .iter()
        .filter(|traffic| nodes.contains(&traffic.from) && nodes.contains(&traffic.to));
    for traffic in between {
        let bytes = &traffic.payload;
        assert!(!bytes.windows(3).any(|window| window == b"bob"));
    }
}

#[test]
fn a20_r137_a_search_can_neither_loop_nor_be_prolonged() {
    let mut world = World::with_super_nodes(49, 3);
    let evil = world.authority.super_node(node(77));
    let raw = world.raw_member(&evil, 0);
    let own = world.sn(world.super_nodes[0]).machine.node();
    let find = |ttl, visited| {
        Message::Find(Find {
            asker: node(77),
            request: 1,
            key: key("k"),
            owner: None,
            ttl,
            visited,
        })
    };
    let crafted = [
        find(200, vec![node(77)]),
        find(2, vec![own, node(77)]),
        find(2, vec![node(1), node(2), node(4), node(77)]),
        find(2, vec![node(1)]),
        find(2, vec![]),
        find(2, vec![node(77), node(1), node(77)]),
        find(1, vec![node(1), node(77)]),
    ];
    for message in crafted {
        let before = world.offences().len();
        world.say(raw, &message);
        assert_eq!(world.offences().len(), before + 1, "{message:?}");
    }
    let answered = world.heard::<Message>(raw);
    assert!(
        !answered
            .iter()
            .any(|answer| matches!(answer, Message::Found { .. }))
    );
    world.say(raw, &find(2, vec![node(77)]));
    let answered = world.heard::<Message>(raw);
    assert!(
        answered
            .iter()
            .any(|answer| matches!(answer, Message::Found { .. }))
    );
}

#[test]
fn a02_r094_revoked_credentials_stop_counting_at_once() {
    let mut world = World::with_super_nodes(52, 4);
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[0, 1]);
    let revoked_user = world.on(alice).identity.certificate.serial();
    let victim = world.super_nodes[1];
    let revoked_node = world.sn(victim).identity.certificate.serial();
    world.update(alice, key("k"), b"").unwrap();
    // One who does not look at revocation lists himself.
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let of_mallory = mallory.certificate.serial();
    let mallory = world.raw_user(&mallory, 0);
    let list = world
        .authority
        .revoke(1, vec![revoked_user, revoked_node, of_mallory]);
    let first = world.super_nodes[3];
    world.network.with(first, |node, now| {
        if let crate::node::Node::Sn(sn) = node {
            let input = overlay::SuperNodeInput::Revocations(list);
            machine::Machine::handle_input(&mut sn.machine, input, now);
            sn.drain(now);
        }
    });
    world.network.run_for(Duration::from_secs(3));
    assert_eq!(world.on(alice).machine.associations().count(), 0);
    assert_eq!(world.denied(mallory), Some(Denial::Revoked));
    let told = world
        .on(alice)
        .events
        .contains(&overlay::OrdinaryEvent::CredentialExpired);
    assert!(told, "{:?}", world.on(alice).events);
    for at in [0, 2, 3] {
        assert_eq!(world.sn(world.super_nodes[at]).machine.members().count(), 3);
    }
    assert!(world.associated(bob, 2), "elsewhere");
    let node = world.sn(victim).machine.node();
    assert!(
        world
            .on(bob)
            .machine
            .associations()
            .all(|(_, other, _)| other != node)
    );
    assert_eq!(world.get(bob, key("k")), Err(GetError::NotFound));
    assert!(
        world
            .complaints(bob)
            .iter()
            .all(|(_, how)| *how == Misbehaviour::Certificate)
    );

    // What the revoked one says of itself later counts for nothing.
    let identity = world.sn(victim).identity.clone();
    let announcement = world.announcement(&identity, |_| {});
    let member = world.authority.super_node(crate::raw::node(76));
    let raw = world.raw_peer(&member, 0);
    let announcements = vec![announcement];
    world.say(raw, &Message::Announcements { announcements });
    let refused = Offender::SuperNode(crate::raw::node(76));
    assert!(world.offences().contains(&(refused, Offence::Announcement)));
    let raw = world.raw_peer(&identity, 0);
    assert!(world.is_closed(raw), "nor is it let in");

    // A list that the authority did not sign is no list.
    let forged = Authority::new(7).revoke(2, vec![world.on(bob).identity.certificate.serial()]);
    let evil = world.authority.super_node(crate::raw::node(77));
    let raw = world.raw_peer(&evil, 0);
    let list = forged.to_bytes();
    world.say(raw, &Message::Revocations { list });
    let offences = world.offences();
    assert!(offences.iter().any(|(_, how)| *how == Offence::Revocations));
    assert_eq!(world.on(bob).machine.associations().count(), 2);
}

#[test]
fn a44_a_super_node_serves_as_many_as_it_can_and_names_others() {
    let mut world = World::new(53);
    world.limits = Limits {
        associations: 4,
        user_associations: 2,
        ..Limits::default()
    };
    world.grow(2);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let bob = world.authority.user("sip:bob@example.org", 1);
    let first = world.raw_user(&alice, 0);
    world.raw_user(&alice, 0);
    let third = world.raw_ordinary(&alice, 0);
    assert_eq!(
        world.denied(third),
        Some(Denial::Busy),
        "as many as a user may have"
    );
    world.raw_user(&bob, 0);
    let stranger = world.raw_stranger(0);
    assert_eq!(world.denied(stranger), None);
    world.network.run_for(Duration::from_secs(1));
    let turned_away = world.raw_stranger(0);
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(world.denied(turned_away), Some(Denial::Busy));
    let elsewhere = world.heard::<FromSuperNode>(turned_away);
    let named = elsewhere.iter().any(|message| {
        matches!(message, FromSuperNode::Refused { super_nodes, .. } if super_nodes.len() == 1)
    });
    assert!(named, "another super node is named");

    // Who says nothing is sent away, who leaves makes room.
    world.network.run_for(Duration::from_secs(9));
    assert_eq!(world.denied(stranger), Some(Denial::Protocol));
    world.puppet(first.host, |puppet| {
        let connection = first.connection;
        puppet.actions.push_back(Action::Close { connection });
    });
    world.network.run_for(Duration::from_secs(1));
    world.raw_user(&alice, 0);
}

#[test]
fn records_far_from_a_super_node_are_not_its_to_keep() {
    let mut world = World::with_super_nodes(55, 14);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let evil = world.authority.super_node(node(77));
    let record = world.record(&alice, key("k"), b"body", |_| {});
    let mut kept = 0;
    for at in 0..14 {
        let raw = world.raw_peer(&evil, at);
        let outcome = world.place(raw, Mode::Update, record.clone());
        match outcome {
            PutOutcome::Stored => kept += 1,
            PutOutcome::Refused(Refused::NotResponsible) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept, 10, "those that are responsible, or nearly");
}

#[test]
fn a17_r134_r135_an_owner_may_not_write_too_often() {
    let mut world = World::new(56);
    world.limits.owner_writes = 1;
    world.grow(1);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let raw = world.raw_user(&alice, 0);
    for request in 0..40 {
        let record = world.record(&alice, key("k"), b"again", |control| {
            control.sequence += request
        });
        let put = FromOrdinary::Put {
            request,
            mode: Mode::Update,
            record,
        };
        let bytes = frame::encode(world.overlay(), &put);
        world.send_bytes(raw, bytes);
    }
    world.network.run_for(Duration::from_secs(3));
    let answers = world.heard::<FromSuperNode>(raw).into_iter();
    let refused = answers.filter(|answer| {
        matches!(
            answer,
            FromSuperNode::Put {
                outcome: PutOutcome::Refused(Refused::Rate),
                ..
            }
        )
    });
    assert!(refused.count() >= 30);
    world.network.run_for(Duration::from_secs(10));
    let record = world.record(&alice, key("k"), b"later", |_| {});
    assert_eq!(world.put(raw, Mode::Update, record), PutOutcome::Stored);
}

#[test]
fn a19_costly_requests_of_one_super_node_are_limited() {
    let mut world = World::with_super_nodes(58, 3);
    let evil = world.authority.super_node(node(77));
    let raw = world.raw_peer(&evil, 0);
    let whole = Key([0; 20]);
    for digest in 0..3_000 {
        let message = Message::Compare {
            after: whole,
            last: whole,
            digest,
        };
        let bytes = frame::encode(world.overlay(), &message);
        world.send_bytes(raw, bytes);
    }
    world.network.run_for(Duration::from_secs(1));
    let answers = world.heard::<Message>(raw).into_iter();
    let answers = answers.filter(|answer| matches!(answer, Message::Slots { .. }));
    assert!(answers.count() < 700);
    let flood = (Offender::SuperNode(node(77)), Offence::Flood);
    let floods = world
        .offences()
        .into_iter()
        .filter(|offence| *offence == flood);
    assert_eq!(floods.count(), 1);
}
