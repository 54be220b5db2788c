use std::time::Duration;

use turn::{
    Builder, Class, Client, HEADROOM, Input, Message, Method, Output, Route, TAILROOM,
    TransactionId, attribute,
};

use crate::stage::{Answer, Stage, UDP, address, client};

fn indication(peer: &str, data: &[u8]) -> Builder {
    Builder::new(Class::Indication, Method::SEND, TransactionId([3; 12]))
        .xor_address(attribute::XOR_PEER_ADDRESS, address(peer))
        .attribute(attribute::DATA, data)
}

fn relayed(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let relayed = stage.outputs.iter().filter_map(|output| match output {
        Output::Relay { to, bytes, .. } => Some((to.to_string(), bytes.clone())),
        _ => None,
    });
    relayed.collect()
}

#[test]
fn indications_carry_data_both_ways_once_permitted() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let public = stage.allocate(&login, client(1));
    let relay = stage.relay(public);
    let (peer, other) = ("198.51.100.1:9000", "198.51.100.2:9000");
    let arrives = |stage: &mut Stage, from: &str| {
        stage.outputs.clear();
        stage.feed(Input::Relayed {
            relay,
            from: address(from),
            bytes: b"hello".to_vec(),
        });
        stage.heard(client(1))
    };
    stage.send(client(1), indication(peer, b"early").finish());
    assert!(relayed(&stage).is_empty() && arrives(&mut stage, peer).is_none());
    assert_eq!(stage.permit(&login, client(1), peer), 0);
    for size in [0, 1, 2, 3, 4, 1_200] {
        stage.outputs.clear();
        let data = vec![size as u8; size];
        stage.send(client(1), indication(peer, &data).finish());
        assert_eq!(relayed(&stage), [(peer.to_owned(), data)]);
    }
    stage.outputs.clear();
    stage.send(client(1), indication(other, b"x").finish());
    assert!(relayed(&stage).is_empty() && arrives(&mut stage, other).is_none());
    // A permission is one of an address, whatever the port.
    let heard = arrives(&mut stage, "198.51.100.1:77").unwrap();
    let message = heard.message();
    assert_eq!(
        (message.class(), message.method()),
        (Class::Indication, Method::DATA)
    );
    assert_eq!(
        heard.address(attribute::XOR_PEER_ADDRESS),
        Some(address("198.51.100.1:77"))
    );
    assert_eq!(heard.value(attribute::DATA).unwrap(), b"hello");
    // It ends after five minutes; so it does not if it is made anew.
    stage.pass(299);
    assert!(arrives(&mut stage, peer).is_some());
    assert_eq!(stage.permit(&login, client(1), peer), 0);
    stage.pass(299);
    assert!(arrives(&mut stage, peer).is_some());
    stage.pass(2);
    assert!(arrives(&mut stage, peer).is_none());
}

#[test]
fn channels_carry_data_both_ways_until_they_end() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let public = stage.allocate(&login, client(1));
    let relay = stage.relay(public);
    let peer = "198.51.100.1:9000";
    assert_eq!(stage.bind(&login, client(1), 0x4001, peer), 0);
    for (padding, sent) in [(0, true), (3, true)] {
        stage.outputs.clear();
        let mut bytes = vec![0x40, 1, 0, 5, 1, 2, 3, 4, 5];
        bytes.resize(bytes.len() + padding, 0);
        stage.send(client(1), bytes);
        assert_eq!(relayed(&stage).len(), usize::from(sent));
        assert_eq!(relayed(&stage)[0].1, [1, 2, 3, 4, 5]);
    }
    let arrives = |stage: &mut Stage, from: &str| {
        stage.outputs.clear();
        stage.feed(Input::Relayed {
            relay,
            from: address(from),
            bytes: b"hello".to_vec(),
        });
        stage.heard(client(1)).map(|Answer(bytes)| bytes)
    };
    assert_eq!(arrives(&mut stage, peer).unwrap(), b"\x40\x01\0\x05hello");
    // From another port of that peer there is no channel, but the permission.
    assert_eq!(
        arrives(&mut stage, "198.51.100.1:9001").unwrap()[..2],
        [0, 0x17]
    );
    stage.pass(310);
    // The permission has ended before the channel.
    assert_eq!(arrives(&mut stage, peer), None);
    assert_eq!(stage.bind(&login, client(1), 0x4001, peer), 0);
    assert!(arrives(&mut stage, peer).is_some());
    stage.refresh(&login, client(1), 3_600);
    stage.pass(601);
    stage.outputs.clear();
    stage.send(client(1), vec![0x40, 1, 0, 1, 7]);
    assert!(relayed(&stage).is_empty());
}

