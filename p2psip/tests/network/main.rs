//! Whole calls between peers at different super nodes, in virtual time, with nothing mocked but the network.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod authority;
mod calls;
mod evil;
mod loss;
mod online;
mod world;
