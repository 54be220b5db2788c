use std::net::SocketAddr;

use turn::{Builder, Client, Method, RelayAddress, attribute};

use crate::stage::{Answer, Login, PORTS, Stage, TCP, UDP, client};

fn allocate(stage: &mut Stage, login: &Login, client: Client, with: &[(u16, &[u8])]) -> Answer {
    let request = stage.request(Method::ALLOCATE);
    let request = with
        .iter()
        .fold(request, |request: Builder, (kind, value)| {
            request.attribute(*kind, value)
        });
    stage.ask_as(login, client, request)
}

const UDP_WANTED: (u16, &[u8]) = (attribute::REQUESTED_TRANSPORT, UDP);

#[test]
fn an_allocation_says_its_addresses_and_its_life() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    for (wish, given) in [
        (None, 600),
        (Some(1_u32), 600),
        (Some(1_800), 1_800),
        (Some(u32::MAX), 3_600),
    ] {
        let value = wish.unwrap_or(0).to_be_bytes();
        let mut with = vec![UDP_WANTED];
        with.extend(wish.map(|_| (attribute::LIFETIME, &value[..])));
        let answer = allocate(&mut stage, &login, client(1), &with);
        let relayed = answer.address(attribute::XOR_RELAYED_ADDRESS).unwrap();
        assert_eq!(
            relayed.ip(),
            "203.0.113.5".parse::<std::net::IpAddr>().unwrap()
        );
        assert!((PORTS.0..=PORTS.1).contains(&relayed.port()));
        assert_eq!(
            answer.address(attribute::XOR_MAPPED_ADDRESS),
            Some("192.0.2.10:1".parse().unwrap())
        );
        assert_eq!(
            answer.value(attribute::LIFETIME).unwrap(),
            u32::to_be_bytes(given)
        );
        let local = stage.sockets[&stage.relay(relayed)];
        assert_eq!(
            local,
            SocketAddr::new("10.0.0.5".parse().unwrap(), relayed.port())
        );
        stage.pass(given as u64 - 1);
        assert_eq!((stage.server.allocations(), stage.sockets.len()), (1, 1));
        stage.pass(2);
        assert_eq!(
            (
                stage.server.remembered(),
                stage.sockets.len(),
                stage.ports.taken()
            ),
            (0, 0, 0)
        );
    }
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_another_a_437() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP);
    let request = login.seal(request);
    let first = stage.ask(client(1), request.clone()).unwrap().0;
    let second = stage.ask(client(1), request).unwrap().0;
    assert_eq!(first, second);
    assert_eq!(
        allocate(&mut stage, &login, client(1), &[UDP_WANTED]).code(),
        437
    );
    assert_eq!((stage.server.allocations(), stage.ports.taken()), (1, 1));
}

#[test]
fn what_makes_no_sense_is_refused_by_its_own_code() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let one: &[u8] = &[1, 0, 0, 0];
    let two: &[u8] = &[2, 0, 0, 0];
    let token: &[u8] = &[7; 8];
    let even = (attribute::EVEN_PORT, &[0x80][..]);
    let v6 = (attribute::REQUESTED_ADDRESS_FAMILY, two);
    let both = (attribute::ADDITIONAL_ADDRESS_FAMILY, two);
    for (with, code) in [
        (vec![], 400),
        (
            vec![(attribute::REQUESTED_TRANSPORT, &[99, 0, 0, 0][..])],
            442,
        ),
        (vec![(attribute::REQUESTED_TRANSPORT, TCP)], 400),
        (
            vec![
                UDP_WANTED,
                (attribute::REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0]),
            ],
            440,
        ),
        (
            vec![UDP_WANTED, (attribute::ADDITIONAL_ADDRESS_FAMILY, one)],
            400,
        ),
        (vec![UDP_WANTED, both, v6], 400),
        (vec![UDP_WANTED, both, even], 400),
        (
            vec![UDP_WANTED, (attribute::RESERVATION_TOKEN, token), even],
            400,
        ),
        (
            vec![UDP_WANTED, (attribute::RESERVATION_TOKEN, token), v6],
            400,
        ),
        (
            vec![UDP_WANTED, (attribute::RESERVATION_TOKEN, token), both],
            400,
        ),
        (vec![UDP_WANTED, (attribute::RESERVATION_TOKEN, token)], 508),
        (vec![UDP_WANTED, (attribute::MOBILITY_TICKET, &[])], 405),
        (vec![UDP_WANTED, (0x7001, &[])], 420),
    ] {
        assert_eq!(
            allocate(&mut stage, &login, client(1), &with).code(),
            code,
            "{with:?}"
        );
    }
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
    let request = stage.request(Method(0x0ee));
    assert_eq!(stage.ask_as(&login, client(1), request).code(), 400);
    assert_eq!(stage.refresh(&login, client(1), 600).code(), 437);
    assert_eq!(stage.permit(&login, client(1), "198.51.100.1:1"), 437);
    assert_eq!(stage.bind(&login, client(1), 0x4000, "198.51.100.1:1"), 437);
}

