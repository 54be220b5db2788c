//! What strangers send.

use core::time::Duration;

use proptest::prelude::*;
use sip::Message;
use sip::message::Name;
use sip::proxy::{Event, Input};
use sip::stream::Stream;

use crate::scene::{ALICE, BOB, CAROL, Scene, invited, request, response, short, target, tcp, udp};

#[test]
fn every_refusal_has_its_status_and_a_sentence() {
    let invite = request("INVITE", "");
    for (from, to, status, word) in [
        ("sip:bob@example.org SIP", "tel:+123 SIP", 416, "SIP URI"),
        (
            "sip:bob@example.org SIP",
            "sip:bob@ SIP",
            400,
            "Request-URI",
        ),
        (
            "sip:bob@example.org SIP",
            "sip:bob@example.org?Route=x SIP",
            400,
            "headers",
        ),
        (
            "sip:bob@example.org SIP",
            "sip:bo%zzb@example.org SIP",
            400,
            "Request-URI",
        ),
        (
            "sip:bob@example.org SIP",
            "sip:bob@[::x] SIP",
            400,
            "Request-URI",
        ),
        ("Max-Forwards: 70", "Max-Forwards: 0", 483, "Max-Forwards"),
        ("Max-Forwards: 70", "Max-Forwards: 300", 400, "Max-Forwards"),
        (
            "Max-Forwards: 70",
            "Proxy-Require: sec-agree",
            420,
            "Proxy-Require",
        ),
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", 505, "version"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", 400, "CSeq"),
        (
            "Call-ID: call\r\n",
            "Call-ID: call\r\ni: other\r\n",
            400,
            "Call-ID",
        ),
        ("Length: 0", "Length: 5", 400, "Content-Length"),
    ] {
        let text = invite.replacen(from, to, 1);
        assert_ne!(text, invite);
        let mut scene = Scene::new();
        let sent = scene.receive(udp(ALICE), &text);
        assert_eq!(sent.len(), 1, "{to}");
        assert_eq!(sent[0].1.status(), Some(status), "{to}");
        let warning = sent[0].1.field(Name::Warning).unwrap();
        assert!(
            warning.starts_with("399 192.0.2.10 \"") && warning.contains(word),
            "{warning}"
        );
        assert_eq!(scene.proxy.requests(), 0);
        // An ACK is never answered.
        let ack = text
            .replacen("INVITE", "ACK", 1)
            .replace("1 INVITE", "1 ACK");
        assert!(scene.receive(udp(ALICE), &ack).is_empty(), "{to}");
    }
}

#[test]
fn a_request_without_what_every_message_has_is_refused_all_the_same() {
    for (line, word) in [
        ("Call-ID: call\r\n", "Call-ID"),
        ("From: <sip:alice@example.org>;tag=a\r\n", "From"),
        ("To: <sip:bob@example.org>\r\n", "To"),
        ("CSeq: 1 INVITE\r\n", "CSeq"),
    ] {
        let mut scene = Scene::new();
        scene.receive(udp(ALICE), &request("INVITE", "").replace(line, ""));
        let sent = &scene.unreadable[0];
        assert!(
            sent.starts_with("SIP/2.0 400 Bad Request\r\nVia: "),
            "{sent}"
        );
        assert!(sent.contains(&format!("\"missing {word}\"")), "{sent}");
    }
}

#[test]
fn a36_a_stream_that_breaks_is_answered_and_closed_with_a_reason() {
    let mut scene = Scene::new();
    let mut stream = Stream::accepted();
    stream.push(
        request("INVITE", "")
            .replace("Length: 0", "Length: -1")
            .as_bytes(),
    );
    let broken = stream.next().unwrap_err();
    let sent = scene.input(Input::Broken {
        source: tcp(ALICE, 1),
        broken,
    });
    assert_eq!(short(&sent), ["192.0.2.1:5060 400 INVITE"]);
    assert_eq!(scene.closed, ["the Content-Length is not a number"]);
    let mut stream = Stream::accepted();
    stream.push(b"GET / HTTP/1.1\nHost: x\n\n");
    let broken = stream.next().unwrap_err();
    assert!(
        scene
            .input(Input::Broken {
                source: tcp(ALICE, 1),
                broken
            })
            .is_empty()
    );
    assert_eq!(scene.closed.len(), 2);
}

#[test]
fn a43_responses_that_answer_nothing_are_dropped() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    let ok = response(&invite, "200 OK", "b", "");
    let branch = invite.via().unwrap().branch().unwrap().to_owned();
    for place in 7..branch.len() - 17 {
        let mut forged = branch.clone().into_bytes();
        forged[place] = if forged[place] == b'1' { b'2' } else { b'1' };
        let forged = ok.replace(&branch, core::str::from_utf8(&forged).unwrap());
        assert!(scene.receive(udp(CAROL), &forged).is_empty(), "{forged}");
        assert!(matches!(scene.events.pop(), Some(Event::Stray { .. })));
    }
    assert_eq!(scene.receive(udp(BOB), &ok).len(), 1);
}

