//! A small SDP reader: what a call needs to know of a description before it is handed on.

use alloc::string::String;
use alloc::vec::Vec;

/// A certificate fingerprint as in `a=fingerprint` (RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// The hash function's name in lower case, `sha-256`.
    pub algorithm: String,
    /// The hash's bytes.
    pub digest: Vec<u8>,
}
