//! The two domains of RFC 3665, each with its server, and phones that say what a test tells them.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use machine::{Instant, Machine};
use sip::digest::Login;
use sip::message::Name;
use sip::proxy::{self, Listener, Located};
use sip::registrar::Limits;
use sip::server::{Config, Input, Output, Server};
use sip::{Message, Peer, Transport};

use crate::scene::{udp, what};

pub(crate) const ALICE: &str = "192.0.2.101:5060";
pub(crate) const BOB: &str = "192.0.2.201:5060";
pub(crate) const CAROL: &str = "192.0.2.202:5060";
const ATLANTA: &str = "192.0.2.111:5060";
const BILOXI: &str = "192.0.2.222:5060";

/// What people call these addresses.
const NAMES: [(&str, &str); 5] = [
    (ALICE, "alice"),
    (BOB, "bob"),
    (CAROL, "carol"),
    (ATLANTA, "P1"),
    (BILOXI, "P2"),
];

pub(crate) struct World {
    servers: BTreeMap<&'static str, Server>,
    now: Instant,
    /// What went from whom to whom since the last look.
    trace: Vec<String>,
    inboxes: BTreeMap<&'static str, VecDeque<Message>>,
    /// What was taken last.
    last: Option<Message>,
    sent: u32,
}

/// One side of a dialog, or of what may become one.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    at: &'static str,
    first: &'static str,
    id: String,
    ours: String,
    theirs: String,
    target: String,
    routes: Vec<String>,
    number: u32,
}

impl Side {
    /// Whatever tag the other side has shown, it was that of a refusal, or belongs to the transaction alone.
    pub(crate) fn forget(&mut self) {
        let (uri, _) = self.theirs.split_once('>').unwrap();
        self.theirs = format!("{uri}>");
    }

    /// The Call-ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

fn domain(name: &str, address: &str) -> Server {
    let (host, _) = address.split_once(':').unwrap();
    let listener = |transport| Listener {
        transport,
        host: host.into(),
        port: 5060,
    };
    Server::new(Config {
        proxy: proxy::Config {
            listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
            domains: vec![name.into()],
            secret: [7; 16],
            lasting: [8; 16],
            record_route: true,
            requests: 100,
        },
        limits: Limits::default(),
        open: false,
        transit: false,
        md5: false,
    })
}

/// Everybody's password is his name.
fn login(user: &str, realm: &str) -> Login {
    Login {
        realm: realm.into(),
        user: user.into(),
        password: user.into(),
        md5: false,
    }
}

impl World {
    /// Both servers, at which nobody has registered.
    pub(crate) fn new() -> Self {
        let servers = [
            (ATLANTA, domain("atlanta.example.com", ATLANTA)),
            (BILOXI, domain("biloxi.example.com", BILOXI)),
        ];
        Self {
            servers: servers.into(),
            now: Instant::EPOCH + Duration::from_secs(100),
            trace: Vec::new(),
            inboxes: BTreeMap::new(),
            last: None,
            sent: 0,
        }
    }

    /// Both servers, with alice, bob and carol registered.
    pub(crate) fn registered() -> Self {
        let mut world = Self::new();
        for (at, user) in [
            (ALICE, "alice@atlanta"),
            (BOB, "bob@biloxi"),
            (CAROL, "carol@biloxi"),
        ] {
            let mut side = world.side(at, user, user);
            world.register(&mut side);
            assert_eq!(world.taken(at).status(), Some(401));
            side.forget();
            world.prove(&mut side, "REGISTER", "");
            assert_eq!(world.taken(at).status(), Some(200));
        }
        world.trace.clear();
        world
    }

    /// What `user` says at his phone to somebody.
    pub(crate) fn side(&mut self, at: &'static str, user: &str, to: &str) -> Side {
        self.sent += 1;
        let uri = |name: &str| format!("sip:{name}.example.com");
        let first = if user.ends_with("atlanta") {
            ATLANTA
        } else {
            BILOXI
        };
        Side {
            at,
            first,
            id: format!("call{}", self.sent),
            ours: format!("<{}>;tag=o{}", uri(user), self.sent),
            theirs: format!("<{}>", uri(to)),
            target: uri(to),
            routes: Vec::new(),
            number: 0,
        }
    }

