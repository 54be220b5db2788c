//! Which credentials the authority has taken back before their time.
//!
//! ```text
//! version        1   1
//! overlay id    16
//! number         8   big-endian; a list replaces every list with a lower number
//! issued         8   milliseconds since 1970, big-endian
//! count          2   big-endian, at most 2048
//! serials    16 each, strictly rising
//! signature     64   r and s, by the overlay's authority
//! ```
//! Signed are the ASCII bytes `partyline revocation list 1` and all of the above before the signature. A serial leaves
//! the list when its certificate has expired.

use alloc::vec::Vec;

use crate::{OverlayId, Serial, Signature};

const DOMAIN: &[u8] = b"partyline revocation list 1";
const VERSION: u8 = 1;
const HEAD: usize = 35;

/// The serials that the authority has revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    overlay: OverlayId,
    number: u64,
    issued: u64,
    serials: Vec<Serial>,
    signature: Signature,
}

impl RevocationList {
    /// How many serials a list may hold.
    pub const MAXIMUM: usize = 2048;

    /// The list before any was received: number 0, nothing revoked. It verifies under no key.
    #[must_use]
    pub const fn empty(overlay: OverlayId) -> Self {
        Self {
            overlay,
            number: 0,
            issued: 0,
            serials: Vec::new(),
            signature: Signature([0; 64]),
        }
    }

    /// Puts a list together for the authority to sign; it sorts the serials and drops what is twice.
    ///
    /// `None` if there are more than [`MAXIMUM`](Self::MAXIMUM).
    #[must_use]
    pub fn new(
        overlay: OverlayId,
        number: u64,
        issued: u64,
        mut serials: Vec<Serial>,
    ) -> Option<Self> {
        serials.sort_unstable();
        serials.dedup();
        (serials.len() <= Self::MAXIMUM).then_some(Self {
            overlay,
            number,
            issued,
            serials,
            signature: Signature([0; 64]),
        })
    }

    /// Adds the authority's signature over [`message`](Self::message).
    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// Reads a list. Anything but the documented layout is `None`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let (entries, signature) = rest.split_last_chunk::<64>()?;
        let count = usize::from(u16::from_be_bytes([head[33], head[34]]));
        if head[0] != VERSION || count > Self::MAXIMUM || entries.len() != count * Serial::SIZE {
            return None;
        }
        let mut serials = Vec::with_capacity(count);
        for entry in entries.chunks_exact(Serial::SIZE) {
            serials.push(Serial::from_slice(entry)?);
        }
        if !serials.is_sorted_by(|a, b| a < b) {
            return None;
        }
        Some(Self {
            overlay: OverlayId::from_slice(&head[1..17])?,
            number: u64::from_be_bytes(head[17..25].try_into().ok()?),
            issued: u64::from_be_bytes(head[25..33].try_into().ok()?),
            serials,
            signature: Signature(*signature),
        })
    }

    /// Writes the list.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.serials.len() * Serial::SIZE + 64);
        self.write(&mut bytes);
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// The bytes that the authority signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = DOMAIN.to_vec();
        self.write(&mut message);
        message
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.overlay.0);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.issued.to_be_bytes());
        bytes.extend_from_slice(&(self.serials.len() as u16).to_be_bytes());
        for serial in &self.serials {
            bytes.extend_from_slice(&serial.0);
        }
    }

    /// The overlay whose list this is.
    #[must_use]
    pub const fn overlay(&self) -> OverlayId {
        self.overlay
    }

    /// Its number; the higher one counts.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was issued, in milliseconds since 1970.
    #[must_use]
    pub const fn issued(&self) -> u64 {
        self.issued
    }

    /// The revoked serials, rising.
    #[must_use]
    pub fn serials(&self) -> &[Serial] {
        &self.serials
    }

    /// The authority's signature.
    #[must_use]
    pub const fn signature(&self) -> Signature {
        self.signature
    }

    /// Says whether a certificate was revoked.
    #[must_use]
    pub fn contains(&self, serial: Serial) -> bool {
        self.serials.binary_search(&serial).is_ok()
    }
}
