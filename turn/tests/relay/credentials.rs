use turn::{Algorithm, Integrity, Method, Secret, attribute};

use crate::stage::{REALM, Stage, UDP, WALL, client};

#[test]
fn r113_all_ways_to_prove_a_credential_are_taken() {
    let mut stage = Stage::new();
    let mut port = 1_000;
    for integrity in [Integrity::Sha1, Integrity::Sha256] {
        for algorithm in [None, Some(Algorithm::Md5), Some(Algorithm::Sha256)] {
            for hashed in [false, true] {
                port += 1;
                let mut login = stage.ann(client(port));
                (login.integrity, login.algorithm, login.hashed) = (integrity, algorithm, hashed);
                stage.allocate(&login, client(port));
                assert_eq!(stage.refresh(&login, client(port), 0).code(), 0);
            }
        }
    }
}

#[test]
fn the_challenge_tells_realm_nonce_and_algorithms() {
    let mut stage = Stage::new();
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP)
        .finish();
    let challenge = stage.ask(client(1), request).unwrap();
    assert_eq!(challenge.value(attribute::REALM).unwrap(), REALM.as_bytes());
    // Bits 0 and 1: password algorithms, and names by their hash, for all names are known here.
    assert!(
        challenge
            .value(attribute::NONCE)
            .unwrap()
            .starts_with(b"obMatJos2AAAD")
    );
    assert_eq!(
        challenge.value(attribute::PASSWORD_ALGORITHMS).unwrap(),
        Algorithm::LIST
    );
    // Names in tickets are not known before.
    let mut stage = Stage::with_tickets([1; 32]);
    let login = stage.ann(client(1));
    assert!(login.nonce.starts_with(b"obMatJos2AAAB"));
}

#[test]
fn wrong_password_name_and_nonce_are_refused() {
    let mut stage = Stage::new();
    let good = stage.ann(client(1));
    let allocate = |stage: &mut Stage| {
        stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP)
    };
    for (name, password) in [("ann", "sesame"), ("eve", "secret"), ("", "")] {
        let mut login = good.clone();
        (login.name, login.password) = (name.to_owned(), password.to_owned());
        let request = allocate(&mut stage);
        assert_eq!(
            stage.ask_as(&login, client(1), request).code(),
            401,
            "{name}"
        );
    }
    let mut stale = good.clone();
    stale.nonce[20] ^= 1;
    let request = allocate(&mut stage);
    let answer = stage.ask_as(&stale, client(1), request);
    assert_eq!(answer.code(), 438);
    assert!(answer.value(attribute::NONCE).is_some() && answer.value(attribute::REALM).is_some());
    // Somebody else's nonce is none.
    let request = allocate(&mut stage);
    assert_eq!(stage.ask_as(&good, client(2), request).code(), 438);
    stage.pass(3_601);
    let request = allocate(&mut stage);
    assert_eq!(stage.ask_as(&good, client(1), request).code(), 438);
    assert_eq!((stage.server.remembered(), stage.ports.taken()), (0, 0));
}

#[test]
fn a_bid_down_of_the_algorithms_is_noticed() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let none: &[u8] = &[];
    for (list, one) in [
        (&[0, 1, 0, 0][..], &[0, 1, 0, 0][..]),
        (&Algorithm::LIST, none),
        (none, &[0, 1, 0, 0]),
        (&Algorithm::LIST, &[0, 3, 0, 0]),
    ] {
        let mut request = stage
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP);
        for (kind, value) in [
            (attribute::PASSWORD_ALGORITHMS, list),
            (attribute::PASSWORD_ALGORITHM, one),
        ] {
            if !value.is_empty() {
                request = request.attribute(kind, value);
            }
        }
        assert_eq!(
            stage.ask(client(1), login.seal(request)).unwrap().code(),
            400,
            "{list:?} {one:?}"
        );
    }
    // One who takes the feature bits out of the nonce makes it another nonce.
    let mut cut = login.clone();
    cut.nonce.drain(..13);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP);
    assert_eq!(stage.ask_as(&cut, client(1), request).code(), 438);
}

#[test]
fn a_request_without_its_parts_is_no_request() {
    let mut stage = Stage::new();
    let login = stage.ann(client(1));
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::USERNAME, b"ann")
        .integrity(Integrity::Sha1, &login.key());
    assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), 400);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REALM, REALM.as_bytes())
        .attribute(attribute::NONCE, &login.nonce)
        .integrity(Integrity::Sha1, &login.key());
    assert_eq!(stage.ask(client(1), request.finish()).unwrap().code(), 400);
}

#[test]
fn r113_r116_a_ticket_opens_every_server_whose_key_made_it_and_ends() {
    let mut stage = Stage::with_tickets([9; 32]);
    let ticket = Secret::new([9; 32])
        .issuing_key([3; 20], WALL)
        .issue("sip:alice@example.org");
    let login = stage.login(client(1), &ticket.username, &ticket.password);
    stage.allocate(&login, client(1));
    let elsewhere = Secret::new([8; 32])
        .issuing_key([3; 20], WALL)
        .issue("sip:alice@example.org");
    let foreign = stage.login(client(2), &elsewhere.username, &elsewhere.password);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP);
    assert_eq!(stage.ask_as(&foreign, client(2), request).code(), 401);

    // Hours later it has ended: nothing new is to be had, but the call goes on, for some time.
    let mut login = login;
    assert_eq!(stage.refresh(&login, client(1), 3_600).code(), 0);
    let begun = stage.now;
    while stage.server.allocations() > 0 {
        stage.pass(3_000);
        login.nonce = stage.ann(client(1)).nonce;
        let code = stage.refresh(&login, client(1), 3_600).code();
        assert!(matches!(code, 0 | 401 | 437), "{code}");
    }
    let hours = (stage.now - begun).as_secs() / 3_600;
    assert!((7 * 24 + 11..=14 * 24 + 13).contains(&hours), "{hours}");
    let late = stage.login(client(3), &ticket.username, &ticket.password);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, UDP);
    assert_eq!(stage.ask_as(&late, client(3), request).code(), 401);
}

#[test]
fn another_user_can_not_touch_an_allocation() {
    let mut stage = Stage::new();
    let ann = stage.ann(client(1));
    stage.allocate(&ann, client(1));
    let bob = stage.login(client(1), "bob", "sesame");
    assert_eq!(stage.refresh(&bob, client(1), 0).code(), 441);
    assert_eq!(stage.permit(&bob, client(1), "198.51.100.1:1"), 441);
    assert_eq!(stage.bind(&bob, client(1), 0x4000, "198.51.100.1:1"), 441);
    assert_eq!(stage.server.allocations(), 1);
}
