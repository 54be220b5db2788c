//! Which way requests take, and the ways back.

use sip::message::Name;
use sip::proxy::{Config, Input, Target};
use sip::{Message, Peer, Transport};

use crate::scene::{
    ALICE, BOB, CAROL, Scene, config, invited, request, response, short, target, tcp, udp,
};

fn recording() -> Scene {
    Scene::with(Config {
        record_route: true,
        ..config()
    })
}

/// A request inside the dialog of `ok`, the 200 that the caller got; with the caller's route set, or the callee's.
fn inside(method: &str, ok: &Message, by_caller: bool) -> String {
    let routes: Vec<_> = ok.list(Name::RecordRoute).collect();
    let mut routes: Vec<_> = routes
        .iter()
        .map(|route| format!("Route: {route}\r\n"))
        .collect();
    if by_caller {
        routes.reverse();
    }
    let (from, to) = (ok.field(Name::From).unwrap(), ok.field(Name::To).unwrap());
    let ((from, to), uri, via) = if by_caller {
        ((from, to), "sip:bob@192.0.2.2:5060", ALICE)
    } else {
        ((to, from), "sip:alice@192.0.2.1:5060", BOB)
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKin{method}{by_caller}\r\nMax-Forwards: 70\r\n{}\
         From: {from}\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: 2 {method}\r\nContent-Length: 0\r\n\r\n",
        routes.concat()
    )
}

fn answered(scene: &mut Scene, invite: &Message, peer: Peer) -> Message {
    let text = response(
        invite,
        "200 OK",
        "b",
        "Contact: <sip:bob@192.0.2.2:5060>\r\n",
    );
    scene.receive(peer, &text).remove(0).1
}

#[test]
fn r071_a_proxy_that_records_its_route_stays_in_the_dialog_both_ways() {
    let mut scene = recording();
    let invite = invited(&mut scene, "");
    assert_eq!(invite.list(Name::RecordRoute).count(), 1);
    let ok = answered(&mut scene, &invite, udp(BOB));
    let ack = scene.receive(udp(ALICE), &inside("ACK", &ok, true));
    assert_eq!(short(&ack), ["192.0.2.2:5060 ACK"]);
    assert_eq!(ack[0].1.field(Name::Route), None);
    assert_eq!(ack[0].1.named("Max-Breadth").next(), None);
    for (by_caller, source, sent_to) in [
        (true, ALICE, "192.0.2.2:5060 BYE"),
        (false, BOB, "192.0.2.1:5060 BYE"),
    ] {
        let bye = scene.receive(udp(source), &inside("BYE", &ok, by_caller));
        assert_eq!(short(&bye), [sent_to]);
        assert!(scene.asked.is_empty(), "nobody need be asked");
        let back = scene.receive(bye[0].0, &response(&bye[0].1, "200 OK", "", ""));
        assert_eq!(short(&back), [format!("{source} 200 BYE")]);
    }
    // After a restart with the same secret, the calls that stand end as always.
    let mut again = recording();
    let bye = again.receive(udp(ALICE), &inside("BYE", &ok, true));
    assert_eq!(short(&bye), ["192.0.2.2:5060 BYE"]);
    // Route and Call-ID belong together: nobody is let through by a Route of another call.
    let other = inside("BYE", &ok, true)
        .replace("Call-ID: call", "Call-ID: other")
        .replace("bKin", "bKother");
    assert!(again.receive(udp(ALICE), &other).is_empty());
    assert_eq!(again.asked.len(), 1);
}

