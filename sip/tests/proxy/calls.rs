//! Calls through the proxy, and what the network does to them.

use core::time::Duration;

use sip::message::Name;
use sip::proxy::{Event, Input, Located};

use crate::scene::{
    ALICE, BOB, CAROL, Scene, invited, request, response, short, target, udp, what,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn r070_r071_a_call_is_forwarded_answered_and_ended() {
    let mut scene = Scene::new();
    let invite = invited(
        &mut scene,
        "P-Asserted-Identity: <sip:ceo@example.org>\r\nX-Mine: 1\r\n",
    );
    assert_eq!(invite.request_uri(), "sip:bob@192.0.2.2:5060");
    assert_eq!(invite.list(Name::Via).count(), 2);
    assert_eq!(invite.field(Name::MaxForwards), Some("69"));
    assert_eq!(invite.named("x-mine").next(), Some("1"));
    assert_eq!(
        invite.named("P-Asserted-Identity").next(),
        None,
        "nobody vouches for it"
    );
    assert_eq!(
        invite.field(Name::RecordRoute),
        None,
        "it need not stay in the path"
    );

    let back = scene.receive(udp(BOB), &response(&invite, "180 Ringing", "b", ""));
    assert_eq!(short(&back), ["192.0.2.1:5060 180 INVITE"]);
    assert_eq!(
        back[0].1.list(Name::Via).collect::<Vec<_>>(),
        ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1INVITE"]
    );
    let ok = response(
        &invite,
        "200 Alles gut",
        "b",
        "Contact: <sip:bob@192.0.2.2:5060>\r\n",
    );
    let back = scene.receive(udp(BOB), &ok);
    assert_eq!(short(&back), ["192.0.2.1:5060 200 INVITE"]);
    assert_eq!(back[0].1.reason_phrase(), "Alles gut");
    // Until the ACK has come to the callee, its 200 comes again, and goes on each time (RFC 6026).
    assert_eq!(
        short(&scene.receive(udp(BOB), &ok)),
        ["192.0.2.1:5060 200 INVITE"]
    );
    // A late copy of the INVITE rings nobody.
    assert!(scene.receive(udp(ALICE), &request("INVITE", "")).is_empty());
    assert!(scene.pass(40 * SECOND).is_empty());
    assert_eq!(scene.proxy.requests(), 0, "nothing is kept");
    assert!(scene.receive(udp(BOB), &ok).is_empty());
    assert!(matches!(scene.events.last(), Some(Event::Stray { .. })));
}

#[test]
fn copies_are_answered_by_the_last_response_and_go_no_further() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    let again = scene.receive(udp(ALICE), &request("INVITE", ""));
    assert_eq!(short(&again), ["192.0.2.1:5060 100 INVITE"]);
    scene.receive(udp(BOB), &response(&invite, "180 Ringing", "b", ""));
    let again = scene.receive(udp(ALICE), &request("INVITE", ""));
    assert_eq!(short(&again), ["192.0.2.1:5060 180 INVITE"]);
}

#[test]
fn r054_a_silent_callee_is_asked_again_until_timer_b_and_the_refusal_until_its_ack() {
    let mut scene = Scene::new();
    invited(&mut scene, "");
    let sent = scene.pass(33 * SECOND);
    let times: Vec<_> = sent
        .iter()
        .map(|(at, message)| format!("{at} {}", what(message)))
        .collect();
    assert_eq!(
        times[..7],
        [
            "500 INVITE",
            "1500 INVITE",
            "3500 INVITE",
            "7500 INVITE",
            "15500 INVITE",
            "31500 INVITE",
            "32000 408 INVITE"
        ]
    );
    assert_eq!(times[7..], ["32500 408 INVITE"]);
    let refusal = &sent[6].1;
    assert_eq!(
        refusal.field(Name::Warning),
        Some("399 192.0.2.10 \"nobody answered\"")
    );
    let ack = request("INVITE", "")
        .replace("INVITE sip", "ACK sip")
        .replace("1 INVITE", "1 ACK")
        .replace(
            "To: <sip:bob@example.org>",
            &format!("To: {}", refusal.field(Name::To).unwrap()),
        );
    assert!(scene.receive(udp(ALICE), &ack).is_empty());
    assert!(scene.pass(40 * SECOND).is_empty(), "it is confirmed");
    assert_eq!(scene.proxy.requests(), 0);
}

