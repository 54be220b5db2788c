//! The SN-ON interface: what an ordinary node and a super node say to each other on an association.
//!
//! ```text
//! ON                                              SN
//!  |-- Hello {nonce, host, revocations} ---------->|   host: what the ON dialled
//!  |<- Challenge {nonce, certificate, signature} --|   the SN proves itself first
//!  |-- Proof {certificate, signature} ------------>|
//!  |<- Welcome {time, super nodes, ...} -----------|   or Refused {why, super nodes}
//!  |                                               |
//!  |-- Get {request, key, ..} -------------------->|
//!  |<- Records {request, records, last: false} ----|   the first valid answer, at once
//!  |<- Records {request, records, last: true} -----|   what is newer or further, when all have answered
//!  |-- Put {request, mode, record} --------------->|
//!  |<- Put {request, outcome} ---------------------|   a quorum of replicas agrees, or why not
//!  |-- Touch {request, control, signature} ------->|   the same body again: a newer version without repeating it
//!  |<- Put {request, outcome} ---------------------|   `Absent`: send the whole record
//!  |<- Lost {key} ---------------------------------|   the super nodes that kept the record are gone: add it again
//!  |-- Ping {number} / Pong {number} ------------->|   the ordinary node's heartbeat
//! ```
//!
//! Both signatures are over [`credential::Challenge`]. The enums stand at the top of the payload as one varint, in
//! the order of their variants, from 0.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{NodeId, Nonce, Signature};
use serde::{Deserialize, Serialize};

use crate::{Control, Key, Refused, SignedRecord};

/// From the ordinary node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromOrdinary {
    /// Opens the association.
    Hello {
        /// Drawn for this association.
        #[serde(with = "crate::nonce")]
        nonce: Nonce,
        /// The host that was dialled, without port.
        host: String,
        /// The number of the newest revocation list that the ordinary node has.
        revocations: u64,
    },
    /// Proves who the user is.
    Proof {
        /// The user's certificate, DER.
        certificate: Vec<u8>,
        /// Over the challenge, as ordinary node.
        signature: Signature,
    },
    /// Asks for records.
    Get {
        /// Chosen by the ordinary node; returns in the answer.
        request: u64,
        /// Where they are stored.
        key: Key,
        /// Only records of this owner.
        owner: Option<String>,
        /// Ask the replicas even if the super node has an answer of its own.
        newest: bool,
    },
    /// Places, replaces or removes a record.
    Put {
        /// Chosen by the ordinary node; returns in the answer.
        request: u64,
        /// What it is meant as.
        mode: Mode,
        /// The record, or the tombstone.
        record: SignedRecord,
    },
    /// Asks whether the super node is there.
    Ping {
        /// Returns in the answer.
        number: u32,
    },
    /// Replaces a record by a version with the same body and certificate.
    Touch {
        /// Chosen by the ordinary node; returns in the answer.
        request: u64,
        /// The newer version's control record.
        control: Control,
        /// The newer version's signature, over control record and body.
        signature: Signature,
    },
}

/// From the super node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSuperNode {
    /// Answers `Hello`.
    Challenge {
        /// Drawn for this association.
        #[serde(with = "crate::nonce")]
        nonce: Nonce,
        /// The super node's certificate, DER.
        certificate: Vec<u8>,
        /// Over the challenge, as super node.
        signature: Signature,
    },
    /// Answers `Proof`: the association stands.
    Welcome {
        /// The super node's clock, in milliseconds since 1970.
        time: u64,
        /// Super nodes to try next time, in this order: itself first, if it wants to be tried first again; then others.
        super_nodes: Vec<Contact>,
        /// STUN servers, `stun:host:port`; and relays: addresses, user name and password, a space between any two.
        stun: Vec<String>,
        /// The revocation list, if it is newer than the ordinary node's.
        revocations: Option<Vec<u8>>,
    },
    /// Ends the association.
    Refused {
        /// Why.
        why: Denial,
        /// Where to try instead.
        super_nodes: Vec<Contact>,
    },
    /// Answers `Get`, perhaps several times.
    Records {
        /// The number that the request had.
        request: u64,
        /// Records and tombstones; later answers repeat only what is newer.
        records: Vec<SignedRecord>,
        /// What the search came to, once it is over; the last answer.
        end: Option<SearchEnd>,
    },
    /// Answers `Put` and `Touch`.
    Put {
        /// The number that the request had.
        request: u64,
        /// Stored by a quorum, or why not.
        outcome: PutOutcome,
    },
    /// Answers `Ping`.
    Pong {
        /// The number that the ping had.
        number: u32,
    },
    /// A newer revocation list.
    Revocations {
        /// The list's bytes.
        list: Vec<u8>,
    },
    /// A record that the ordinary node placed by this super node is nowhere any more.
    Lost {
        /// Where it was stored.
        key: Key,
    },
}

/// What a `Put` is meant as (draft §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Places a record beside existing ones; never changes one.
    Add,
    /// Replaces the caller's own record, or creates it.
    Update,
    /// Removes the caller's own record; the record is a tombstone.
    Remove,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SearchEnd {
    /// Every replica that was asked answered or timed out, and at least one answered.
    Complete,
    /// No replica answered in time.
    Timeout,
    /// The super node takes no more requests for now.
    Busy,
}

/// What became of a `Put`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutOutcome {
    /// A quorum of replicas has it.
    Stored,
    /// A quorum can't be reached any more, because replicas refuse; the reason most of them gave.
    Refused(Refused),
    /// Too few replicas answered in time.
    Timeout,
}

/// Why a super node ends an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Denial {
    /// The host in `Hello` is not one of its names.
    Host,
    /// The certificate can't be read or is not a user's.
    Certificate,
    /// The certificate is another overlay's or another authority's.
    Overlay,
    /// The certificate has ended, or has not begun.
    Expired,
    /// The authority has revoked the certificate.
    Revoked,
    /// A signature does not hold.
    Signature,
    /// A message that is out of place, malformed, or not in time.
    Protocol,
    /// It serves as many as it can, or as many of this identity as one may have.
    Busy,
    /// It is leaving the overlay.
    Leaving,
}

/// Where an ordinary node reaches a super node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The super node's id.
    pub node: NodeId,
    /// Its WebSocket URL, `wss://host:port/p2psip`.
    pub url: String,
}
