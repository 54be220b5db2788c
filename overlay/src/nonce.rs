//! A nonce on the wire: 32 bare bytes. Serde's own code for arrays is unrolled, 2.5 KB of it in a browser.

use core::fmt;

use credential::Nonce;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(nonce: &Nonce, serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(nonce.len())?;
    for byte in nonce {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nonce, D::Error> {
    deserializer.deserialize_tuple(size_of::<Nonce>(), Bytes)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Nonce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a nonce")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Nonce, A::Error> {
        let mut nonce = Nonce::default();
        for (place, byte) in nonce.iter_mut().enumerate() {
            *byte = bytes
                .next_element()?
                .ok_or_else(|| Error::invalid_length(place, &self))?;
        }
        Ok(nonce)
    }
}