#[test]
fn ipv6_alone_and_both_families_are_given() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let v6 = (attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
    let answer = allocate(&mut stage, &login, client(1), &[UDP_WANTED, v6]);
    assert!(
        answer
            .address(attribute::XOR_RELAYED_ADDRESS)
            .unwrap()
            .is_ipv6()
    );
    assert_eq!(stage.permit(&login, client(1), "198.51.100.1:1"), 443);
    assert_eq!(stage.permit(&login, client(1), "[2003::1]:1"), 0);
    let both = (attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
    let login = stage.ann(client(2));
    let answer = allocate(&mut stage, &login, client(2), &[UDP_WANTED, both]);
    let message = answer.message();
    let relayed: Vec<_> = message
        .attributes()
        .filter(|found| found.kind == attribute::XOR_RELAYED_ADDRESS)
        .map(|found| message.unmask(found.value).unwrap().is_ipv6())
        .collect();
    assert_eq!(relayed, [false, true]);
    assert_eq!(stage.permit(&login, client(2), "198.51.100.1:1"), 0);
    // One of the two is given back.
    let family = |family| [family, 0, 0, 0];
    let mut refresh = |family: [u8; 4]| {
        let request = stage.request(Method::REFRESH);
        let request = request.attribute(attribute::LIFETIME, &[0; 4]);
        let request = request.attribute(attribute::REQUESTED_ADDRESS_FAMILY, &family);
        stage.ask_as(&login, client(2), request).code()
    };
    assert_eq!(refresh(family(1)), 0);
    assert_eq!(refresh(family(1)), 443);
    assert_eq!(stage.permit(&login, client(2), "198.51.100.1:1"), 443);
    assert_eq!(stage.server.allocations(), 2);
}

#[test]
fn a_server_of_one_family_says_why_the_other_is_missing() {
    let mut stage = Stage::with(|relay| relay.addresses[1] = None);
    let login = stage.ann(client(1));
    let v6 = (attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
    assert_eq!(
        allocate(&mut stage, &login, client(1), &[UDP_WANTED, v6]).code(),
        440
    );
    let both = (attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
    let answer = allocate(&mut stage, &login, client(1), &[UDP_WANTED, both]);
    let reason = answer.value(attribute::ADDRESS_ERROR_CODE).unwrap();
    assert_eq!(reason[..4], [2, 0, 4, 40]);
    assert_eq!(stage.sockets.len(), 1);
    let v6 = |ip: &str| {
        Some(RelayAddress {
            local: ip.parse().unwrap(),
            public: ip.parse().unwrap(),
        })
    };
    let mut stage = Stage::with(|relay| relay.addresses = [None, v6("2a00::5")]);
    let login = stage.ann(client(1));
    assert_eq!(
        allocate(&mut stage, &login, client(1), &[UDP_WANTED]).code(),
        440
    );
}

#[test]
fn a_kept_port_is_the_next_one_and_its_owners_alone() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let pair = (attribute::EVEN_PORT, &[0x80, 0, 0, 0][..]);
    let answer = allocate(&mut stage, &login, client(1), &[UDP_WANTED, pair]);
    let first = answer
        .address(attribute::XOR_RELAYED_ADDRESS)
        .unwrap()
        .port();
    let token = answer.value(attribute::RESERVATION_TOKEN).unwrap();
    assert!(first.is_multiple_of(2));
    assert_eq!(stage.ports.taken(), 2);
    let kept = (attribute::RESERVATION_TOKEN, &token[..]);
    let bob = stage.login(client(3), "bob", "sesame");
    assert_eq!(
        allocate(&mut stage, &bob, client(3), &[UDP_WANTED, kept]).code(),
        508
    );
    let second = stage.ann(client(2));
    let answer = allocate(&mut stage, &second, client(2), &[UDP_WANTED, kept]);
    assert_eq!(
        answer
            .address(attribute::XOR_RELAYED_ADDRESS)
            .unwrap()
            .port(),
        first + 1
    );
    let third = stage.ann(client(4));
    assert_eq!(
        allocate(&mut stage, &third, client(4), &[UDP_WANTED, kept]).code(),
        508
    );
    // One that nobody takes is free again after half a minute.
    allocate(&mut stage, &third, client(4), &[UDP_WANTED, pair]);
    assert_eq!(stage.ports.taken(), 4);
    stage.pass(31);
    assert_eq!(stage.ports.taken(), 3);
    for (login, port) in [(&login, 1), (&second, 2), (&third, 4)] {
        assert_eq!(stage.refresh(login, client(port), 0).code(), 0);
    }
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
}

#[test]
fn ports_of_other_programs_are_passed_over() {
    let mut stage = Stage::new();
    stage.taken = (PORTS.0..=PORTS.1).filter(|port| port % 4 != 0).collect();
    let mut given = 0;
    for port in 1..=8 {
        let login = stage.ann(client(port));
        let pair = (attribute::EVEN_PORT, &[0x80, 0, 0, 0][..]);
        let with = if port % 2 == 0 {
            vec![UDP_WANTED]
        } else {
            vec![UDP_WANTED, pair]
        };
        let answer = allocate(&mut stage, &login, client(port), &with);
        assert!(matches!(answer.code(), 0 | 508 | 486));
        given += usize::from(answer.code() == 0);
        assert_eq!(stage.server.allocations(), given);
    }
    assert!(given > 4, "{given}");
    stage.taken = (PORTS.0..=PORTS.1).collect();
    let before = stage.ports.taken();
    let login = stage.login(client(99), "bob", "sesame");
    assert_eq!(
        allocate(&mut stage, &login, client(99), &[UDP_WANTED]).code(),
        508
    );
    assert_eq!(stage.ports.taken(), before);
    stage.pass(601);
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
}

#[test]
fn one_identity_has_its_share_and_the_server_its_bound() {
    let mut stage = Stage::with(|relay| relay.allocations = 12);
    for port in 1..=11 {
        let login = stage.ann(client(port));
        let code = allocate(&mut stage, &login, client(port), &[UDP_WANTED]).code();
        assert_eq!(code, if port <= 10 { 0 } else { 486 });
    }
    let mut codes = Vec::new();
    for port in 20..23 {
        let login = stage.login(client(port), "bob", "sesame");
        codes.push(allocate(&mut stage, &login, client(port), &[UDP_WANTED]).code());
    }
    assert_eq!(codes, [0, 0, 508]);
    stage.pass(601);
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
}

#[test]
fn all_ports_taken_is_said() {
    let mut stage = Stage::with(|relay| relay.quota.allocations = 1_000);
    let mut codes = Vec::new();
    for port in 1..=201 {
        let login = stage.ann(client(port));
        codes.push(allocate(&mut stage, &login, client(port), &[UDP_WANTED]).code());
    }
    assert_eq!((codes[199], codes[200]), (0, 508));
}