#[test]
fn a_refusal_is_acknowledged_hop_by_hop() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "Route: <sip:192.0.2.10;lr>\r\n");
    let busy = response(&invite, "486 Busy Here", "b", "");
    let sent = scene.receive(udp(BOB), &busy);
    assert_eq!(
        short(&sent),
        ["192.0.2.2:5060 ACK", "192.0.2.1:5060 486 INVITE"]
    );
    let ack = &sent[0].1;
    assert_eq!(ack.request_uri(), invite.request_uri());
    assert_eq!(
        ack.list(Name::Via).collect::<Vec<_>>(),
        [invite.list(Name::Via).next().unwrap()]
    );
    assert_eq!((ack.to_tag(), ack.cseq().unwrap().number), ("b", 1));
    assert_eq!(
        short(&scene.receive(udp(BOB), &busy)),
        ["192.0.2.2:5060 ACK"],
        "each copy"
    );
}

#[test]
fn a46_cancel_ends_what_rings_and_only_that() {
    let cancel = request("INVITE", "Reason: SIP;cause=487\r\n")
        .replace("INVITE sip", "CANCEL sip")
        .replace("1 INVITE", "1 CANCEL");
    let mut scene = Scene::new();
    assert_eq!(
        short(&scene.receive(udp(ALICE), &cancel)),
        ["192.0.2.1:5060 481 CANCEL"]
    );
    let invite = invited(&mut scene, "");
    // Before the callee said anything, no CANCEL may go to it.
    assert_eq!(
        short(&scene.receive(udp(ALICE), &cancel)),
        ["192.0.2.1:5060 200 CANCEL"]
    );
    let sent = scene.receive(udp(BOB), &response(&invite, "180 Ringing", "b", ""));
    assert_eq!(short(&sent), ["192.0.2.2:5060 CANCEL"]);
    assert_eq!(sent[0].1.field(Name::Reason), Some("SIP;cause=487"));
    assert_eq!(
        sent[0].1.via().unwrap().branch(),
        invite.via().unwrap().branch()
    );
    assert!(
        scene
            .receive(udp(BOB), &response(&sent[0].1, "200 OK", "b", ""))
            .is_empty()
    );
    let ended = scene.receive(udp(BOB), &response(&invite, "487 Terminated", "b", ""));
    assert_eq!(
        short(&ended),
        ["192.0.2.2:5060 ACK", "192.0.2.1:5060 487 INVITE"]
    );

    // The answer and the CANCEL cross: the answer wins.
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    scene.receive(udp(BOB), &response(&invite, "180 Ringing", "b", ""));
    let sent = scene.receive(udp(ALICE), &cancel);
    assert_eq!(
        short(&sent),
        ["192.0.2.1:5060 200 CANCEL", "192.0.2.2:5060 CANCEL"]
    );
    let ok = scene.receive(udp(BOB), &response(&invite, "200 OK", "b", ""));
    assert_eq!(short(&ok), ["192.0.2.1:5060 200 INVITE"]);
    assert_eq!(
        short(&scene.receive(udp(ALICE), &cancel)),
        ["192.0.2.1:5060 200 CANCEL"]
    );

    // While it is still being looked for.
    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let sent = scene.receive(udp(ALICE), &cancel);
    assert_eq!(
        short(&sent),
        ["192.0.2.1:5060 200 CANCEL", "192.0.2.1:5060 487 INVITE"]
    );
    assert!(scene.locate(vec![target("bob", BOB, 1000)]).is_empty());
}

