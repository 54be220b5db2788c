//! The STUN server core of a super node (RFC 8489). Opens no socket and reads no clock.
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
//! Relaying (RFC 8656) builds on the same [`Message`] reader, [`Builder`] and [`Server`].
#![no_std]

extern crate alloc;

mod limit;
mod message;
mod server;

pub use limit::{Limiter, Rate};
pub use message::{
    Attribute, Builder, Class, MAGIC_COOKIE, Malformed, Message, Method, TransactionId, attribute,
};
pub use server::{Config, Counters, Input, Output, Server};
