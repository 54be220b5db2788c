//! What an ordinary node is made of, is told, asks for, and says.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, NodeId, RevocationList, Sign, Signed, TrustAnchor, Verified, Verify,
};
use machine::WallClock;

use crate::association::{Contact, Denial};
use crate::{
    Candidate, FrameFault, GetError, Key, LinkId, PlaceError, QueryId, RecordFault, SignedRecord,
};

/// What an ordinary node is made of.
#[derive(Debug, Clone)]
pub struct OrdinaryConfig {
    /// Whom the overlay trusts.
    pub anchor: TrustAnchor,
    /// The user's certificate on this device. The driver holds its key.
    pub certificate: Certificate,
    /// The newest revocation list that was kept; `RevocationList::empty` if none.
    pub revocations: RevocationList,
    /// Super nodes to try, in this order.
    pub candidates: Vec<Candidate>,
    /// The date.
    pub clock: WallClock,
    /// From the system's entropy.
    pub seed: [u8; 32],
}

/// Facts for an [`OrdinaryNode`](crate::OrdinaryNode).
#[derive(Debug, Clone)]
pub enum OrdinaryInput {
    /// The link that [`OrdinaryOutput::Dial`] asked for stands.
    Up(LinkId),
    /// A binary message arrived.
    Frame {
        /// On this link.
        link: LinkId,
        /// As it came.
        frame: Vec<u8>,
    },
    /// The link is gone, or never came up.
    Down(LinkId),
    /// Whoever was dialled closed the connection before a word was said, as a super node does that has too much to do.
    Busy(LinkId),
    /// A signature was made.
    Signed(Signed),
    /// A signature was checked.
    Verified(Verified),
    /// More super nodes to try: from a cache, from a bootstrap server.
    Candidates(Vec<Candidate>),
    /// The network changed or the device woke up: try again at once.
    Woken,
}

/// Requests of an [`OrdinaryNode`](crate::OrdinaryNode) to its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrdinaryOutput {
    /// Opens a WebSocket with the subprotocol `p2psip.1`.
    Dial {
        /// The number for it.
        link: LinkId,
        /// Where to.
        url: String,
    },
    /// Sends a binary message.
    Send {
        /// On this link.
        link: LinkId,
        /// The message.
        frame: Vec<u8>,
    },
    /// Closes a link. No `Down` needs to follow.
    Close(LinkId),
    /// Signs with the node's own key.
    Sign(Sign),
    /// Checks a signature.
    Verify(Verify),
    /// Tells whoever uses the node.
    Event(OrdinaryEvent),
}

/// What an [`OrdinaryNode`](crate::OrdinaryNode) has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrdinaryEvent {
    /// An association stands; SIP may use the link from now on.
    Associated {
        /// The link.
        link: LinkId,
        /// The super node, proved.
        node: NodeId,
        /// The URL that was dialled.
        url: String,
        /// Its STUN servers, `stun:host:port`; and relays: addresses, user name and password, a space between any two.
        stun: Vec<String>,
    },
    /// An association is gone. The node already looks for another.
    Dissociated {
        /// The link.
        link: LinkId,
        /// The super node.
        node: NodeId,
        /// Why.
        why: Parting,
    },
    /// Super nodes that an associated one named; worth keeping, in their order, for the next start.
    SuperNodes(Vec<Contact>),
    /// A newer revocation list, verified; worth keeping.
    Revocations(RevocationList),
    /// Records that `get` found, each verified. All that are known so far, newest version of each.
    Records {
        /// The call.
        query: QueryId,
        /// The records; never empty.
        records: Vec<SignedRecord>,
        /// Nothing further will come. If false, another event follows, perhaps with newer versions.
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
    /// What this node placed under a key is nowhere any more, for all super nodes that kept it are gone: place it again.
    Lost(Key),
    /// A super node did what no honest one does.
    Misbehaved {
        /// Which one, if it had proved who it is.
        node: Option<NodeId>,
        /// Where it was dialled.
        url: String,
        /// What it did.
        how: Misbehaviour,
    },
    /// The node's credential has ended or was revoked: no association is possible until it is renewed.
    CredentialExpired,
}

/// Why an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// The link broke.
    Broken,
    /// The super node fell silent.
    Silent,
    /// The super node ended it.
    Denied(Denial),
    /// The super node misbehaved.
    Misbehaved,
    /// The node itself ended it.
    Own,
}

/// What a super node did that no honest one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misbehaviour {
    /// It sent something that is no message of this overlay.
    Frame(FrameFault),
    /// It sent a message out of place.
    OutOfPlace,
    /// Its certificate can't be read or does not count.
    Certificate,
    /// Its certificate is a user's: an ordinary node posed as a super node.
    NotASuperNode,
    /// It did not prove that it holds its key and was dialled under this name.
    Proof,
    /// It handed over a faulty record.
    Record(RecordFault),
    /// It handed over a revocation list that the authority did not sign.
    Revocations,
    /// It refused for a reason that can't hold.
    Denial(Denial),
}
