//! The STUN and TURN server core of a super node (RFC 8489, RFC 8656, RFC 6062). Opens no socket and reads no clock.
//!
//! A [`Server`] takes datagrams in and gives datagrams out; the driver owns the socket:
//!
//! ```
//! use machine::{Instant, Machine};
//! use turn::{Config, Input, Output, Server};
//!
//! let mut server = Server::new(Config::default(), [7; 32]);
//! let from = "192.0.2.1:40000".parse().expect("an address");
//! // Binding request: type, length, magic cookie, transaction id
//! let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
//! request.extend([9; 12]);
//! server.handle_input(Input::Datagram { from, bytes: request }, Instant::EPOCH);
//! let Some(Output::Send { to, bytes }) = server.poll_output() else { panic!("no answer") };
//! assert_eq!(to, from);
//! assert_eq!(bytes.len(), 32);
//! assert_eq!(server.poll_output(), None);
//! ```
//!
//! With [`Config::relay`] it relays, too. A driver asks [`Server::route`] where a client's data go, and has a peer's data
//! wrapped by [`Server::wrap`], both in its own buffers; all else goes through [`Input`] and [`Output`].
#![no_std]

extern crate alloc;

mod access;
mod allocate;
mod allocation;
pub mod attribute;
mod frame;
mod hash;
mod integrity;
mod limit;
mod message;
mod nonce;
mod permit;
mod ports;
mod reach;
mod request;
mod route;
mod server;
mod slab;
mod stream;
mod tcp;
mod ticket;
mod wheel;

pub use frame::{Frame, Lost, frame};
pub use integrity::{Algorithm, Integrity, Key, Sum, user_hash};
pub use limit::{Limiter, Rate};
pub use message::{
    Attribute, Builder, Class, MAGIC_COOKIE, Malformed, Message, Method, TransactionId,
};
pub use ports::Ports;
pub use reach::{NoRange, REFUSED, Range, Reach};
pub use route::{HEADROOM, Hop, Route, TAILROOM};
pub use server::{
    Client, Config, ConnectionId, Counters, Input, Output, Quota, RelayAddress, RelayId, Relaying,
    Server, StreamId,
};
pub use ticket::{IssuingKey, PERIOD, Secret, Ticket};
