//! The P2P overlay layer (draft §5, §7, §9): who is a member, where a record belongs, and how it is found again.
//!
//! The overlay carries opaque records and knows nothing of SIP, which uses it through the API of draft §9 only:
//! `get`, `add`, `update`, `remove`. There are two machines. An [`OrdinaryNode`] keeps two associations with super
//! nodes and verifies whatever they hand it. A [`SuperNode`] has its place on the ring, keeps a share of the records
//! and serves ordinary nodes. Neither does I/O or cryptography: see [`machine::Machine`] for the loop that drives them.
//!
//! Every message travels in a [`frame`]; [`association`] and [`peer`] specify the two interfaces, [`record`] the
//! records.
#![no_std]

extern crate alloc;

pub mod association;
mod budget;
mod checks;
mod error;
pub mod frame;
mod id;
mod key;
mod nonce;
mod ordinary;
pub mod peer;
pub mod record;
mod supernode;
mod timers;
mod wire;

pub use error::{GetError, PlaceError, Refused};
pub use frame::FrameFault;
pub use id::{Candidate, LinkId, Placement, QueryId, Reading};
pub use key::Key;
pub use ordinary::{
    Misbehaviour, OrdinaryConfig, OrdinaryEvent, OrdinaryInput, OrdinaryNode, OrdinaryOutput,
    Parting,
};
pub use record::{Control, Policy, RecordFault, SignedRecord, Writer};
pub use supernode::{
    Intern, Limits, Member, Offence, Offender, Relays, Seed, SuperNode, SuperNodeConfig,
    SuperNodeEvent, SuperNodeInput, SuperNodeOutput,
};
pub use wire::Wire;
