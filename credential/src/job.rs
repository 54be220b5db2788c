use alloc::vec::Vec;

use crate::{PublicKey, Signature};

/// Connects a request for cryptography with its answer.
///
/// Whoever emits the request chooses the number. A machine with children gives their jobs numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job(pub u64);

/// Asks the driver to sign with the node's own key: ECDSA on P-256 over the SHA-256 of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Returns in [`Signed`].
    pub job: Job,
    /// What is signed.
    pub message: Vec<u8>,
}

/// Answers [`Sign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The number that the request had.
    pub job: Job,
    /// The signature, r and s side by side.
    pub signature: Signature,
}

/// Asks the driver to check a signature: ECDSA on P-256 over the SHA-256 of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// Returns in [`Verified`].
    pub job: Job,
    /// The key that must have signed.
    pub key: PublicKey,
    /// What must have been signed.
    pub message: Vec<u8>,
    /// What is to be checked.
    pub signature: Signature,
}

/// Answers [`Verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The number that the request had.
    pub job: Job,
    /// Whether the signature is the key's over the message. A point that is not on the curve makes it false.
    pub valid: bool,
}

/// A signature that still has to be checked; everything cheap about what it stands under has been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The key that must have signed.
    pub key: PublicKey,
    /// What must have been signed.
    pub message: Vec<u8>,
    /// What is to be checked.
    pub signature: Signature,
}

impl Check {
    /// Makes it a request to the driver.
    #[must_use]
    pub fn with(self, job: Job) -> Verify {
        Verify {
            job,
            key: self.key,
            message: self.message,
            signature: self.signature,
        }
    }
}
