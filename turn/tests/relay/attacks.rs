//! Peers that nobody may reach, and loops that shall leave nothing behind.

use machine::Machine;
use turn::{Builder, Class, Client, Input, Method, Output, TransactionId, attribute};

use crate::stage::{Login, Stage, TCP, UDP, address, client, with_peer};

const FORBIDDEN: &[&str] = &[
    "0.0.0.1:80",
    "10.0.0.1:80",
    "100.64.0.1:80",
    "127.0.0.1:80",
    "169.254.169.254:80",
    "172.16.0.1:80",
    "192.0.0.1:80",
    "192.168.1.1:80",
    "198.18.0.1:80",
    "224.0.0.1:80",
    "255.255.255.255:80",
    "203.0.113.5:22",
    "203.0.113.5:3478",
    "10.0.0.5:22",
    "[::]:80",
    "[::1]:80",
    "[::ffff:127.0.0.1]:80",
    "[::ffff:8.8.8.8]:80",
    "[::8.8.8.8]:80",
    "[64:ff9b::a00:1]:80",
    "[2002:a00:1::1]:80",
    "[2001::1]:80",
    "[fe80::1]:80",
    "[fc00::1]:80",
    "[ff02::1]:80",
    "[2a00::5]:22",
];

fn connect(stage: &mut Stage, login: &Login, client: Client, peer: &str) -> u16 {
    let request = with_peer(stage.request(Method::CONNECT), peer);
    let answer = stage.ask(client, login.seal(request));
    answer.map_or(0, |answer| answer.code())
}

fn allocate_both(stage: &mut Stage, client: Client, transport: &[u8]) -> Login {
    let login = stage.ann(client);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, transport)
        .attribute(attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    assert_eq!(stage.ask_as(&login, client, request).code(), 0);
    login
}

#[test]
fn a28_no_private_or_special_address_is_reached_by_any_transport() {
    for by_stream in [false, true] {
        let mut stage = Stage::new();
        let client = if by_stream {
            stage.opened(1)
        } else {
            client(1)
        };
        let login = allocate_both(&mut stage, client, UDP);
        for (number, peer) in (0x4000..).zip(FORBIDDEN) {
            assert_eq!(stage.permit(&login, client, peer), 403, "{peer}");
            assert_eq!(stage.bind(&login, client, number, peer), 403, "{peer}");
            stage.outputs.clear();
            let indication = Builder::new(Class::Indication, Method::SEND, TransactionId([1; 12]));
            let indication = with_peer(indication, peer).attribute(attribute::DATA, b"x");
            stage.send(client, indication.finish());
            assert!(stage.outputs.is_empty(), "{peer}");
        }
        assert_eq!(
            stage.server.counters().forbidden,
            2 * FORBIDDEN.len() as u64
        );
        // One bad peer among good ones spoils the request.
        let request = stage
            .request(Method::CREATE_PERMISSION)
            .xor_address(attribute::XOR_PEER_ADDRESS, address("198.51.100.1:1"))
            .xor_address(attribute::XOR_PEER_ADDRESS, address("10.1.1.1:1"));
        assert_eq!(stage.ask_as(&login, client, request).code(), 403);
    }
    let mut stage = Stage::new();
    let client = stage.opened(1);
    let login = allocate_both(&mut stage, client, TCP);
    for peer in FORBIDDEN {
        assert_eq!(connect(&mut stage, &login, client, peer), 403, "{peer}");
    }
}

#[test]
fn a28_own_addresses_are_reached_where_a_relayed_address_lives_and_as_long() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    let bob = stage.login(client(2), "bob", "sesame");
    let bobs = stage.allocate(&bob, client(2)).to_string();
    assert_eq!(stage.permit(&login, client(1), &bobs), 0);
    assert_eq!(stage.bind(&login, client(1), 0x4000, &bobs), 0);
    let sends = |stage: &mut Stage, peer: &str| {
        stage.outputs.clear();
        let indication = Builder::new(Class::Indication, Method::SEND, TransactionId([1; 12]))
            .xor_address(attribute::XOR_PEER_ADDRESS, address(peer))
            .attribute(attribute::DATA, b"x");
        stage.send(client(1), indication.finish());
        stage.send(client(1), b"\x40\0\0\x01x".to_vec());
        stage
            .outputs
            .iter()
            .filter(|output| matches!(output, Output::Relay { .. }))
            .count()
    };
    assert_eq!(sends(&mut stage, &bobs), 2);
    // The permission is one of an address: it opens no other port of this machine, nor this one when bob has gone.
    assert_eq!(sends(&mut stage, "203.0.113.5:22"), 1);
    assert_eq!(sends(&mut stage, "203.0.113.5:3478"), 1);
    assert_eq!(stage.refresh(&bob, client(2), 0).code(), 0);
    assert_eq!(sends(&mut stage, &bobs), 0);
    assert_eq!(stage.permit(&login, client(1), &bobs), 403);
}

