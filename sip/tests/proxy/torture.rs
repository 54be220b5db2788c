//! The torture tests of RFC 4475 and RFC 5118, each as bytes at the proxy, with what the RFC demands of it.
//!
//! The messages lie beside this file under the names that the RFCs give them, those of RFC 5118 with the
//! Content-Length that their bodies have (its errata).

use machine::Instant;
use sip::digest::{Denied, Door, Guard};
use sip::message::{Framing, Method};
use sip::proxy::{Input, Located, Target};
use sip::registrar::{Limits, Registrar};
use sip::stream::{Piece, Stream};
use sip::{Message, Peer};

use crate::scene::{BOB, Scene, config, invited, tcp, udp};

use outcomes::Outcome::{self, Answered, Forwarded, Ignored, Registered};
use outcomes::{RFC_4475, RFC_5118};

#[path = "torture/outcomes.rs"]
mod outcomes;

fn scene() -> Scene {
    let mut config = config();
    config.domains = ["example.com", "example.net", "example.org"]
        .map(String::from)
        .to_vec();
    Scene::with(config)
}

/// A request with a REGISTER's parts at a registrar that asks for passwords of those that bring any.
fn register(source: Peer, request: &Message) -> u16 {
    let guard = Guard::new("example.com", [0; 16], false);
    if request.named("Authorization").next().is_some() {
        let denied = guard.claim(request, Door::Server, Instant::EPOCH).err();
        assert_eq!(denied, Some(Denied::Missing));
        return Door::Server.status();
    }
    let mut registrar = Registrar::new(Limits::default(), [0; 16]);
    registrar.register(request, source, Instant::EPOCH).status
}

/// What comes of bytes; and where they went, if they were forwarded.
fn fate(source: Peer, bytes: &[u8]) -> (Outcome, Option<(Peer, Message)>) {
    let mut scene = scene();
    let message = bytes.to_vec();
    let mut sent = scene.input(Input::Received { source, message });
    if let Some((source, request)) = scene.registers.pop() {
        return (Registered(register(source, &request)), None);
    }
    if let Some((lookup, uri)) = scene.asked.pop() {
        let located = Located::Targets(vec![Target::new(&uri)]);
        sent.extend(scene.input(Input::Located { lookup, located }));
        if let Some((lookup, _)) = scene.asked.pop() {
            let peers = vec![udp(BOB)];
            sent.extend(scene.input(Input::Resolved { lookup, peers }));
        }
    }
    if let Some(at) = sent.iter().position(|(_, message)| message.is_request()) {
        return (Forwarded, Some(sent.swap_remove(at)));
    }
    let texts = scene
        .unreadable
        .iter()
        .filter_map(|text| text.get(8..11)?.parse().ok());
    let statuses = sent.iter().filter_map(|(_, message)| message.status());
    match statuses.chain(texts).find(|status: &u16| *status > 100) {
        Some(status) => (Answered(status), None),
        None => (Ignored, None),
    }
}

#[test]
fn a40_r054_all_messages_of_rfc_4475_at_the_proxy() {
    assert_eq!(RFC_4475.len(), 49);
    for (name, bytes, expected) in RFC_4475 {
        let (outcome, forwarded) = fate(udp("192.0.2.1:5060"), bytes);
        assert_eq!(outcome, *expected, "{name}");
        let Some((_, message)) = forwarded else {
            continue;
        };
        // What is not the proxy's business arrives as it was sent.
        let original = Message::read(bytes.to_vec(), Framing::Datagram).unwrap();
        assert_eq!(message.body(), original.body(), "{name}");
        assert_eq!(message.method_text(), original.method_text(), "{name}");
        for field in [
            "NewFangledHeader",
            "UnknownHeaderWithUnusualValue",
            "C%6Fntact",
            "Date",
            "Accept",
        ] {
            let values =
                |message: &Message| message.named(field).map(String::from).collect::<Vec<_>>();
            assert_eq!(values(&message), values(&original), "{name}");
        }
        assert_eq!(message.call_id(), original.call_id());
        assert_ne!(message.method(), Method::Register);
    }
}

#[test]
fn a36_the_messages_of_rfc_4475_on_a_stream() {
    for (name, bytes, expected) in RFC_4475 {
        let source = tcp("192.0.2.1:5060", 1);
        let mut stream = Stream::accepted();
        stream.push(bytes);
        let (outcome, is_closed) = match stream.next() {
            Ok(Some(Piece::Message(message))) => (fate(source, &message).0, false),
            Ok(other) => (other.map_or(Ignored, |piece| panic!("{piece:?}")), false),
            Err(broken) => {
                let mut scene = scene();
                let sent = scene.input(Input::Broken { source, broken });
                assert_eq!(scene.closed.len(), 1);
                let status = sent.first().and_then(|(_, message)| message.status());
                (status.map_or(Ignored, Answered), true)
            }
        };
        let (expected, closes) = match *name {
            // The rest of its body may still come.
            "clerr" => (Ignored, false),
            // Where it ends is anybody's guess.
            "ncl" | "mcl01" | "inv2543" => (Answered(400), true),
            _ => (*expected, false),
        };
        assert_eq!((outcome, is_closed), (expected, closes), "{name}");
    }
}

#[test]
fn responses_of_rfc_4475_to_a_request_that_was_sent() {
    for (name, status) in [
        ("unreason", Some(200)),
        ("noreason", None),
        ("scalarlg", None),
        ("bigcode", None),
    ] {
        let (_, bytes, _) = RFC_4475.iter().find(|(one, ..)| *one == name).unwrap();
        let mut scene = Scene::new();
        let invite = invited(&mut scene, "");
        // With the Vias of the request, so that it answers that.
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let vias: String = invite
            .fields(sip::message::Name::Via)
            .map(|via| format!("Via: {via}\r\n"))
            .collect();
        let mut lines: Vec<_> = text
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with("Via:"))
            .collect();
        lines.insert(1, &vias);
        let sent = scene.receive(udp(BOB), &lines.concat());
        let back = sent.first().map(|(_, message)| message);
        assert_eq!(back.and_then(Message::status), status, "{name}");
        if let Some(back) = back {
            assert_eq!(
                back.reason_phrase(),
                "= 2**3 * 5**2 но сто девяносто девять - простое"
            );
        }
    }
}

#[test]
fn r054_all_messages_of_rfc_5118_at_the_proxy() {
    assert_eq!(RFC_5118.len(), 12);
    for (name, bytes, expected) in RFC_5118 {
        let (outcome, forwarded) = fate(udp("[2001:db8::9:1]:5060"), bytes);
        assert_eq!(outcome, *expected, "{name}");
        let Some((peer, message)) = forwarded else {
            continue;
        };
        let to = match *name {
            // "sip:[2001:db8::10:5070]" has no port.
            "port-ambiguous" => "[2001:db8::10:5070]:5060",
            "port-unambiguous" => "[2001:db8::10]:5070",
            "mult-ip-in-header" | "ipv4-mapped-ipv6" => BOB,
            "ipv6-bug-abnf-3-colons" | "ipv6-correct-abnf-2-colons" => "[2001:db8::192.0.2.1]:5060",
            _ => "[2001:db8::10]:5060",
        };
        assert_eq!(peer.address, to.parse().unwrap(), "{name}");
        let vias = |message: &Message| message.list(sip::message::Name::Via).count();
        let original = Message::read(bytes.to_vec(), Framing::Datagram).unwrap();
        assert_eq!(vias(&message), vias(&original) + 1);
        assert_eq!(message.body(), original.body());
    }
}