#[test]
fn a43_a_late_response_does_not_answer_the_request_that_came_after() {
    let mut scene = Scene::new();
    let first = invited(&mut scene, "");
    let busy = response(&first, "486 Busy Here", "b", "");
    assert!(!scene.receive(udp(BOB), &busy).is_empty());
    scene.pass(Duration::from_secs(70));
    assert_eq!(scene.proxy.requests(), 0);
    let second = request("INVITE", "").replace("bKa1", "bKa2");
    scene.receive(udp(ALICE), &second);
    let second = scene.locate(vec![target("bob", BOB, 1000)]).remove(0).1;
    // The same place is found by both.
    let place = |message: &Message| {
        let branch = message.via().unwrap().branch().unwrap();
        branch.split('.').next().map(str::to_owned)
    };
    assert_eq!(place(&first), place(&second));
    let late = response(&first, "200 OK", "b", "");
    assert!(scene.receive(udp(BOB), &late).is_empty());
    assert!(matches!(scene.events.pop(), Some(Event::Stray { .. })));
}

#[test]
fn a44_one_request_goes_to_a_bounded_number_of_places() {
    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let all = (0..100).map(|number| target("bob", &format!("192.0.2.{number}:5060"), 1000));
    assert_eq!(scene.locate(all.collect()).len(), 32);
}

/// What may be said in a call, by either side or by the network, in any order.
#[derive(Debug, Clone)]
enum Step {
    Invite,
    Cancel,
    Ack,
    Says(usize, &'static str),
    Undelivered(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just("100 x"),
        Just("180 x"),
        Just("200 x"),
        Just("302 x"),
        Just("404 x"),
        Just("408 x"),
        Just("487 x"),
        Just("500 x"),
        Just("503 x"),
        Just("603 x")
    ];
    prop_oneof![
        Just(Step::Invite),
        Just(Step::Cancel),
        Just(Step::Ack),
        (0_usize..3, status).prop_map(|(who, status)| Step::Says(who, status)),
        (0_usize..3).prop_map(Step::Undelivered),
        prop_oneof![Just(100_u64), Just(600), Just(5_000), Just(33_000)].prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever crosses whatever: the caller gets one final response (or 2xx only), and nothing is kept for ever.
    #[test]
    fn a46_answers_cancels_and_time_outs_in_every_order(steps in prop::collection::vec(step(), 1..25)) {
        let mut scene = Scene::new();
        let mut sent = scene.receive(udp(ALICE), &request("INVITE", ""));
        let third = target("bob", "192.0.2.4:5060", 500);
        sent.extend(scene.locate(vec![target("bob", BOB, 1000), target("bob", CAROL, 1000), third]));
        for step in steps {
            let invites: Vec<_> = sent.iter().filter(|(_, one)| one.method_text() == "INVITE").cloned().collect();
            let line = |method: &str| request("INVITE", "").replace("INVITE sip", &format!("{method} sip"))
                .replace("1 INVITE", &format!("1 {method}"));
            let more = match step {
                Step::Invite => scene.receive(udp(ALICE), &request("INVITE", "")),
                Step::Cancel => scene.receive(udp(ALICE), &line("CANCEL")),
                Step::Ack => scene.receive(udp(ALICE), &line("ACK")),
                Step::Says(who, status) => match invites.get(who) {
                    Some((peer, invite)) => scene.receive(*peer, &response(invite, status, &format!("t{who}"), "")),
                    None => Vec::new(),
                },
                Step::Undelivered(who) => match invites.get(who) {
                    Some((_, invite)) => scene.input(Input::Undelivered { message: invite.as_bytes().to_vec() }),
                    None => Vec::new(),
                },
                Step::Pass(time) => scene.pass(core::time::Duration::from_millis(time)).into_iter()
                    .map(|(_, message)| (udp(ALICE), message)).collect(),
            };
            sent.extend(more);
        }
        sent.extend(scene.pass(core::time::Duration::from_secs(600)).into_iter().map(|(_, message)| (udp(ALICE), message)));
        prop_assert_eq!(scene.proxy.requests(), 0);
        let mut finals: Vec<u16> = sent.iter()
            .filter(|(_, one)| one.cseq().is_some_and(|cseq| cseq.text == "INVITE"))
            .filter_map(|(_, one)| one.status()).filter(|status| *status >= 200).collect();
        finals.dedup();
        // The ACK that has no To tag lets the proxy forget the call: a copy of the INVITE after that is a call of its own.
        prop_assert!(!finals.is_empty());
        let refusals = finals.iter().filter(|status| **status >= 300).count();
        prop_assert!(refusals <= 1 || !scene.asked.is_empty(), "{:?}", finals);
    }

    /// Whatever comes, nothing panics, and an ACK or a response is never answered.
    #[test]
    fn a35_spoilt_messages_at_the_proxy(place in 0_usize..600, byte in any::<u8>(), ack in any::<bool>()) {
        let mut scene = Scene::new();
        let text = if ack {
            request("ACK", "Route: <sip:192.0.2.10;lr>\r\nRecord-Route: <sip:x;lr>\r\n")
        } else {
            request("INVITE", "Route: <sip:192.0.2.10;lr>\r\nMax-Breadth: 3\r\nProxy-Require: x\r\n")
        };
        let mut bytes = text.into_bytes();
        let place = place % bytes.len();
        bytes[place] = byte;
        let is_ack = bytes.starts_with(b"ACK ");
        let sent = scene.input(Input::Received { source: udp(ALICE), message: bytes });
        prop_assert!(!is_ack || sent.iter().all(|(_, one)| one.status().is_none() || place < 4));
    }
}
