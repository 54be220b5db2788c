use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use machine::{Instant, Machine, Outbox, Rng, WallClock};

use crate::access::{Access, Identity};
use crate::allocation::Allocation;
use crate::hash::{Keyed, Table};
use crate::limit::{Limiter, Rate};
use crate::nonce::Nonces;
use crate::ports::Ports;
use crate::reach::Reach;
use crate::slab::{Number, Slab};
use crate::stream::Stream;
use crate::tcp::Connection;
use crate::ticket::Secret;
use crate::wheel::Wheel;

/// Facts for the [`Server`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A datagram arrived at the server's UDP socket.
    Datagram {
        /// Its source as the socket tells it.
        from: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
    /// A client opened a TCP connection, perhaps with TLS.
    Opened {
        /// The driver's name for it, never used twice.
        stream: StreamId,
        /// The client.
        from: SocketAddr,
    },
    /// Bytes arrived on a client's connection, cut anywhere.
    Bytes {
        /// The connection.
        stream: StreamId,
        /// What arrived.
        bytes: Vec<u8>,
    },
    /// A client's connection ended.
    Closed {
        /// The connection.
        stream: StreamId,
    },
    /// A relayed address that was asked for has its socket.
    Bound {
        /// The relayed address.
        relay: RelayId,
    },
    /// A relayed address that was asked for can't be had: some other program has the port.
    BindFailed {
        /// The relayed address.
        relay: RelayId,
    },
    /// A datagram arrived at a relayed address.
    Relayed {
        /// The relayed address.
        relay: RelayId,
        /// The peer.
        from: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
    /// The network told that a datagram to a peer did not arrive.
    Unreachable {
        /// The relayed address that it left from.
        relay: RelayId,
        /// The peer.
        peer: SocketAddr,
        /// Type and code of the ICMP message.
        icmp: (u8, u8),
        /// What it told beside: the size that fits, where it was too large.
        data: u32,
    },
    /// A TCP connection with a peer, that was asked for, is there.
    Dialled {
        /// The connection.
        connection: ConnectionId,
    },
    /// It is not to be had.
    DialFailed {
        /// The connection.
        connection: ConnectionId,
    },
    /// A peer opened a TCP connection to a relayed address. It is called by the output that follows: an
    /// [`Output::Accept`], or an [`Output::Refuse`].
    Knocked {
        /// The relayed address.
        relay: RelayId,
        /// The driver's name for it until it has another.
        knock: u64,
        /// The peer.
        from: SocketAddr,
    },
    /// A TCP connection with a peer ended.
    HungUp {
        /// The connection.
        connection: ConnectionId,
    },
}

/// Requests of the [`Server`] to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a datagram from the server's UDP socket.
    Send {
        /// Where to.
        to: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
    },
    /// Write to a client's connection.
    Write {
        /// The connection.
        stream: StreamId,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Close a client's connection once what was written has gone.
    Close {
        /// The connection.
        stream: StreamId,
    },
    /// Open a socket: for UDP a bound one, for TCP a listening one.
    Bind {
        /// The driver's answers name it so.
        relay: RelayId,
        /// The address to bind.
        address: SocketAddr,
        /// Whether it is TCP.
        tcp: bool,
    },
    /// Close the socket of a relayed address, and forget it.
    Unbind {
        /// The relayed address.
        relay: RelayId,
    },
    /// Send a datagram from a relayed address.
    Relay {
        /// The relayed address.
        relay: RelayId,
        /// The peer.
        to: SocketAddr,
        /// The whole datagram.
        bytes: Vec<u8>,
        /// Routers shall not cut it.
        dont_fragment: bool,
    },
    /// Open a TCP connection to a peer, from a relayed address.
    Dial {
        /// What the answer shall be called by.
        connection: ConnectionId,
        /// The relayed address.
        relay: RelayId,
        /// The peer.
        peer: SocketAddr,
    },
    /// Keep a peer's connection, and read nothing from it yet.
    Accept {
        /// As it was called.
        knock: u64,
        /// As it is called from now on.
        connection: ConnectionId,
    },
    /// Close a peer's connection that nobody permitted.
    Refuse {
        /// As it was called.
        knock: u64,
    },
    /// Hand bytes between a client's connection and a peer's from now on, both ways, without the server.
    Join {
        /// The client's.
        stream: StreamId,
        /// The peer's.
        connection: ConnectionId,
        /// What the client sent already.
        bytes: Vec<u8>,
    },
    /// Close a peer's connection, and the client's that it was joined with.
    HangUp {
        /// The connection.
        connection: ConnectionId,
    },
}

/// A client's TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

/// A relayed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayId {
    pub(crate) allocation: Number,
    pub(crate) v6: bool,
}

