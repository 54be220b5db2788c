//! Proxy, registrar and passwords together.

use machine::{Instant, Machine};
use sip::digest::Login;
use sip::message::Name;
use sip::proxy::{self, Located};
use sip::registrar::Limits;
use sip::server::{Config, Input, Output, Server};
use sip::{Message, Peer};

use crate::scene::{ALICE, BOB, CAROL, config, request, response, short, udp};

const NOW: Instant = Instant::EPOCH;

struct Domain {
    server: Server,
    elsewhere: Vec<proxy::Lookup>,
    changes: usize,
}

impl Domain {
    fn new(open: bool) -> Self {
        let config = Config {
            proxy: config(),
            limits: Limits::default(),
            open,
            transit: false,
            md5: false,
        };
        Self {
            server: Server::new(config),
            elsewhere: Vec::new(),
            changes: 0,
        }
    }

    fn input(&mut self, input: Input) -> Vec<(Peer, Message)> {
        self.server.handle_input(input, NOW);
        let mut sent = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { peer, message } => {
                    sent.push((peer, Message::parse(message).unwrap()))
                }
                Output::Elsewhere { lookup, .. } => self.elsewhere.push(lookup),
                Output::Registration(_) => self.changes += 1,
                Output::Secret {
                    id,
                    user,
                    algorithm,
                } => {
                    // Everybody's password is his name, but nobody has none.
                    let secret =
                        (user != "nobody").then(|| algorithm.secret(&user, "example.org", &user));
                    self.server.handle_input(Input::Secret { id, secret }, NOW);
                }
                Output::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
        sent
    }

    fn receive(&mut self, source: &str, text: &str) -> Vec<(Peer, Message)> {
        let message = text.as_bytes().to_vec();
        let source = udp(source);
        self.input(Input::Proxy(proxy::Input::Received { source, message }))
    }
}

fn login(user: &str, password: &str) -> Login {
    Login {
        realm: "example.org".into(),
        user: user.into(),
        password: password.into(),
        md5: false,
    }
}

