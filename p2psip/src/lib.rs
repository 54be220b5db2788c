//! Where SIP and the overlay meet: the only crate that knows both (draft §4, §8).
//!
//! [`Peer`] is the P2P UA of draft §4.1: an ordinary node of the overlay and a SIP user agent in one machine, which
//! keeps the user's location record in the overlay, looks callees up, verifies what it finds and calls them.
//! [`SuperNode`] is what a super node runs: the overlay's super node and the SIP edge of its ordinary nodes.
#![no_std]

extern crate alloc;

mod aor;
#[cfg(feature = "phones")]
mod bridged;
mod end;
mod gateway;
pub mod location;
mod peer;
mod phone;
mod super_node;

/// The credentials that a peer is made from and the signatures that it asks its driver for.
pub use aor::{Aor, proxy_key};
#[cfg(feature = "phones")]
pub use bridged::{Ice, LineInput, LineOutput, Numbers, PhoneLine, Plan, line_of};
pub use credential;
pub use end::EndReason;
pub use gateway::{proxy_location, proxy_target};
pub use location::{LocationError, ProxyLocation, UserLocation};
pub use overlay::peer::SlotId;
/// What the overlay's own API deals in (draft §9).
pub use overlay::{
    GetError, Key, Limits, LinkId, PlaceError, Placement, Policy, QueryId, Relays, SignedRecord,
};
pub use peer::{Config, Contact, Event, Input, Output, Peer, Problem};
pub use phone::{Whereabouts, phone_location, phone_targets, proxy_place, whereabouts};
pub use sip::{CallId, Caller, Candidate};
pub use super_node::{
    Misconduct, SuperNode, SuperNodeConfig, SuperNodeEvent, SuperNodeInput, SuperNodeOutput,
};
