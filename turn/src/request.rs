use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use machine::Instant;

use crate::allocation::Owner;
use crate::attribute;
use crate::integrity::{Algorithm, Integrity, Key};
use crate::message::{Builder, Class, Message, Method};
use crate::route::Route;
use crate::server::{Client, Output, Server};
use crate::slab::Number;

/// At most this many unknown attributes are named in a 420, so that the answer stays small.
const UNKNOWN_NAMED: usize = 8;

/// A request of somebody who has proved who he is.
pub(crate) struct Request<'a> {
    pub(crate) client: Client,
    pub(crate) from: SocketAddr,
    pub(crate) message: Message<'a>,
    pub(crate) owner: Owner,
    /// Names the quota.
    pub(crate) identity: String,
    /// Whether the credential is good for something new.
    pub(crate) good: bool,
}

/// The code of an error response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16);

impl Refusal {
    pub(crate) fn reason(self) -> &'static str {
        match self.0 {
            400 => "Bad Request",
            401 => "Unauthenticated",
            403 => "Forbidden",
            405 => "Mobility Forbidden",
            420 => "Unknown Attribute",
            437 => "Allocation Mismatch",
            438 => "Stale Nonce",
            440 => "Address Family not Supported",
            441 => "Wrong Credentials",
            442 => "Unsupported Transport Protocol",
            443 => "Peer Address Family Mismatch",
            446 => "Connection Already Exists",
            447 => "Connection Timeout or Failure",
            486 => "Allocation Quota Reached",
            508 => "Insufficient Capacity",
            _ => "Server Error",
        }
    }
}

/// What a request comes to at once: the answer, or nothing yet.
pub(crate) type Outcome = Result<Option<Builder>, Refusal>;

impl Server {
    /// Takes what a client sent: data to relay, or a message.
    pub(crate) fn handle_message(
        &mut self,
        client: Client,
        from: SocketAddr,
        mut bytes: Vec<u8>,
        now: Instant,
    ) {
        match self.route(client, &bytes, now) {
            Route::Peer(hop) => {
                bytes.truncate(hop.data.end);
                bytes.drain(..hop.data.start);
                self.outbox.push(Output::Relay {
                    relay: hop.relay,
                    to: hop.peer,
                    bytes,
                    dont_fragment: hop.dont_fragment,
                });
            }
            Route::Nowhere => {}
            Route::Message => self.handle_stun(client, from, &bytes, now),
        }
    }

    fn handle_stun(&mut self, client: Client, from: SocketAddr, bytes: &[u8], now: Instant) {
        let Ok(message) = Message::read(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        if message.class() != Class::Request {
            self.counters.ignored += 1;
            return;
        }
        if message.method() == Method::BINDING || self.relay.is_none() {
            if self.within_rate(client, from, now) {
                let answer = self.without_credential(&message, from);
                self.tell(client, answer);
            }
            return;
        }
        match self.authenticate(client, from, message, now) {
            Ok(request) => self.handle_request(&request, now),
            Err(refusal) => {
                // Whoever can't prove a credential may have forged his address.
                if self.within_rate(client, from, now) {
                    let answer = self.challenge(&message, refusal, from, now);
                    self.tell(client, answer);
                }
            }
        }
    }

    /// A connection's source is no forgery: there is no need for a bound.
    fn within_rate(&mut self, client: Client, from: SocketAddr, now: Instant) -> bool {
        let within = match client {
            Client::Datagram(_) => self.limiter.admit(from.ip(), now),
            Client::Stream(_) => true,
        };
        self.counters.limited += u64::from(!within);
        within
    }

    fn without_credential(&mut self, message: &Message<'_>, from: SocketAddr) -> Vec<u8> {
        let unknown = unknown_attributes(message, &KNOWN_IN_BINDING);
        let answer = if message.method() != Method::BINDING {
            self.error(message, Refusal(400))
        } else if unknown.is_empty() {
            self.counters.answered += 1;
            self.answer(Class::Success, message)
                .xor_address(attribute::XOR_MAPPED_ADDRESS, from)
        } else {
            // RFC 8489 §6.3.1: "the server responds with an error response that includes an ERROR-CODE attribute with
            // code 420 (Unknown Attribute) and an UNKNOWN-ATTRIBUTES attribute"
            self.error(message, Refusal(420))
                .attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown)
        };
        finish(answer, message)
    }

