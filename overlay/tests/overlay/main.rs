//! The overlay in virtual time, with real certificates and signatures.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod abuse;
mod api;
mod associating;
mod authority;
mod churn;
mod crowd;
mod faults;
mod flood;
mod forging;
mod forwarding;
mod fuzz;
mod membership;
mod node;
mod partial;
mod raw;
mod reader;
mod refresh;
mod restart;
mod resting;
mod ring;
mod roles;
mod shedding;
mod strangers;
mod world;
