use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use overlay::association::FromSuperNode;
use overlay::{Offence, Offender, SignedRecord, frame};
use p2psip::{EndReason, Event, Misconduct, Problem, SuperNodeEvent};

use crate::world::{Evil, OVERLAY, Wire, World, fingerprint, sdp};

const ALICE: u8 = 1;
const BOB: u8 = 2;
/// How many runs of spoilt messages.
const SPOILT: u8 = 40;

/// Changes every record that a super node hands to an ordinary node.
fn records(change: impl Fn(&mut Vec<SignedRecord>) + 'static) -> Evil {
    Box::new(move |wire| {
        if let Wire::Frame(bytes) = wire
            && let Ok(FromSuperNode::Records {
                request,
                mut records,
                end,
            }) = frame::decode(OVERLAY, bytes)
        {
            change(&mut records);
            *bytes = frame::encode(
                OVERLAY,
                &FromSuperNode::Records {
                    request,
                    records,
                    end,
                },
            );
        }
    })
}

/// Puts another fingerprint in the place of a device's, in the SIP that a super node passes on to ordinary nodes.
fn rewrite(start: &'static str, device: u8) -> Evil {
    Box::new(move |wire| {
        if let Wire::Text(text) = wire
            && text.starts_with(start)
        {
            *text = text.replace(&fingerprint(device), &fingerprint(99));
        }
    })
}

fn two(world: &mut World) -> (usize, usize) {
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    (alice, bob)
}

fn alter(records: &mut Vec<SignedRecord>) {
    for record in records {
        let text = String::from_utf8(record.body.clone()).unwrap();
        record.body = text
            .replace(&fingerprint(BOB), &fingerprint(99))
            .into_bytes();
    }
}

/// Makes both super nodes of a peer evil.
fn corrupt(world: &mut World, peer: usize, evil: impl Fn() -> Evil) {
    for at in world.serving(peer) {
        world.super_nodes[at].evil = Some(evil());
    }
}

fn nothing_rang(world: &mut World, peer: usize) {
    world.run_for(Duration::from_secs(10));
    let rang = |event: &Event| matches!(event, Event::Incoming { .. });
    assert!(!world.peers[peer].events.iter().any(rang));
}

#[test]
fn a14_r053_r128_altered_record_is_refused() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    corrupt(&mut world, alice, || records(alter));
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::RecordRefused);
    nothing_rang(&mut world, bob);
}

#[test]
fn a14_r132_altered_address_port_or_preference_is_refused() {
    for (part, other) in [
        ("<node_IP>sn2", "<node_IP>sn9"),
        ("<transport>WS80", "<transport>WS81"),
        ("<super_node>91", "<super_node>99"),
        ("<preference>1<", "<preference>3<"),
    ] {
        let mut world = World::new(3);
        let (alice, bob) = two(&mut world);
        let altered = Rc::new(RefCell::new(0));
        corrupt(&mut world, alice, || {
            let altered = Rc::clone(&altered);
            records(move |records| {
                for record in records {
                    let text = String::from_utf8(record.body.clone()).unwrap();
                    *altered.borrow_mut() += usize::from(text.contains(part));
                    record.body = text.replace(part, other).into_bytes();
                }
            })
        });
        world.call(alice, ALICE, "bob");
        assert_eq!(world.end(alice).0, EndReason::RecordRefused, "{part}");
        assert!(*altered.borrow() > 0, "{part} is in the record");
        nothing_rang(&mut world, bob);
    }
}

