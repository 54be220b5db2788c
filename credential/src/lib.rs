//! Who is who in an overlay: the certificate profile, signatures, the signed challenge.
//!
//! The crate reads and compares. It holds no key and does no cryptography itself: a signature that has to be made or
//! checked is a [`Sign`] or [`Verify`] that the driver answers, the browser with WebCrypto, the native node with ring.
//! [`TrustAnchor::admit`] makes all the cheap checks of a certificate and names the one signature that remains.
//!
//! What each thing looks like on the wire is written above the module that reads it: [`profile`] for certificates,
//! [`challenge`] for associations, [`revocation`] and [`statement`] for what spreads with the membership.
#![no_std]

extern crate alloc;

mod anchor;
mod certificate;
pub mod challenge;
mod der;
mod field;
mod id;
mod job;
pub mod profile;
pub mod revocation;
mod signature;
pub mod statement;

pub use anchor::{Refusal, TrustAnchor};
pub use certificate::{Certificate, CertificateError, Subject};
pub use challenge::{Challenge, Nonce, Role};
pub use id::{IdError, Instance, NodeId, OverlayId, Serial};
pub use job::{Check, Job, Sign, Signed, Verified, Verify};
pub use revocation::RevocationList;
pub use signature::{PublicKey, Signature};
pub use statement::MemberStatement;
