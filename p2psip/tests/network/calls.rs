use std::time::Duration;

use p2psip::{CallId, Candidate, EndReason, Event};

use crate::world::{World, sdp};

const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

/// Alice at the super nodes 0 and 1, Bob at 2 and 1.
fn two() -> (World, usize, usize) {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    (world, alice, bob)
}

/// A call is answered so, by the callee himself.
fn answered(world: &mut World, caller: usize, call: CallId, answer: String) {
    let bridged = false;
    let event = world.until(caller, |event| matches!(event, Event::Answered { .. }));
    let expected = Event::Answered {
        call,
        answer,
        bridged,
    };
    assert_eq!(event, expected);
}

#[test]
fn r055_call_is_answered_and_hung_up_by_the_caller() {
    let (mut world, alice, bob) = two();
    let call = world.call(alice, ALICE, "bob");
    let (incoming, caller) = world.incoming(bob);
    assert_eq!(caller, "sip:alice@example.org");
    world.until(alice, |event| *event == Event::Ringing { call });
    world.act(bob, |peer, now| peer.answer(incoming, &sdp(BOB), now));
    answered(&mut world, alice, call, sdp(BOB));
    world.until(bob, |event| *event == Event::Established { call: incoming });

    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(
        world.peers[alice].events.pop_front(),
        Some(Event::Ended {
            call,
            reason: EndReason::HungUp,
            remote: false
        }),
        "at once"
    );
    assert_eq!(world.end(bob), (EndReason::HungUp, true));
}

#[test]
fn r055_call_is_hung_up_by_the_callee() {
    let (mut world, alice, bob) = two();
    let (_, incoming) = world.talk((alice, ALICE), (bob, BOB));
    world.act(bob, |peer, now| peer.hang_up(incoming, now));
    assert_eq!(world.end(bob), (EndReason::HungUp, false));
    assert_eq!(world.end(alice), (EndReason::HungUp, true));
}

#[test]
fn r054_call_is_quick() {
    let (mut world, alice, bob) = two();
    let start = world.now;
    world.call(alice, ALICE, "bob");
    world.incoming(bob);
    // Search: 2 hops and, where the super node asks others, 2 more; INVITE: 3 hops; signatures in between.
    assert!(
        world.now - start < Duration::from_millis(100),
        "{:?}",
        world.now - start
    );
}

#[test]
fn r054_declined_call_ends_as_declined() {
    let (mut world, alice, bob) = two();
    world.call(alice, ALICE, "sip:bob@Example.org");
    let (incoming, _) = world.incoming(bob);
    world.act(bob, |peer, now| peer.decline(incoming, now));
    assert_eq!(world.end(bob), (EndReason::Declined, false));
    assert_eq!(world.end(alice), (EndReason::Declined, true));
}

#[test]
fn r054_cancelled_call_stops_ringing() {
    let (mut world, alice, bob) = two();
    let call = world.call(alice, ALICE, "bob@example.org");
    world.incoming(bob);
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(alice), (EndReason::Cancelled, false));
    assert_eq!(world.end(bob), (EndReason::Cancelled, true));
}

#[test]
fn r054_call_before_the_lookup_is_done_can_be_cancelled() {
    let (mut world, alice, bob) = two();
    let call = world.call(alice, ALICE, "bob");
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(alice), (EndReason::Cancelled, false));
    world.run_for(Duration::from_secs(5));
    let rang = |event: &Event| matches!(event, Event::Incoming { .. });
    assert!(!world.peers[bob].events.iter().any(rang));
}

#[test]
fn r054_second_call_finds_the_callee_busy() {
    let (mut world, alice, bob) = two();
    let carol = world.online("carol", CAROL, &[1, 0]);
    world.talk((alice, ALICE), (bob, BOB));
    world.call(carol, CAROL, "bob");
    assert_eq!(world.end(carol), (EndReason::Busy, true));
    let missed = world.until(bob, |event| matches!(event, Event::Missed { .. }));
    assert!(matches!(missed, Event::Missed { caller } if caller.uri == "sip:carol@example.org"));
    let over = |event: &Event| matches!(event, Event::Ended { .. });
    world.run_for(Duration::from_secs(5));
    assert!(
        !world.peers[bob].events.iter().any(over),
        "the first call goes on"
    );
}

#[test]
fn r054_call_that_nobody_answers_ends() {
    let (mut world, alice, bob) = two();
    let start = world.now;
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::NoAnswer);
    let rang = world.now - start;
    assert!((55..70).contains(&rang.as_secs()), "{rang:?}");
    world.incoming(bob);
    world.end(bob);
}

#[test]
fn r049_unknown_callee_is_not_found() {
    let (mut world, alice, _) = two();
    for target in [
        "nobody",
        "bob@example.com",
        "bob smith",
        "",
        "sip:%00@example.org",
    ] {
        world.call(alice, ALICE, target);
        assert_eq!(world.end(alice).0, EndReason::NotFound, "{target}");
    }
}

