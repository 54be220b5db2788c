//! Several phones of one user.

use core::time::Duration;

use sip::message::Name;
use sip::proxy::{Config, Event, Input, Target};
use sip::{Message, Peer};

use crate::scene::{
    ALICE, BOB, CAROL, Scene, config, request, response, short, target, tcp, udp, what,
};

/// An INVITE to these targets: what was sent to those that are called first.
fn forked(scene: &mut Scene, lines: &str, targets: Vec<Target>) -> Vec<(Peer, Message)> {
    scene.receive(udp(ALICE), &request("INVITE", lines));
    scene.locate(targets)
}

fn both() -> Vec<Target> {
    vec![target("bob", BOB, 1000), target("bob", CAROL, 1000)]
}

#[test]
fn r058_all_phones_ring_and_stop_when_one_answers() {
    let mut scene = Scene::new();
    let sent = forked(&mut scene, "", both());
    assert_eq!(
        short(&sent),
        ["192.0.2.2:5060 INVITE", "192.0.2.3:5060 INVITE"]
    );
    for (number, (peer, invite)) in sent.iter().enumerate() {
        let back = scene.receive(
            *peer,
            &response(invite, "180 Ringing", &format!("t{number}"), ""),
        );
        assert_eq!(short(&back), ["192.0.2.1:5060 180 INVITE"]);
    }
    let back = scene.receive(udp(CAROL), &response(&sent[1].1, "200 OK", "t1", ""));
    assert_eq!(
        short(&back),
        ["192.0.2.1:5060 200 INVITE", "192.0.2.2:5060 CANCEL"]
    );
    assert!(
        back[1]
            .1
            .field(Name::Reason)
            .unwrap()
            .contains("completed elsewhere")
    );
    // Both picked up at once: the caller hears of both answers.
    let late = scene.receive(udp(BOB), &response(&sent[0].1, "200 OK", "t0", ""));
    assert_eq!(short(&late), ["192.0.2.1:5060 200 INVITE"]);
    scene.pass(Duration::from_secs(70));
    assert_eq!(scene.proxy.requests(), 0);
}

#[test]
fn r061_preferred_phones_are_called_first() {
    let mut scene = Scene::new();
    let targets = vec![
        target("slow", "192.0.2.9:5060", 100),
        target("bob", BOB, 900),
        target("carol", CAROL, 900),
    ];
    let sent = forked(&mut scene, "", targets);
    assert_eq!(
        short(&sent),
        ["192.0.2.2:5060 INVITE", "192.0.2.3:5060 INVITE"]
    );
    let back = scene.receive(udp(BOB), &response(&sent[0].1, "486 Busy Here", "b", ""));
    assert_eq!(short(&back), ["192.0.2.2:5060 ACK"]);
    let back = scene.receive(udp(CAROL), &response(&sent[1].1, "480 Gone", "c", ""));
    assert_eq!(
        short(&back),
        ["192.0.2.3:5060 ACK", "192.0.2.9:5060 INVITE"]
    );
    let back = scene.receive(
        udp("192.0.2.9:5060"),
        &response(&back[1].1, "404 Not Found", "d", ""),
    );
    assert_eq!(
        short(&back),
        ["192.0.2.9:5060 ACK", "192.0.2.1:5060 486 INVITE"],
        "the first of the class"
    );
}

#[test]
fn the_best_response_goes_back() {
    for (first, second, best) in [
        ("486 x", "302 x", "302"),
        ("500 x", "486 x", "486"),
        ("486 x", "401 x", "401"),
        ("503 x", "500 x", "500"),
        ("503 x", "503 x", "500"),
        ("408 x", "486 x", "486"),
        ("302 x", "603 x", "603"),
        ("404 x", "600 x", "600"),
    ] {
        let mut scene = Scene::new();
        let sent = forked(&mut scene, "", both());
        let one = scene.receive(udp(BOB), &response(&sent[0].1, first, "b", ""));
        assert_eq!(short(&one), ["192.0.2.2:5060 ACK"], "{first}");
        let two = scene.receive(udp(CAROL), &response(&sent[1].1, second, "c", ""));
        assert_eq!(
            short(&two)[1],
            format!("192.0.2.1:5060 {best} INVITE"),
            "{first} {second}"
        );
    }
}

#[test]
fn a_refusal_for_everywhere_stops_the_others_and_tries_nobody_else() {
    let mut scene = Scene::new();
    let mut targets = both();
    targets.push(target("slow", "192.0.2.9:5060", 100));
    let sent = forked(&mut scene, "", targets);
    scene.receive(udp(BOB), &response(&sent[0].1, "180 Ringing", "b", ""));
    let back = scene.receive(udp(CAROL), &response(&sent[1].1, "603 Decline", "c", ""));
    assert_eq!(
        short(&back),
        ["192.0.2.3:5060 ACK", "192.0.2.2:5060 CANCEL"]
    );
    let back = scene.receive(udp(BOB), &response(&sent[0].1, "487 Terminated", "b", ""));
    assert_eq!(
        short(&back),
        ["192.0.2.2:5060 ACK", "192.0.2.1:5060 603 INVITE"]
    );
}

