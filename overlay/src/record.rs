//! Resource records and what says who may change them.
//!
//! ```text
//! SignedRecord = control | body (length, bytes) | certificate (length, DER) | signature (64 bytes, r and s)
//! Control      = overlay (16) | key (20) | owner (length, UTF-8) | instance (16) | policy (2)
//!              | sequence (varint, ms since 1970) | lifetime (varint, s) | no_update (1) | removed (1)
//! signed       = "partyline record 1" 0x00 | Control | body
//! ```
//!
//! Everything is postcard: integers and lengths are LEB128 varints. The overlay never looks into the body. A record
//! is managed by (key, owner, instance). A tombstone is a record with `removed` and an empty body; it is kept until
//! the record that it removes would have ended.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use credential::{Certificate, Check, Instance, OverlayId, Signature, Subject};
use serde::{Deserialize, Serialize};

use crate::{Key, Wire};

/// Who may do something with a record, apart from the credential check that everybody must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Writer {
    /// Nobody, not even its owner: it stays as it is until its lifetime ends.
    Nobody,
    /// The device that placed it.
    Instance,
    /// Any device of its owner.
    Owner,
}

/// The access policy that the owner of a record sets, enforced by every super node that keeps it (draft §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Who may replace it by a newer version.
    pub update: Writer,
    /// Who may remove it.
    pub remove: Writer,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            update: Writer::Instance,
            remove: Writer::Owner,
        }
    }
}

/// What the overlay keeps with every record (draft §9): whose it is, who may change it, how long it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The overlay that it belongs to.
    pub overlay: OverlayId,
    /// The key that it is stored under.
    pub key: Key,
    /// The certified owner: a user's SIP URI, or a super node's id in hexadecimal digits.
    pub owner: String,
    /// The owner's device whose record this is.
    pub instance: Instance,
    /// Who may change it.
    pub policy: Policy,
    /// Which of two versions is newer; the time of writing in milliseconds since 1970.
    pub sequence: u64,
    /// How long it lives after `sequence`, in seconds.
    pub lifetime: u32,
    /// The draft's NO_UPDATE_OPTION: neither update nor removal, whoever asks.
    pub no_update: bool,
    /// It is a tombstone: it stands for the removal of the record.
    pub removed: bool,
}

impl Control {
    /// When the record ends, in milliseconds since 1970.
    #[must_use]
    pub fn ends(&self) -> u64 {
        self.sequence
            .saturating_add(u64::from(self.lifetime).saturating_mul(1_000))
    }

    /// Makes the checks that need nothing but the control record. `wall` is in milliseconds since 1970.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self, overlay: OverlayId, wall: u64) -> Result<(), RecordFault> {
        if self.overlay != overlay {
            return Err(RecordFault::Overlay);
        }
        if self.owner.len() > MAX_OWNER {
            return Err(RecordFault::TooLarge);
        }
        if self.removed && self.no_update {
            return Err(RecordFault::Tombstone);
        }
        if self.lifetime == 0 || self.lifetime > MAX_LIFETIME {
            return Err(RecordFault::Lifetime);
        }
        if self.sequence > wall.saturating_add(MAX_AHEAD) {
            return Err(RecordFault::Sequence);
        }
        if self.ends() <= wall {
            return Err(RecordFault::Expired);
        }
        Ok(())
    }

    /// Says which slot of the store it fills: records of one slot replace each other.
    #[must_use]
    pub fn is_same_slot(&self, other: &Self) -> bool {
        self.key == other.key && self.owner == other.owner && self.instance == other.instance
    }
}

/// A record as it is stored and carried: with its control record, its owner's certificate and signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// Whose it is and who may change it.
    pub control: Control,
    /// What the application placed.
    pub body: Vec<u8>,
    /// The writer's certificate, DER.
    pub certificate: Vec<u8>,
    /// The writer's signature over control and body.
    pub signature: Signature,
}

/// What is wrong with a record that somebody handed over. The flat list of everything that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RecordFault {
    /// It belongs to another overlay.
    Overlay,
    /// It is not stored under the key that was asked for.
    Key,
    /// It does not belong to the owner that was asked for.
    OtherOwner,
    /// Body, owner or certificate is larger than allowed.
    TooLarge,
    /// Its lifetime has ended.
    Expired,
    /// Its lifetime is zero or longer than allowed.
    Lifetime,
    /// Its sequence lies further ahead than clocks may differ.
    Sequence,
    /// A tombstone carries a body, or a record that can't be updated is one.
    Tombstone,
    /// The certificate can't be read, is not this overlay's, has ended, or is revoked.
    Certificate,
    /// The certificate is not the owner's.
    Owner,
    /// The certificate is the owner's, but another device's than the record's policy lets write.
    Instance,
    /// The overlay's authority did not sign the certificate.
    Chain,
    /// The owner did not sign the record.
    Signature,
    /// A newer version of it is known.
    Stale,
}

