//! Every way in which a call ends, and ends that cross.

use machine::Machine;
use sip::{CallId, EndReason, Event};

use crate::network::{Fate, Network, ended, incoming, sdp};

type End = Option<(EndReason, bool)>;

struct Pair {
    net: Network,
    alice: usize,
    bob: usize,
    call: CallId,
    taken: CallId,
}

/// A call that has arrived at bob and rings there.
fn ringing() -> Pair {
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[3]));
    let call = net.call(alice, &[bob]);
    net.run(100);
    let taken = incoming(&net.events(bob));
    net.with(bob, |ua, now| ua.ring(taken, now));
    net.run(200);
    net.events(alice);
    Pair {
        net,
        alice,
        bob,
        call,
        taken,
    }
}

impl Pair {
    fn answer(&mut self) {
        let (answer, taken) = (
            sdp(&self.net.agents[self.bob].fingerprint, "answer"),
            self.taken,
        );
        self.net
            .with(self.bob, |ua, now| ua.answer(taken, answer, now));
    }

    fn hang_up_at_caller(&mut self) {
        let call = self.call;
        self.net.with(self.alice, |ua, now| ua.hang_up(call, now));
    }

    fn hang_up_at_callee(&mut self) {
        let taken = self.taken;
        self.net.with(self.bob, |ua, now| ua.hang_up(taken, now));
    }

    /// How the call ended for the caller and for the callee. Each must have heard of it once.
    fn ends(&mut self) -> (End, End) {
        self.net.run(120_000);
        let (alice, bob) = (self.net.events(self.alice), self.net.events(self.bob));
        for events in [&alice, &bob] {
            let last = events
                .iter()
                .position(|event| matches!(event, Event::Ended { .. }));
            assert!(
                last.is_none_or(|at| at + 1 == events.len()),
                "nothing after the end: {events:?}"
            );
            let strange = events
                .iter()
                .find(|event| matches!(event, Event::Misbehaved { .. }));
            assert_eq!(strange, None);
        }
        assert!(
            self.net.agents[self.alice].ua.poll_timeout().is_none(),
            "nothing is left"
        );
        (ended(&alice), ended(&bob))
    }
}

#[test]
fn r054_declined_busy_and_not_acceptable() {
    for (reason, expected) in [
        (EndReason::Declined, 603),
        (EndReason::Busy, 486),
        (EndReason::NotAcceptable, 488),
    ] {
        let mut pair = ringing();
        let taken = pair.taken;
        pair.net.with(pair.bob, |ua, now| match reason {
            EndReason::Declined => ua.decline(taken, now),
            EndReason::Busy => ua.busy(taken, now),
            _ => ua.not_acceptable(taken, now),
        });
        assert_eq!(pair.ends(), (Some((reason, true)), Some((reason, false))));
        assert!(
            pair.net
                .trace
                .iter()
                .any(|line| line.contains(&format!("SIP/2.0 {expected} ")))
        );
        assert_eq!(pair.net.count(pair.bob, "ACK"), 1);
    }
}

#[test]
fn r054_a_device_that_goes_away_while_it_rings_ends_the_call() {
    let mut pair = ringing();
    let taken = pair.taken;
    pair.net
        .with(pair.bob, |ua, now| ua.unavailable(taken, now));
    let ends = pair.ends();
    assert_eq!(
        ends,
        (
            Some((EndReason::NoAnswer, true)),
            Some((EndReason::Offline, false))
        )
    );
    assert_eq!(pair.net.count(pair.bob, "ACK"), 1);
}

#[test]
fn r054_caller_gives_up() {
    let mut pair = ringing();
    pair.hang_up_at_caller();
    let ends = pair.ends();
    assert_eq!(
        ends,
        (
            Some((EndReason::Cancelled, false)),
            Some((EndReason::Cancelled, true))
        )
    );
    assert_eq!(pair.net.count(pair.alice, "SIP/2.0 487"), 1);
}

#[test]
fn r054_caller_gives_up_before_anybody_answered_anything() {
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[3]));
    let call = net.call(alice, &[bob]);
    net.run(2);
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(120_000);
    assert_eq!(
        ended(&net.events(alice)),
        Some((EndReason::Cancelled, false))
    );
    // The CANCEL waited for the 100 and followed the INVITE (RFC 3261, section 9.1).
    assert_eq!((net.count(bob, "INVITE"), net.count(bob, "CANCEL")), (1, 1));
    let events = net.events(bob);
    assert!(
        ended(&events).is_none_or(|end| end == (EndReason::Cancelled, true)),
        "{events:?}"
    );
}

#[test]
fn r054_nobody_answers_for_a_minute() {
    let mut pair = ringing();
    pair.net.run(59_000);
    assert_eq!(ended(&pair.net.events(pair.alice)), None);
    assert_eq!(
        pair.ends(),
        (
            Some((EndReason::NoAnswer, false)),
            Some((EndReason::NoAnswer, true))
        )
    );
}

