//! The crate against certificates and signatures that other libraries make and check.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod authority;
mod encoding;
mod profile;
mod vectors;
