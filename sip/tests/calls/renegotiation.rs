//! Offers within a call: ICE restart, camera.

use sip::{EndReason, Event, Misbehaviour};

use crate::network::{Fate, ended, established, sdp};

#[test]
fn r054_either_side_renegotiates() {
    let (mut net, sides) = established();
    for [(one, own), (other, theirs)] in [
        [sides[0], sides[1]],
        [sides[1], sides[0]],
        [sides[0], sides[1]],
    ] {
        let offer = sdp(&net.agents[one].fingerprint, "restart");
        net.with(one, |ua, now| ua.renegotiate(own, offer.clone(), now));
        net.run(100);
        assert_eq!(
            net.events(other),
            [Event::Offered {
                call: theirs,
                offer
            }]
        );
        let answer = sdp(&net.agents[other].fingerprint, "again");
        net.with(other, |ua, now| ua.answer(theirs, answer.clone(), now));
        net.run(100);
        assert_eq!(net.events(one), [Event::Renegotiated { call: own, answer }]);
        net.run(40_000);
        assert_eq!((net.events(one), net.events(other)), (vec![], vec![]));
    }
    let (alice, call) = sides[0];
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(100);
    assert_eq!(
        ended(&net.events(sides[1].0)),
        Some((EndReason::HungUp, true))
    );
}

#[test]
fn r054_refused_offer_leaves_the_call_as_it_was() {
    let (mut net, [(alice, call), (bob, taken)]) = established();
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer, now));
    net.run(100);
    net.with(bob, |ua, now| ua.refuse_offer(taken, now));
    net.run(100);
    assert_eq!(
        net.events(alice),
        [Event::NotRenegotiated { call, glare: false }]
    );
    net.run(40_000);
    assert_eq!(net.events(bob).len(), 1);
    net.with(bob, |ua, now| ua.hang_up(taken, now));
    net.run(100);
    assert_eq!(ended(&net.events(alice)), Some((EndReason::HungUp, true)));
}

#[test]
fn a46_both_offer_at_once() {
    let (mut net, sides) = established();
    for (agent, call) in sides {
        let offer = sdp(&net.agents[agent].fingerprint, "restart");
        net.with(agent, |ua, now| ua.renegotiate(call, offer, now));
    }
    net.run(4500);
    for (agent, call) in sides {
        assert_eq!(
            net.events(agent),
            [Event::NotRenegotiated { call, glare: true }]
        );
        assert_eq!(net.count(agent, "SIP/2.0 491"), 1);
    }
}

#[test]
fn r054_offer_goes_by_the_other_super_node() {
    for dies in 1..=4 {
        let (mut net, [(alice, call), (bob, taken)]) = established();
        net.kill(dies);
        let offer = sdp(&net.agents[alice].fingerprint, "restart");
        net.with(alice, |ua, now| ua.renegotiate(call, offer.clone(), now));
        net.run(700);
        assert_eq!(
            net.events(bob),
            [Event::Offered { call: taken, offer }],
            "super node {dies}"
        );
        let answer = sdp(&net.agents[bob].fingerprint, "again");
        net.with(bob, |ua, now| ua.answer(taken, answer, now));
        net.run(700);
        assert!(
            matches!(net.events(alice)[..], [Event::Renegotiated { .. }]),
            "super node {dies}"
        );
    }
}

#[test]
fn a10_fingerprint_changed_in_a_later_offer_or_answer() {
    let (mut net, [(alice, call), (bob, taken)]) = established();
    net.middle = Some(Box::new(|_, _, bytes| {
        let text = String::from_utf8_lossy(bytes);
        Fate::Become(
            text.replace("fingerprint:sha-256 01:01", "fingerprint:sha-256 66:66")
                .into_bytes(),
        )
    }));
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer, now));
    net.run(200);
    assert_eq!(
        net.events(alice),
        [Event::NotRenegotiated { call, glare: false }]
    );
    assert!(matches!(
        net.events(bob)[..],
        [Event::Misbehaved {
            how: Misbehaviour::BadIdentity,
            ..
        }]
    ));

    // The callee offers, and the caller's answer is changed on its way.
    let offer = sdp(&net.agents[bob].fingerprint, "restart");
    net.with(bob, |ua, now| ua.renegotiate(taken, offer, now));
    net.run(200);
    assert!(matches!(net.events(alice)[..], [Event::Offered { .. }]));
    let answer = sdp(&net.agents[alice].fingerprint, "again");
    net.with(alice, |ua, now| ua.answer(call, answer, now));
    net.run(200);
    assert_eq!(
        net.events(bob),
        [Event::Ended {
            call: taken,
            reason: EndReason::MediaRefused,
            remote: true
        }]
    );
    assert_eq!(
        ended(&net.events(alice)),
        Some((EndReason::MediaRefused, true))
    );
}

#[test]
fn r054_the_other_side_forgot_the_call() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    net.middle = Some(Box::new(move |agent, message, bytes| {
        if agent == bob && message.method_text() == "INVITE" {
            let text = String::from_utf8_lossy(bytes);
            let at = text.find("To: ").unwrap();
            let end = text[at..].find(";tag=").unwrap() + at + 5;
            let mut text = text.to_string();
            text.replace_range(end..end + 1, "~");
            return Fate::Become(text.into_bytes());
        }
        Fate::Deliver
    }));
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer, now));
    net.run(200);
    let events = net.events(alice);
    assert_eq!(
        ended(&events),
        Some((EndReason::Network, true)),
        "{events:?}"
    );
}
