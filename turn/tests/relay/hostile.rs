use proptest::prelude::*;
use turn::{Builder, Class, Input, Method, TransactionId, attribute};

use crate::stage::{Stage, TCP, UDP, address, client};

/// A server with somebody in every state.
fn busy() -> (Stage, crate::stage::Login) {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    assert_eq!(stage.bind(&login, client(1), 0x4000, "198.51.100.1:1"), 0);
    let stream = stage.opened(1);
    let ann = stage.ann(stream);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, TCP);
    assert_eq!(stage.ask_as(&ann, stream, request).code(), 0);
    (stage, login)
}

#[test]
fn a33_hostile_names_realms_and_tokens_are_refused() {
    let (mut stage, good) = busy();
    let long = "x".repeat(600);
    for name in [
        "",
        "\0",
        "ann\0",
        "ann:example.org",
        "é",
        "../../etc/passwd",
        "1790000000:x:y",
        &long,
    ] {
        let mut login = good.clone();
        login.name = name.to_owned();
        let request = stage.request(Method::REFRESH);
        assert_eq!(
            stage.ask(client(1), login.seal(request)).unwrap().code(),
            401,
            "{name}"
        );
    }
    for (realm, code) in [(&b"\xff\xfe"[..], 0), (&b""[..], 0), (long.as_bytes(), 0)] {
        // Whatever it says, it is the server's own realm that the key is made with.
        let request = stage
            .request(Method::REFRESH)
            .attribute(attribute::USERNAME, b"ann")
            .attribute(attribute::REALM, realm)
            .attribute(attribute::NONCE, &good.nonce)
            .integrity(good.integrity, &good.key());
        assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), code);
    }
    for token in [&[][..], &[1; 7], &[1; 9], &[0xff; 60]] {
        let login = stage.ann(client(5));
        let request = stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP)
            .attribute(attribute::RESERVATION_TOKEN, token);
        assert_eq!(stage.ask_as(&login, client(5), request).code(), 400);
    }
    for hash in [&[][..], &[0; 31], &[0; 32], &[0; 33]] {
        let request = stage
            .request(Method::REFRESH)
            .attribute(attribute::USERHASH, hash)
            .attribute(attribute::REALM, b"example.org")
            .attribute(attribute::NONCE, &good.nonce)
            .integrity(good.integrity, &good.key());
        assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), 401);
    }
}

#[test]
fn a35_a_stream_of_something_else_is_closed() {
    let mut stage = Stage::new();
    for (number, bytes) in [
        (1, &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..]),
        (2, b"\x80"),
        (3, b"GET / HTTP/1.1\r\n\r\n"),
        (4, &[0xff; 70_000]),
    ] {
        let client = stage.opened(number);
        stage.outputs.clear();
        stage.send(client, bytes.to_vec());
        let closed = stage
            .outputs
            .iter()
            .any(|output| matches!(output, turn::Output::Close { .. }));
        // `GET ` reads as the beginning of data for a channel, of which the rest does not come.
        assert_eq!(closed, number != 3, "{number}");
    }
    stage.pass(61);
    assert_eq!(stage.server.remembered(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a33_a35_no_attribute_panics(
        method in 0_u16..0x10, class in 0..2,
        attributes in proptest::collection::vec((prop_oneof![0_u16..0x30, 0x8000_u16..0x8040], proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let (mut stage, login) = busy();
        let class = if class == 0 { Class::Request } else { Class::Indication };
        let mut request = Builder::new(class, Method(method), TransactionId([7; 12]));
        for (kind, value) in &attributes { request = request.attribute(*kind, value); }
        stage.send(client(1), login.seal(request.clone()));
        stage.send(turn::Client::Stream(turn::StreamId(1)), login.seal(request));
    }

    #[test]
    fn a35_no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in any::<[u8; 2]>()) {
        let (mut stage, _) = busy();
        for first in [start, [0x40, 0], [0, 0x16], [0, 3]] {
            let mut bytes = bytes.clone();
            bytes.splice(..bytes.len().min(2), first);
            stage.send(client(1), bytes.clone());
            stage.send(turn::Client::Stream(turn::StreamId(1)), bytes.clone());
            let relay = *stage.sockets.keys().next().unwrap();
            stage.feed(Input::Relayed { relay, from: address("198.51.100.1:1"), bytes });
        }
    }
}