#[test]
fn a_flow_is_the_way_back_to_who_is_behind_a_nat() {
    let mut scene = Scene::new();
    let (alice, bob) = (tcp("198.51.100.1:40000", 3), tcp("198.51.100.2:40001", 4));
    let text = request("INVITE", "").replace("UDP 192.0.2.1", "TCP 10.0.0.1");
    assert_eq!(scene.receive(alice, &text)[0].0, alice);
    let mut to = target("bob", "10.0.0.2:5060", 1000);
    to.flow = Some(bob);
    let sent = scene.locate(vec![to]);
    assert_eq!(sent[0].0, bob);
    assert_eq!(sent[0].1.list(Name::RecordRoute).count(), 2);
    let via = sent[0].1.list(Name::Via).nth(1).unwrap();
    assert!(via.contains("received=198.51.100.1"), "{via}");
    let ok = answered(&mut scene, &sent[0].1, bob);
    let ack = scene.receive(alice, &inside("ACK", &ok, true));
    assert_eq!((ack.len(), ack[0].0), (1, bob));
    assert_eq!(ack[0].1.request_uri(), "sip:bob@192.0.2.2:5060");
    let bye = scene.receive(bob, &inside("BYE", &ok, false));
    assert_eq!((bye.len(), bye[0].0), (1, alice));
    let message = bye[0].1.as_bytes().to_vec();
    let gone = scene.input(Input::Undelivered { message });
    assert_eq!(gone[0].1.status(), Some(430));
}

#[test]
fn between_two_transports_there_are_two_record_routes() {
    let mut scene = recording();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let sent = scene.locate(vec![Target::new("sip:bob@192.0.2.2;transport=tcp")]);
    assert_eq!(sent[0].0, Peer::at(Transport::Tcp, BOB.parse().unwrap()));
    let routes: Vec<_> = sent[0].1.list(Name::RecordRoute).collect();
    assert!(
        routes.len() == 2
            && routes[0].contains("transport=tcp")
            && !routes[1].contains("transport")
    );
    assert!(sent[0].1.via().unwrap().transport == "TCP");
    let ok = answered(&mut scene, &sent[0].1, sent[0].0);
    let ack = scene.receive(
        udp(ALICE),
        &inside("ACK", &ok, true).replace("2:5060 SIP", "2;transport=tcp SIP"),
    );
    assert_eq!(ack[0].0, sent[0].0);
}

#[test]
fn loose_and_strict_routers_are_both_understood() {
    // A preloaded Route of our own, then one of another proxy: its sender is to be asked about, then it goes there.
    let mut scene = Scene::new();
    let lines = "Route: <sip:192.0.2.10;lr>, <sip:192.0.2.3;lr>\r\nRoute: <sip:192.0.2.4;lr>\r\n";
    scene.receive(udp(ALICE), &request("INVITE", lines));
    let sent = scene.locate(vec![Target::new("sip:bob@example.org")]);
    assert_eq!(short(&sent), ["192.0.2.3:5060 INVITE"]);
    assert_eq!(
        sent[0].1.list(Name::Route).collect::<Vec<_>>(),
        ["<sip:192.0.2.3;lr>", "<sip:192.0.2.4;lr>"]
    );

    // The next one is strict: it gets its own URI, and the target behind the Routes.
    let mut scene = Scene::new();
    let lines = "Route: <sip:192.0.2.10;lr>, <sip:192.0.2.3>\r\nRoute: <sip:192.0.2.4;lr>\r\n";
    scene.receive(udp(ALICE), &request("INVITE", lines));
    let sent = scene.locate(vec![Target::new("sip:bob@example.org")]);
    assert_eq!(short(&sent), ["192.0.2.3:5060 INVITE"]);
    assert_eq!(sent[0].1.request_uri(), "sip:192.0.2.3");
    assert_eq!(
        sent[0].1.list(Name::Route).collect::<Vec<_>>(),
        ["<sip:192.0.2.4;lr>", "<sip:bob@example.org>"]
    );

    // The one before was strict: our Record-Route is the Request-URI, the target the last Route.
    let mut scene = recording();
    let invite = invited(&mut scene, "");
    let ok = answered(&mut scene, &invite, udp(BOB));
    let own = sip::header::Address::read(ok.list(Name::RecordRoute).next().unwrap())
        .unwrap()
        .uri
        .to_owned();
    let bye = inside("BYE", &ok, true);
    let bye = bye.replace("BYE sip:bob@192.0.2.2:5060", &format!("BYE {own}"));
    let route = format!("Route: <{own}>");
    assert!(bye.contains(&route));
    let bye = bye.replace(&route, "Route: <sip:bob@192.0.2.2:5060>");
    let sent = scene.receive(udp(ALICE), &bye);
    assert_eq!(short(&sent), ["192.0.2.2:5060 BYE"]);
    assert_eq!(sent[0].1.request_uri(), "sip:bob@192.0.2.2:5060");
    assert_eq!(sent[0].1.field(Name::Route), None);

    // A Path of a registered contact goes before everything, strict or loose.
    let mut scene = Scene::new();
    scene.receive(udp(ALICE), &request("INVITE", ""));
    let mut to = target("bob", "10.0.0.9:5060", 1000);
    to.route = "<sip:192.0.2.3>, <sip:192.0.2.4;lr>".into();
    let sent = scene.locate(vec![to]);
    assert_eq!(
        (short(&sent), sent[0].1.request_uri()),
        (vec!["192.0.2.3:5060 INVITE".into()], "sip:192.0.2.3")
    );
    assert_eq!(
        sent[0].1.list(Name::Route).collect::<Vec<_>>(),
        ["<sip:192.0.2.4;lr>", "<sip:bob@10.0.0.9:5060>"]
    );
}