#[test]
fn a_channel_stands_for_one_peer_and_a_peer_has_one_channel() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    let (peer, other) = ("198.51.100.1:9000", "198.51.100.1:9001");
    assert_eq!(stage.bind(&login, client(1), 0x4001, peer), 0);
    assert_eq!(stage.bind(&login, client(1), 0x4001, peer), 0);
    assert_eq!(stage.bind(&login, client(1), 0x4001, other), 400);
    assert_eq!(stage.bind(&login, client(1), 0x4002, peer), 400);
    assert_eq!(stage.bind(&login, client(1), 0x4002, other), 0);
    for number in [0x3fff, 0x8000, 0x7fff, 0, 0xffff] {
        assert_eq!(
            stage.bind(&login, client(1), number, "198.51.100.7:1"),
            400,
            "{number:x}"
        );
    }
    assert_eq!(stage.bind(&login, client(1), 0x4003, "[2003::1]:1"), 443);
}

#[test]
fn two_relayed_users_of_one_server_hear_each_other_behind_a_translator() {
    let mut stage = Stage::new();
    let (ann, bob) = (
        stage.ann(client(1)),
        stage.login(client(2), "bob", "sesame"),
    );
    let (anns, bobs) = (
        stage.allocate(&ann, client(1)),
        stage.allocate(&bob, client(2)),
    );
    assert_eq!(stage.permit(&ann, client(1), &bobs.to_string()), 0);
    assert_eq!(stage.permit(&bob, client(2), &anns.to_string()), 0);
    stage.outputs.clear();
    stage.send(client(1), indication(&bobs.to_string(), b"hi").finish());
    // Peers outside know 203.0.113.5; this machine's sockets know 10.0.0.5.
    let local = format!("10.0.0.5:{}", bobs.port());
    assert_eq!(relayed(&stage), [(local, b"hi".to_vec())]);
    let from = format!("10.0.0.5:{}", anns.port());
    stage.feed(Input::Relayed {
        relay: stage.relay(bobs),
        from: address(&from),
        bytes: b"hi".to_vec(),
    });
    let heard = stage.heard(client(2)).unwrap();
    assert_eq!(heard.address(attribute::XOR_PEER_ADDRESS), Some(anns));
}

#[test]
fn the_way_without_copies_agrees_with_the_other() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let public = stage.allocate(&login, client(1));
    let (relay, now) = (stage.relay(public), stage.now);
    let peer = address("198.51.100.1:9000");
    assert_eq!(
        stage.bind(&login, client(1), 0x4001, "198.51.100.1:9000"),
        0
    );
    let Route::Peer(hop) = stage
        .server
        .route(client(1), b"\x40\x01\0\x05hello\0\0\0", now)
    else {
        panic!("no way");
    };
    assert_eq!(
        (hop.relay, hop.peer, hop.data, hop.dont_fragment),
        (relay, peer, 4..9, false)
    );
    let message = indication("198.51.100.1:9000", b"hello")
        .attribute(attribute::DONT_FRAGMENT, &[])
        .finish();
    let Route::Peer(hop) = stage.server.route(client(1), &message, now) else {
        panic!("no way");
    };
    assert_eq!(
        (&message[hop.data], hop.dont_fragment),
        (&b"hello"[..], true)
    );
    assert_eq!(
        stage.server.route(client(2), b"\x40\x01\0\0", now),
        Route::Nowhere
    );
    assert_eq!(
        stage.server.route(client(1), &[0, 1, 0, 0], now),
        Route::Message
    );

    let mut buffer = vec![9; HEADROOM + 5 + TAILROOM];
    let data = HEADROOM..HEADROOM + 5;
    buffer[data.clone()].copy_from_slice(b"hello");
    let (to, whole) = stage
        .server
        .wrap(relay, peer, &mut buffer, data.clone(), now)
        .unwrap();
    assert_eq!(
        (to, &buffer[whole]),
        (client(1), &b"\x40\x01\0\x05hello"[..])
    );
    let other = address("198.51.100.1:1");
    let (_, whole) = stage
        .server
        .wrap(relay, other, &mut buffer, data, now)
        .unwrap();
    let message = Message::read(&buffer[whole]).unwrap();
    assert_eq!(message.attribute(attribute::DATA), Some(&b"hello"[..]));
    assert_eq!(
        message
            .attribute(attribute::XOR_PEER_ADDRESS)
            .and_then(|value| message.unmask(value)),
        Some(other)
    );
}