#[test]
fn a14_r053_r138_one_evil_super_node_does_not_keep_a_call_away() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let first = world.serving(alice)[0];
    world.super_nodes[first].evil = Some(records(alter));
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn a14_r053_valid_record_of_another_user_is_refused() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let mallory = world.online("mallory", 9, &[0, 1]);
    let kept: Rc<RefCell<Vec<SignedRecord>>> = Rc::default();
    corrupt(&mut world, alice, || {
        let kept = Rc::clone(&kept);
        records(move |records| {
            if !records.is_empty() {
                kept.borrow_mut().clone_from(records);
            }
        })
    });
    world.call(alice, ALICE, "mallory");
    world.incoming(mallory);
    world.run_for(Duration::from_secs(1));
    let call = world.peers[alice]
        .events
        .iter()
        .find_map(|event| match event {
            Event::Ringing { call } => Some(*call),
            _ => None,
        });
    world.act(alice, |peer, now| peer.hang_up(call.unwrap(), now));
    world.end(mallory);
    world.end(alice);
    assert!(!kept.borrow().is_empty());

    corrupt(&mut world, alice, || {
        let kept = Rc::clone(&kept);
        records(move |records| records.clone_from(&kept.borrow()))
    });
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::RecordRefused);
    nothing_rang(&mut world, bob);
    nothing_rang(&mut world, mallory);
}

#[test]
fn a14_r044_r138_older_record_of_the_callee_is_not_used() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let kept: Rc<RefCell<Vec<SignedRecord>>> = Rc::default();
    corrupt(&mut world, alice, || {
        let kept = Rc::clone(&kept);
        records(move |records| {
            if !records.is_empty() {
                kept.borrow_mut().clone_from(records);
            }
        })
    });
    world.act(alice, |peer, now| peer.warm("bob", now));
    world.run_for(Duration::from_secs(2));
    assert!(!kept.borrow().is_empty());

    // Bob has a new key for his media; the super node that Alice asks first knows nothing of that.
    world.act(bob, |peer, now| peer.go_online(&fingerprint(77), now));
    world.run_for(Duration::from_secs(20));
    corrupt(&mut world, alice, || Box::new(|_| {}));
    let first = world.serving(alice)[0];
    world.super_nodes[first].evil = Some(records(move |records| {
        records.clone_from(&kept.borrow());
    }));
    world.call(alice, ALICE, "bob");
    let (incoming, _) = world.incoming(bob);
    world.run_for(Duration::from_secs(1));
    world.act(bob, |peer, now| peer.answer(incoming, &sdp(77), now));
    world.until(alice, |event| matches!(event, Event::Answered { .. }));
}

#[test]
fn a10_r117_offer_with_a_rewritten_fingerprint_does_not_ring() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    corrupt(&mut world, bob, || rewrite("INVITE", ALICE));
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::IdentityRefused);
    world.until(bob, |event| *event == Event::Problem(Problem::Identity));
    nothing_rang(&mut world, bob);
}

#[test]
fn a10_r117_answer_with_a_rewritten_fingerprint_is_refused() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    corrupt(&mut world, alice, || rewrite("SIP/2.0 200", BOB));
    world.call(alice, ALICE, "bob");
    let (incoming, _) = world.incoming(bob);
    world.act(bob, |peer, now| peer.answer(incoming, &sdp(BOB), now));
    let ended = world.until(alice, |event| {
        assert!(!matches!(event, Event::Answered { .. }), "it was surfaced");
        matches!(event, Event::Ended { .. })
    });
    assert!(matches!(
        ended,
        Event::Ended {
            reason: EndReason::MediaRefused,
            ..
        }
    ));
    world.end(bob);
}

#[test]
fn a10_r117_caller_can_not_be_posed_as() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    corrupt(&mut world, bob, || {
        Box::new(|wire| {
            if let Wire::Text(text) = wire
                && text.starts_with("INVITE")
            {
                *text = text.replace("sip:alice@example.org", "sip:carol@example.org");
            }
        })
    });
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::IdentityRefused);
    nothing_rang(&mut world, bob);
}

