//! The registrar: what is bound, for how long, and what is refused.

use core::net::SocketAddr;
use core::time::Duration;

use machine::Instant;
use proptest::prelude::*;
use sip::header::Address;
use sip::message::Name;
use sip::registrar::{Answer, Event, Limits, Registrar};
use sip::{Message, Peer, Transport, Uri};

const NOW: Instant = Instant::EPOCH;
const AOR: &str = "sip:alice@example.org";

fn source() -> Peer {
    let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    Peer::at(Transport::Udp, address)
}

fn flow(connection: u64) -> Peer {
    Peer {
        transport: Transport::Tls,
        connection,
        ..source()
    }
}

fn at(seconds: u64) -> Instant {
    NOW + Duration::from_secs(seconds)
}

fn registrar() -> Registrar {
    Registrar::new(Limits::default(), [5; 16])
}

/// A REGISTER of alice's, with CSeq `number` and these header lines.
fn register(number: u32, headers: &str) -> Message {
    let text = format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <{AOR}>;tag=1\r\n\
         To: Alice <{AOR}>\r\nCall-ID: c\r\nCSeq: {number} REGISTER\r\n{headers}\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

fn send(registrar: &mut Registrar, number: u32, headers: &str, now: Instant) -> Answer {
    registrar.register(&register(number, headers), source(), now)
}

fn events(registrar: &mut Registrar) -> Vec<&'static str> {
    let all = core::iter::from_fn(|| registrar.poll_event());
    all.map(|event| match event {
        Event::Bound { aor } if *aor == *AOR => "bound",
        Event::Refreshed { aor } if *aor == *AOR => "refreshed",
        Event::Unbound { aor } if *aor == *AOR => "unbound",
        other => panic!("{other:?}"),
    })
    .collect()
}

fn uris(registrar: &Registrar, uri: &str, now: Instant) -> Vec<String> {
    let targets = registrar.lookup(&Uri::read(uri).unwrap(), now);
    targets.into_iter().map(|target| target.uri).collect()
}

#[test]
fn r076_r077_a_binding_is_made_refreshed_and_taken_away() {
    let mut one = registrar();
    let contact = "Contact: <sip:alice@192.0.2.1:5060;x=1>;expires=600;audio;q=0.5\r\n";
    let answer = send(&mut one, 1, contact, NOW);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.headers,
        "Contact: <sip:alice@192.0.2.1:5060;x=1>;audio;q=0.5;expires=600\r\n"
    );
    assert_eq!(events(&mut one), ["bound"]);
    let target = &one.lookup(&Uri::read("sip:alice@EXAMPLE.org:5060").unwrap(), NOW)[0];
    assert_eq!((target.flow, target.preference), (Some(source()), 500));

    let answer = send(&mut one, 2, contact, at(300));
    assert!(answer.headers.ends_with("expires=600\r\n"));
    assert_eq!(events(&mut one), ["refreshed"]);
    // The same request again, which the network doubled, changes nothing and is answered alike.
    let again = send(&mut one, 2, contact, at(301));
    assert!(again.headers.ends_with("expires=599\r\n"));
    assert_eq!(events(&mut one), [] as [&str; 0]);
    // Without Contact it is a question.
    let query = send(&mut one, 3, "", at(400));
    assert!(query.headers.ends_with("expires=500\r\n"));
    assert_eq!(events(&mut one), [] as [&str; 0]);

    let answer = send(&mut one, 4, &contact.replace("=600", "=0"), at(500));
    assert_eq!((answer.status, &*answer.headers), (200, ""));
    assert_eq!(events(&mut one), ["unbound"]);
    assert_eq!(one.users(), 0);
    assert!(uris(&one, AOR, at(500)).is_empty());
}

#[test]
fn r077_bindings_end_by_themselves_and_a_refresh_puts_the_end_off() {
    let mut one = registrar();
    send(
        &mut one,
        1,
        "Contact: <sip:a@h1>;expires=100, <sip:a@h2>;expires=200\r\n",
        NOW,
    );
    send(&mut one, 2, "Contact: <sip:a@h1>;expires=100\r\n", at(50));
    assert_eq!(events(&mut one), ["bound", "refreshed"]);
    one.handle_timeout(at(100));
    assert_eq!(events(&mut one), [] as [&str; 0]);
    let due = one.poll_timeout().unwrap();
    assert_eq!(due, at(150));
    one.handle_timeout(due);
    assert_eq!(events(&mut one), ["bound"]);
    assert_eq!(uris(&one, AOR, due), ["sip:a@h2"]);
    assert!(uris(&one, AOR, at(200)).is_empty(), "also before the timer");
    one.handle_timeout(at(260));
    assert_eq!(events(&mut one), ["unbound"]);
    assert_eq!((one.users(), one.poll_timeout()), (0, None));
}

