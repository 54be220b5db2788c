//! Calls that go as they should.

use sip::{EndReason, Event};

use crate::network::{Network, ended, incoming, sdp};

#[test]
fn r054_call_ring_answer_hang_up() {
    let mut net = Network::new(3);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[3]));
    let call = net.call(alice, &[bob]);
    net.run(100);
    let events = net.events(bob);
    let taken = incoming(&events);
    let Event::Incoming { caller, offer, .. } = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!(caller.uri, "sip:alice@example.org");
    assert_eq!(caller.name.as_deref(), Some("Mx alice@example.org"));
    assert_eq!(caller.instance, net.agents[alice].user.instance);
    assert_eq!(*offer, sdp(&net.agents[alice].fingerprint, "offer"));

    net.with(bob, |ua, now| ua.ring(taken, now));
    net.run(100);
    let instance = net.agents[bob].user.instance;
    assert_eq!(net.events(alice), [Event::Ringing { call, instance }]);

    let answer = sdp(&net.agents[bob].fingerprint, "answer");
    net.with(bob, |ua, now| ua.answer(taken, answer.clone(), now));
    net.run(100);
    assert_eq!(
        net.events(alice),
        [Event::Answered {
            bridged: false,
            call,
            instance,
            answer
        }]
    );
    assert_eq!(net.events(bob), [Event::Established { call: taken }]);

    net.run(60_000);
    assert_eq!(net.events(alice), []);
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(100);
    assert_eq!(ended(&net.events(alice)), Some((EndReason::HungUp, false)));
    assert_eq!(ended(&net.events(bob)), Some((EndReason::HungUp, true)));
    net.run(60_000);
    assert_eq!((net.events(alice), net.events(bob)), (vec![], vec![]));
}
