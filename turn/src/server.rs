use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use machine::{Instant, Machine, Outbox, Rng};

use crate::limit::{Limiter, Rate};
use crate::message::{Builder, Class, Message, Method, attribute};

/// At most this many unknown attributes are named in a 420, so that the answer stays small.
const UNKNOWN_NAMED: usize = 8;

/// Facts for the [`Server`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A UDP datagram arrived.
    Datagram {
        /// Its source as the socket tells it.
        from: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
}

/// Requests of the [`Server`] to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from the socket on which the request came.
    Send {
        /// Where to.
        to: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
}

/// What the operator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The rate that is answered per source. Whoever forges a source can bring no more than this on its owner.
    pub rate: Rate,
    /// log2 of the number of sources told apart; each costs 8 bytes.
    pub source_bits: u32,
    /// Named in answers, at the cost of their size; empty for none.
    pub software: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rate: Rate {
                per_second: 50,
                burst: 100,
            },
            source_bits: 15,
            software: String::new(),
        }
    }
}

/// What became of the datagrams so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Binding requests answered with an address.
    pub answered: u64,
    /// Requests answered with an error.
    pub refused: u64,
    /// Datagrams that are no well-formed STUN.
    pub malformed: u64,
    /// Responses and indications, which nothing here waits for.
    pub ignored: u64,
    /// Requests above their source's rate.
    pub limited: u64,
}

/// A STUN server over UDP: answers Binding requests with XOR-MAPPED-ADDRESS.
///
/// Without a credential an answer may go to a forged source, so answers hold nothing that is not needed: 32 bytes for
/// IPv4, 44 for IPv6, 8 more when the request had FINGERPRINT. Bad datagrams are counted and get no answer at all.
#[derive(Debug, Clone)]
pub struct Server {
    limiter: Limiter,
    software: String,
    counters: Counters,
    outbox: Outbox<Output>,
}

impl Server {
    /// Makes a server; the seed keys its rate limit.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            limiter: Limiter::new(config.rate, config.source_bits, &mut rng),
            software: config.software,
            counters: Counters::default(),
            outbox: Outbox::default(),
        }
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn handle_datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        let Ok(message) = Message::read(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if message.class() != Class::Request {
            self.counters.ignored += 1;
            return;
        }
        if !self.limiter.admit(from.ip(), now) {
            self.counters.limited += 1;
            return;
        }
        let bytes = if message.method() == Method::BINDING {
            self.bind(&message, from)
        } else {
            self.counters.refused += 1;
            let answer = self
                .answer(Class::Error, &message)
                .error(400, "Bad Request");
            finish(answer, &message)
        };
        self.outbox.push(Output::Send { to: from, bytes });
    }

    fn bind(&mut self, request: &Message<'_>, from: SocketAddr) -> Vec<u8> {
        let unknown = unknown_attributes(request);
        let answer = if unknown.is_empty() {
            self.counters.answered += 1;
            self.answer(Class::Success, request)
                .xor_address(attribute::XOR_MAPPED_ADDRESS, from)
        } else {
            // RFC 8489 §6.3.1: "the server responds with an error response that includes an ERROR-CODE attribute with
            // code 420 (Unknown Attribute) and an UNKNOWN-ATTRIBUTES attribute"
            self.counters.refused += 1;
            self.answer(Class::Error, request)
                .error(420, "Unknown Attribute")
                .attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown)
        };
        finish(answer, request)
    }

    fn answer(&self, class: Class, request: &Message<'_>) -> Builder {
        let answer = Builder::new(class, request.method(), request.transaction());
        if self.software.is_empty() {
            return answer;
        }
        answer.attribute(attribute::SOFTWARE, self.software.as_bytes())
    }
}

impl Machine for Server {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Datagram { from, bytes } => self.handle_datagram(from, &bytes, now),
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn finish(answer: Builder, request: &Message<'_>) -> Vec<u8> {
    if request.has_fingerprint() {
        answer.finish_with_fingerprint()
    } else {
        answer.finish()
    }
}

/// The types, in network order, that must be understood and are not. The credential attributes are known: a server
/// that asks for none may ignore them (RFC 8489 §9.1.3 speaks only of servers that use the mechanism).
fn unknown_attributes(request: &Message<'_>) -> Vec<u8> {
    let known = [
        attribute::USERNAME,
        attribute::MESSAGE_INTEGRITY,
        attribute::MESSAGE_INTEGRITY_SHA256,
    ];
    request
        .attributes()
        .filter(|found| found.kind < 0x8000 && !known.contains(&found.kind))
        .take(UNKNOWN_NAMED)
        .flat_map(|found| found.kind.to_be_bytes())
        .collect()
}
