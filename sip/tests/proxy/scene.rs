//! One proxy of example.org at 192.0.2.10, and what is said to it.

use core::time::Duration;

use machine::{Instant, Machine};
use sip::message::{Framing, Name};
use sip::proxy::{Config, Event, Input, Listener, Located, Lookup, Output, Proxy, Target};
use sip::{Message, Peer, Transport};

pub(crate) const ALICE: &str = "192.0.2.1:5060";
pub(crate) const BOB: &str = "192.0.2.2:5060";
pub(crate) const CAROL: &str = "192.0.2.3:5060";

pub(crate) fn udp(address: &str) -> Peer {
    Peer::at(Transport::Udp, address.parse().unwrap())
}

pub(crate) fn tcp(address: &str, connection: u64) -> Peer {
    Peer {
        connection,
        ..Peer::at(Transport::Tcp, address.parse().unwrap())
    }
}

/// A target at an address.
pub(crate) fn target(user: &str, address: &str, preference: u16) -> Target {
    Target {
        preference,
        ..Target::new(&format!("sip:{user}@{address}"))
    }
}

pub(crate) struct Scene {
    pub(crate) proxy: Proxy,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    /// Questions that were not answered yet, with what they are about.
    pub(crate) asked: Vec<(Lookup, String)>,
    pub(crate) registers: Vec<(Peer, Message)>,
    pub(crate) closed: Vec<String>,
    /// Responses to requests without what every message has.
    pub(crate) unreadable: Vec<String>,
}

pub(crate) fn config() -> Config {
    let listener = |transport, port| Listener {
        transport,
        host: "192.0.2.10".into(),
        port,
    };
    Config {
        listeners: vec![
            listener(Transport::Udp, 5060),
            listener(Transport::Tcp, 5060),
            listener(Transport::Tls, 5061),
        ],
        domains: vec!["example.org".into()],
        secret: [9; 16],
        lasting: [8; 16],
        record_route: false,
        requests: 1000,
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            proxy: Proxy::new(config),
            now: Instant::EPOCH + Duration::from_secs(100),
            events: Vec::new(),
            asked: Vec::new(),
            registers: Vec::new(),
            closed: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, input: Input) -> Vec<(Peer, Message)> {
        self.proxy.handle_input(input, self.now);
        self.drain()
    }

    /// Everything that is sent after this message, in order.
    pub(crate) fn receive(&mut self, source: Peer, text: &str) -> Vec<(Peer, Message)> {
        let message = text.as_bytes().to_vec();
        self.input(Input::Received { source, message })
    }

    pub(crate) fn drain(&mut self) -> Vec<(Peer, Message)> {
        let mut sent = Vec::new();
        while let Some(output) = self.proxy.poll_output() {
            match output {
                Output::Send { peer, message } => {
                    match Message::read(message.clone(), Framing::Frame) {
                        Ok(message) => sent.push((peer, message)),
                        Err(_) => self.unreadable.push(String::from_utf8(message).unwrap()),
                    }
                }
                Output::Locate { lookup, uri, .. } | Output::Resolve { lookup, uri } => {
                    self.asked.push((lookup, uri));
                }
                Output::Register { source, request } => self.registers.push((source, request)),
                Output::Close { breach, .. } => self.closed.push(breach.to_string()),
                Output::Event(event) => self.events.push(event),
            }
        }
        sent
    }

    /// Answers the question that was asked last.
    pub(crate) fn locate(&mut self, targets: Vec<Target>) -> Vec<(Peer, Message)> {
        let (lookup, _) = self.asked.pop().unwrap();
        let located = Located::Targets(targets);
        self.input(Input::Located { lookup, located })
    }

    /// Lets time pass: what is sent, with the milliseconds after which it was.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<(u64, Message)> {
        let (start, end) = (self.now, self.now + time);
        let mut sent = Vec::new();
        while let Some(due) = self.proxy.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.proxy.handle_timeout(self.now);
            let after = (self.now - start).as_millis() as u64;
            sent.extend(
                self.drain()
                    .into_iter()
                    .map(|(_, message)| (after, message)),
            );
        }
        self.now = end;
        sent
    }
}

/// A request of alice's to bob with more header lines.
pub(crate) fn request(method: &str, lines: &str) -> String {
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa1{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: call\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@192.0.2.1:5060>\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

/// The response of a callee with this To tag.
pub(crate) fn response(request: &Message, status: &str, tag: &str, lines: &str) -> String {
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
    let to = request.field(Name::To).unwrap();
    let tag = if request.to_tag().is_empty() && !tag.is_empty() {
        format!(";tag={tag}")
    } else {
        String::new()
    };
    text + &format!("To: {to}{tag}\r\n{lines}Content-Length: 0\r\n\r\n")
}

/// What was sent, shortly: the peer's address with the method or status.
pub(crate) fn short(sent: &[(Peer, Message)]) -> Vec<String> {
    sent.iter()
        .map(|(peer, message)| format!("{} {}", peer.address, what(message)))
        .collect()
}

pub(crate) fn what(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.cseq().unwrap().text),
        None => message.method_text().to_owned(),
    }
}

/// An INVITE of alice's on its way to bob's phone: what was sent to him.
pub(crate) fn invited(scene: &mut Scene, lines: &str) -> Message {
    let trying = scene.receive(udp(ALICE), &request("INVITE", lines));
    assert_eq!(short(&trying), ["192.0.2.1:5060 100 INVITE"]);
    let mut sent = scene.locate(vec![target("bob", BOB, 1000)]);
    assert_eq!(short(&sent), ["192.0.2.2:5060 INVITE"]);
    sent.remove(0).1
}
