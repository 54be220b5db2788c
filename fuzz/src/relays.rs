//! STUN, TURN and the framing of both on streams.

use std::sync::Arc;

use machine::{Instant, Machine, WallClock};
use turn::{
    Client, Config, Input, Output, Ports, Quota, Reach, RelayAddress, Relaying, Server, StreamId,
};

pub(crate) fn stun(bytes: &[u8]) {
    if let Ok(message) = turn::Message::read(bytes) {
        for found in message.attributes() {
            let _ = message.unmask(found.value);
        }
        let key = turn::Key::short_term("password");
        if let Some(integrity) = message.integrity() {
            let _ = message.is_proved(integrity, &key);
        }
    }
}

/// Whatever arrives by datagram, by connection or at a relayed address, and however a connection cuts it.
pub(crate) fn relay(bytes: &[u8]) {
    let mut server = Server::new(
        Config {
            source_bits: 4,
            relay: Some(relaying()),
            ..Config::default()
        },
        [1; 32],
    );
    let from = ([192, 0, 2, 1], 4_000).into();
    let (stream, now) = (StreamId(1), Instant::EPOCH);
    let client = Client::Datagram(from);
    let _ = server.route(client, bytes, now);
    server.handle_input(
        Input::Datagram {
            from,
            bytes: bytes.to_vec(),
        },
        now,
    );
    server.handle_input(Input::Opened { stream, from }, now);
    let middle = bytes.len() / 2;
    for half in [&bytes[..middle], &bytes[middle..]] {
        server.handle_input(
            Input::Bytes {
                stream,
                bytes: half.to_vec(),
            },
            now,
        );
    }
    while let Some(output) = server.poll_output() {
        assert!(
            !matches!(
                output,
                Output::Bind { .. } | Output::Relay { .. } | Output::Dial { .. }
            ),
            "nobody has proved himself"
        );
    }
    assert_eq!((server.allocations(), server.remembered() > 1), (0, false));
}

/// A stream is cut into messages alike however much of it has come.
pub(crate) fn framing(bytes: &[u8]) {
    let Ok(Some(whole)) = turn::frame(bytes) else {
        return;
    };
    assert!(
        whole.length <= whole.padded
            && whole.padded <= bytes.len()
            && whole.padded < whole.length + 4
    );
    assert_eq!(turn::frame(&bytes[..whole.padded]), Ok(Some(whole)));
    assert_eq!(turn::frame(&bytes[..whole.padded - 1]), Ok(None));
}

fn relaying() -> Relaying {
    let address = RelayAddress {
        local: [203, 0, 113, 5].into(),
        public: [203, 0, 113, 5].into(),
    };
    Relaying {
        realm: "example.org".to_owned(),
        users: vec![("ann".to_owned(), "secret".to_owned())],
        tickets: Some(turn::Secret::new([3; 32])),
        wall: WallClock::new(0),
        addresses: [Some(address), None],
        ports: Arc::new(Ports::new(50_000, 50_063)),
        reach: Reach::default(),
        quota: Quota::default(),
        allocations: 10,
    }
}