impl RelayId {
    /// A small number that no other live relayed address of the server has.
    #[must_use]
    pub fn index(self) -> usize {
        (self.allocation.place as usize) << 1 | usize::from(self.v6)
    }
}

/// A peer's TCP connection (RFC 6062).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u32);

/// Who asks, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// By UDP, from that address.
    Datagram(SocketAddr),
    /// By a connection.
    Stream(StreamId),
}

/// What the operator chooses.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The rate that is answered per source without credential. Whoever forges a source can bring no more than this on
    /// its owner.
    pub rate: Rate,
    /// log2 of the number of sources told apart, 24 at most; each costs 8 bytes. 0 stands for 15.
    pub source_bits: u32,
    /// Named in answers, at the cost of their size; empty for none.
    pub software: String,
    /// How it relays; nothing: STUN alone.
    pub relay: Option<Relaying>,
}

/// How a server relays.
#[derive(Debug, Clone)]
pub struct Relaying {
    /// The domain of the credentials.
    pub realm: String,
    /// Users with a password, by name.
    pub users: Vec<(String, String)>,
    /// What [tickets](crate::Ticket) are checked with.
    pub tickets: Option<Secret>,
    /// The date, for tickets.
    pub wall: WallClock,
    /// Where relayed addresses are bound, and how others see them, by family: IPv4, IPv6.
    pub addresses: [Option<RelayAddress>; 2],
    /// Their ports.
    pub ports: Arc<Ports>,
    /// Which peers may be reached.
    pub reach: Reach,
    /// What one identity may have.
    pub quota: Quota,
    /// Allocations that there may be at once.
    pub allocations: usize,
}

/// Where relayed addresses of one family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// The address that sockets are bound to.
    pub local: IpAddr,
    /// The address that peers see.
    pub public: IpAddr,
}

/// What one identity may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Allocations at once.
    pub allocations: u32,
    /// Bytes a second, both directions together; 0 for no bound.
    pub bandwidth: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            allocations: 12,
            bandwidth: 2_000_000,
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
    /// Responses and indications, which nothing here waits for, and data for no allocation.
    pub ignored: u64,
    /// Requests above their source's rate.
    pub limited: u64,
    /// Allocations made.
    pub allocated: u64,
    /// Requests for a peer that may not be reached.
    pub forbidden: u64,
    /// Datagrams relayed, both ways.
    pub relayed: u64,
    /// Bytes in them.
    pub relayed_bytes: u64,
    /// Datagrams dropped: no permission, or above the identity's bandwidth.
    pub dropped: u64,
}

/// A STUN and TURN server: RFC 8489, RFC 8656 and RFC 6062.
///
/// Without a credential an answer may go to a forged source, so answers to Binding hold nothing that is not needed: 32
/// bytes for IPv4, 44 for IPv6, 8 more when the request had FINGERPRINT. Nothing is remembered of who has not proved a
/// credential. Bad datagrams are counted and get no answer at all.
#[derive(Debug)]
pub struct Server {
    pub(crate) limiter: Limiter,
    pub(crate) software: String,
    pub(crate) counters: Counters,
    pub(crate) outbox: Outbox<Output>,
    pub(crate) rng: Rng,
    pub(crate) nonces: Nonces,
    pub(crate) relay: Option<Relaying>,
    pub(crate) access: Access,
    pub(crate) clients: Table<Client, Number>,
    pub(crate) allocations: Slab<Allocation>,
    pub(crate) identities: Slab<Identity>,
    pub(crate) reservations: Table<[u8; 8], Reservation>,
    pub(crate) streams: Table<StreamId, Stream>,
    pub(crate) connections: Table<ConnectionId, Connection>,
    pub(crate) wheel: Wheel<Timer>,
}