    /// Sends a REGISTER.
    pub(crate) fn register(&mut self, side: &mut Side) {
        let (_, host) = side.target.split_once('@').unwrap_or(("", &side.target));
        side.target = format!("sip:{}", host.trim_start_matches("sip:"));
        self.ask(side, "REGISTER", "");
    }

    /// Sends the next request of this side; an ACK or CANCEL is that of the last one.
    pub(crate) fn ask(&mut self, side: &mut Side, method: &str, lines: &str) {
        if !matches!(method, "ACK" | "CANCEL") {
            side.number += 1;
        }
        let (user, _) = side.ours[5..].split_once('@').unwrap();
        let routes: String = side
            .routes
            .iter()
            .map(|one| format!("Route: {one}\r\n"))
            .collect();
        // A CANCEL, and the ACK of a refusal, belong to the transaction of the request.
        let new = method == "ACK" && side.theirs.contains("tag=") && !side.routes.is_empty();
        let branch = format!("{}{}{}", side.id, side.number, if new { "ack" } else { "" });
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n{routes}From: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {} {method}\r\nContact: <sip:{user}@{}>\r\n{lines}Content-Length: 0\r\n\r\n",
            side.target, side.at, side.ours, side.theirs, side.id, side.number, side.at
        );
        let to = match side.routes.first() {
            Some(route) => self.owner(route),
            None => side.first,
        };
        self.carry(side.at, to, text.into_bytes());
    }

    /// Sends the last request again, with the password that the last response asked for.
    pub(crate) fn prove(&mut self, side: &mut Side, method: &str, lines: &str) {
        let challenge = self.last.clone().unwrap();
        let (user, rest) = side.ours[5..].split_once('@').unwrap();
        let (host, _) = rest.split_once('>').unwrap();
        let answer = login(user, host).answer(&challenge, [method, &side.target], "c", 1);
        self.ask(side, method, &format!("{}{lines}", answer.unwrap()));
    }

    /// Answers a request; gives the dialog as it is seen from here.
    pub(crate) fn answer(
        &mut self,
        at: &'static str,
        request: &Message,
        status: &str,
        lines: &str,
    ) -> Side {
        let to = request.field(Name::To).unwrap();
        let tag = if request.to_tag().is_empty() {
            ";tag=t"
        } else {
            ""
        };
        let ours = format!("{to}{tag}");
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in [
            Name::Via,
            Name::RecordRoute,
            Name::From,
            Name::CallId,
            Name::CSeq,
        ] {
            for value in request.fields(name) {
                text += &format!("{}: {value}\r\n", name.as_str());
            }
        }
        text += &format!("To: {ours}\r\nContact: <sip:x@{at}>\r\n{lines}Content-Length: 0\r\n\r\n");
        let (host, port) = request.via().unwrap().host_and_port();
        let back = format!("{host}:{}", port.unwrap_or(5060));
        let back = known(&back);
        self.carry(at, back, text.into_bytes());
        Side {
            at,
            first: BILOXI,
            id: request.call_id().into(),
            ours,
            theirs: request.field(Name::From).unwrap().into(),
            target: request
                .contact()
                .map_or_else(String::new, |one| one.uri.into()),
            routes: request.list(Name::RecordRoute).map(String::from).collect(),
            number: 500,
        }
    }

    /// The next message at a phone.
    pub(crate) fn taken(&mut self, at: &'static str) -> Message {
        let next = self.inboxes.get_mut(at).and_then(VecDeque::pop_front);
        let message = next.unwrap_or_else(|| panic!("nothing for {at}: {:?}", self.trace));
        self.last = Some(message.clone());
        message
    }

