//! TCP between server and peers (RFC 6062).
//!
//! ```text
//! client ── Connect(peer) ──► Dial ──► Dialled ── success(CONNECTION-ID) ──► client
//! peer ── opens a connection ──► Knocked ── Accept, ConnectionAttempt(CONNECTION-ID) ──► client
//! client ── on a new connection: ConnectionBind(CONNECTION-ID) ──► Join: all that follows is the peer's
//! ```

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use machine::Instant;

use crate::access::addresses;
use crate::attribute;
use crate::integrity::Key;
use crate::message::{Builder, Class, Message, Method, TransactionId};
use crate::request::{Outcome, Refusal, Request, prove};
use crate::server::{Client, ConnectionId, Output, RelayId, Server, StreamId, Timer};
use crate::slab::Number;

/// RFC 6062 §5.3, §5.4: a connection that nobody binds, or that does not come, "at least 30 seconds".
const WAITING: Duration = Duration::from_secs(30);
/// Peers' connections of one allocation.
const MOST: usize = 64;

/// A TCP connection with a peer.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    allocation: Number,
    peer: SocketAddr,
    username: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Asked for by a request that has no answer yet.
    Dialling {
        request: Vec<u8>,
        key: Key,
        until: Instant,
    },
    Waiting {
        until: Instant,
    },
    Joined(StreamId),
}

impl Server {
    pub(crate) fn connect(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let number = self.own(request, now)?;
        let peers = addresses(&request.message, attribute::XOR_PEER_ADDRESS).ok_or(Refusal(400))?;
        let [peer] = peers[..] else {
            return Err(Refusal(400));
        };
        let allocation = self.allocations.get(number).ok_or(Refusal(437))?;
        if !allocation.tcp {
            return Err(Refusal(400));
        }
        self.may_reach(allocation, peer)
            .inspect_err(|_| self.counters.forbidden += 1)?;
        let known = &self.connections;
        if allocation
            .connections
            .iter()
            .any(|id| known.get(id).is_some_and(|known| known.peer == peer))
        {
            return Err(Refusal(446));
        }
        let until = now + WAITING;
        let state = State::Dialling {
            request: request.message.bytes().to_vec(),
            key: request.owner.key.clone(),
            until,
        };
        let connection = self.open(number, peer, state, until).ok_or(Refusal(508))?;
        let relay = RelayId {
            allocation: number,
            v6: peer.is_ipv6(),
        };
        self.outbox.push(Output::Dial {
            connection,
            relay,
            peer,
        });
        Ok(None)
    }

    fn open(
        &mut self,
        number: Number,
        peer: SocketAddr,
        state: State,
        until: Instant,
    ) -> Option<ConnectionId> {
        let allocation = self
            .allocations
            .get_mut(number)
            .filter(|allocation| allocation.connections.len() < MOST)?;
        let connection = loop {
            let drawn = ConnectionId(self.rng.number());
            if !self.connections.contains_key(&drawn) {
                break drawn;
            }
        };
        let username = allocation.owner.username.clone();
        allocation.connections.push(connection);
        let opened = Connection {
            allocation: number,
            peer,
            username,
            state,
        };
        self.connections.insert(connection, opened);
        self.wheel.set(until, Timer::Connection(connection));
        Some(connection)
    }

    pub(crate) fn dialled(&mut self, connection: ConnectionId, now: Instant) {
        let Some(known) = self.connections.get_mut(&connection) else {
            // It was given up meanwhile.
            self.outbox.push(Output::HangUp { connection });
            return;
        };
        let until = now + WAITING;
        let before = core::mem::replace(&mut known.state, State::Waiting { until });
        let State::Dialling { request, key, .. } = before else {
            known.state = before;
            return;
        };
        let client = self
            .allocations
            .get(known.allocation)
            .map(|allocation| allocation.client);
        if let (Some(client), Ok(message)) = (client, Message::read(&request)) {
            let answer = self
                .answer(Class::Success, &message)
                .attribute(attribute::CONNECTION_ID, &connection.0.to_be_bytes());
            self.tell(client, prove(answer, &message, &key));
        }
    }

