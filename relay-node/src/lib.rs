//! The native node: sockets, clock, storage and configuration around the sans-IO cores.
//!
//! One process plays the roles that its configuration file has sections for: super node, login server, bootstrap
//! server. Nothing here decides anything about a protocol: [`node::start_with`] drives whatever machine it is given.

pub mod ca;
mod calls;
mod chores;
pub mod cli;
pub mod client;
mod clock;
pub mod config;
pub mod crypto;
pub mod dev;
mod direct;
mod driver;
pub mod enrol;
pub mod files;
mod framed;
mod http;
pub mod identity;
mod links;
pub mod login;
mod media;
mod multicast;
mod naming;
pub mod node;
pub mod ordinary;
mod outlet;
mod probe;
pub mod promotion;
pub mod run;
mod shelf;
pub mod sip;
mod stun;
#[cfg(test)]
mod testing;
mod thread;
pub mod tls;
mod tunnel;

pub use clock::Clock;
pub use driver::{Status, SuperNodeMachine};
pub use http::Page;
pub use links::LinkError;