#[test]
fn ipv6_peers_are_told_by_their_address() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP)
        .attribute(attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    let public = stage
        .ask_as(&login, client(1), request)
        .address(attribute::XOR_RELAYED_ADDRESS)
        .unwrap();
    assert_eq!(stage.permit(&login, client(1), "[2003::1]:5"), 0);
    let relay = stage.relay(public);
    stage.feed(Input::Relayed {
        relay,
        from: address("[2003::1]:5"),
        bytes: b"six".to_vec(),
    });
    let heard = stage.heard(client(1)).unwrap();
    assert_eq!(
        heard.address(attribute::XOR_PEER_ADDRESS),
        Some(address("[2003::1]:5"))
    );
    assert_eq!(heard.value(attribute::DATA).unwrap(), b"six");
}

#[test]
fn what_the_network_says_of_a_packet_is_handed_on_for_permitted_peers() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let public = stage.allocate(&login, client(1));
    let relay = stage.relay(public);
    let told = |stage: &mut Stage| {
        stage.outputs.clear();
        let peer = address("198.51.100.1:9000");
        stage.feed(Input::Unreachable {
            relay,
            peer,
            icmp: (3, 4),
            data: 1_400,
        });
        stage.heard(client(1))
    };
    assert!(told(&mut stage).is_none());
    assert_eq!(stage.permit(&login, client(1), "198.51.100.1:1"), 0);
    let heard = told(&mut stage).unwrap();
    assert_eq!(
        heard.value(attribute::ICMP).unwrap(),
        [0, 0, 3, 4, 0, 0, 5, 120]
    );
    assert!(heard.value(attribute::DATA).is_none());
}

#[test]
fn one_identity_has_its_bandwidth_and_no_more() {
    let mut stage = Stage::with(|relay| relay.quota.bandwidth = 10_000);
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    assert_eq!(
        stage.bind(&login, client(1), 0x4001, "198.51.100.1:9000"),
        0
    );
    stage.outputs.clear();
    let mut message = vec![0x40, 1, 0, 100];
    message.resize(104, 1);
    for _ in 0..1_000 {
        stage.now = stage.now + Duration::from_millis(1);
        stage.send(client(1), message.clone());
    }
    let sent = relayed(&stage).len();
    assert!((190..=200).contains(&sent), "{sent}");
    assert_eq!(stage.server.counters().dropped, 1_000 - sent as u64);
}

#[test]
fn streams_are_cut_into_messages_wherever_the_network_cut_them() {
    let mut stage = Stage::new();
    let client = stage.opened(1);
    let login = stage.ann(client);
    let public = stage.allocate(&login, client);
    assert_eq!(stage.bind(&login, client, 0x4001, "198.51.100.1:9000"), 0);
    let mut bytes = Vec::new();
    for size in 0..40_u8 {
        bytes.extend([0x40, 1, 0, size]);
        bytes.extend(vec![size; usize::from(size).next_multiple_of(4)]);
        bytes.extend(indication("198.51.100.1:1", &[size]).finish());
    }
    for step in [1, 3, 7, 100, bytes.len()] {
        stage.outputs.clear();
        for piece in bytes.chunks(step) {
            stage.send(client, piece.to_vec());
        }
        let sent = relayed(&stage);
        assert_eq!(sent.len(), 80);
        for size in 0..40_u8 {
            assert_eq!(sent[usize::from(size) * 2].1, vec![size; usize::from(size)]);
            assert_eq!(sent[usize::from(size) * 2 + 1].1, [size]);
        }
    }
    // Data for the client are padded, or it would not find the next message.
    let relay = stage.relay(public);
    stage.outputs.clear();
    stage.feed(Input::Relayed {
        relay,
        from: address("198.51.100.1:9000"),
        bytes: b"hello".to_vec(),
    });
    assert_eq!(stage.heard(client).unwrap().0, b"\x40\x01\0\x05hello\0\0\0");
    // The end of the connection is the end of the allocation.
    let Client::Stream(stream) = client else {
        panic!("a stream")
    };
    stage.feed(Input::Closed { stream });
    assert_eq!(
        (
            stage.server.remembered(),
            stage.sockets.len(),
            stage.ports.taken()
        ),
        (0, 0, 0)
    );
}