/// bob's REGISTER.
fn register(number: u32, lines: &str) -> String {
    format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP {BOB};branch=z9hG4bKreg{number}\r\nFrom: <sip:bob@example.org>;tag=r\r\n\
         To: <sip:bob@example.org>\r\nCall-ID: reg\r\nCSeq: {number} REGISTER\r\nContact: <sip:bob@{BOB}>\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn r076_r079_an_open_server_registers_and_connects() {
    let mut domain = Domain::new(true);
    let sent = domain.receive(BOB, &register(1, ""));
    assert_eq!(short(&sent), ["192.0.2.2:5060 200 REGISTER"]);
    assert!(sent[0].1.contact().unwrap().parameter("expires") == Some("3600"));
    assert_eq!(domain.changes, 1);
    let sent = domain.receive(ALICE, &request("INVITE", ""));
    assert_eq!(
        short(&sent),
        ["192.0.2.1:5060 100 INVITE", "192.0.2.2:5060 INVITE"]
    );
    let back = domain.receive(BOB, &response(&sent[1].1, "200 OK", "b", ""));
    assert_eq!(short(&back), ["192.0.2.1:5060 200 INVITE"]);

    // Who is not bound here may be somewhere else, or not.
    let carol = request("INVITE", "")
        .replace("bob@", "carol@")
        .replace("bKa1", "bKa2");
    assert_eq!(
        short(&domain.receive(ALICE, &carol)),
        ["192.0.2.1:5060 100 INVITE"]
    );
    let lookup = domain.elsewhere.pop().unwrap();
    let located = Located::Targets(vec![]);
    let sent = domain.input(Input::Proxy(proxy::Input::Located { lookup, located }));
    assert_eq!(short(&sent), ["192.0.2.1:5060 480 INVITE"]);
    // Programs that are pointed at a number take that for their domain.
    let number = register(1, "")
        .replace("example.org", "192.0.2.10")
        .replace("z9hG4bKreg", "z9hG4bKnum");
    assert_eq!(domain.receive(BOB, &number)[0].1.status(), Some(200));
    let foreign = register(2, "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.net>");
    assert_eq!(domain.receive(BOB, &foreign)[0].1.status(), Some(404));
}

#[test]
fn r076_a_password_lets_a_user_register_himself_only() {
    let mut domain = Domain::new(false);
    let challenge = domain.receive(BOB, &register(1, ""));
    assert_eq!(short(&challenge), ["192.0.2.2:5060 401 REGISTER"]);
    let mut tries = |login: &Login, count| {
        let line = login.answer(&challenge[0].1, ["REGISTER", "sip:example.org"], "c", count);
        let sent = domain.receive(BOB, &register(count + 1, &line.unwrap()));
        sent[0].1.status()
    };
    assert_eq!(tries(&login("bob", "wrong"), 1), Some(401));
    assert_eq!(tries(&login("nobody", "nobody"), 2), Some(401));
    assert_eq!(
        tries(&login("carol", "carol"), 3),
        Some(403),
        "her own password, his name"
    );
    assert_eq!(tries(&login("bob", "bob"), 4), Some(200));
    assert_eq!(domain.server.registrar().users(), 1);
}

#[test]
fn a42_from_must_be_the_user_of_the_password() {
    let mut domain = Domain::new(false);
    let challenge = domain
        .receive(ALICE, &request("INVITE", ""))
        .pop()
        .unwrap()
        .1;
    assert_eq!(challenge.status(), Some(407));
    assert!(challenge.field(Name::Warning).unwrap().contains("password"));
    let mut tries = |login: &Login, count| {
        let line = login
            .answer(&challenge, ["INVITE", "sip:bob@example.org"], "c", count)
            .unwrap();
        let text = request("INVITE", &line).replace("bKa1", &format!("bKb{count}"));
        let sent = domain.receive(ALICE, &text);
        let mut finals = sent.iter().filter_map(|(_, message)| message.status());
        (finals.find(|status| *status > 100), domain.elsewhere.len())
    };
    assert_eq!(tries(&login("bob", "bob"), 1), (Some(403), 0));
    assert_eq!(tries(&login("alice", "x"), 2), (Some(407), 0));
    assert_eq!(
        tries(&login("alice", "alice"), 3),
        (None, 1),
        "she is asked about"
    );
    // Who is of another domain calls without a password, but nobody outside through here.
    let text = request("INVITE", "")
        .replace("alice@example.org", "alice@example.net")
        .replace("bKa1", "bKc1");
    domain.receive(CAROL, &text);
    assert_eq!(domain.elsewhere.len(), 2);
    let out = text
        .replace("sip:bob@example.org SIP", "sip:bob@example.com SIP")
        .replace("bKc1", "bKc2");
    let sent = domain.receive(CAROL, &out);
    assert_eq!(sent.last().unwrap().1.status(), Some(403));
}

#[test]
fn a44_requests_that_wait_for_a_password_are_bounded() {
    let mut domain = Domain::new(false);
    let challenge = domain.receive(BOB, &register(1, "")).remove(0).1;
    let line = login("bob", "bob").answer(&challenge, ["REGISTER", "sip:example.org"], "c", 1);
    let line = line.unwrap();
    // One more than there is room for, and nobody says what the password is.
    for number in 2..10_003 {
        let message = register(number, &line).into_bytes();
        let source = udp(BOB);
        let received = Input::Proxy(proxy::Input::Received { source, message });
        domain.server.handle_input(received, NOW);
    }
    let mut statuses = Vec::new();
    while let Some(output) = domain.server.poll_output() {
        if let Output::Send { message, .. } = output {
            statuses.push(Message::parse(message).unwrap().status());
        }
    }
    assert_eq!(statuses, [Some(503)]);
}
