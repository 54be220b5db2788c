//! Arrays of bytes as serde sees them, for `#[serde(with = "credential::octets")]`.
//!
//! They are tuples, which postcard lays out as the bare bytes. serde's own implementation does the same with one piece
//! of code per byte.

use core::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeTuple, Serializer};

/// Writes the bytes.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(bytes.len())?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

/// Reads exactly `N` bytes.
///
/// # Errors
/// The deserializer's, and when there are fewer.
pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    deserializer.deserialize_tuple(N, Bytes::<N>)
}

struct Bytes<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fixed number of bytes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<[u8; N], A::Error> {
        let mut bytes = [0; N];
        fill(&mut bytes, &mut sequence)?;
        Ok(bytes)
    }
}

fn fill<'de, A: SeqAccess<'de>>(bytes: &mut [u8], sequence: &mut A) -> Result<(), A::Error> {
    for byte in bytes {
        let next = sequence.next_element()?;
        *byte = next.ok_or_else(|| A::Error::custom("too few bytes"))?;
    }
    Ok(())
}