#[test]
fn a09_garbage_of_a_super_node_is_reported_and_survived() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let first = world.serving(alice)[0];
    world.super_nodes[first].evil = Some(Box::new(|wire| match wire {
        Wire::Frame(bytes) | Wire::Sip(bytes) => bytes.truncate(bytes.len() / 2),
        Wire::Text(text) => text.insert(0, '\u{1}'),
    }));
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn a44_r134_flooding_page_is_slowed_down_and_named() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let first = world.serving(alice)[0];
    for _ in 0..1000 {
        world.inject(alice, "garbage");
    }
    world.run_for(Duration::from_secs(1));
    let flood = SuperNodeEvent::Misbehaved {
        who: Offender::User("sip:alice@example.org".into()),
        how: Misconduct::Overlay(Offence::Flood),
    };
    let dropped = world.super_nodes[first].events.iter();
    let dropped = dropped.filter(|event| **event == flood).count();
    assert!((500..700).contains(&dropped), "{dropped}");
    world.run_for(Duration::from_secs(10));
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn a42_a54_foreign_from_is_refused_by_the_super_node() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let first = world.serving(alice)[0];
    let forged = "MESSAGE sip:bob@example.org;gr=urn:uuid:02020202-0202-0202-0202-020202020202 SIP/2.0\r\n\
        Via: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
        From: <sip:carol@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\n\
        Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n";
    world.inject(alice, forged);
    world.run_for(Duration::from_secs(1));
    let refused = SuperNodeEvent::Misbehaved {
        who: Offender::User("sip:alice@example.org".into()),
        how: Misconduct::Sip(sip::edge::Refusal::ForeignFrom),
    };
    assert!(world.super_nodes[first].events.contains(&refused));
    assert!(world.peers[bob].events.is_empty());
}

/// Spoils about one in `often` messages at a random place.
fn spoil(seed: u8, often: u32) -> Evil {
    let mut rng = machine::Rng::new([seed; 32]);
    Box::new(move |wire| {
        if rng.below(often) > 0 {
            return;
        }
        match wire {
            Wire::Frame(bytes) | Wire::Sip(bytes) => {
                let place = rng.below(bytes.len() as u32) as usize;
                bytes[place] = rng.number() as u8;
            }
            Wire::Text(text) => {
                let mut place = rng.below(text.len() as u32) as usize;
                while !text.is_char_boundary(place) {
                    place -= 1;
                }
                let letter = ["\u{a8a7}", "\u{0}", ";", "\"", "\r\n", ",", "é", ":"];
                let letter = letter[rng.below(letter.len() as u32) as usize];
                match rng.below(3) {
                    0 => text.insert_str(place, letter),
                    1 => text.truncate(place),
                    _ => {
                        text.remove(place);
                        text.insert_str(place, letter);
                    }
                }
            }
        }
    })
}

#[test]
fn a09_spoilt_messages_crash_nobody() {
    for seed in 0..SPOILT {
        let mut world = World::new(2);
        let alice = world.online("alice", ALICE, &[0, 1]);
        let bob = world.online("bob", BOB, &[1, 0]);
        for at in 0..2 {
            world.super_nodes[at].evil = Some(spoil(seed, 3));
        }
        let call = world.call(alice, ALICE, "bob");
        world.run_for(Duration::from_secs(2));
        let incoming = world.peers[bob]
            .events
            .iter()
            .find_map(|event| match event {
                Event::Incoming { call, .. } => Some(*call),
                _ => None,
            });
        if let Some(incoming) = incoming {
            world.act(bob, |peer, now| peer.answer(incoming, &sdp(BOB), now));
            world.run_for(Duration::from_secs(2));
            world.act(alice, |peer, now| peer.renegotiate(call, &sdp(ALICE), now));
            world.run_for(Duration::from_secs(2));
        }
        world.act(alice, |peer, now| peer.hang_up(call, now));
        world.run_for(Duration::from_secs(40));
        let over = |event: &Event| matches!(event, Event::Ended { .. });
        let ends = world.peers[alice].events.iter().filter(|event| over(event));
        assert_eq!(ends.count(), 1, "every call ends, and once");
    }
}
