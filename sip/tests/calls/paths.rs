//! Super nodes die, flows break, frames are lost: calls arrive all the same.

use std::time::Duration;

use machine::Machine;
use sip::{EndReason, Event};

use crate::network::{Fate, Network, ended, established, incoming, sdp};

/// Two users, each with two super nodes of their own.
fn two() -> (Network, usize, usize) {
    let mut net = Network::new(4);
    let (alice, bob) = (net.join("alice", 1, &[1, 2]), net.join("bob", 2, &[3, 4]));
    (net, alice, bob)
}

fn answer(net: &mut Network, bob: usize, taken: sip::CallId) {
    let answer = sdp(&net.agents[bob].fingerprint, "answer");
    net.with(bob, |ua, now| ua.answer(taken, answer, now));
}

fn is_answered(events: &[Event]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, Event::Answered { .. }))
}

#[test]
fn r054_silence_is_hedged_after_half_a_second() {
    let (mut net, alice, bob) = two();
    let mut lost = false;
    net.middle = Some(Box::new(move |agent, message, _| {
        // The super node's 100 is lost too, or the caller would wait for the device.
        let first = agent == bob && message.method_text() == "INVITE" && !lost;
        lost |= first;
        let trying = agent == alice && message.status() == Some(100);
        if first || trying {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    }));
    net.call(alice, &[bob]);
    net.run(490);
    assert_eq!(net.events(bob), []);
    net.run(100);
    incoming(&net.events(bob));
}

#[test]
fn r054_half_dead_flow_is_hedged_though_the_super_node_said_trying() {
    let (mut net, alice, bob) = two();
    let mut lost = false;
    net.middle = Some(Box::new(move |agent, message, _| {
        let first = agent == bob && message.method_text() == "INVITE" && !lost;
        lost |= first;
        if first { Fate::Drop } else { Fate::Deliver }
    }));
    net.call(alice, &[bob]);
    net.run(2200);
    incoming(&net.events(bob));
    assert_eq!(net.count(alice, "SIP/2.0 100"), 2);
}

#[test]
fn r011_flow_failed_goes_by_the_other_flow_at_once() {
    let (mut net, alice, bob) = two();
    let target = net.target(bob);
    net.cut(bob, 3);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(100);
    incoming(&net.events(bob));
    assert_eq!(net.count(alice, "SIP/2.0 430"), 1);
}

#[test]
fn r011_dead_super_node_is_passed_by_at_once() {
    let (mut net, alice, bob) = two();
    let target = net.target(bob);
    net.kill(3);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(100);
    incoming(&net.events(bob));
    assert_eq!(net.count(alice, "SIP/2.0 503"), 1);
}

#[test]
fn r011_own_super_node_dies_with_the_invite() {
    let (mut net, alice, bob) = two();
    net.call(alice, &[bob]);
    net.run(5);
    net.kill(1);
    net.run(100);
    incoming(&net.events(bob));
}

#[test]
fn r011_any_super_node_dies_while_the_phone_rings() {
    for dies in 1..=4 {
        let (mut net, alice, bob) = two();
        net.call(alice, &[bob]);
        net.run(100);
        let taken = incoming(&net.events(bob));
        net.with(bob, |ua, now| ua.ring(taken, now));
        net.run(200);
        net.kill(dies);
        net.run(100);
        answer(&mut net, bob, taken);
        net.run(700);
        assert!(
            is_answered(&net.events(alice)),
            "super node {dies}: {:#?}",
            net.trace
        );
        net.run(60_000);
        assert_eq!(ended(&net.events(alice)), None);
        assert_eq!(net.events(bob), [Event::Established { call: taken }]);
    }
}

#[test]
fn r011_any_super_node_dies_and_hanging_up_still_ends_both_sides() {
    for dies in 1..=4 {
        for by_caller in [true, false] {
            let (mut net, [(alice, call), (bob, taken)]) = established();
            net.kill(dies);
            net.run(if by_caller { 0 } else { 50 });
            let (one, id, other) = if by_caller {
                (alice, call, bob)
            } else {
                (bob, taken, alice)
            };
            net.with(one, |ua, now| ua.hang_up(id, now));
            net.run(2000);
            assert_eq!(ended(&net.events(one)), Some((EndReason::HungUp, false)));
            let events = net.events(other);
            assert_eq!(
                ended(&events),
                Some((EndReason::HungUp, true)),
                "super node {dies}, {by_caller}"
            );
            assert_eq!(events.len(), 1);
        }
    }
}

#[test]
fn r011_callee_changes_his_network_while_the_phone_rings() {
    for refused in [false, true] {
        let (mut net, alice, bob) = two();
        net.call(alice, &[bob]);
        net.run(100);
        let taken = incoming(&net.events(bob));
        net.with(bob, |ua, now| ua.ring(taken, now));
        net.run(200);
        net.cut(bob, 3);
        net.cut(bob, 4);
        net.events(alice);
        if refused {
            net.with(bob, |ua, now| ua.decline(taken, now));
        } else {
            answer(&mut net, bob, taken);
        }
        net.run(1000);
        net.connect(bob, 2);
        net.connect(bob, 1);
        net.run(4000);
        if refused {
            assert_eq!(ended(&net.events(alice)), Some((EndReason::Declined, true)));
        } else {
            assert!(is_answered(&net.events(alice)));
            assert_eq!(net.events(bob), [Event::Established { call: taken }]);
        }
    }
}

#[test]
fn a10_contact_of_another_device_leads_nobody_astray() {
    let (mut net, alice, bob) = two();
    net.middle = Some(Box::new(move |agent, message, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if agent == alice && message.status().is_some() {
            return Fate::Become(
                text.replace("gr=urn:uuid:0202", "gr=urn:uuid:0909")
                    .into_bytes(),
            );
        }
        Fate::Deliver
    }));
    let call = net.call(alice, &[bob]);
    net.run(100);
    let taken = incoming(&net.events(bob));
    net.with(bob, |ua, now| ua.ring(taken, now));
    answer(&mut net, bob, taken);
    net.run(300);
    assert!(is_answered(&net.events(alice)));
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(300);
    assert_eq!(ended(&net.events(bob)), Some((EndReason::HungUp, true)));
}

