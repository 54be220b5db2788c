//! The one certificate profile of an overlay.
//!
//! X.509 version 3 (RFC 5280), P-256 and ECDSA with SHA-256 throughout, DER, at most 2048 bytes. One root per overlay signs
//! every other certificate directly. A reader refuses whatever is not written here.
//!
//! ```text
//! Certificate ::= SEQUENCE {
//!   tbsCertificate SEQUENCE {                 -- these bytes, header included, are signed
//!     version            [0] INTEGER 2
//!     serialNumber       INTEGER              -- 16 bytes, the first from 1 to 127
//!     signature          SEQUENCE { 1.2.840.10045.4.3.2 }
//!     issuer             Name                 -- byte for byte the root's subject
//!     validity           SEQUENCE { UTCTime, UTCTime }   -- GeneralizedTime from 2050 on
//!     subject            Name                 -- for people, never compared (root: the issuer of all others)
//!     subjectPublicKeyInfo                    -- 1.2.840.10045.2.1, 1.2.840.10045.3.1.7, uncompressed point
//!     extensions         [3] SEQUENCE OF Extension
//!   }
//!   signatureAlgorithm   SEQUENCE { 1.2.840.10045.4.3.2 }
//!   signatureValue       BIT STRING           -- SEQUENCE { r INTEGER, s INTEGER }
//! }
//! ```
//!
//! | extension | user | super node | root |
//! |---|---|---|---|
//! | [`OVERLAY`]: 16 bytes, the contents of extnValue itself; not critical | yes | yes | yes |
//! | keyUsage, critical | digitalSignature | digitalSignature | keyCertSign and cRLSign |
//! | extKeyUsage | [`USER`] | [`SUPER_NODE`], serverAuth, clientAuth | absent |
//! | subjectAltName | `URI:sip:alice@example.org`, `URI:urn:uuid:<instance>`, [`DNS:<node id>.sn`] | `DNS:<node id>.sn` | absent |
//! | basicConstraints | absent, or an empty sequence | as for users | CA, pathLen absent or 0 |
//! | subjectKeyIdentifier, authorityKeyIdentifier | may stand, are not read | same | same |
//!
//! A user's certificate that ends its names with that of a super node is a *delegated* one: its key is that super node's, which
//! is the registrar of a SIP phone with this address, and not the user's own. The two URIs of a user and the three usages of a super node may come in any order. The SIP URI is canonical: see
//! [`is_canonical`]. Each extension stands at most once; an unknown one, even one that isn't critical, is refused.
//!
//! The object identifiers lie below 1.2.840.113556.1.8000.2554, the arc for identifiers made from a UUID whose parts
//! fit every encoder; the UUID is e95e0cec-3b15-72f2-17a7-7d0827a74501. They are given as arcs, which is what a
//! writer of certificates wants; a test ties the reader's DER form to them.

/// The extension that names the overlay.
pub const OVERLAY: [u64; 15] = arcs(1);
/// The extended key usage of a user's certificate.
pub const USER: [u64; 15] = arcs(2);
/// The extended key usage of a super node's certificate.
pub const SUPER_NODE: [u64; 15] = arcs(3);

/// The longest certificate that is read.
pub const MAXIMUM: usize = 2048;

/// The DER contents of [`OVERLAY`] without the last byte, which is the last arc.
pub(crate) const PREFIX: [u8; 31] = [
    0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0xbe, 0x40, 0x93, 0x7a, 0x83, 0xd2, 0x5e, 0x99, 0x6c,
    0xf6, 0x15, 0x81, 0xe5, 0x72, 0xaf, 0x27, 0x83, 0xf4, 0x90, 0x27, 0x85, 0x9d, 0x8a, 0x01,
];

const fn arcs(last: u64) -> [u64; 15] {
    [
        1, 2, 840, 113_556, 1, 8000, 2554, 0xe95e, 0x0cec, 0x3b15, 0x72f2, 0x17a7, 0x7d_0827,
        0xa7_4501, last,
    ]
}

/// Says whether a SIP URI has the form that certificates carry: `sip:user@host`, nothing else.
///
/// The user part is 1 to 64 letters, digits and `-_.!~*'()&=+$,;?/`, unescaped (RFC 3261 §25.1); the host is 1 to 64
/// lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit.
#[must_use]
pub fn is_canonical(uri: &str) -> bool {
    let Some((user, host)) = uri
        .strip_prefix("sip:")
        .and_then(|rest| rest.split_once('@'))
    else {
        return false;
    };
    let (user, host) = (user.as_bytes(), host.as_bytes());
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    (1..=64).contains(&user.len())
        && (1..=64).contains(&host.len())
        && user
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(byte))
        && host
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && edge(host.first())
        && edge(host.last())
}