    /// The next message at a phone is this; taken into the dialog if it is a response that makes one.
    pub(crate) fn expects(&mut self, side: &mut Side, wanted: &str) -> Message {
        let message = self.taken(side.at);
        assert_eq!(what(&message), wanted);
        if message.status().is_some() {
            side.theirs = message.field(Name::To).unwrap().into();
            if let Some(contact) = message.contact().filter(|_| wanted.starts_with('2')) {
                side.target = contact.uri.into();
                // The first answer makes the way of the dialog; later ones change only its target.
                if side.routes.is_empty() {
                    let routes = message.list(Name::RecordRoute).map(String::from);
                    side.routes = routes.collect();
                    side.routes.reverse();
                }
            }
        }
        message
    }

    /// What went from whom to whom since the last look.
    pub(crate) fn trace(&mut self) -> Vec<String> {
        core::mem::take(&mut self.trace)
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self
                .servers
                .iter()
                .filter_map(|(at, server)| Some((server.poll_timeout()?, *at)));
            let Some((due, at)) = due.min().filter(|(due, _)| *due <= end) else {
                break;
            };
            self.now = due.max(self.now);
            let now = self.now;
            self.servers.get_mut(at).unwrap().handle_timeout(now);
            self.drain(at);
        }
        self.now = end;
    }

    /// Whose address a Route names.
    fn owner(&self, route: &str) -> &'static str {
        let host = |at: &&str| route.contains(at.trim_end_matches(":5060"));
        NAMES.iter().map(|(at, _)| *at).find(host).unwrap()
    }

    fn carry(&mut self, from: &'static str, to: &'static str, message: Vec<u8>) {
        let read = Message::parse(message.clone()).unwrap();
        self.trace
            .push(format!("{}->{} {}", name(from), name(to), what(&read)));
        if !self.servers.contains_key(to) {
            // Nothing is told about hops that merely say that they try.
            if read.status() != Some(100) {
                self.inboxes.entry(to).or_default().push_back(read);
            }
            return;
        }
        let source = udp(from);
        self.input(to, proxy::Input::Received { source, message });
    }

    fn input(&mut self, at: &'static str, input: proxy::Input) {
        let now = self.now;
        self.servers
            .get_mut(at)
            .unwrap()
            .handle_input(Input::Proxy(input), now);
        self.drain(at);
    }

    fn drain(&mut self, at: &'static str) {
        while let Some(output) = self.servers.get_mut(at).unwrap().poll_output() {
            match output {
                Output::Send { peer, message } => {
                    let to = known(&peer.address.to_string());
                    self.carry(at, to, message);
                }
                Output::Resolve { lookup, uri } => {
                    let to = if uri.contains("biloxi") {
                        BILOXI
                    } else {
                        ATLANTA
                    };
                    let peers = vec![Peer::at(Transport::Udp, to.parse().unwrap())];
                    self.input(at, proxy::Input::Resolved { lookup, peers });
                }
                Output::Elsewhere { lookup, .. } => {
                    let located = Located::Targets(Vec::new());
                    self.input(at, proxy::Input::Located { lookup, located });
                }
                Output::Secret {
                    id,
                    user,
                    algorithm,
                } => {
                    let realm = if at == ATLANTA { "atlanta" } else { "biloxi" };
                    let secret = algorithm.secret(&user, &format!("{realm}.example.com"), &user);
                    let secret = Some(secret);
                    let now = self.now;
                    let server = self.servers.get_mut(at).unwrap();
                    server.handle_input(Input::Secret { id, secret }, now);
                }
                Output::Registration(_) | Output::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// One of the addresses that there are.
fn known(address: &str) -> &'static str {
    let mut all = NAMES.iter().map(|(at, _)| *at);
    all.find(|at| *at == address)
        .unwrap_or_else(|| panic!("who is {address}?"))
}

fn name(address: &str) -> &'static str {
    NAMES.iter().find(|(at, _)| *at == address).unwrap().1
}