#[test]
fn r011_peer_tells_of_his_new_super_nodes() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    net.cut(bob, 3);
    net.connect(bob, 1);
    net.run(1000);
    assert_eq!(net.count(alice, "UPDATE"), 1);
    net.cut(bob, 4);
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(700);
    assert_eq!(net.events(alice).len(), 1, "nothing has to be looked up");
    assert_eq!(ended(&net.events(bob)), Some((EndReason::HungUp, true)));
}

#[test]
fn r011_peer_moved_to_other_super_nodes_and_is_looked_up_again() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    net.cut(bob, 3);
    net.cut(bob, 4);
    net.connect(bob, 1);
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(1000);
    let events = net.events(alice);
    assert!(
        events.contains(&Event::LocationsWanted { call }),
        "{events:?}"
    );
    let target = net.target(bob);
    net.with(alice, |ua, now| ua.locations(call, vec![target], now));
    net.run(1000);
    assert_eq!(ended(&net.events(bob)), Some((EndReason::HungUp, true)));
}

#[test]
fn r054_no_device_reachable_asks_for_locations_and_ends_offline() {
    let (mut net, alice, bob) = two();
    let target = net.target(bob);
    net.cut(bob, 3);
    net.cut(bob, 4);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    let call = net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(1000);
    assert_eq!(net.events(alice), [Event::LocationsWanted { call }]);
    net.with(alice, |ua, now| ua.locations(call, vec![], now));
    assert_eq!(ended(&net.events(alice)), Some((EndReason::Offline, true)));
}

#[test]
fn r054_look_up_that_never_ends_is_given_up() {
    let (mut net, alice, bob) = two();
    let target = net.target(bob);
    net.cut(bob, 3);
    net.cut(bob, 4);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(10_000);
    assert_eq!(ended(&net.events(alice)), Some((EndReason::Offline, true)));
}

#[test]
fn r054_call_without_any_flow_waits_for_one() {
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[]), net.join("bob", 2, &[3]));
    net.call(alice, &[bob]);
    net.run(3000);
    net.connect(alice, 1);
    net.run(100);
    incoming(&net.events(bob));
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[]), net.join("bob", 2, &[3]));
    net.call(alice, &[bob]);
    net.run(40_000);
    assert_eq!(ended(&net.events(alice)), Some((EndReason::Network, true)));
}

#[test]
fn a13_copies_by_a_second_path_are_one_call_and_one_answer() {
    let (mut net, alice, bob) = two();
    net.middle = Some(Box::new(|_, _, _| Fate::Twice));
    let call = net.call(alice, &[bob]);
    net.run(700);
    let events = net.events(bob);
    let taken = incoming(&events);
    assert_eq!(events.len(), 1, "{events:?}");
    net.with(bob, |ua, now| ua.ring(taken, now));
    net.run(300);
    answer(&mut net, bob, taken);
    net.run(300);
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(300);
    let events = net.events(alice);
    let kinds: Vec<_> = events
        .iter()
        .filter(|event| !matches!(event, Event::Misbehaved { .. }))
        .collect();
    assert_eq!(kinds.len(), 3, "ringing, answered, ended: {kinds:?}");
    assert_eq!(ended(&net.events(bob)), Some((EndReason::HungUp, true)));
}

/// Loss, repetition and reordering of frames, decided by a small generator; whatever happens, both sides end up with
/// the same opinion of the call.
#[test]
fn r054_any_loss_and_order_ends_in_agreement() {
    for seed in 1..150_u64 {
        let (mut net, alice, bob) = two();
        let (mut state, mut left) = (seed, 12);
        net.middle = Some(Box::new(move |_, _, _| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if left == 0 {
                return Fate::Deliver;
            }
            left -= 1;
            match state >> 33 & 7 {
                0 => Fate::Drop,
                1 => Fate::Twice,
                2 | 3 => Fate::Late(Duration::from_millis(state >> 40 & 1023)),
                _ => Fate::Deliver,
            }
        }));
        let call = net.call(alice, &[bob]);
        net.run(9000);
        let events = net.events(bob);
        let taken = events.iter().find_map(|event| match event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        });
        let Some(taken) = taken else {
            panic!("seed {seed}: {:#?}", net.trace)
        };
        net.with(bob, |ua, now| ua.ring(taken, now));
        net.run(seed % 7 * 100);
        answer(&mut net, bob, taken);
        net.run(seed % 5 * 40);
        if seed % 3 == 0 {
            net.with(bob, |ua, now| ua.hang_up(taken, now));
        }
        net.run(10_000);
        assert!(
            is_answered(&net.events(alice)),
            "seed {seed}: {:#?}",
            net.trace
        );
        net.with(alice, |ua, now| ua.hang_up(call, now));
        net.run(40_000);
        assert!(
            ended(&net.events(bob)).is_some(),
            "seed {seed}: {:#?}",
            net.trace
        );
        net.run(100_000);
        assert!(
            net.agents
                .iter()
                .all(|agent| agent.ua.poll_timeout().is_none()),
            "seed {seed}"
        );
    }
}