#[test]
fn r049_callee_who_signed_off_is_offline() {
    let (mut world, alice, bob) = two();
    world.act(bob, |peer, now| peer.go_offline(now));
    world.until(bob, |event| *event == Event::Offline);
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::Offline);
}

#[test]
fn callee_whose_page_is_gone_is_offline() {
    let (mut world, alice, bob) = two();
    world.vanish(bob);
    let start = world.now;
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::Offline);
    assert!(
        world.now - start < Duration::from_secs(5),
        "{:?}",
        world.now - start
    );
}

#[test]
fn candidates_trickle_both_ways() {
    let (mut world, alice, bob) = two();
    let call = world.call(alice, ALICE, "bob");
    let candidate = |device: u8, number: u8| Candidate {
        mid: "0".into(),
        line: format!("candidate:{number} 1 udp 2122260223 192.0.2.{device} 5000 typ host"),
        ufrag: format!("ufr{device}"),
    };
    world.act(alice, |peer, now| {
        peer.candidate(call, candidate(ALICE, 1), now)
    });
    let (incoming, _) = world.incoming(bob);
    world.act(alice, |peer, now| {
        peer.candidate(call, candidate(ALICE, 2), now);
        peer.end_of_candidates(call, now);
    });
    world.act(bob, |peer, now| {
        peer.answer(incoming, &sdp(BOB), now);
        peer.candidate(incoming, candidate(BOB, 1), now);
        peer.end_of_candidates(incoming, now);
    });
    for (at, wanted) in [
        (bob, vec![candidate(ALICE, 1), candidate(ALICE, 2)]),
        (alice, vec![candidate(BOB, 1)]),
    ] {
        let mut got = Vec::new();
        loop {
            let event = world.until(at, |event| matches!(event, Event::Candidates { .. }));
            let Event::Candidates {
                candidates,
                complete,
                ..
            } = event
            else {
                unreachable!("only candidates are waited for");
            };
            got.extend(candidates);
            if complete {
                break;
            }
        }
        assert_eq!(got, wanted);
    }
}

#[test]
fn call_is_renegotiated_from_either_side() {
    let (mut world, alice, bob) = two();
    let (call, incoming) = world.talk((alice, ALICE), (bob, BOB));
    for (from, to, outer, inner, devices) in [
        (alice, bob, call, incoming, (ALICE, BOB)),
        (bob, alice, incoming, call, (BOB, ALICE)),
    ] {
        world.act(from, |peer, now| {
            peer.renegotiate(outer, &sdp(devices.0), now)
        });
        let offered = world.until(to, |event| matches!(event, Event::Offered { .. }));
        let offer = sdp(devices.0);
        assert_eq!(offered, Event::Offered { call: inner, offer });
        world.act(to, |peer, now| peer.answer(inner, &sdp(devices.1), now));
        let answered = world.until(from, |event| matches!(event, Event::Renegotiated { .. }));
        let answer = sdp(devices.1);
        assert_eq!(
            answered,
            Event::Renegotiated {
                call: outer,
                answer
            }
        );
    }
}

#[test]
fn r058_r106_all_devices_ring_and_one_answers() {
    let (mut world, alice, bob) = two();
    let tablet = world.online("bob", 12, &[0, 2]);
    let call = world.call(alice, ALICE, "bob");
    world.incoming(bob);
    let (incoming, _) = world.incoming(tablet);
    world.act(tablet, |peer, now| peer.answer(incoming, &sdp(12), now));
    answered(&mut world, alice, call, sdp(12));
    assert_eq!(world.end(bob), (EndReason::AnsweredElsewhere, true));
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(tablet), (EndReason::HungUp, true));
}

#[test]
fn warm_lookup_makes_the_call_quicker() {
    let (mut world, alice, bob) = two();
    world.act(alice, |peer, now| peer.warm("bob", now));
    world.run_for(Duration::from_secs(1));
    let start = world.now;
    world.call(alice, ALICE, "bob");
    world.incoming(bob);
    assert!(
        world.now - start < Duration::from_millis(50),
        "{:?}",
        world.now - start
    );
}

#[test]
fn missing_microphone_ends_the_call_at_both_ends() {
    let (mut world, alice, bob) = two();
    world.call(alice, ALICE, "bob");
    let (incoming, _) = world.incoming(bob);
    world.act(bob, |peer, now| {
        peer.fail(incoming, EndReason::NoMicrophone, now);
    });
    assert_eq!(world.end(bob), (EndReason::NoMicrophone, false));
    assert_eq!(world.end(alice), (EndReason::NotAcceptable, true));
}

#[test]
fn same_seed_same_trace() {
    let trace = || {
        let (mut world, alice, bob) = two();
        world.talk((alice, ALICE), (bob, BOB));
        world.now
    };
    assert_eq!(trace(), trace());
}