    /// RFC 8489 §9.2.4.
    fn authenticate<'a>(
        &mut self,
        client: Client,
        from: SocketAddr,
        message: Message<'a>,
        now: Instant,
    ) -> Result<Request<'a>, Refusal> {
        let integrity = message.integrity().ok_or(Refusal(401))?;
        let value = |kind| message.attribute(kind);
        let (username, hash) = (value(attribute::USERNAME), value(attribute::USERHASH));
        let (Some(_), Some(nonce)) = (value(attribute::REALM), value(attribute::NONCE)) else {
            return Err(Refusal(400));
        };
        if username.is_none() && hash.is_none() {
            return Err(Refusal(400));
        }
        // "Otherwise, unless (1) PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS are both present, (2) PASSWORD-ALGORITHMS
        // matches the value sent in the response that sent this NONCE, and (3) PASSWORD-ALGORITHM matches one of the
        // entries in PASSWORD-ALGORITHMS, the server MUST generate an error response with an error code of 400".
        let algorithm = match (
            value(attribute::PASSWORD_ALGORITHMS),
            value(attribute::PASSWORD_ALGORITHM),
        ) {
            (None, None) => Algorithm::Md5,
            (Some(list), Some(one)) if list == Algorithm::LIST => {
                Algorithm::read(one).ok_or(Refusal(400))?
            }
            (_, _) => return Err(Refusal(400)),
        };
        if !self.nonces.is_fresh(nonce, from, now) {
            return Err(Refusal(438));
        }
        let name = self.access.name(username, hash).ok_or(Refusal(401))?;
        let somebody = self.access.find(name, now).ok_or(Refusal(401))?;
        let realm = self.relay.as_ref().map_or("", |relay| &relay.realm);
        let key = Key::long_term(algorithm, name.as_bytes(), realm, &somebody.password);
        if !message.is_proved(integrity, &key) {
            return Err(Refusal(401));
        }
        Ok(Request {
            client,
            from,
            message,
            owner: Owner {
                username: name.as_bytes().to_vec(),
                key,
                expires: somebody.expires,
            },
            identity: somebody.identity,
            good: somebody.good,
        })
    }

    fn handle_request(&mut self, request: &Request<'_>, now: Instant) {
        let unknown = unknown_attributes(&request.message, &KNOWN);
        let outcome = if unknown.is_empty() {
            self.perform(request, now)
        } else {
            let answer = self.error(&request.message, Refusal(420));
            Ok(Some(
                answer.attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown),
            ))
        };
        let answer = match outcome {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(refusal) => self.error(&request.message, refusal),
        };
        let answer = prove(answer, &request.message, &request.owner.key);
        self.tell(request.client, answer);
    }

    fn perform(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        match request.message.method() {
            Method::ALLOCATE => self.allocate(request, now),
            Method::REFRESH => self.refresh(request, now),
            Method::CREATE_PERMISSION => self.create_permission(request, now),
            Method::CHANNEL_BIND => self.channel_bind(request, now),
            Method::CONNECT => self.connect(request, now),
            Method::CONNECTION_BIND => self.connection_bind(request, now),
            _ => Err(Refusal(400)),
        }
    }

    /// The allocation of whoever asks, if it is his.
    pub(crate) fn own(&self, request: &Request<'_>, now: Instant) -> Result<Number, Refusal> {
        let number = self.clients.get(&request.client).ok_or(Refusal(437))?;
        let allocation = self.allocations.get(*number).ok_or(Refusal(437))?;
        // RFC 8656 §5: "the server MUST ... verify that the username is the same as the one used for the allocation".
        if allocation.owner.username != request.owner.username {
            return Err(Refusal(441));
        }
        if allocation.opening.is_some() {
            return Err(Refusal(437));
        }
        if !self.access.keeps(request.owner.expires, now) {
            return Err(Refusal(401));
        }
        Ok(*number)
    }

    /// Asks for a credential, or for a better one.
    fn challenge(
        &mut self,
        message: &Message<'_>,
        refusal: Refusal,
        from: SocketAddr,
        now: Instant,
    ) -> Vec<u8> {
        let realm = self
            .relay
            .as_ref()
            .map_or(String::new(), |relay| relay.realm.to_string());
        let answer = self.error(message, refusal);
        let answer = if refusal == Refusal(400) {
            answer
        } else {
            answer
                .attribute(attribute::REALM, realm.as_bytes())
                .attribute(attribute::NONCE, self.nonces.make(from, now).as_bytes())
                .attribute(attribute::PASSWORD_ALGORITHMS, &Algorithm::LIST)
        };
        finish(answer, message)
    }

    pub(crate) fn error(&mut self, message: &Message<'_>, refusal: Refusal) -> Builder {
        self.counters.refused += 1;
        self.answer(Class::Error, message)
            .error(refusal.0, refusal.reason())
    }

    pub(crate) fn answer(&self, class: Class, request: &Message<'_>) -> Builder {
        let answer = Builder::new(class, request.method(), request.transaction());
        if self.software.is_empty() {
            return answer;
        }
        answer.attribute(attribute::SOFTWARE, self.software.as_bytes())
    }
}

/// Ends an answer to somebody who has proved who he is.
pub(crate) fn prove(answer: Builder, request: &Message<'_>, key: &Key) -> Vec<u8> {
    let integrity = request.integrity().unwrap_or(Integrity::Sha1);
    finish(answer.integrity(integrity, key), request)
}

fn finish(answer: Builder, request: &Message<'_>) -> Vec<u8> {
    if request.has_fingerprint() {
        answer.finish_with_fingerprint()
    } else {
        answer.finish()
    }
}

/// The credential attributes are known: a server that asks for none may ignore them (RFC 8489 §9.1.3 speaks only of
/// servers that use the mechanism).
const KNOWN_IN_BINDING: [u16; 3] = [
    attribute::USERNAME,
    attribute::MESSAGE_INTEGRITY,
    attribute::MESSAGE_INTEGRITY_SHA256,
];

const KNOWN: [u16; 18] = [
    attribute::USERNAME,
    attribute::MESSAGE_INTEGRITY,
    attribute::MESSAGE_INTEGRITY_SHA256,
    attribute::REALM,
    attribute::NONCE,
    attribute::USERHASH,
    attribute::PASSWORD_ALGORITHM,
    attribute::CHANNEL_NUMBER,
    attribute::LIFETIME,
    attribute::XOR_PEER_ADDRESS,
    attribute::DATA,
    attribute::REQUESTED_ADDRESS_FAMILY,
    attribute::EVEN_PORT,
    attribute::REQUESTED_TRANSPORT,
    attribute::DONT_FRAGMENT,
    attribute::RESERVATION_TOKEN,
    attribute::CONNECTION_ID,
    attribute::XOR_MAPPED_ADDRESS,
];

/// The types, in network order, that must be understood and are not.
fn unknown_attributes(request: &Message<'_>, known: &[u16]) -> Vec<u8> {
    request
        .attributes()
        .filter(|found| found.kind < 0x8000 && !known.contains(&found.kind))
        .take(UNKNOWN_NAMED)
        .flat_map(|found| found.kind.to_be_bytes())
        .collect()
}