#[test]
fn a28_r122_the_operator_opens_a_realm_and_loopback_by_name() {
    let mut stage = Stage::with(|relay| relay.reach.realm = vec!["10.1.0.0/16".parse().unwrap()]);
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    assert_eq!(stage.permit(&login, client(1), "10.1.2.3:9"), 0);
    for peer in ["10.2.0.1:9", "10.0.0.5:22", "127.0.0.1:9"] {
        assert_eq!(stage.permit(&login, client(1), peer), 403, "{peer}");
    }
    let mut stage = Stage::with(|relay| relay.reach.loopback = true);
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    assert_eq!(stage.permit(&login, client(1), "127.0.0.1:9"), 0);
    assert_eq!(stage.permit(&login, client(1), "10.2.0.1:9"), 403);
}

#[test]
fn a29_attributes_after_the_integrity_are_ignored() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    let request = stage
        .request(Method::CREATE_PERMISSION)
        .xor_address(attribute::XOR_PEER_ADDRESS, address("198.51.100.1:1"));
    let request = request
        .attribute(attribute::USERNAME, b"ann")
        .attribute(attribute::REALM, crate::stage::REALM.as_bytes())
        .attribute(attribute::NONCE, &login.nonce)
        .integrity(login.integrity, &login.key())
        .xor_address(attribute::XOR_PEER_ADDRESS, address("198.51.100.2:1"))
        .attribute(attribute::LIFETIME, &[0; 4]);
    assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), 0);
    let relay = *stage.sockets.keys().next().unwrap();
    for (peer, heard) in [("198.51.100.1:1", true), ("198.51.100.2:1", false)] {
        stage.outputs.clear();
        stage.feed(Input::Relayed {
            relay,
            from: address(peer),
            bytes: vec![1],
        });
        assert_eq!(stage.heard(client(1)).is_some(), heard);
    }
    // A user name after the proof does not count as one.
    let request = stage
        .request(Method::REFRESH)
        .attribute(attribute::REALM, crate::stage::REALM.as_bytes())
        .attribute(attribute::NONCE, &login.nonce)
        .integrity(login.integrity, &login.key())
        .attribute(attribute::USERNAME, b"ann");
    assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), 400);
}

#[test]
fn a29_an_altered_request_is_refused_wherever_it_was_altered() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    let request = stage
        .request(Method::REFRESH)
        .attribute(attribute::LIFETIME, &[0; 4]);
    let whole = login.seal(request);
    // Without the fingerprint, so that it is the proof that fails.
    let mut whole = whole[..whole.len() - 8].to_vec();
    whole[3] -= 8;
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        stage.ask(client(1), altered);
        assert_eq!(stage.server.allocations(), 1, "{at}");
    }
    assert_eq!(stage.ask(client(1), whole).unwrap().code(), 0);
    assert_eq!(stage.server.allocations(), 0);
}

#[test]
fn a30_ports_transactions_and_nonces_are_not_foreseen() {
    let mut ports = Vec::new();
    let mut transactions = Vec::new();
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    for _ in 0..50 {
        let public = stage.allocate(&login, client(1));
        ports.push(public.port());
        assert_eq!(stage.permit(&login, client(1), "198.51.100.1:1"), 0);
        let relay = stage.relay(public);
        stage.feed(Input::Relayed {
            relay,
            from: address("198.51.100.1:1"),
            bytes: vec![1],
        });
        transactions.push(stage.heard(client(1)).unwrap().message().transaction().0);
        stage.refresh(&login, client(1), 0);
    }
    let steps: std::collections::HashSet<_> = ports
        .windows(2)
        .map(|two| i32::from(two[1]) - i32::from(two[0]))
        .collect();
    assert!(steps.len() > 30, "{ports:?}");
    for byte in 0..12 {
        let seen: std::collections::HashSet<_> = transactions.iter().map(|id| id[byte]).collect();
        assert!(seen.len() > 25, "byte {byte}");
    }
}

