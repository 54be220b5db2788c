//! The compact proof that a super node is a member, small enough to travel with every membership event.
//!
//! ```text
//! version        1   1
//! node id       20
//! serial        16   of the certificate that it stands for, so that revoking one revokes both
//! key           33   compressed point of SEC 1
//! not after      8   milliseconds since 1970, big-endian
//! signature     64   r and s, by the overlay's authority
//! ```
//! Signed are the ASCII bytes `partyline member statement 1`, the overlay id (16 bytes), and all of the above before
//! the signature. The overlay id is not in the statement: whoever reads it knows the overlay, and in any other the
//! signature does not hold.

use alloc::vec::Vec;

use crate::{NodeId, OverlayId, PublicKey, Serial, Signature};

const DOMAIN: &[u8] = b"partyline member statement 1";
const VERSION: u8 = 1;

/// The authority's word that a super node is a member until a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberStatement {
    /// The super node.
    pub node: NodeId,
    /// The number of the certificate that the statement stands for.
    pub serial: Serial,
    /// The super node's key.
    pub key: PublicKey,
    /// When it ends, in milliseconds since 1970; the certificate's own end.
    pub not_after: u64,
    /// The authority's signature over [`message`](Self::message).
    pub signature: Signature,
}

impl MemberStatement {
    /// How many bytes a statement has.
    pub const SIZE: usize = 142;

    /// Reads a statement. Anything but the documented layout is `None`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.try_into().ok()?;
        if bytes[0] != VERSION {
            return None;
        }
        Some(Self {
            node: NodeId::from_slice(&bytes[1..21])?,
            serial: Serial::from_slice(&bytes[21..37])?,
            key: PublicKey::from_compressed(bytes[37..70].try_into().ok()?)?,
            not_after: u64::from_be_bytes(bytes[70..78].try_into().ok()?),
            signature: Signature::from_slice(&bytes[78..])?,
        })
    }

    /// Writes the statement.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..78].copy_from_slice(&self.head());
        bytes[78..].copy_from_slice(&self.signature.0);
        bytes
    }

    /// The bytes that the authority signs; the field `signature` is not among them.
    #[must_use]
    pub fn message(&self, overlay: OverlayId) -> Vec<u8> {
        [DOMAIN, &overlay.0, &self.head()].concat()
    }

    fn head(&self) -> [u8; 78] {
        let mut head = [0; 78];
        head[0] = VERSION;
        head[1..21].copy_from_slice(&self.node.0);
        head[21..37].copy_from_slice(&self.serial.0);
        head[37..70].copy_from_slice(&self.key.compressed());
        head[70..].copy_from_slice(&self.not_after.to_be_bytes());
        head
    }
}

impl serde::Serialize for MemberStatement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::id::serialize(&self.to_bytes(), serializer)
    }
}

impl<'de> serde::Deserialize<'de> for MemberStatement {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; Self::SIZE] = crate::id::deserialize(deserializer)?;
        Self::read(&bytes).ok_or_else(|| serde::de::Error::custom("no member statement"))
    }
}
