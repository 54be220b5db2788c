//! Whom an ordinary node associates with, and until when.

use std::time::Duration;

use credential::{Challenge, RevocationList, Role};
use machine::{Instant, Machine, WallClock};
use overlay::association::{FromOrdinary, FromSuperNode};
use overlay::{
    GetError, Misbehaviour, OrdinaryConfig, OrdinaryEvent, OrdinaryInput, OrdinaryNode,
    OrdinaryOutput, frame,
};
use sim::{Fact, HostId};

use crate::authority::{Authority, Identity, Verifier, WALL};
use crate::node::Node;
use crate::raw::{Raw, node};
use crate::world::{World, key};

/// Lets a puppet at this address play the super node in one handshake, with this certificate and this signer.
fn impostor(world: &mut World, address: &str) -> HostId {
    world.add_puppet(address)
}

fn answer_hello(
    world: &mut World,
    host: HostId,
    certificate: &Identity,
    signer: &Identity,
    change: impl FnOnce(&mut Challenge<'_>),
) {
    let opened = world.network.run_until(
        Duration::from_secs(5),
        |network| matches!(network.host(host), Node::Puppet(puppet) if puppet.facts.len() >= 3),
    );
    assert!(opened, "somebody dials");
    let facts = world.facts(host).to_vec();
    let hello = facts.iter().find_map(|fact| match fact {
        Fact::Received {
            connection,
            payload,
        } if payload.len() > 17 => {
            let message = postcard::from_bytes::<FromOrdinary>(&payload[17..]).ok()?;
            Some((*connection, message))
        }
        _ => None,
    });
    let Some((
        connection,
        FromOrdinary::Hello {
            nonce,
            host: dialled,
            ..
        },
    )) = hello
    else {
        panic!("no hello: {facts:?}");
    };
    let own = [4; 32];
    let mut challenge = Challenge {
        overlay: world.overlay(),
        ordinary: &nonce,
        super_node: &own,
        node: certificate.certificate.node().unwrap_or(node(1)),
        host: &dialled,
    };
    change(&mut challenge);
    let message = challenge.message(Role::SuperNode).unwrap();
    let raw = Raw { host, connection };
    let answer = FromSuperNode::Challenge {
        nonce: own,
        certificate: certificate.certificate.der().to_vec(),
        signature: signer.sign(&message),
    };
    world.say(raw, &answer);
}

#[test]
fn a02_a03_a04_r085_r099_r102_only_a_true_super_node_is_associated_with() {
    type Case = (
        &'static str,
        fn(&World) -> (Identity, Identity),
        Misbehaviour,
    );
    fn pair(make: impl Fn() -> Identity) -> (Identity, Identity) {
        (make(), make())
    }
    let cases: [Case; 4] = [
        (
            "a user's certificate",
            |world| {
                let mallory = world.authority.user("sip:mallory@example.org", 1);
                let again = world.authority.user("sip:mallory@example.org", 1);
                (mallory, again)
            },
            Misbehaviour::NotASuperNode,
        ),
        (
            "another overlay's",
            |_| pair(|| Authority::new(8).super_node(node(1))),
            Misbehaviour::Certificate,
        ),
        (
            "somebody else's key",
            |world| {
                let true_one = world.authority.super_node(node(1));
                (true_one, world.authority.super_node(node(2)))
            },
            Misbehaviour::Proof,
        ),
        (
            "self-made authority",
            |_| {
                let identity = Authority::new(7).super_node(node(1));
                let signer = Authority::new(7).super_node(node(1));
                (identity, signer)
            },
            Misbehaviour::Proof,
        ),
    ];
    for (name, identities, how) in cases {
        let mut world = World::with_super_nodes(76, 1);
        let host = impostor(&mut world, "evil");
        let alice = world.authority.user("sip:alice@example.org", 1);
        let alice = world.add_ordinary_by(alice, vec!["wss://evil/p2psip".into()]);
        let (certificate, signer) = identities(&world);
        answer_hello(&mut world, host, &certificate, &signer, |_| {});
        world.network.run_for(Duration::from_secs(1));
        assert_eq!(world.on(alice).machine.associations().count(), 0, "{name}");
        let complaints = world.complaints(alice);
        assert!(
            complaints.iter().any(|(_, of)| *of == how),
            "{name}: {complaints:?}"
        );
    }
}

#[test]
fn a04_a_chain_that_only_looks_right_is_refused() {
    let mut world = World::with_super_nodes(77, 1);
    let host = impostor(&mut world, "evil");
    let alice = world.authority.user("sip:alice@example.org", 1);
    let alice = world.add_ordinary_by(alice, vec!["wss://evil/p2psip".into()]);
    // Holds its key, names the overlay, is signed by another authority of the same name.
    let evil = Authority::new(7).super_node(node(1));
    answer_hello(&mut world, host, &evil, &evil, |_| {});
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(world.on(alice).machine.associations().count(), 0);
    let complaints = world.complaints(alice);
    assert!(complaints.contains(&(Some(node(1)), Misbehaviour::Certificate)));
}

#[test]
fn a04_r102_a_proof_made_for_another_host_or_in_the_other_role_is_refused() {
    for which in 0..3 {
        let mut world = World::with_super_nodes(78, 1);
        let host = impostor(&mut world, "evil");
        let alice = world.authority.user("sip:alice@example.org", 1);
        let alice = world.add_ordinary_by(alice, vec!["wss://evil/p2psip".into()]);
        let true_one = world.authority.super_node(node(1));
        answer_hello(
            &mut world,
            host,
            &true_one,
            &true_one,
            |challenge| match which {
                // What a true super node signs for mallory, who dialled it by its own name.
                0 => challenge.host = "sn0",
                1 => challenge.ordinary = &[3; 32],
                _ => {}
            },
        );
        world.network.run_for(Duration::from_secs(1));
        let proved = which == 2;
        let proofs = world.facts(host).iter().filter(|fact| match fact {
            Fact::Received { payload, .. } if payload.len() > 17 => matches!(
                postcard::from_bytes(&payload[17..]),
                Ok(FromOrdinary::Proof { .. })
            ),
            _ => false,
        });
        assert_eq!(
            proofs.count(),
            usize::from(proved),
            "the own proof only after the other's"
        );
        let complaints = world.complaints(alice);
        let expected = (Some(node(1)), Misbehaviour::Proof);
        assert_eq!(complaints.contains(&expected), !proved, "{complaints:?}");
    }
}

#[test]
fn a01_r093_r099_a_thousand_bogus_super_nodes_cost_bounded_time_and_dials() {
    let mut world = World::with_super_nodes(79, 3);
    // Black holes, and ports where nobody listens.
    let hole = world.add_puppet("hole");
    let mut urls: Vec<String> = (0..1_000)
        .map(|number| format!("wss://nobody{number}/p2psip"))
        .collect();
    for number in 0..12 {
        let address = format!("hole{number}");
        world.network.add_address(hole, &address);
        urls.insert(number, format!("wss://{address}/p2psip"));
    }
    let alice = world.authority.user("sip:alice@example.org", 1);
    let alice = world.add_ordinary_by(alice, urls);
    // The next source knows a good one.
    world.with_on(alice, |on, now| {
        let url = "wss://sn1/p2psip".into();
        let good = overlay::Candidate { url, node: None };
        machine::Machine::handle_input(on, overlay::OrdinaryInput::Candidates(vec![good]), now);
    });
    let found = world.network.run_until(Duration::from_secs(20), |network| {
        matches!(network.host(alice), Node::On(on) if on.machine.associations().count() == 2)
    });
    assert!(found);
    let (mut open, mut most) = (0, 0);
    for fact in world.facts(hole) {
        match fact {
            Fact::Opened { .. } => open += 1,
            Fact::Closed { .. } => open -= 1,
            Fact::Refused { .. } | Fact::Received { .. } => {}
        }
        most = open.max(most);
    }
    assert!((1..=4).contains(&most), "{most} at a time");
}

#[test]
fn a_link_to_a_node_already_associated_with_is_given_up() {
    let mut world = World::with_super_nodes(82, 2);
    let second_name = "sn0alias";
    world.network.add_address(world.super_nodes[0], second_name);
    let alice = world.user("alice", &[0, 1]);
    let nodes: Vec<_> = world
        .on(alice)
        .machine
        .associations()
        .map(|(_, node, _)| node)
        .collect();
    assert_ne!(nodes[0], nodes[1]);
    // The only super node of a small overlay is enough, and is not dialled again and again.
    let mut world = World::with_super_nodes(83, 1);
    let bob = world.user("bob", &[0]);
    world.network.keep_log();
    world.network.run_for(Duration::from_secs(20));
    let hellos = world.network.take_log().into_iter().filter(|traffic| {
        let message = traffic.payload.get(17..).map(postcard::from_bytes);
        traffic.from == bob && matches!(message, Some(Ok(FromOrdinary::Hello { .. })))
    });
    assert_eq!(hellos.count(), 0);
}

#[test]
fn r105_a07_an_expired_credential_ends_with_a_clear_word_and_a_renewed_one_goes_on() {
    let mut world = World::with_super_nodes(84, 3);
    let soon = Duration::from_secs(30);
    let identity = world.authority.user_until("sip:alice@example.org", 1, soon);
    let alice = world.add_ordinary(identity, &[0, 1]);
    assert!(world.associated(alice, 2));
    world.update(alice, key("k"), b"").unwrap();
    world.network.run_for(Duration::from_secs(31));
    assert!(
        world
            .on(alice)
            .events
            .contains(&OrdinaryEvent::CredentialExpired)
    );
    assert_eq!(world.on(alice).machine.associations().count(), 0);
    assert_eq!(world.get(alice, key("k")), Err(GetError::CredentialExpired));
    assert!(world.update(alice, key("k"), b"").is_err());

    let renewed = world.authority.user("sip:alice@example.org", 1);
    let certificate = renewed.certificate.clone();
    world.network.with(alice, |node, now| {
        let Node::On(on) = node else { return };
        on.identity = renewed.into();
        on.machine.renew(certificate, now);
        on.drain(now);
    });
    assert!(world.associated(alice, 2));
    world.update(alice, key("k"), b"again").unwrap();
}

#[test]
fn associations_change_over_to_a_renewed_credential_one_by_one() {
    let mut world = World::with_super_nodes(85, 3);
    let soon = Duration::from_secs(120);
    let identity = world.authority.user_until("sip:alice@example.org", 1, soon);
    let alice = world.add_ordinary(identity, &[0, 1]);
    assert!(world.associated(alice, 2));
    let renewed = world.authority.user("sip:alice@example.org", 1);
    let certificate = renewed.certificate.clone();
    world.network.with(alice, |node, now| {
        let Node::On(on) = node else { return };
        on.identity = renewed.into();
        on.machine.renew(certificate, now);
        on.drain(now);
    });
    let never_alone = !world.network.run_until(Duration::from_secs(180), |network| {
        matches!(network.host(alice), Node::On(on) if on.machine.associations().count() == 0)
    });
    assert!(never_alone);
    assert!(
        !world
            .on(alice)
            .events
            .contains(&OrdinaryEvent::CredentialExpired)
    );
    assert_eq!(world.on(alice).machine.associations().count(), 2);
}

#[test]
fn sign_out_closes_everything() {
    let mut world = World::with_super_nodes(87, 2);
    let alice = world.user("alice", &[0, 1]);
    world.with_on(alice, |on, now| on.leave(now));
    world.network.run_for(Duration::from_secs(30));
    assert_eq!(world.on(alice).machine.associations().count(), 0);
    let gone = world.super_nodes.iter().all(|&id| {
        let events = &world.sn(id).events;
        events
            .iter()
            .any(|event| matches!(event, overlay::SuperNodeEvent::Dissociated { .. }))
    });
    assert!(gone);
}

#[test]
fn a04_the_own_proof_waits_for_the_others_however_fast_it_is_signed() {
    let world = World::new(88);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let super_node = world.authority.super_node(node(1));
    let config = OrdinaryConfig {
        anchor: world.authority.anchor.clone(),
        certificate: alice.certificate.clone(),
        revocations: RevocationList::empty(world.overlay()),
        candidates: vec![overlay::Candidate {
            url: "wss://sn1/p2psip".into(),
            node: None,
        }],
        clock: WallClock::new(WALL),
        seed: [1; 32],
    };
    let now = Instant::EPOCH;
    let mut machine = OrdinaryNode::new(config, now);
    let Some(OrdinaryOutput::Dial { link, .. }) = machine.poll_output() else {
        panic!("it dials");
    };
    machine.handle_input(OrdinaryInput::Up(link), now);
    let Some(OrdinaryOutput::Send { frame, .. }) = machine.poll_output() else {
        panic!("it says hello");
    };
    let Ok(FromOrdinary::Hello { nonce, .. }) = frame::decode(world.overlay(), &frame) else {
        panic!("hello");
    };
    let challenge = Challenge {
        overlay: world.overlay(),
        ordinary: &nonce,
        super_node: &[2; 32],
        node: node(1),
        host: "sn1",
    };
    let answer = FromSuperNode::Challenge {
        nonce: [2; 32],
        certificate: super_node.certificate.der().to_vec(),
        signature: super_node.sign(&challenge.message(Role::SuperNode).unwrap()),
    };
    let frame = frame::encode(world.overlay(), &answer);
    machine.handle_input(OrdinaryInput::Frame { link, frame }, now);
    let mut checks = Vec::new();
    while let Some(output) = machine.poll_output() {
        match output {
            OrdinaryOutput::Verify(check) => checks.push(check),
            OrdinaryOutput::Sign(sign) => {
                machine.handle_input(OrdinaryInput::Signed(alice.signed(&sign)), now);
            }
            other => panic!("too early: {other:?}"),
        }
    }
    assert_eq!(checks.len(), 2, "the proof and the chain");
    let mut verifier = Verifier;
    for check in checks {
        assert_eq!(machine.poll_output(), None);
        machine.handle_input(OrdinaryInput::Verified(verifier.verified(&check)), now);
    }
    assert!(matches!(
        machine.poll_output(),
        Some(OrdinaryOutput::Send { .. })
    ));
}