#[test]
fn a31_a_hundred_thousand_forged_sources_are_not_remembered() {
    let mut stage = Stage::new();
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP)
        .finish();
    for source in 0..100_000_u32 {
        let from = std::net::SocketAddr::from((source.to_be_bytes(), 9));
        stage.server.handle_input(
            Input::Datagram {
                from,
                bytes: request.clone(),
            },
            stage.now,
        );
        while stage.server.poll_output().is_some() {}
    }
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
    assert_eq!(stage.server.poll_timeout(), None);
}

#[test]
fn a32_loops_of_every_kind_leave_nothing_behind() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    for round in 0..2_000_u32 {
        let even = [if round % 3 == 0 { 0x80 } else { 0 }, 0, 0, 0];
        let mut request = stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP);
        if round % 2 == 0 {
            request = request.attribute(attribute::EVEN_PORT, &even);
        }
        stage.ask_as(&login, client(1), request);
        for _ in 0..round % 4 {
            stage.refresh(&login, client(1), 600 + round);
        }
        stage.permit(&login, client(1), "198.51.100.1:1");
        stage.refresh(&login, client(1), 0);
        assert!(stage.ports.taken() <= 20, "{}", stage.ports.taken());
        if round % 50 == 0 {
            stage.pass(5);
        }
    }
    stage.pass(31);
    assert_eq!(
        (
            stage.server.remembered(),
            stage.sockets.len(),
            stage.ports.taken()
        ),
        (0, 0, 0)
    );
    stage.pass(700);
    assert_eq!(stage.server.poll_timeout(), None);
}

#[test]
fn a32_kept_ports_count_against_their_owner() {
    let mut stage = Stage::new();
    let mut codes = Vec::new();
    for _ in 0..20 {
        let login = stage.ann(client(1));
        let request = stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP)
            .attribute(attribute::EVEN_PORT, &[0x80, 0, 0, 0]);
        codes.push(stage.ask_as(&login, client(1), request).code());
        stage.refresh(&login, client(1), 0);
    }
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 10);
    assert_eq!(codes.iter().filter(|code| **code == 486).count(), 10);
}

#[test]
fn a32_peers_of_one_allocation_are_bounded() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    let codes: Vec<_> = (1..=80)
        .map(|host| stage.permit(&login, client(1), &format!("198.51.100.{host}:1")))
        .collect();
    assert_eq!((codes[63], codes[64]), (0, 508));
    assert_eq!(
        stage.bind(&login, client(1), 0x4000, "198.51.100.99:1"),
        508
    );
    let codes: Vec<_> = (0..80)
        .map(|number| {
            stage.bind(
                &login,
                client(1),
                0x4000 + number,
                &format!("198.51.100.1:{}", number + 1),
            )
        })
        .collect();
    assert_eq!((codes[63], codes[64]), (0, 508));
    // Once they have ended there is room again.
    stage.pass(301);
    assert_eq!(stage.permit(&login, client(1), "198.51.100.99:1"), 0);
}

#[test]
fn a34_answers_to_strangers_are_bounded_by_a_rate() {
    let mut stage = Stage::new();
    let config = turn::Config {
        relay: Some(crate::stage::relaying(&stage.ports)),
        ..turn::Config::default()
    };
    stage.server = turn::Server::new(config, [1; 32]);
    let login = Login {
        name: "eve".to_owned(),
        password: "x".to_owned(),
        integrity: turn::Integrity::Sha1,
        algorithm: None,
        hashed: false,
        nonce: vec![1; 50],
    };
    let mut answers = 0;
    for _ in 0..500 {
        let plain = stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP);
        let sealed = stage.request(Method::REFRESH);
        answers += usize::from(stage.ask(client(1), plain.finish()).is_some());
        answers += usize::from(stage.ask(client(2), login.seal(sealed)).is_some());
    }
    assert!(answers <= 101, "{answers}");
    // Whoever has proved himself is bound by nothing of that.
    stage.pass(10);
    let ann = stage.ann(client(3));
    stage.allocate(&ann, client(3));
    for _ in 0..500 {
        assert_eq!(stage.refresh(&ann, client(3), 600).code(), 0);
    }
}

