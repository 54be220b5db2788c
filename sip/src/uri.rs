//! SIP URIs (RFC 3261, section 19.1).

use alloc::string::String;

/// A `sip:` or `sips:` URI, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
}

/// Why a text is no SIP URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriError {
    /// The scheme is neither `sip` nor `sips`.
    Scheme,
    /// A character that the grammar does not allow, or a bad escape.
    Syntax,
    /// Longer than anything that is read.
    TooLong,
}
