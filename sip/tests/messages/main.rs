//! Messages and the edge against samples, hostile bytes and properties.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod digest;
mod edge;
mod properties;
mod registrar;
mod resolve;
mod stream;
mod torture;