fn send_indication(stage: &mut Stage, client: Client, peer: &str) -> usize {
    stage.outputs.clear();
    let indication = Builder::new(Class::Indication, Method::SEND, TransactionId([1; 12]))
        .xor_address(attribute::XOR_PEER_ADDRESS, address(peer))
        .attribute(attribute::DATA, b"x");
    stage.send(client, indication.finish());
    let relayed = |output: &&Output| matches!(output, Output::Relay { .. });
    stage.outputs.iter().filter(relayed).count()
}

#[test]
fn a28_the_servers_own_ports_stay_shut_where_its_address_is_open() {
    let mut stage = Stage::with(|relay| {
        relay.reach.loopback = true;
        relay.reach.listening.push(address("127.0.0.1:3478"));
    });
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    assert_eq!(stage.permit(&login, client(1), "127.0.0.1:3478"), 403);
    assert_eq!(stage.bind(&login, client(1), 0x4000, "127.0.0.1:3478"), 403);
    // A permission is one of an address.
    assert_eq!(stage.permit(&login, client(1), "127.0.0.1:9"), 0);
    assert_eq!(send_indication(&mut stage, client(1), "127.0.0.1:9"), 1);
    assert_eq!(send_indication(&mut stage, client(1), "127.0.0.1:3478"), 0);
}

#[test]
fn a28_an_allocation_for_tcp_sends_no_datagrams() {
    let mut stage = Stage::new();
    let client = stage.opened(1);
    let login = allocate_both(&mut stage, client, TCP);
    assert_eq!(stage.permit(&login, client, "198.51.100.1:80"), 0);
    assert_eq!(send_indication(&mut stage, client, "198.51.100.1:80"), 0);
}

#[test]
fn a30_the_numbers_of_connections_are_not_foreseen() {
    let mut stage = Stage::new();
    let client = stage.opened(1);
    let login = allocate_both(&mut stage, client, TCP);
    let mut numbers = Vec::new();
    for port in 1..=20 {
        let peer = format!("198.51.100.1:{port}");
        let request = with_peer(stage.request(Method::CONNECT), &peer);
        assert!(stage.ask(client, login.seal(request)).is_none());
        numbers.extend(stage.outputs.iter().find_map(|output| match output {
            Output::Dial { connection, .. } => Some(connection.0),
            _ => None,
        }));
    }
    assert_eq!(numbers.len(), 20);
    let close = |pair: &&[u32]| pair[1].abs_diff(pair[0]) < 10_000;
    assert_eq!(numbers.windows(2).filter(close).count(), 0, "{numbers:?}");
}

#[test]
fn a32_a_pair_of_ports_that_never_opens_is_given_back() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP)
        .attribute(attribute::EVEN_PORT, &[0x80, 0, 0, 0]);
    let Client::Datagram(from) = client(1) else {
        panic!("it comes by UDP");
    };
    let bytes = login.seal(request);
    // The driver is asked for a socket and never says anything of it.
    stage
        .server
        .handle_input(Input::Datagram { from, bytes }, stage.now);
    while stage.server.poll_output().is_some() {}
    assert_eq!(stage.ports.taken(), 2);
    stage.pass(11);
    assert_eq!(stage.ports.taken(), 0);
}

#[test]
fn a32_peers_beyond_the_bound_come_in_as_a_whole_or_not_at_all() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    stage.allocate(&login, client(1));
    for host in 1..=63 {
        let peer = format!("198.51.100.{host}:1");
        assert_eq!(stage.permit(&login, client(1), &peer), 0);
    }
    let request = stage
        .request(Method::CREATE_PERMISSION)
        .xor_address(attribute::XOR_PEER_ADDRESS, address("198.51.100.101:1"))
        .xor_address(attribute::XOR_PEER_ADDRESS, address("198.51.100.102:1"));
    assert_eq!(stage.ask_as(&login, client(1), request).code(), 508);
    for host in ["198.51.100.101:1", "198.51.100.102:1"] {
        assert_eq!(send_indication(&mut stage, client(1), host), 0, "{host}");
    }
}
