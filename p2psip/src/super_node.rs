//! What a super node runs: the overlay's super node, and the SIP edge of the ordinary nodes associated with it.
//!
//! The driver numbers all links, those of ordinary nodes and those to other super nodes, out of one counter.

mod node;

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, Instance, MemberStatement, NodeId, RevocationList, Sign, Signed, TrustAnchor,
    Verified, Verify,
};
use machine::WallClock;
use overlay::peer::SlotId;
use overlay::{GetError, Limits, Offence, Offender, PlaceError, QueryId, SignedRecord};
use sip::edge::Refusal;

use crate::LinkId;

pub use node::SuperNode;

/// What a super node starts from.
#[derive(Debug, Clone)]
pub struct SuperNodeConfig {
    /// The overlay's authority.
    pub anchor: TrustAnchor,
    /// The node's certificate.
    pub certificate: Certificate,
    /// The authority's compact word for it.
    pub statement: MemberStatement,
    /// The hosts by which ordinary nodes dial it, without port. One that names another is refused.
    pub hosts: Vec<String>,
    /// Its WebSocket address for ordinary nodes, `wss://host:port/p2psip`.
    pub url: String,
    /// Its QUIC address for other super nodes, `host:port`.
    pub quic: String,
    /// STUN servers that it names to ordinary nodes, `stun:host:port`.
    pub stun: Vec<String>,
    /// Other super nodes to join by: id and QUIC address. None starts an overlay of one's own.
    pub seeds: Vec<(NodeId, String)>,
    /// Its bounds, its reserve for records among them.
    pub limits: Limits,
    /// The newest revocation list known.
    pub revocations: Option<RevocationList>,
    /// Fresh randomness.
    pub seed: [u8; 32],
    /// The date.
    pub wall: WallClock,
}

/// What the driver tells a super node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperNodeInput {
    /// An ordinary node opened a WebSocket with the subprotocol `p2psip.1`.
    Opened {
        /// Its name, chosen by the driver.
        link: LinkId,
        /// Whether it runs over TLS.
        secure: bool,
    },
    /// An ordinary node's link is gone.
    Closed {
        /// Which.
        link: LinkId,
    },
    /// A binary message of an ordinary node.
    Frame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A text message of an ordinary node.
    Text {
        /// On which link.
        link: LinkId,
        /// The message.
        text: String,
    },
    /// A link to another super node stands: dialled by [`SuperNodeOutput::Dial`], or accepted.
    PeerOpened {
        /// Its name, chosen by the driver.
        link: LinkId,
        /// The certificate that TLS has verified, DER.
        certificate: Vec<u8>,
    },
    /// The super node that [`SuperNodeOutput::Dial`] named can't be reached.
    DialFailed {
        /// Whom.
        node: NodeId,
    },
    /// A link to another super node is gone.
    PeerClosed {
        /// Which.
        link: LinkId,
    },
    /// An overlay message of another super node.
    PeerFrame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A SIP message of another super node.
    PeerSip {
        /// On which link.
        link: LinkId,
        /// The message.
        message: Vec<u8>,
    },
    /// Answers [`SuperNodeOutput::Sign`].
    Signed(Signed),
    /// Answers [`SuperNodeOutput::Verify`].
    Verified(Verified),
    /// What [`SuperNodeOutput::Persist`] had kept before a restart, all at once or in parts, before anything else comes in.
    Restored(Vec<(SlotId, Vec<u8>)>),
    /// How much the machine that it runs on has to do, in percent: see [`overlay::SuperNodeInput::Load`].
    Load(u8),
    /// The login server gave a newer revocation list.
    Revocations(RevocationList),
    /// Further super nodes to join by, or to heal a split by: id and QUIC address.
    Seeds(Vec<(NodeId, String)>),
}

/// What a super node wants of its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperNodeOutput {
    /// Send a binary message to an ordinary node.
    Frame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send a text message to an ordinary node.
    Text {
        /// On which link.
        link: LinkId,
        /// The message.
        text: String,
    },
    /// Close an ordinary node's link after what was sent has gone out.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Dial another super node as `<node id>.sn`.
    Dial {
        /// Whom; its certificate must say so.
        node: NodeId,
        /// Its QUIC address, `host:port`.
        address: String,
    },
    /// Send an overlay message to another super node.
    PeerFrame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send a SIP message to another super node.
    PeerSip {
        /// On which link.
        link: LinkId,
        /// The message.
        message: Vec<u8>,
    },
    /// Close a link to another super node.
    PeerClose {
        /// Which.
        link: LinkId,
    },
    /// Sign with the node's key.
    Sign(Sign),
    /// Check a signature.
    Verify(Verify),
    /// Keep a part of the store over a restart, in one transaction if possible. Nothing waits for it.
    Persist {
        /// What to keep for a slot, in place of what was kept for it before.
        keep: Vec<(SlotId, Vec<u8>)>,
        /// Slots that nothing is kept for any more.
        forget: Vec<SlotId>,
    },
    /// Something for the log, the metrics or the operator.
    Event(SuperNodeEvent),
}

/// What happened at a super node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuperNodeEvent {
    /// It has joined the overlay, or is its first: ordinary nodes may come.
    Joined {
        /// How many super nodes it knows, itself included.
        members: usize,
    },
    /// It has left the overlay after [`SuperNode::leave`]; nothing more happens.
    Left,
    /// The membership has changed.
    Members {
        /// All super nodes that it knows, itself included: id and WebSocket address.
        members: Vec<(NodeId, String)>,
    },
    /// An ordinary node has proved itself.
    Associated {
        /// Its link.
        link: LinkId,
        /// The user.
        uri: String,
        /// His device.
        instance: Instance,
    },
    /// An association has ended.
    Dissociated {
        /// Its link.
        link: LinkId,
        /// The user.
        uri: String,
        /// His device.
        instance: Instance,
    },
    /// A newer revocation list, verified: worth keeping, and to be obeyed by the TLS of further links.
    Revocations(RevocationList),
    /// What was kept over a restart is back.
    Restored {
        /// How many records, tombstones and marks of earlier ones.
        records: usize,
        /// How many were damaged, and left out: the other replicas have them.
        damaged: usize,
    },
    /// What [`SuperNode::get`] found or why it found nothing.
    Got {
        /// The call.
        query: QueryId,
        /// The records, each verified; never none.
        records: Result<Vec<SignedRecord>, GetError>,
    },
    /// Whether [`SuperNode::update`] placed the record.
    Placed {
        /// The call.
        query: QueryId,
        /// Its sequence, milliseconds since 1970.
        sequence: Result<u64, PlaceError>,
    },
    /// Somebody broke a protocol; what he sent was dropped or answered by a refusal.
    Misbehaved {
        /// Who.
        who: Offender,
        /// What he did.
        how: Misconduct,
    },
}

/// How somebody broke a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misconduct {
    /// The overlay's.
    Overlay(Offence),
    /// SIP.
    Sip(Refusal),
}
