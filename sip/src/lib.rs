//! The SIP layer of Partyline: messages, transactions, dialogs, user agent, edge core, SDP and identity.
//!
//! Nothing in here does I/O or knows how a user is found: a [`UserAgent`] is told the locations of the peer, and
//! an [`Edge`](edge::Edge) (the SIP part of a super node) is told which flows and links are up.
//!
//! A user agent is driven like every [`Machine`](machine::Machine): frames of its flows go in by
//! [`Input::Received`], messages come out as [`Output::Send`], what a person should know as [`Output::Event`].
#![no_std]

extern crate alloc;

pub mod digest;
pub mod edge;
pub mod header;
pub mod message;
pub mod proxy;
pub mod registrar;
pub mod resolve;
pub mod sdp;
pub mod server;
pub mod status;
pub mod stream;

mod agent;
mod base64;
mod identity;
mod siphash;
mod text;
mod transaction;
mod transport;
mod uri;

pub use agent::{
    Account, CallId, Caller, Candidate, EndReason, Event, FlowId, Input, Misbehaviour, Output,
    Target, UserAgent,
};
pub use message::Message;
pub use sdp::Fingerprint;
pub use text::{digits, joined};
pub use transport::{Peer, Transport};
pub use uri::{Uri, UriError, escape};
