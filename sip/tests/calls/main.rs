//! Calls between user agents through super nodes' edges, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod anything;
mod authority;
mod basic;
mod ending;
mod fork;
mod network;
mod paths;
mod proof;
mod renegotiation;
mod scene;
mod strange;
mod trickle;