/// A port kept for a second allocation (RFC 8656 §18.6).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reservation {
    pub(crate) v6: bool,
    pub(crate) port: u16,
    pub(crate) identity: Number,
    pub(crate) expires: Instant,
}

/// What falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    Allocation(Number),
    Reservation([u8; 8]),
    Stream(StreamId),
    Connection(ConnectionId),
}

impl Server {
    /// Makes a server; all that must not be foreseen comes from the seed.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut rng = Rng::new(seed);
        let bits = if config.source_bits == 0 {
            15
        } else {
            config.source_bits
        };
        let limiter = Limiter::new(config.rate, bits, &mut rng);
        let keyed = Keyed::new(&mut rng);
        let access = Access::new(config.relay.as_ref(), keyed);
        Self {
            limiter,
            software: config.software,
            counters: Counters::default(),
            outbox: Outbox::default(),
            nonces: Nonces::new(access.knows_hashes(), &mut rng),
            rng,
            relay: config.relay,
            access,
            clients: Table::with_hasher(keyed),
            allocations: Slab::new(),
            identities: Slab::new(),
            reservations: Table::with_hasher(keyed),
            streams: Table::with_hasher(keyed),
            connections: Table::with_hasher(keyed),
            wheel: Wheel::new(),
        }
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many allocations there are.
    #[must_use]
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// How many things of any kind are remembered: allocations, identities, reservations, connections.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.allocations.len()
            + self.clients.len()
            + self.identities.len()
            + self.reservations.len()
            + self.streams.len()
            + self.connections.len()
    }

    /// Says something to a client.
    pub(crate) fn tell(&mut self, client: Client, bytes: Vec<u8>) {
        self.outbox.push(match client {
            Client::Datagram(to) => Output::Send { to, bytes },
            Client::Stream(stream) => Output::Write { stream, bytes },
        });
    }

    fn due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Allocation(number) => match self.allocations.get(number) {
                Some(allocation) if allocation.expires > now => {
                    self.wheel.set(allocation.expires, timer);
                }
                Some(_) => self.free(number),
                None => {}
            },
            Timer::Reservation(token) => match self.reservations.get(&token) {
                Some(reservation) if reservation.expires > now => {
                    self.wheel.set(reservation.expires, timer);
                }
                Some(_) => self.drop_reservation(token),
                None => {}
            },
            Timer::Stream(stream) => self.stream_due(stream, now),
            Timer::Connection(connection) => self.connection_due(connection, now),
        }
    }
}

impl Machine for Server {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Datagram { from, bytes } => {
                self.handle_message(Client::Datagram(from), from, bytes, now);
            }
            Input::Opened { stream, from } => self.stream_opened(stream, from, now),
            Input::Bytes { stream, bytes } => self.stream_bytes(stream, &bytes, now),
            Input::Closed { stream } => self.stream_closed(stream),
            Input::Bound { relay } => self.bound(relay, now),
            Input::BindFailed { relay } => self.bind_failed(relay, now),
            Input::Relayed { relay, from, bytes } => self.relayed(relay, from, &bytes, now),
            Input::Unreachable {
                relay,
                peer,
                icmp,
                data,
            } => self.unreachable(relay, peer, icmp, data, now),
            Input::Dialled { connection } => self.dialled(connection, now),
            Input::DialFailed { connection } => self.dial_failed(connection),
            Input::Knocked { relay, knock, from } => self.knocked(relay, knock, from, now),
            Input::HungUp { connection } => self.hung_up(connection),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        for timer in self.wheel.expire(now) {
            self.due(timer, now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }
}
