//! The SN-SN interface: what super nodes say to each other on the links between them.
//!
//! ```text
//! membership   Hello {announcement?}              first on every link, both ways: who I am, if I have joined
//!              Digest {buckets, revocations}      anti-entropy: a hash for each sixteenth of the ring
//!              Members {bucket, entries}          the members that I know there, where the hashes differ
//!              Announcements {announcements}      what the other lacks; also joining, leaving, moving
//!              Ask {nodes}                        the announcements that I lack
//!              Lost {node, incarnation}           a hint: look yourself whether it lives
//!              Ping / Pong                        probes
//!              Revocations {list}
//! search       Find {asker, request, key, ..}  -> Found {request, records}, DIRECTLY to the asker
//! placing      Place {asker, request, mode, record} -> Placed {request, outcome}, directly to the asker
//!              Touch {asker, request, control, signature} -> Placed, `Absent` if it has no such record
//! copies       Compare {after, last, digest}   -> Same {after, last} or Slots {after, last, slots, more}
//!              Want {slots}                       the records that I lack
//!              Copies {records}                   records that the other lacks or asked for
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use credential::{NodeId, OverlayId, Signature};
use serde::{Deserialize, Serialize};

use crate::association::{Mode, PutOutcome};
use crate::key::sha1;
use crate::{Control, Key, SignedRecord, Wire};

/// A message between super nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first message on a link, from both ends.
    Hello {
        /// The sender's own announcement, once it has joined.
        announcement: Option<Announcement>,
        /// It has not joined and asks for the table.
        joining: bool,
    },
    /// Compares the tables of members.
    Digest {
        /// One hash for each of the sixteen buckets, by the first digit of the node id.
        buckets: [u64; 16],
        /// The number of the newest revocation list.
        revocations: u64,
    },
    /// The members of one bucket that the sender knows.
    Members {
        /// Which sixteenth of the ring.
        bucket: u8,
        /// Node and incarnation.
        entries: Vec<(NodeId, u64)>,
    },
    /// What members say of themselves.
    Announcements {
        /// Each signed by the member that it is about.
        announcements: Vec<Announcement>,
    },
    /// Asks for the announcements of these members.
    Ask {
        /// At most 64.
        nodes: Vec<NodeId>,
    },
    /// The sender lost a member. Not believed, only looked into.
    Lost {
        /// The member.
        node: NodeId,
        /// Which of its lives.
        incarnation: u64,
    },
    /// Asks whether the other is there.
    Ping {
        /// Returns in the answer.
        number: u32,
    },
    /// Answers `Ping`.
    Pong {
        /// The number that the ping had.
        number: u32,
    },
    /// A revocation list.
    Revocations {
        /// The list's bytes.
        list: Vec<u8>,
    },
    /// Searches for records; whoever has them answers the asker directly.
    Find(Find),
    /// Answers `Find`.
    Found {
        /// The number that the search had.
        request: u64,
        /// Records and tombstones; none if the answerer has none.
        records: Vec<SignedRecord>,
    },
    /// Asks a replica to store a record.
    Place {
        /// Chosen by the asker; returns in the answer.
        request: u64,
        /// What it is meant as.
        mode: Mode,
        /// The record, or the tombstone.
        record: SignedRecord,
    },
    /// Answers `Place`.
    Placed {
        /// The number that the request had.
        request: u64,
        /// What became of it at this replica.
        outcome: PutOutcome,
    },
    /// Compares the records on an arc of the ring.
    Compare {
        /// The arc begins after this.
        after: Key,
        /// The arc ends with this.
        last: Key,
        /// Hash over what the sender has there.
        digest: u64,
    },
    /// Answers `Compare`: the hashes are equal.
    Same {
        /// The arc begins after this.
        after: Key,
        /// The arc ends with this.
        last: Key,
    },
    /// Answers `Compare`: what the sender has on the arc, or on its first part.
    Slots {
        /// The arc begins after this.
        after: Key,
        /// The part that this message covers ends with this.
        last: Key,
        /// What stands there.
        slots: Vec<Slot>,
        /// Further messages cover the rest of the arc.
        more: bool,
    },
    /// Asks for records.
    Want {
        /// At most 512.
        slots: Vec<SlotId>,
    },
    /// Records that the receiver lacks or asked for.
    Copies {
        /// Records and tombstones.
        records: Vec<SignedRecord>,
    },
    /// Asks a replica to replace a record by a version with the same body and certificate; `Placed` answers.
    Touch {
        /// Chosen by the asker; returns in the answer.
        request: u64,
        /// The newer version's control record.
        control: Control,
        /// The newer version's signature, over control record and body.
        signature: Signature,
    },
}

/// A search on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// The super node that the answer goes to. Never an ordinary node.
    pub asker: NodeId,
    /// Chosen by the asker.
    pub request: u64,
    /// Where the records are stored.
    pub key: Key,
    /// Only records of this owner.
    pub owner: Option<String>,
    /// How many more times it may be handed on.
    pub ttl: u8,
    /// Who has handed it on.
    pub visited: Vec<NodeId>,
}

impl Wire for Message {
    fn write(&self, bytes: &mut Vec<u8>) {
        // A vector never refuses bytes, and no message holds a sequence of unknown length.
        *bytes = postcard::to_extend(self, core::mem::take(bytes)).unwrap_or_default();
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (message, rest) = postcard::take_from_bytes(bytes).ok()?;
        *bytes = rest;
        Some(message)
    }
}

impl About {
    /// The bytes that the super node signs.
    #[must_use]
    pub fn message(&self, overlay: OverlayId) -> Vec<u8> {
        let mut message = DOMAIN.to_vec();
        message.extend_from_slice(&overlay.0);
        // A vector never refuses bytes, and nothing here is a sequence of unknown length.
        postcard::to_extend(self, message).unwrap_or_default()
    }
}

const DOMAIN: &[u8] = b"partyline announcement 1\0";

/// Names what is stored for one (key, owner, instance): the SHA-1 of key, instance, and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotId(pub [u8; 20]);

impl SlotId {
    /// The slot that a record fills.
    #[must_use]
    pub fn of(control: &Control) -> Self {
        Self(sha1(&[
            &control.key.0,
            &control.instance.0,
            control.owner.as_bytes(),
        ]))
    }
}

/// What stands in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Which slot.
    pub id: SlotId,
    /// The sequence of the record or tombstone in it.
    pub sequence: u64,
}

/// What a super node says of itself, signed by itself and carrying the authority's word that it is one.
///
/// `signature` is over `"partyline announcement 1" 0x00`, the overlay id, and the postcard of `about`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What is said.
    pub about: About,
    /// By the key in the statement.
    pub signature: Signature,
}

/// The contents of an [`Announcement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The authority's statement, in the layout of [`credential::statement`].
    pub statement: Vec<u8>,
    /// When it was said, in milliseconds since 1970; a later one replaces an earlier one.
    pub incarnation: u64,
    /// The super node leaves.
    pub leaving: bool,
    /// Where other super nodes dial it, `host:port` of QUIC.
    pub quic: String,
    /// Where ordinary nodes dial it, `wss://host:port/p2psip`.
    pub url: String,
}
