//! What a call of the overlay API can come to, one enum for reading and one for placing.

use core::fmt;

use credential::OverlayId;
use serde::{Deserialize, Serialize};

/// Why `get` gave no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetError {
    /// The node is not a member of that overlay.
    NotAMember(OverlayId),
    /// Every super node that is responsible for the key answered or timed out, and none has a record.
    NotFound,
    /// There was a record, and its owner removed it.
    Gone,
    /// There are records, but none of them passed the checks.
    Refused,
    /// Nobody answered in time.
    Timeout,
    /// No association came up in time.
    NoSuperNode,
    /// The super node takes no more requests for now.
    Busy,
    /// The node's own credential has ended.
    CredentialExpired,
    /// Too many requests of this node are under way.
    TooMany,
}

/// Why `add`, `update` or `remove` did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceError {
    /// The node is not a member of that overlay.
    NotAMember(OverlayId),
    /// The record is larger than the overlay keeps.
    TooLarge,
    /// The lifetime is zero or longer than the overlay keeps.
    Lifetime,
    /// The super nodes that keep the record refuse.
    Refused(Refused),
    /// Too few of them answered in time; the record may or may not be there.
    Timeout,
    /// No association came up in time.
    NoSuperNode,
    /// The node's own credential has ended.
    CredentialExpired,
    /// Too many requests of this node are under way.
    TooMany,
}

/// Why a super node refuses to store a record, or to do anything at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Refused {
    /// The record itself is faulty.
    Record(crate::RecordFault),
    /// `add` found a record of the same owner and device; it changes nothing.
    Exists,
    /// `remove` found nothing to remove.
    NotFound,
    /// The stored record was placed with NO_UPDATE.
    NotUpdatable,
    /// The stored record's policy forbids it to this device.
    Policy,
    /// The stored record is as new or newer; its sequence.
    Older(u64),
    /// The owner has as many records or bytes there as one may have.
    Quota,
    /// The owner writes too often.
    Rate,
    /// The super node's reserve for records is used up.
    Full,
    /// The super node is overloaded.
    Busy,
    /// The super node is not responsible for the key.
    NotResponsible,
    /// A touch names a record that the super node does not have, or has with another body or certificate.
    Absent,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAMember(_) => "not a member of that overlay",
            Self::NotFound => "no record under that key",
            Self::Gone => "the owner removed the record",
            Self::Refused => "no record under that key can be trusted",
            Self::Timeout => "nobody answered in time",
            Self::NoSuperNode => "no super node reached",
            Self::Busy => "the super node is busy",
            Self::CredentialExpired => "own credential expired",
            Self::TooMany => "too many requests under way",
        })
    }
}

impl core::error::Error for GetError {}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMember(_) => f.write_str("not a member of that overlay"),
            Self::TooLarge => f.write_str("record too large"),
            Self::Lifetime => f.write_str("lifetime out of bounds"),
            Self::Refused(why) => why.fmt(f),
            Self::Timeout => f.write_str("too few super nodes answered in time"),
            Self::NoSuperNode => f.write_str("no super node reached"),
            Self::CredentialExpired => f.write_str("own credential expired"),
            Self::TooMany => f.write_str("too many requests under way"),
        }
    }
}

impl core::error::Error for PlaceError {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(fault) => fault.fmt(f),
            Self::Exists => f.write_str("a record of this owner exists"),
            Self::NotFound => f.write_str("nothing to remove"),
            Self::NotUpdatable => f.write_str("record placed as not updatable"),
            Self::Policy => f.write_str("forbidden by the record's policy"),
            Self::Older(_) => f.write_str("a newer version is stored"),
            Self::Quota => f.write_str("the owner's quota is used up"),
            Self::Rate => f.write_str("the owner writes too often"),
            Self::Full => f.write_str("the super node's reserve is used up"),
            Self::Busy => f.write_str("the super node is busy"),
            Self::Absent => f.write_str("no such record to touch"),
            Self::NotResponsible => f.write_str("the super node is not responsible for the key"),
        }
    }
}

impl core::error::Error for Refused {}
