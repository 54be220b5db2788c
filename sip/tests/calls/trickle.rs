//! Candidates (RFC 8840).

use sip::{CallId, Candidate, Event};

use crate::network::{Network, established, incoming, sdp};

fn candidate(number: u8, ufrag: &str) -> Candidate {
    Candidate {
        mid: "0".into(),
        line: format!("candidate:{number} 1 udp 2113937151 192.0.2.{number} 5000{number} typ host"),
        ufrag: ufrag.into(),
    }
}

fn candidates(events: &[Event]) -> (Vec<Candidate>, bool) {
    let mut all = (vec![], false);
    for event in events {
        if let Event::Candidates {
            candidates,
            complete,
            ..
        } = event
        {
            all.0.extend(candidates.clone());
            all.1 |= complete;
        }
    }
    all
}

fn trickle(net: &mut Network, agent: usize, call: CallId, numbers: &[u8], ufrag: &str) {
    for number in numbers {
        net.with(agent, |ua, now| {
            ua.candidate(call, candidate(*number, ufrag), now)
        });
    }
}

#[test]
fn candidates_before_the_dialog_wait_for_it() {
    let mut net = Network::new(2);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[2]));
    let call = net.call(alice, &[bob]);
    trickle(&mut net, alice, call, &[1, 2], "offer");
    net.run(100);
    let taken = incoming(&net.events(bob));
    trickle(&mut net, bob, taken, &[8], "answer");
    net.run(500);
    assert_eq!((net.count(bob, "INFO"), net.count(alice, "INFO")), (0, 0));

    net.with(bob, |ua, now| ua.ring(taken, now));
    net.run(200);
    assert_eq!(
        candidates(&net.events(bob)),
        (vec![candidate(1, "offer"), candidate(2, "offer")], false)
    );
    assert_eq!(
        candidates(&net.events(alice)),
        (vec![], false),
        "not before the answer they belong to"
    );

    let answer = sdp(&net.agents[bob].fingerprint, "answer");
    net.with(bob, |ua, now| ua.answer(taken, answer, now));
    trickle(&mut net, alice, call, &[3], "offer");
    net.with(alice, |ua, now| ua.end_of_candidates(call, now));
    net.with(bob, |ua, now| ua.end_of_candidates(taken, now));
    net.run(500);
    let events = net.events(alice);
    assert!(matches!(events[0], Event::Answered { .. }));
    assert_eq!(candidates(&events), (vec![candidate(8, "answer")], true));
    assert_eq!(
        candidates(&net.events(bob)),
        (vec![candidate(3, "offer")], true),
        "each once"
    );
    net.run(60_000);
    assert_eq!((net.events(alice), net.events(bob)), (vec![], vec![]));
}

#[test]
fn one_info_at_a_time_repeats_all() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    trickle(&mut net, alice, call, &[1], "offer");
    trickle(&mut net, alice, call, &[2, 3, 4], "offer");
    net.run(300);
    assert_eq!(net.count(bob, "INFO"), 2);
    let last = String::from_utf8(net.last_seen(bob, "INFO")).unwrap();
    for line in [
        "Info-Package: trickle-ice",
        "Content-Type: application/trickle-ice-sdpfrag",
        "a=ice-ufrag:offer",
        "a=ice-pwd:a-password-of-22-chars",
        "m=audio 9 RTP/AVP 0",
        "a=mid:0",
        "a=candidate:1 1 udp",
        "a=candidate:4 1 udp",
    ] {
        assert!(last.contains(&format!("\r\n{line}")), "{line} in {last}");
    }
    assert_eq!(candidates(&net.events(bob)).0.len(), 4);
}

#[test]
fn a_new_generation_follows_its_offer() {
    let (mut net, [(alice, call), (bob, taken)]) = established();
    trickle(&mut net, alice, call, &[1], "offer");
    net.run(200);
    net.events(bob);
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer.clone(), now));
    trickle(&mut net, alice, call, &[5], "restart");
    net.run(200);
    let events = net.events(bob);
    assert_eq!(events[0], Event::Offered { call: taken, offer });
    assert_eq!(candidates(&events), (vec![candidate(5, "restart")], false));
}

#[test]
fn foreign_packages_and_fragments_are_refused() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    trickle(&mut net, alice, call, &[1], "offer");
    net.run(200);
    net.events(bob);
    let good = String::from_utf8(net.last_seen(bob, "INFO")).unwrap();
    let alter = |from: &str, to: &str, number: u32| {
        let text = good
            .replace(from, to)
            .replace("z9hG4bK", &format!("z9hG4bK{number}"));
        let text = text.replace(" INFO\r\n", &format!(" INFO\r\nX: {number}\r\n"));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let at = head.find("CSeq: ").unwrap() + 6;
        let end = head[at..].find(' ').unwrap() + at;
        let length = head.find("Content-Length: ").unwrap();
        let mut head = head[..length].to_string();
        head.replace_range(at..end, &(1000 + number).to_string());
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    net.inject(
        bob,
        alter("Info-Package: trickle-ice", "Info-Package: dtmf", 1),
    );
    net.inject(bob, alter("trickle-ice-sdpfrag", "octets", 2));
    net.inject(bob, alter("m=audio 9", "audio", 3));
    net.inject(bob, alter("x", "x", 4));
    net.run(100);
    for status in ["469", "415", "400"] {
        let start = format!("SIP/2.0 {status}");
        assert!(
            net.sent.iter().any(|text| text.starts_with(&start)),
            "{status}"
        );
    }
    assert_eq!(
        net.events(bob),
        [],
        "what is known already is not told again"
    );
}