impl RecordFault {
    /// Whether everybody must see the fault at any time. Clocks and revocation lists may differ between honest nodes.
    pub(crate) const fn is_plain(self) -> bool {
        match self {
            Self::Overlay
            | Self::Key
            | Self::OtherOwner
            | Self::TooLarge
            | Self::Lifetime
            | Self::Tombstone
            | Self::Owner
            | Self::Instance
            | Self::Chain
            | Self::Signature => true,
            Self::Expired | Self::Sequence | Self::Certificate | Self::Stale => false,
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlay => "record of another overlay",
            Self::Key => "record of another key",
            Self::OtherOwner => "record of another owner",
            Self::TooLarge => "record too large",
            Self::Expired => "record has ended",
            Self::Lifetime => "lifetime of record out of bounds",
            Self::Sequence => "sequence of record lies ahead",
            Self::Tombstone => "malformed tombstone",
            Self::Certificate => "certificate of record refused",
            Self::Owner => "record's certificate is not its owner's",
            Self::Instance => "record's certificate is another device's",
            Self::Chain => "record's certificate is not signed by the authority",
            Self::Signature => "record is not signed by its owner",
            Self::Stale => "an older version of a record",
        })
    }
}

impl core::error::Error for RecordFault {}

/// The largest body of a record, in bytes.
pub const MAX_BODY: usize = 16 * 1024;
/// The largest owner's name, in bytes.
pub const MAX_OWNER: usize = 255;
/// The largest certificate, in bytes.
pub const MAX_CERTIFICATE: usize = 2 * 1024;
/// The longest lifetime of a record, in seconds.
pub const MAX_LIFETIME: u32 = 24 * 3600;
/// How far the clocks of two nodes may differ, in milliseconds: a sequence further ahead is refused.
pub const MAX_AHEAD: u64 = 10 * 60 * 1_000;

const DOMAIN: &[u8] = b"partyline record 1\0";

impl SignedRecord {
    /// The bytes that the owner signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        message(&self.control, &self.body)
    }

    /// Roughly how many bytes it takes on the wire and in the store.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.len() + self.certificate.len() + self.control.owner.len() + 160
    }

    /// Says whether its sizes are within bounds.
    pub(crate) fn is_small(&self) -> bool {
        self.body.len() <= MAX_BODY && self.certificate.len() <= MAX_CERTIFICATE
    }

    /// Makes every check that needs no certificate and no cryptography. `wall` is in milliseconds since 1970.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&self, overlay: OverlayId, wall: u64) -> Result<(), RecordFault> {
        if !self.is_small() {
            return Err(RecordFault::TooLarge);
        }
        if self.control.removed && !self.body.is_empty() {
            return Err(RecordFault::Tombstone);
        }
        self.control.check(overlay, wall)
    }

    /// Checks that the certificate is the owner's and that the record's own policy lets this device write it.
    ///
    /// # Errors
    /// [`RecordFault::Owner`] or [`RecordFault::Instance`].
    pub fn check_writer(&self, certificate: &Certificate) -> Result<(), RecordFault> {
        let (owner, instance) = owner(certificate).ok_or(RecordFault::Owner)?;
        if owner != self.control.owner {
            return Err(RecordFault::Owner);
        }
        let policy = self.control.policy;
        let allowed = if self.control.removed {
            policy.remove
        } else {
            policy.update
        };
        if instance != self.control.instance && allowed != Writer::Owner {
            return Err(RecordFault::Instance);
        }
        Ok(())
    }

    /// The owner's signature, for the driver to verify.
    #[must_use]
    pub fn signature_check(&self, certificate: &Certificate) -> Check {
        Check {
            key: certificate.public_key(),
            message: self.message(),
            signature: self.signature,
        }
    }
}

/// The bytes that the owner of a record signs.
pub(crate) fn message(control: &Control, body: &[u8]) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    control.write(&mut message);
    message.extend_from_slice(body);
    message
}

/// Who a certificate's records belong to. The authority itself owns none.
#[must_use]
pub fn owner(certificate: &Certificate) -> Option<(String, Instance)> {
    match certificate.subject() {
        Subject::User { uri, instance, .. } => Some((uri.clone(), *instance)),
        Subject::SuperNode { node } => Some((node.hex(), Instance::of_node(*node))),
        Subject::Authority => None,
    }
}