#[test]
fn responses_go_where_rfc_3581_says() {
    let mut scene = Scene::new();
    let nat = udp("198.51.100.7:61000");
    let with = request("OPTIONS", "").replace(";branch", ";rport;received=1.2.3.4;branch");
    scene.receive(nat, &with);
    let sent = scene.locate(vec![target("bob", BOB, 1000)]);
    let via = sent[0].1.list(Name::Via).nth(1).unwrap();
    assert_eq!(
        via,
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1OPTIONS;received=198.51.100.7;rport=61000"
    );
    let back = scene.receive(udp(BOB), &response(&sent[0].1, "200 OK", "b", ""));
    assert_eq!(back[0].0, nat);
    // Without rport: the address that it came from, the port that it says.
    let mut scene = Scene::new();
    scene.receive(nat, &request("OPTIONS", ""));
    let back = scene.locate(vec![]);
    assert_eq!(back[0].0, udp("198.51.100.7:5060"));
    assert!(back[0].1.via().unwrap().parameter("received") == Some("198.51.100.7"));
    // A stream answers on itself.
    let mut scene = Scene::new();
    scene.receive(tcp(CAROL, 9), &request("OPTIONS", ""));
    assert_eq!(scene.locate(vec![])[0].0, tcp(CAROL, 9));
}

#[test]
fn a_register_for_another_domain_gets_a_path_that_leads_to_its_flow() {
    let mut scene = Scene::new();
    let phone = tcp("198.51.100.1:40000", 3);
    let register = request("REGISTER", "Supported: path\r\n")
        .replace("sip:bob@example.org SIP", "sip:example.net SIP");
    scene.receive(phone, &register);
    let sent = scene.locate(vec![Target {
        flow: Some(udp(CAROL)),
        ..Target::new("sip:example.net")
    }]);
    assert_eq!(short(&sent), ["192.0.2.3:5060 REGISTER"]);
    let path = sent[0].1.named("Path").next().unwrap().to_owned();
    assert!(path.ends_with(";lr;ob>"), "{path}");
    let call = request("INVITE", &format!("Route: {path}\r\n"))
        .replace("bob@example.org SIP", "bob@10.1.1.1 SIP");
    let sent = scene.receive(udp(CAROL), &call);
    assert_eq!(sent[1].0, phone);
    assert_eq!(sent[1].1.request_uri(), "sip:bob@10.1.1.1");
    let forged = call
        .replace("Route: <sip:A", "Route: <sip:B")
        .replace("bKa1", "bKb1");
    assert_ne!(forged, call);
    scene.asked.clear();
    scene.receive(udp(CAROL), &forged);
    assert_eq!(
        scene.asked.len(),
        1,
        "a token that is not ours leads nowhere by itself"
    );
}