#[test]
fn a46_a_phone_that_says_nothing_after_a_cancel_is_given_up() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    scene.receive(udp(BOB), &response(&invite, "180 Ringing", "b", ""));
    let cancel = request("INVITE", "")
        .replace("INVITE sip", "CANCEL sip")
        .replace("1 INVITE", "1 CANCEL");
    scene.receive(udp(ALICE), &cancel);
    let sent = scene.pass(33 * SECOND);
    assert!(
        sent.iter()
            .filter(|(_, message)| what(message) == "CANCEL")
            .count()
            > 5
    );
    assert!(
        sent.iter()
            .any(|(at, message)| *at == 32_000 && what(message) == "487 INVITE")
    );
}

#[test]
fn timer_c_ends_a_phone_that_rings_for_ever() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    let ringing = response(&invite, "180 Ringing", "b", "");
    scene.receive(udp(BOB), &ringing);
    assert!(scene.pass(180 * SECOND).is_empty());
    scene.receive(udp(BOB), &ringing);
    assert!(
        scene.pass(180 * SECOND).is_empty(),
        "each ringing puts it off"
    );
    let sent = scene.pass(6 * SECOND);
    assert_eq!(what(&sent[0].1), "CANCEL");
    let ended = scene.receive(udp(BOB), &response(&invite, "487 Terminated", "b", ""));
    assert_eq!(short(&ended)[1], "192.0.2.1:5060 487 INVITE");
}

#[test]
fn other_requests_get_neither_100_nor_408() {
    let mut scene = Scene::new();
    let options = request("OPTIONS", "");
    assert!(scene.receive(udp(ALICE), &options).is_empty());
    let sent = scene.locate(vec![target("bob", BOB, 1000)]);
    assert_eq!(short(&sent), ["192.0.2.2:5060 OPTIONS"]);
    assert!(
        scene
            .receive(udp(BOB), &response(&sent[0].1, "100 Trying", "", ""))
            .is_empty()
    );
    let sent = scene.pass(40 * SECOND);
    assert!(
        sent.iter().all(|(_, message)| what(message) == "OPTIONS"),
        "{sent:?}"
    );
    assert_eq!(scene.proxy.requests(), 0);

    scene.receive(udp(ALICE), &options);
    let sent = scene.locate(vec![target("bob", BOB, 1000)]);
    let ok = scene.receive(udp(BOB), &response(&sent[0].1, "200 OK", "b", ""));
    assert_eq!(short(&ok), ["192.0.2.1:5060 200 OPTIONS"]);
    assert_eq!(
        short(&scene.receive(udp(ALICE), &options)),
        ["192.0.2.1:5060 200 OPTIONS"]
    );
}

#[test]
fn r054_whoever_is_asked_says_no_or_nothing() {
    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let (lookup, uri) = scene.asked.pop().unwrap();
    assert_eq!(uri, "sip:bob@example.org");
    assert_eq!(scene.proxy.request(lookup).unwrap().from_tag(), "a");
    let located = Located::Refused {
        status: 407,
        headers: "Proxy-Authenticate: Digest realm=\"example.org\"\r\n".into(),
        problem: "user and password are needed".into(),
    };
    let sent = scene.input(Input::Located { lookup, located });
    assert_eq!(short(&sent), ["192.0.2.1:5060 407 INVITE"]);
    assert_eq!(sent[0].1.named("Proxy-Authenticate").count(), 1);
    assert!(!sent[0].1.to_tag().is_empty());

    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    assert_eq!(short(&scene.locate(vec![])), ["192.0.2.1:5060 480 INVITE"]);

    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let sent = scene.pass(11 * SECOND);
    assert_eq!(
        (sent[0].0, what(&sent[0].1)),
        (10_000, "504 INVITE".to_owned())
    );
    assert!(scene.locate(vec![target("bob", BOB, 1000)]).is_empty());
}

