//! What a super node is made of, is told, asks for, and says.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, Instance, MemberStatement, NodeId, RevocationList, Sign, Signed, TrustAnchor,
    Verified, Verify,
};
use machine::WallClock;

use crate::peer::SlotId;
use crate::{FrameFault, GetError, LinkId, PlaceError, QueryId, RecordFault, SignedRecord};

/// What a super node is made of.
#[derive(Debug, Clone)]
pub struct SuperNodeConfig {
    /// Whom the overlay trusts.
    pub anchor: TrustAnchor,
    /// The node's certificate. The driver holds its key.
    pub certificate: Certificate,
    /// The authority's compact statement of the same.
    pub statement: MemberStatement,
    /// The newest revocation list that was kept; `RevocationList::empty` if none.
    pub revocations: RevocationList,
    /// The hosts under which ordinary nodes dial it, without port.
    pub hosts: Vec<String>,
    /// Its WebSocket URL, `wss://host:port/p2psip`.
    pub url: String,
    /// Where other super nodes dial it, `host:port`.
    pub quic: String,
    /// The STUN servers that it names, `stun:host:port`.
    pub stun: Vec<String>,
    /// Members to join by. With none it is the first of its overlay.
    pub seeds: Vec<Seed>,
    /// Its bounds.
    pub limits: Limits,
    /// The date.
    pub clock: WallClock,
    /// From the system's entropy.
    pub seed: [u8; 32],
}

/// Names relays to ordinary nodes, each with a credential for one user. The overlay does not know what a relay is.
pub trait Relays: core::fmt::Debug + Send + Sync {
    /// Texts for the user of this URI, the nearest relay first. The same question has the same answer until the driver
    /// has learnt of other relays.
    fn named_to(&self, uri: &str) -> Vec<String>;
}

/// A member to join by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Its id.
    pub node: NodeId,
    /// Where it is dialled, `host:port`.
    pub quic: String,
}

/// The bounds of a super node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records in the store.
    pub records: usize,
    /// Bytes in the store: the space that it reserves for its share of the table (draft §7).
    pub bytes: usize,
    /// Records of one owner.
    pub owner_records: usize,
    /// Bytes of one owner.
    pub owner_bytes: usize,
    /// Writes of one owner in a second, in the long run.
    pub owner_writes: u32,
    /// Associations.
    pub associations: usize,
    /// Associations of one user.
    pub user_associations: usize,
    /// Requests of one user in a second, over all his associations, in the long run.
    pub requests: u32,
    /// Links to other super nodes that it keeps up without need.
    pub mesh: usize,
    /// Signatures being checked at one time.
    pub checks: usize,
    /// Bytes of records in a second that it hands to other replicas.
    pub copy_rate: u32,
    /// Links to other super nodes, after which the one that was silent the longest is closed.
    pub links: usize,
    /// What keeping the table may cost, in bytes sent a second.
    pub maintenance: u32,
    /// Members that it knows, about; where there are more, or keeping up with them costs more than `maintenance`, it
    /// knows a part of the ring.
    pub table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 100_000,
            bytes: 256 << 20,
            owner_records: 64,
            owner_bytes: 256 << 10,
            owner_writes: 4,
            associations: 10_000,
            user_associations: 32,
            requests: 40,
            mesh: 48,
            checks: 4_096,
            copy_rate: 1 << 20,
            links: 4_096,
            maintenance: 2_000,
            table: 1_000_000,
        }
    }
}

/// Facts for a [`SuperNode`](crate::SuperNode).
#[derive(Debug, Clone)]
pub enum SuperNodeInput {
    /// Somebody opened a WebSocket with the subprotocol `p2psip.1`.
    AssociationOpened(LinkId),
    /// A mutually authenticated link to another super node stands, whoever dialled it.
    PeerOpened {
        /// The link.
        link: LinkId,
        /// The certificate by which the other end authenticated itself, DER.
        certificate: Vec<u8>,
    },
    /// The link that [`SuperNodeOutput::Dial`] asked for did not come up.
    DialFailed(NodeId),
    /// A message arrived.
    Frame {
        /// On this link, of either kind.
        link: LinkId,
        /// As it came.
        frame: Vec<u8>,
    },
    /// The link, of either kind, is gone.
    Closed(LinkId),
    /// A signature was made.
    Signed(Signed),
    /// A signature was checked.
    Verified(Verified),
    /// A revocation list, from the login server.
    Revocations(RevocationList),
    /// What [`SuperNodeOutput::Persist`] had kept before a restart, all at once or in parts, before anything else comes in.
    Restored(Vec<(SlotId, Vec<u8>)>),
    /// How much the machine that it runs on has to do, in percent: from 50 on the node turns away new associations, from
    /// 70 searches, from 90 records. What waits inside the node counts by itself.
    Load(u8),
    /// More members to join by.
    Seeds(Vec<Seed>),
}

