//! The SN-SN interface: what super nodes say to each other on the links between them.
//!
//! ```text
//! membership   Hello {announcement?}              first on every link, both ways: who I am, if I have joined
//!              News {parts}                       who came, moved, left, was lost, and who is to be told of it
//!              Digest {at, hash, revocations}     anti-entropy: a hash over the whole table
//!              Branch {at, prefix, hashes}        where it differs: a hash for each sixteenth of that
//!              Members {at, prefix, entries}      where that differs, too: the members that I know there
//!              Announcements {announcements}      what the other lacks
//!              Ask {nodes}                        the announcements that I lack
//!              Doubt {node, incarnation}          a hint: look yourself whether it lives
//!              Size {members, full, pace}         to a newcomer: what knowing all would cost
//!              Fetch {reach}                      a newcomer that will know a part: that part
//!              Guides                             who knows all
//!              Ping / Pong                        probes
//!              Revocations {list}
//! search       Find {asker, request, key, ..}  -> Found {request, records}, DIRECTLY to the asker
//!              Ack {asker, request}               to whoever handed the search on: taken over
//!              Who {request, key} -> Keepers {request, announcements}
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
    /// Compares the tables of members, as they were at a time.
    Digest {
        /// What happened later is left out, in milliseconds since 1970.
        at: u64,
        /// The hash over all members.
        hash: u64,
        /// The number of the newest revocation list.
        revocations: u64,
    },
    /// Compares a part of the tables.
    Branch {
        /// As in the digest.
        at: u64,
        /// Which part.
        prefix: Prefix,
        /// One hash for each sixteenth of the part, by the next digit of the node id.
        hashes: [u64; 16],
    },
    /// The members of one part that the sender knows.
    Members {
        /// As in the digest.
        at: u64,
        /// Which part.
        prefix: Prefix,
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
    /// The sender can't reach a member. Not believed, only looked into.
    Doubt {
        /// The member.
        node: NodeId,
        /// Which of its lives.
        incarnation: u64,
    },
    /// What has happened, on its way to all members.
    News {
        /// None in a sign of life.
        parts: Vec<Part>,
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
    /// Takes over a search that another than its asker handed on.
    Ack {
        /// Whose search it is.
        asker: NodeId,
        /// The number that it has.
        request: u64,
    },
    /// Tells a newcomer how large the ring is and how much happens in it.
    Size {
        /// How many members there are.
        members: u32,
        /// How many of them know all.
        full: u32,
        /// How many of them come, go or move in 1,000 seconds.
        pace: u32,
    },
    /// A newcomer asks for the members that it will know; `Announcements` and a `Digest` over them answer.
    Fetch {
        /// How far it will know them, as in [`About`].
        reach: u8,
    },
    /// Asks for members that know all; `Announcements` of a few answer.
    Guides,
    /// Asks who keeps a key's records.
    Who {
        /// Chosen by the asker.
        request: u64,
        /// The key.
        key: Key,
    },
    /// Answers `Who`.
    Keepers {
        /// The number that the question had.
        request: u64,
        /// Of the super nodes that keep the key's records, nearest first; none if the answerer doesn't know.
        announcements: Vec<Announcement>,
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

impl About {
    /// Whom it speaks of, by the place of the id in the statement.
    pub(crate) fn node(&self) -> Option<NodeId> {
        NodeId::from_slice(self.statement.get(1..21)?)
    }
}

impl Gone {
    /// The bytes that the reporter, or the one that leaves, signs.
    #[must_use]
    pub fn message(&self, overlay: OverlayId) -> Vec<u8> {
        let mut message = DEPARTURE.to_vec();
        message.extend_from_slice(&overlay.0);
        postcard::to_extend(self, message).unwrap_or_default()
    }
}

const DOMAIN: &[u8] = b"partyline announcement 1\0";
const DEPARTURE: &[u8] = b"partyline departure 1\0";

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

/// The members whose ids begin with these digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// How many hexadecimal digits, at most 8.
    pub digits: u8,
    /// The digits, the first one highest, in the high bits of the number.
    pub bits: u32,
}

/// News with the arc of the ring whose members the receiver is to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The arc begins after the receiver and ends before this. The receiver itself: it tells nobody.
    pub until: NodeId,
    /// What has happened.
    pub events: Vec<Event>,
}

/// What can happen to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It has joined, moved, renewed its credential, or says that it lives.
    Up(Announcement),
    /// It has left or is lost.
    Gone(Departure),
}

/// The end of a member's life, signed by the one that says so.
///
/// `signature` is over `"partyline departure 1" 0x00`, the overlay id, and the postcard of `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// What is said.
    pub gone: Gone,
    /// By the key of the reporter, or of the member itself.
    pub signature: Signature,
}

/// The contents of a [`Departure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Who is gone.
    pub node: NodeId,
    /// Which of its lives: a later announcement refutes it.
    pub incarnation: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// The neighbour on the ring that lost it; none if it leaves by itself.
    pub reporter: Option<NodeId>,
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
    /// Where other super nodes dial it, `host:port` of QUIC.
    pub quic: String,
    /// Where ordinary nodes dial it, `wss://host:port/p2psip`.
    pub url: String,
    /// Whom it knows: 0 for all members, n for those within the 2^n-th part of the ring on either side of it.
    pub reach: u8,
}
