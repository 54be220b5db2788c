//! The proxy, message by message, in virtual time.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod calls;
mod flows;
mod forks;
mod hostile;
mod routes;
mod scene;
mod server;
mod torture;
mod world;