#[test]
fn times_have_bounds() {
    let mut one = registrar();
    let answer = send(&mut one, 1, "Contact: <sip:a@h>;expires=59\r\n", NOW);
    assert_eq!(
        (answer.status, &*answer.headers),
        (423, "Min-Expires: 60\r\n")
    );
    assert_eq!(one.users(), 0);
    for (number, headers, seconds) in [
        (2, "Contact: <sip:a@h>;expires=60\r\n", 60),
        (
            3,
            "Contact: <sip:a@h>;expires=99999999999999999999999\r\n",
            7200,
        ),
        (4, "Contact: <sip:a@h>\r\nExpires: 120\r\n", 120),
        (5, "Contact: <sip:a@h>;expires=130\r\nExpires: 120\r\n", 130),
        (6, "Contact: <sip:a@h>;expires=soon\r\n", 3600),
        (7, "Contact: <sip:a@h>\r\n", 3600),
    ] {
        let answer = send(&mut one, number, headers, NOW);
        let expected = format!("Contact: <sip:a@h>;expires={seconds}\r\n");
        assert_eq!((answer.status, answer.headers), (200, expected));
    }
}

#[test]
fn a_register_is_taken_whole_or_not_at_all() {
    let mut one = registrar();
    send(&mut one, 5, "Contact: <sip:a@h1>\r\n", NOW);
    events(&mut one);
    for (number, headers, status) in [
        (6, "Contact: <sip:a@h2>, <sip:a@h3>;expires=5\r\n", 423),
        (
            6,
            "Contact: <sip:a@h2>, sip:a@h3?Route=%3Csip:x%3E\r\n",
            400,
        ),
        (6, "Contact: <sip:a@h2>, <sip:a@@h3>\r\n", 400),
        (6, "Contact: <sip:a@h2>;q=1.1\r\n", 400),
        (6, "Contact: <sip:a@h2>, <sip:a@H2>\r\n", 400),
        (4, "Contact: <sip:a@h2>, <sip:a@h1>\r\n", 500),
        (4, "Contact: *\r\nExpires: 0\r\n", 500),
        (6, "Contact: *\r\n", 400),
        (6, "Contact: *\r\nExpires: 1\r\n", 400),
        (6, "Contact: *, <sip:a@h2>\r\nExpires: 0\r\n", 400),
        (6, "Contact: <sip:a@h2>\r\nRequire: path, magic\r\n", 420),
    ] {
        let answer = send(&mut one, number, headers, NOW);
        assert_eq!(answer.status, status, "{headers}");
        assert!(!answer.problem.is_empty());
        assert_eq!(uris(&one, AOR, NOW), ["sip:a@h1"], "{headers}");
        assert_eq!(events(&mut one), [] as [&str; 0]);
    }
    let many: Vec<_> = (0..17).map(|n| format!("<sip:a@h{n}>")).collect();
    let many = format!("Contact: {}\r\n", many.join(","));
    assert_eq!(send(&mut one, 6, &many, NOW).status, 403);
    let unknown = send(&mut one, 6, "Require: magic, path\r\n", NOW);
    assert_eq!(unknown.headers, "Unsupported: magic\r\n");

    assert_eq!(
        send(&mut one, 6, "Contact: *\r\nExpires: 0\r\n", NOW).status,
        200
    );
    assert_eq!(events(&mut one), ["unbound"]);
    // Another Call-ID is another session of the phone: its numbers begin anew.
    send(&mut one, 9, "Contact: <sip:a@h1>\r\n", NOW);
    let text = String::from_utf8(register(1, "Contact: <sip:a@h1>\r\n").into_bytes()).unwrap();
    let restarted = Message::parse(text.replace("Call-ID: c", "Call-ID: d").into()).unwrap();
    assert_eq!(one.register(&restarted, source(), NOW).status, 200);
}

#[test]
fn several_contacts_come_in_order_of_preference() {
    let mut one = registrar();
    send(
        &mut one,
        1,
        "Contact: <sip:a@h1>;q=0.1, <sip:a@h2>\r\nm: <sip:a@h3>;q=0.25\r\n",
        NOW,
    );
    assert_eq!(uris(&one, AOR, NOW), ["sip:a@h2", "sip:a@h3", "sip:a@h1"]);
    // Equal by RFC 3261, section 19.1.4, though written otherwise.
    send(&mut one, 2, "Contact: <sip:%61@H1>;q=1\r\n", NOW);
    assert_eq!(one.contacts(AOR).count(), 3);
}

