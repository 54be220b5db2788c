//! The ordinary node: two associations, the API of draft §9, and the checks of everything that comes back.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, Instance, NodeId, OverlayId, RevocationList, Sign, Signed, TrustAnchor, Verified,
    Verify,
};
use machine::{Instant, Machine, Outbox, WallClock};

use crate::association::{Contact, Denial};
use crate::{
    Candidate, FrameFault, GetError, Key, LinkId, PlaceError, Placement, QueryId, Reading,
    RecordFault, SignedRecord,
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

/// Facts for an [`OrdinaryNode`].
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
    /// A signature was made.
    Signed(Signed),
    /// A signature was checked.
    Verified(Verified),
    /// More super nodes to try: from a cache, from a bootstrap server.
    Candidates(Vec<Candidate>),
    /// The network changed or the device woke up: try again at once.
    Woken,
}

/// Requests of an [`OrdinaryNode`] to its driver.
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

/// What an [`OrdinaryNode`] has to say.
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
        /// Its STUN servers, `stun:host:port`.
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
    /// Super nodes that an associated one named; worth keeping for the next start.
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

/// A node that lacks the duty of a super node: it associates with two of them and uses their overlay.
#[derive(Debug)]
pub struct OrdinaryNode {
    config: OrdinaryConfig,
    next: u64,
    outbox: Outbox<OrdinaryOutput>,
}

impl OrdinaryNode {
    /// Starts a node; it dials at once.
    #[must_use]
    pub fn new(config: OrdinaryConfig, _now: Instant) -> Self {
        Self {
            config,
            next: 0,
            outbox: Outbox::default(),
        }
    }

    /// The overlay that it is a member of.
    #[must_use]
    pub fn overlay(&self) -> OverlayId {
        self.config.anchor.overlay()
    }

    /// The associations that stand: link, super node, URL.
    pub fn associations(&self) -> impl Iterator<Item = (LinkId, NodeId, &str)> {
        core::iter::empty()
    }

    /// Looks a key up (draft §9). Ends with [`OrdinaryEvent::Records`] with `last`, or [`OrdinaryEvent::GetFailed`].
    ///
    /// With an `owner`, records of anybody else under the key are left out.
    pub fn get(
        &mut self,
        overlay: OverlayId,
        _key: Key,
        _owner: Option<&str>,
        _reading: Reading,
        _now: Instant,
    ) -> QueryId {
        let query = self.query();
        let error = if overlay == self.overlay() {
            GetError::NoSuperNode
        } else {
            GetError::NotAMember(overlay)
        };
        self.event(OrdinaryEvent::GetFailed { query, error });
        query
    }

    /// Places a record beside those that exist (draft §9); fails if the same owner and device has one there.
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn add(
        &mut self,
        overlay: OverlayId,
        _key: Key,
        _body: Vec<u8>,
        _placement: Placement,
        _now: Instant,
    ) -> QueryId {
        self.place(overlay)
    }

    /// Replaces the record of this owner and device, or creates it (draft §9).
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn update(
        &mut self,
        overlay: OverlayId,
        _key: Key,
        _body: Vec<u8>,
        _placement: Placement,
        _now: Instant,
    ) -> QueryId {
        self.place(overlay)
    }

    /// Removes this owner's records under the key (draft §9): those of one device, or of all.
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn remove(
        &mut self,
        overlay: OverlayId,
        _key: Key,
        _instance: Option<Instance>,
        _now: Instant,
    ) -> QueryId {
        self.place(overlay)
    }

    /// Forgets a call; no event follows for it.
    pub fn cancel(&mut self, _query: QueryId) {}

    /// Replaces the credential by a renewed one. Associations stay; the next ones use it.
    pub fn renew(&mut self, certificate: Certificate, _now: Instant) {
        self.config.certificate = certificate;
    }

    /// Ends all associations and dials no more: the user signed out.
    pub fn leave(&mut self, _now: Instant) {}

    fn place(&mut self, overlay: OverlayId) -> QueryId {
        let query = self.query();
        let error = if overlay == self.overlay() {
            PlaceError::NoSuperNode
        } else {
            PlaceError::NotAMember(overlay)
        };
        self.event(OrdinaryEvent::PlaceFailed { query, error });
        query
    }

    fn query(&mut self) -> QueryId {
        self.next += 1;
        QueryId(self.next)
    }

    fn event(&mut self, event: OrdinaryEvent) {
        self.outbox.push(OrdinaryOutput::Event(event));
    }
}

impl Machine for OrdinaryNode {
    type Input = OrdinaryInput;
    type Output = OrdinaryOutput;

    fn handle_input(&mut self, _input: OrdinaryInput, _now: Instant) {}

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<OrdinaryOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