#[test]
fn challenges_of_all_branches_go_back_together() {
    let mut scene = Scene::new();
    let sent = forked(&mut scene, "", both());
    for (number, (peer, invite)) in sent.iter().enumerate() {
        let lines = format!("WWW-Authenticate: Digest realm=\"r{number}\"\r\n");
        let back = scene.receive(*peer, &response(invite, "401 x", "t", &lines));
        if number == 1 {
            let all: Vec<_> = back[1].1.named("WWW-Authenticate").collect();
            assert_eq!(all.len(), 2, "{all:?}");
        }
    }
}

#[test]
fn r011_a_lost_flow_is_replaced_by_the_other_one_of_the_device() {
    let mut scene = Scene::new();
    let mut first = target("bob", BOB, 1000);
    first.flow = Some(tcp(BOB, 7));
    let mut second = target("bob", BOB, 1000);
    second.flow = Some(tcp(BOB, 8));
    first.otherwise = Some(Box::new(second));
    let sent = forked(&mut scene, "", vec![first.clone()]);
    assert_eq!(
        (sent.len(), sent[0].0),
        (1, tcp(BOB, 7)),
        "one flow at a time"
    );
    let message = sent[0].1.as_bytes().to_vec();
    let sent = scene.input(Input::Undelivered { message });
    assert_eq!((sent.len(), sent[0].0), (1, tcp(BOB, 8)));
    assert!(matches!(&scene.events[..], [Event::FlowFailed { flow, .. }] if *flow == tcp(BOB, 7)));
    let back = scene.receive(
        tcp(BOB, 8),
        &response(&sent[0].1, "430 Flow Failed", "b", ""),
    );
    assert_eq!(short(&back)[1], "192.0.2.1:5060 430 INVITE");
}

#[test]
fn a45_max_breadth_bounds_what_one_request_becomes() {
    let mut scene = Scene::new();
    let many: Vec<_> = (1..=5)
        .map(|n| target("bob", &format!("192.0.2.10{n}:5060"), 1000))
        .collect();
    let sent = forked(&mut scene, "Max-Breadth: 2\r\n", many);
    assert_eq!(sent.len(), 2);
    for (_, invite) in &sent {
        assert_eq!(invite.named("Max-Breadth").collect::<Vec<_>>(), ["1"]);
    }
    let mut calls = 2;
    let mut open = sent;
    while !open.is_empty() {
        let mut more = Vec::new();
        for (peer, invite) in &open {
            more.extend(scene.receive(*peer, &response(invite, "486 x", "t", "")));
        }
        more.retain(|(_, message)| what(message) == "INVITE");
        assert!(more.len() <= 2);
        calls += more.len();
        open = more;
    }
    assert_eq!(calls, 5, "one after the other");

    let mut scene = Scene::new();
    let back = forked(&mut scene, "Max-Breadth: 0\r\n", both());
    assert_eq!(short(&back), ["192.0.2.1:5060 440 INVITE"]);
    let mut scene = Scene::new();
    let sent = forked(&mut scene, "", both());
    assert_eq!(
        sent[0].1.named("Max-Breadth").next(),
        Some("30"),
        "60 by default, shared"
    );
    let mut scene = Scene::new();
    let flood = (0..500).map(|n| target("bob", &format!("192.0.3.{}:{}", n % 250, 5000 + n), 1000));
    let sent = forked(&mut scene, "", flood.collect());
    assert!(sent.len() <= 60);
}

#[test]
fn a45_a_request_that_goes_round_is_refused_and_a_spiral_is_not() {
    let record: Config = Config {
        record_route: true,
        ..config()
    };
    let mut scene = Scene::with(record);
    let sent = forked(&mut scene, "", vec![target("bob", "192.0.2.10:5060", 1000)]);
    let round = String::from_utf8(sent[0].1.as_bytes().to_vec()).unwrap();
    // bob at 192.0.2.10 is another address than bob at example.org: that is a spiral.
    let back = scene.receive(udp("192.0.2.10:5060"), &round);
    assert_eq!(short(&back), ["192.0.2.10:5060 100 INVITE"]);
    let sent = scene.locate(vec![target("bob", "192.0.2.10:5060", 1000)]);
    let round = String::from_utf8(sent[0].1.as_bytes().to_vec()).unwrap();
    let back = scene.receive(udp("192.0.2.10:5060"), &round);
    assert_eq!(short(&back), ["192.0.2.10:5060 482 INVITE"]);
}