#[test]
fn a_path_leads_back_and_outbound_keeps_flows() {
    let device = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"";
    let mut one = registrar();
    let path =
        "Path: <sip:p1.example.org;lr>\r\nPath: <sip:p2.example.org;lr;ob>\r\nSupported: path\r\n";
    let answer = send(&mut one, 1, &format!("Contact: <sip:a@h1>\r\n{path}"), NOW);
    assert!(
        answer
            .headers
            .contains("Path: <sip:p1.example.org;lr>, <sip:p2.example.org;lr;ob>\r\n")
    );
    let targets = one.lookup(&Uri::read(AOR).unwrap(), NOW);
    assert_eq!(
        targets[0].route,
        "<sip:p1.example.org;lr>, <sip:p2.example.org;lr;ob>"
    );
    assert_eq!(targets[0].flow, None);

    // Two flows of one device are one target with a second way; the newest flow comes first.
    let mut one = registrar();
    let contact = |reg: u32| {
        format!("Contact: <sip:a@10.0.0.1>;reg-id={reg};{device}\r\nSupported: outbound, gruu\r\n")
    };
    let first = one.register(&register(1, &contact(1)), flow(1), NOW);
    assert!(first.headers.contains("Require: outbound\r\n"));
    let gruu = "sip:alice@example.org;gr=urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF";
    assert!(
        first.headers.contains(&format!("pub-gruu=\"{gruu}\"")),
        "{}",
        first.headers
    );
    one.register(&register(2, &contact(2)), flow(2), at(1));
    let lookup = |one: &Registrar, uri: &str| one.lookup(&Uri::read(uri).unwrap(), at(1));
    for uri in [AOR, gruu] {
        let targets = lookup(&one, uri);
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].flow, Some(flow(2)));
        assert_eq!(targets[0].otherwise.as_ref().unwrap().flow, Some(flow(1)));
    }
    assert!(lookup(&one, &gruu.replace("AABB", "AABC")).is_empty());
    // The same reg-id again takes the old flow's place.
    one.register(&register(3, &contact(2)), flow(3), at(2));
    assert_eq!(one.contacts(AOR).count(), 2);
    events(&mut one);
    one.flow_failed(AOR, flow(3));
    assert_eq!(lookup(&one, AOR)[0].flow, Some(flow(1)));
    one.flow_failed(AOR, flow(1));
    assert_eq!(events(&mut one), ["bound", "unbound"]);

    // A proxy on the way that keeps no flows: the phone is told.
    let text = String::from_utf8(register(4, &contact(1)).into_bytes()).unwrap();
    let via = "Via: SIP/2.0/UDP p.example.org;branch=z9hG4bKp\r\nVia:";
    let through = Message::parse(text.replace("Via:", via).into()).unwrap();
    assert_eq!(one.register(&through, flow(1), NOW).status, 439);
}

#[test]
fn one_user_more_than_there_is_room_for_is_refused() {
    let limits = Limits {
        users: 1,
        ..Limits::default()
    };
    let mut one = Registrar::new(limits, [0; 16]);
    assert_eq!(send(&mut one, 1, "Contact: <sip:a@h>\r\n", NOW).status, 200);
    let text = String::from_utf8(register(1, "Contact: <sip:b@h>\r\n").into_bytes()).unwrap();
    let bob = Message::parse(text.replace("alice", "bob").into()).unwrap();
    let answer = one.register(&bob, source(), NOW);
    assert_eq!(
        (answer.status, &*answer.headers),
        (503, "Retry-After: 300\r\n")
    );
    let nobody = Message::parse(text.replace("To: Alice <sip:alice@", "To: <sip:").into()).unwrap();
    assert_eq!(one.register(&nobody, source(), NOW).status, 400);
}

proptest! {
    /// The registrar against a list of (contact, end).
    #[test]
    fn bindings_are_those_of_a_list(
        steps in prop::collection::vec((0_u8..4, prop_oneof![Just(0_u64), 60_u64..400], 0_u64..200), 1..40)
    ) {
        let mut one = registrar();
        let mut list: Vec<(String, u64)> = Vec::new();
        let mut now = 0;
        for (number, (contact, expires, pause)) in steps.into_iter().enumerate() {
            now += pause;
            one.handle_timeout(at(now));
            list.retain(|(_, end)| *end > now);
            let uri = format!("sip:a@h{contact}");
            let headers = format!("Contact: <{uri}>;expires={expires}\r\n");
            let answer = send(&mut one, number as u32 + 1, &headers, at(now));
            prop_assert_eq!(answer.status, 200);
            list.retain(|(one, _)| *one != uri);
            if expires > 0 {
                list.push((uri, now + expires));
            }
            let text = format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
                Call-ID: c\r\nCSeq: 1 REGISTER\r\n{}\r\n", answer.headers);
            let response = Message::parse(text.into_bytes()).unwrap();
            let mut found: Vec<(String, u64)> = response.list(Name::Contact).map(|contact| {
                let contact = Address::read(contact).unwrap();
                (contact.uri.to_owned(), now + contact.parameter("expires").unwrap().parse::<u64>().unwrap())
            }).collect();
            found.sort();
            list.sort();
            prop_assert_eq!(&found, &list);
            prop_assert_eq!(one.users(), usize::from(!list.is_empty()));
        }
    }
}