#[test]
fn r073_a_name_is_resolved_and_its_addresses_are_tried_in_turn() {
    let mut scene = Scene::new();
    scene.receive(
        udp(ALICE),
        &request("INVITE", "").replace("bob@example.org SIP", "bob@example.net SIP"),
    );
    assert!(
        scene
            .locate(vec![sip::proxy::Target::new("sip:bob@example.net")])
            .is_empty()
    );
    let (lookup, uri) = scene.asked.pop().unwrap();
    assert_eq!(uri, "sip:bob@example.net");
    let peers = vec![udp(BOB), udp(CAROL)];
    let sent = scene.input(Input::Resolved { lookup, peers });
    assert_eq!(short(&sent), ["192.0.2.2:5060 INVITE"]);
    let overloaded = scene.receive(udp(BOB), &response(&sent[0].1, "503 Busy", "x", ""));
    assert_eq!(
        short(&overloaded),
        ["192.0.2.2:5060 ACK", "192.0.2.3:5060 INVITE"]
    );
    let message = overloaded[1].1.as_bytes().to_vec();
    assert_ne!(
        overloaded[1].1.via().unwrap().branch(),
        sent[0].1.via().unwrap().branch()
    );
    let sent = scene.input(Input::Undelivered { message });
    assert_eq!(
        short(&sent),
        ["192.0.2.1:5060 500 INVITE"],
        "503 would say that this server is overloaded"
    );

    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    scene.locate(vec![sip::proxy::Target::new("sip:bob@nowhere.example")]);
    let (lookup, _) = scene.asked.pop().unwrap();
    let sent = scene.input(Input::Resolved {
        lookup,
        peers: vec![],
    });
    assert_eq!(short(&sent), ["192.0.2.1:5060 502 INVITE"]);
    assert!(
        sent[0]
            .1
            .field(Name::Warning)
            .unwrap()
            .contains("no address")
    );
}

#[test]
fn r076_registrations_and_keep_alives_are_for_the_proxy_itself() {
    let mut scene = Scene::new();
    let register =
        request("REGISTER", "").replace("sip:bob@example.org SIP", "sip:example.org SIP");
    assert!(scene.receive(udp(ALICE), &register).is_empty());
    let (source, request_) = scene.registers.pop().unwrap();
    scene
        .proxy
        .reply(&request_, source, 423, "Min-Expires: 60\r\n", "too short");
    let sent = scene.drain();
    assert_eq!(short(&sent), ["192.0.2.1:5060 423 REGISTER"]);
    assert_eq!(sent[0].1.named("Min-Expires").next(), Some("60"));
    for (method, uri, status) in [
        ("OPTIONS", "sip:192.0.2.10", "200"),
        ("OPTIONS", "sip:192.0.2.10:5061;transport=tls", "200"),
        ("MESSAGE", "sip:example.org", "501"),
        ("BYE", "sip:example.org", "404"),
    ] {
        let text = request(method, "").replace("sip:bob@example.org SIP", &format!("{uri} SIP"));
        let sent = scene.receive(udp(ALICE), &text);
        assert_eq!(
            short(&sent),
            [format!("192.0.2.1:5060 {status} {method}")],
            "{uri}"
        );
    }
}

#[test]
fn a44_only_so_many_requests_at_once() {
    let mut config = crate::scene::config();
    config.requests = 2;
    let mut scene = Scene::with(config);
    for number in 0..2 {
        let text = request("INVITE", "").replace("bKa1", &format!("bK{number}"));
        assert_eq!(scene.receive(udp(ALICE), &text).len(), 1);
    }
    let sent = scene.receive(udp(ALICE), &request("INVITE", ""));
    assert_eq!(short(&sent), ["192.0.2.1:5060 503 INVITE"]);
    assert_eq!(sent[0].1.field(Name::RetryAfter), Some("10"));
    // Its ACK is for nobody else.
    let to = sent[0].1.field(Name::To).unwrap().to_owned();
    let ack = request("INVITE", "")
        .replace("INVITE sip", "ACK sip")
        .replace("1 INVITE", "1 ACK")
        .replace("To: <sip:bob@example.org>", &format!("To: {to}"));
    assert!(scene.receive(udp(ALICE), &ack).is_empty());
    assert_eq!(scene.proxy.requests(), 2);
}
