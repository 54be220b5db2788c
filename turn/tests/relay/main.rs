//! A server that relays, as clients, peers and attackers see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod allocations;
mod attacks;
mod credentials;
mod data;
mod day;
mod hostile;
mod stage;
mod tcp;