    pub(crate) fn dial_failed(&mut self, connection: ConnectionId) {
        let Some(known) = self.forget(connection) else {
            return;
        };
        let client = self
            .allocations
            .get(known.allocation)
            .map(|allocation| allocation.client);
        if let (Some(client), State::Dialling { request, key, .. }) = (client, known.state)
            && let Ok(message) = Message::read(&request)
        {
            let answer = self.error(&message, Refusal(447));
            self.tell(client, prove(answer, &message, &key));
        }
    }

    pub(crate) fn knocked(&mut self, relay: RelayId, knock: u64, from: SocketAddr, now: Instant) {
        let permitted = self
            .allocations
            .get(relay.allocation)
            .filter(|allocation| allocation.permits(from.ip(), now));
        let client = permitted.map(|allocation| allocation.client);
        let until = now + WAITING;
        let opened = client.and_then(|client| {
            Some((
                client,
                self.open(relay.allocation, from, State::Waiting { until }, until)?,
            ))
        });
        let Some((client, connection)) = opened else {
            self.outbox.push(Output::Refuse { knock });
            return;
        };
        self.outbox.push(Output::Accept { knock, connection });
        let attempt = Builder::new(
            Class::Indication,
            Method::CONNECTION_ATTEMPT,
            TransactionId(self.rng.bytes()),
        )
        .attribute(attribute::CONNECTION_ID, &connection.0.to_be_bytes())
        .xor_address(attribute::XOR_PEER_ADDRESS, from)
        .finish();
        self.tell(client, attempt);
    }

    pub(crate) fn connection_bind(&mut self, request: &Request<'_>, _now: Instant) -> Outcome {
        let id = request.message.attribute(attribute::CONNECTION_ID);
        let id = id
            .and_then(|value| value.try_into().ok())
            .ok_or(Refusal(400))?;
        let connection = ConnectionId(u32::from_be_bytes(id));
        let Client::Stream(stream) = request.client else {
            return Err(Refusal(400));
        };
        // A connection that has an allocation is none for data.
        if self.clients.contains_key(&request.client) {
            return Err(Refusal(400));
        }
        let known = self.connections.get_mut(&connection).ok_or(Refusal(400))?;
        if known.username != request.owner.username {
            return Err(Refusal(441));
        }
        let State::Waiting { .. } = known.state else {
            return Err(Refusal(400));
        };
        known.state = State::Joined(stream);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.joined = Some(connection);
        }
        Ok(Some(self.answer(Class::Success, &request.message)))
    }

    pub(crate) fn connection_due(&mut self, connection: ConnectionId, now: Instant) {
        let Some(known) = self.connections.get(&connection) else {
            return;
        };
        match known.state {
            State::Dialling { until, .. } | State::Waiting { until } if until > now => {
                self.wheel.set(until, Timer::Connection(connection));
            }
            State::Dialling { .. } => {
                self.outbox.push(Output::HangUp { connection });
                self.dial_failed(connection);
            }
            State::Waiting { .. } => self.hang_up(connection),
            State::Joined(_) => {}
        }
    }

    /// A peer's connection ended by itself, or with the client's that it was joined with.
    pub(crate) fn hung_up(&mut self, connection: ConnectionId) {
        if let Some(Connection {
            state: State::Joined(stream),
            ..
        }) = self.forget(connection)
        {
            self.streams.remove(&stream);
        }
    }

    /// Ends a peer's connection, with that of the client which it was joined with.
    pub(crate) fn hang_up(&mut self, connection: ConnectionId) {
        if let Some(known) = self.forget(connection) {
            if let State::Joined(stream) = known.state {
                self.streams.remove(&stream);
            }
            self.outbox.push(Output::HangUp { connection });
        }
    }

    fn forget(&mut self, connection: ConnectionId) -> Option<Connection> {
        let known = self.connections.remove(&connection)?;
        if let Some(allocation) = self.allocations.get_mut(known.allocation) {
            allocation.connections.retain(|id| *id != connection);
        }
        Some(known)
    }
}