/// Requests of a [`SuperNode`](crate::SuperNode) to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperNodeOutput {
    /// Opens a link to another super node, which must prove that it is this node.
    Dial {
        /// Who must answer.
        node: NodeId,
        /// Where, `host:port`.
        address: String,
    },
    /// Sends a message.
    Send {
        /// On this link, of either kind.
        link: LinkId,
        /// The message.
        frame: Vec<u8>,
    },
    /// Closes a link after what was sent on it. No `Closed` needs to follow.
    Close(LinkId),
    /// Signs with the node's own key.
    Sign(Sign),
    /// Checks a signature.
    Verify(Verify),
    /// Keeps a part of the store over a restart, in one transaction if it can. Nothing waits for it.
    Persist {
        /// What to keep for a slot, in place of what was kept for it before.
        keep: Vec<(SlotId, Vec<u8>)>,
        /// Slots that nothing is kept for any more.
        forget: Vec<SlotId>,
    },
    /// Tells whoever uses the node.
    Event(SuperNodeEvent),
}

/// What a [`SuperNode`](crate::SuperNode) has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperNodeEvent {
    /// It is a member of the ring and serves.
    Joined,
    /// It has left the ring, after [`SuperNode::leave`](crate::SuperNode::leave); nothing further happens.
    Left,
    /// A user's device is associated.
    Associated {
        /// By this link.
        link: LinkId,
        /// The user, `sip:alice@example.org`, certified.
        uri: String,
        /// The device, certified.
        instance: Instance,
    },
    /// An association is gone.
    Dissociated {
        /// The link.
        link: LinkId,
        /// The user.
        uri: String,
        /// The device.
        instance: Instance,
    },
    /// A link to another super node stands and is checked.
    PeerUp {
        /// The link.
        link: LinkId,
        /// The super node.
        node: NodeId,
    },
    /// A link to another super node is gone.
    PeerDown {
        /// The link.
        link: LinkId,
        /// The super node.
        node: NodeId,
    },
    /// A link that [`SuperNode::connect`](crate::SuperNode::connect) asked for can't be had.
    PeerFailed(NodeId),
    /// A super node is a member.
    MemberUp {
        /// Its id.
        node: NodeId,
        /// Its WebSocket URL.
        url: String,
    },
    /// A super node left, or was lost.
    MemberLost(NodeId),
    /// A newer revocation list, verified; worth keeping and handing to the TLS layer.
    Revocations(RevocationList),
    /// What was kept over a restart is back.
    Restored {
        /// How many records, tombstones and marks.
        records: usize,
        /// How many were damaged, and left out: the other replicas have them.
        damaged: usize,
    },
    /// Records that `get` found, each verified. All that are known so far, newest version of each.
    Records {
        /// The call.
        query: QueryId,
        /// The records; never empty.
        records: Vec<SignedRecord>,
        /// Nothing further will come.
        last: bool,
    },
    /// `get` failed.
    GetFailed {
        /// The call.
        query: QueryId,
        /// Why.
        error: GetError,
    },
    /// `add`, `update` or `remove` is done.
    Placed {
        /// The call.
        query: QueryId,
        /// The record's sequence, milliseconds since 1970.
        sequence: u64,
    },
    /// `add`, `update` or `remove` failed.
    PlaceFailed {
        /// The call.
        query: QueryId,
        /// Why.
        error: PlaceError,
    },
    /// Somebody did what no honest node does.
    Misbehaved {
        /// Who.
        who: Offender,
        /// What.
        how: Offence,
    },
}

/// Who misbehaved towards a super node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offender {
    /// Somebody who had not proved who he is.
    Stranger(LinkId),
    /// A user.
    User(String),
    /// A super node.
    SuperNode(NodeId),
}

/// What somebody did that no honest node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// Something that is no message of this overlay.
    Frame(FrameFault),
    /// A message out of place.
    OutOfPlace,
    /// A certificate that can't be read or does not count.
    Certificate,
    /// A user's certificate where a super node's is needed, or the reverse.
    Role,
    /// No proof of holding the key.
    Proof,
    /// A host that is none of the super node's names.
    Host,
    /// A faulty record.
    Record(RecordFault),
    /// A faulty announcement.
    Announcement,
    /// A revocation list that the authority did not sign.
    Revocations,
    /// An answer that nobody asked for.
    Unasked,
    /// More requests than allowed.
    Flood,
}
