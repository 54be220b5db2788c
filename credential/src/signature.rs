use alloc::vec::Vec;
use core::fmt;

use crate::der::{self, Reader};
use crate::field;
use crate::id::octets;

/// A public key of P-256: x and y of the point, 32 bytes each, big-endian.
///
/// That the point lies on the curve is checked by whoever verifies with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 64]);
octets!(PublicKey, 64);

/// What stands before the point in the SubjectPublicKeyInfo of a P-256 key; the last byte says "uncompressed".
const SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo, the form that WebCrypto exports as `spki`. Any other key is `None`.
    #[must_use]
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        Self::from_slice(spki.strip_prefix(&SPKI)?)
    }

    /// Writes the DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn to_spki(&self) -> [u8; 91] {
        let mut spki = [0; 91];
        spki[..27].copy_from_slice(&SPKI);
        spki[27..].copy_from_slice(&self.0);
        spki
    }

    /// Takes the uncompressed point of SEC 1: the byte 4, x, y; the form of WebCrypto's `raw` and of ring.
    #[must_use]
    pub fn from_point(point: &[u8]) -> Option<Self> {
        Self::from_slice(point.strip_prefix(&[4])?)
    }

    /// Writes the uncompressed point of SEC 1.
    #[must_use]
    pub fn to_point(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..].copy_from_slice(&self.0);
        point
    }

    /// Writes the compressed point of SEC 1: 2 or 3 by the parity of y, then x.
    #[must_use]
    pub fn compressed(&self) -> [u8; 33] {
        let mut point = [2 | (self.0[63] & 1); 33];
        point[1..].copy_from_slice(&self.0[..32]);
        point
    }

    /// Finds the point that [`compressed`](Self::compressed) wrote; `None` if the curve has none there.
    #[must_use]
    pub fn from_compressed(point: &[u8; 33]) -> Option<Self> {
        let odd = match point[0] {
            2 => false,
            3 => true,
            _ => return None,
        };
        let x: [u8; 32] = point[1..].try_into().ok()?;
        let mut key = [0; 64];
        key[..32].copy_from_slice(&x);
        key[32..].copy_from_slice(&field::ordinate(&x, odd)?);
        Some(Self(key))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

/// An ECDSA signature of P-256: r and s, 32 bytes each, big-endian. WebCrypto's form; X.509 has another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);
octets!(Signature, 64);

impl Signature {
    /// Reads the form of X.509, `SEQUENCE { r INTEGER, s INTEGER }` in DER. Anything else is `None`.
    #[must_use]
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(bytes);
        let mut pair = Reader::new(outer.expect(der::SEQUENCE)?);
        outer.finish()?;
        let mut raw = [0; 64];
        for half in raw.chunks_exact_mut(32) {
            let integer = der::unsigned(pair.expect(der::INTEGER)?)?;
            let start = 32_usize.checked_sub(integer.len())?;
            half[start..].copy_from_slice(integer);
        }
        pair.finish()?;
        Some(Self(raw))
    }

    /// Writes the form of X.509.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(72);
        bytes.extend([der::SEQUENCE, 0]);
        for half in self.0.chunks_exact(32) {
            let zeros = half.iter().take(31).take_while(|byte| **byte == 0).count();
            let digits = &half[zeros..];
            let sign = digits[0] & 0x80 != 0;
            bytes.extend([der::INTEGER, (digits.len() + usize::from(sign)) as u8]);
            if sign {
                bytes.push(0);
            }
            bytes.extend_from_slice(digits);
        }
        bytes[1] = (bytes.len() - 2) as u8;
        bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}