#[test]
fn a46_cancel_crosses_the_answer() {
    let mut pair = ringing();
    pair.answer();
    pair.hang_up_at_caller();
    let ends = pair.ends();
    assert_eq!(
        ends,
        (
            Some((EndReason::Cancelled, false)),
            Some((EndReason::HungUp, true))
        )
    );
    assert_eq!(
        (
            pair.net.count(pair.bob, "ACK"),
            pair.net.count(pair.bob, "BYE")
        ),
        (1, 1)
    );
}

#[test]
fn a46_cancel_crosses_the_refusal() {
    let mut pair = ringing();
    let taken = pair.taken;
    pair.net.with(pair.bob, |ua, now| ua.decline(taken, now));
    pair.hang_up_at_caller();
    assert_eq!(
        pair.ends(),
        (
            Some((EndReason::Cancelled, false)),
            Some((EndReason::Declined, false))
        )
    );
}

#[test]
fn a46_callee_hangs_up_before_the_confirmation() {
    let mut pair = ringing();
    pair.answer();
    pair.hang_up_at_callee();
    assert_eq!(pair.net.count(pair.alice, "BYE"), 0);
    let ends = pair.ends();
    assert_eq!(
        ends,
        (
            Some((EndReason::HungUp, true)),
            Some((EndReason::HungUp, false))
        )
    );
    let trace = &pair.net.trace;
    let place = |text: &str| trace.iter().position(|line| line.contains(text)).unwrap();
    assert!(
        place("ACK") < place("BYE"),
        "RFC 3261, section 15: {trace:#?}"
    );
}

#[test]
fn a46_both_hang_up_at_once() {
    let mut pair = ringing();
    pair.answer();
    pair.net.run(100);
    pair.net.events(pair.alice);
    pair.hang_up_at_caller();
    pair.hang_up_at_callee();
    assert_eq!(
        pair.ends(),
        (
            Some((EndReason::HungUp, false)),
            Some((EndReason::HungUp, false))
        )
    );
}

#[test]
fn a46_answer_crosses_the_time_out() {
    for early in 0..6 {
        let mut pair = ringing();
        // The INVITE left at 2 ms, so the caller's patience ends 60,002 ms after the start.
        pair.net.run(60_002 - 300 - 50 + early * 10);
        pair.answer();
        let (alice, bob) = pair.ends();
        match alice {
            None => assert_eq!(bob, None, "answered in time"),
            Some(end) => {
                assert_eq!(end, (EndReason::NoAnswer, false));
                assert!(
                    matches!(bob, Some((EndReason::HungUp | EndReason::NoAnswer, true))),
                    "{bob:?}"
                );
            }
        }
    }
}

#[test]
fn a46_every_ack_lost_ends_the_call() {
    let mut pair = ringing();
    let bob = pair.bob;
    pair.net.middle = Some(Box::new(move |agent, message, _| {
        if agent == bob && message.method_text() == "ACK" {
            Fate::Drop
        } else {
            Fate::Deliver
        }
    }));
    pair.answer();
    pair.net.run(31_000);
    assert!(
        pair.net.count(pair.alice, "SIP/2.0 200") > 5,
        "the answer is repeated"
    );
    assert_eq!(
        pair.ends(),
        (
            Some((EndReason::HungUp, true)),
            Some((EndReason::Network, true))
        )
    );
}

#[test]
fn r054_answer_is_repeated_until_the_ack_comes() {
    let mut pair = ringing();
    let (bob, mut left) = (pair.bob, 2);
    pair.net.middle = Some(Box::new(move |agent, message, _| {
        let lost = agent == bob && message.method_text() == "ACK" && left > 0;
        left -= u32::from(lost);
        if lost { Fate::Drop } else { Fate::Deliver }
    }));
    pair.answer();
    pair.net.run(3000);
    assert!(
        pair.net
            .events(pair.bob)
            .contains(&Event::Established { call: pair.taken })
    );
    assert_eq!(
        pair.net.count(pair.alice, "SIP/2.0 200 OK"),
        1 + 3,
        "one for the PRACK, three for the INVITE"
    );
    assert_eq!(pair.net.events(pair.alice).len(), 1, "one Answered");
}

#[test]
fn r054_prack_missing_the_ringing_is_repeated() {
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[3]));
    let mut lost = 0;
    net.middle = Some(Box::new(move |agent, message, _| {
        let drop = agent == alice && message.status() == Some(180) && lost < 2;
        lost += u32::from(drop);
        if drop { Fate::Drop } else { Fate::Deliver }
    }));
    net.call(alice, &[bob]);
    net.run(100);
    let taken = incoming(&net.events(bob));
    net.with(bob, |ua, now| ua.ring(taken, now));
    net.run(10_000);
    assert_eq!(
        (net.count(alice, "SIP/2.0 180"), net.count(bob, "PRACK")),
        (1, 1)
    );
    assert_eq!(net.events(alice).len(), 1, "rings once");
}
