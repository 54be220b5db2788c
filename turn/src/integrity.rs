//! Keys and sums of the long-term credential mechanism (RFC 8489 §9.2, §14.5, §14.6).

use alloc::vec::Vec;
use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::attribute;

/// Which sum proves a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY: HMAC-SHA1, all that browsers know.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

/// How a key is made of a password (RFC 8489 §18.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// What clients know that know no other.
    Md5,
    /// SHA-256.
    Sha256,
}

/// The key of a credential. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// A sum over a message.
#[derive(Debug, Clone)]
pub struct Sum(Vec<u8>);

impl Integrity {
    pub(crate) fn attribute(self) -> u16 {
        match self {
            Self::Sha1 => attribute::MESSAGE_INTEGRITY,
            Self::Sha256 => attribute::MESSAGE_INTEGRITY_SHA256,
        }
    }

    pub(crate) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

impl Algorithm {
    /// All, the better first, as PASSWORD-ALGORITHMS lists them: number and (empty) parameters of each.
    pub const LIST: [u8; 8] = [0, 2, 0, 0, 0, 1, 0, 0];

    /// Reads PASSWORD-ALGORITHM.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        match value {
            [0, 1, 0, 0] => Some(Self::Md5),
            [0, 2, 0, 0] => Some(Self::Sha256),
            _ => None,
        }
    }
}

impl Key {
    /// The key of a name and a password: the hash of `name:realm:password`.
    #[must_use]
    pub fn long_term(algorithm: Algorithm, name: &[u8], realm: &str, password: &str) -> Self {
        let parts = [name, b":", realm.as_bytes(), b":", password.as_bytes()];
        Self(match algorithm {
            Algorithm::Md5 => hash::<Md5>(&parts),
            Algorithm::Sha256 => hash::<Sha256>(&parts),
        })
    }

    /// The key of the short-term mechanism: the password itself.
    #[must_use]
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().to_vec())
    }

    pub(crate) fn sum(&self, integrity: Integrity, parts: &[&[u8]]) -> Sum {
        Sum(match integrity {
            Integrity::Sha1 => {
                let Ok(mac) = Hmac::<Sha1>::new_from_slice(&self.0) else {
                    return Sum(Vec::new());
                };
                finish(mac, parts)
            }
            Integrity::Sha256 => hmac_sha256(&self.0, parts).to_vec(),
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Sum {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether these bytes are the sum. RFC 8489 §14.6: that of SHA-256 "MAY be truncated" to no less than 16 bytes.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        let enough = match self.0.len() {
            32 => value.len() >= 16 && value.len().is_multiple_of(4),
            length => length > 0 && value.len() == length,
        };
        enough && value.len() <= self.0.len() && same(&self.0[..value.len()], value)
    }
}

/// What USERHASH holds for a name.
#[must_use]
pub fn user_hash(name: &str, realm: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update(b":");
    hash.update(realm);
    hash.finalize().into()
}

/// HMAC-SHA256.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut sum = [0; 32];
    // HMAC takes a key of any length.
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) {
        sum.copy_from_slice(&finish(mac, parts));
    }
    sum
}

/// Compares in a time that does not tell where the first difference is.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    let difference = left
        .iter()
        .zip(right)
        .fold(0, |all, (left, right)| all | (left ^ right));
    left.len() == right.len() && core::hint::black_box(difference) == 0
}

fn hash<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().to_vec()
}

fn finish<M: Mac>(mut mac: M, parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}
