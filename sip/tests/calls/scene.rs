//! What most conversations begin with, and how they are read.

use sip::{CallId, Event, Fingerprint};

use crate::network::Network;

/// A description of one audio section, of a size that does not depend on the fingerprint.
pub(crate) fn sdp(fingerprint: &Fingerprint, ufrag: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:{fingerprint}\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:{ufrag}\r\n\
         a=ice-pwd:a-password-of-22-chars\r\na=ice-options:trickle\r\n"
    )
}

/// The call of an `Incoming` event.
pub(crate) fn incoming(events: &[Event]) -> CallId {
    let mut calls = events.iter().filter_map(|event| match event {
        Event::Incoming { call, .. } => Some(*call),
        _ => None,
    });
    calls
        .next()
        .unwrap_or_else(|| panic!("no incoming call: {events:?}"))
}

/// The reason of an `Ended` event.
pub(crate) fn ended(events: &[Event]) -> Option<(sip::EndReason, bool)> {
    events.iter().find_map(|event| match event {
        Event::Ended { reason, remote, .. } => Some((*reason, *remote)),
        _ => None,
    })
}

/// A call in progress between alice (two super nodes) and bob (two others), their earlier events taken.
pub(crate) fn established() -> (Network, [(usize, CallId); 2]) {
    let mut net = Network::new(4);
    let (alice, bob) = (net.join("alice", 1, &[1, 2]), net.join("bob", 2, &[3, 4]));
    let call = net.call(alice, &[bob]);
    net.run(100);
    let taken = incoming(&net.events(bob));
    net.with(bob, |ua, now| ua.ring(taken, now));
    let answer = sdp(&net.agents[bob].fingerprint, "answer");
    net.with(bob, |ua, now| ua.answer(taken, answer, now));
    net.run(300);
    net.events(alice);
    net.events(bob);
    (net, [(alice, call), (bob, taken)])
}
