//! What a super node runs: the overlay's super node, and the SIP edge of the ordinary nodes associated with it.
//!
//! The driver numbers all links, those of ordinary nodes and those to other super nodes, out of one counter.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, Instance, MemberStatement, NodeId, RevocationList, Sign, Signed, TrustAnchor,
    Verified, Verify,
};
use machine::{Instant, Machine, Outbox, WallClock};

use crate::LinkId;

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
    /// The membership has changed.
    Members {
        /// The other super nodes: id, WebSocket address, QUIC address.
        members: Vec<(NodeId, String, String)>,
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
    /// A newer revocation list, verified: worth keeping, and to be obeyed by the TLS of further links.
    Revocations(RevocationList),
    /// Somebody broke a protocol; what he sent was dropped or answered by a refusal.
    Misbehaved {
        /// The ordinary node's link, if it was one.
        link: Option<LinkId>,
        /// What he did, for a person to read.
        how: &'static str,
    },
}

/// A super node: the overlay's part and the SIP edge.
#[derive(Debug)]
pub struct SuperNode {
    outbox: Outbox<SuperNodeOutput>,
}

impl SuperNode {
    /// A super node that begins to join at once.
    #[must_use]
    pub fn new(config: SuperNodeConfig, now: Instant) -> Self {
        let _ = (config, now);
        Self {
            outbox: Outbox::default(),
        }
    }

    /// Leaves the overlay: hands its records on, says so, and closes its links.
    pub fn leave(&mut self, now: Instant) {
        let _ = now;
    }

    /// Takes over a renewed certificate and statement of the same node.
    pub fn set_credential(
        &mut self,
        certificate: Certificate,
        statement: MemberStatement,
        now: Instant,
    ) {
        let _ = (certificate, statement, now);
    }
}

impl Machine for SuperNode {
    type Input = SuperNodeInput;
    type Output = SuperNodeOutput;

    fn handle_input(&mut self, input: SuperNodeInput, now: Instant) {
        let _ = (input, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    fn poll_output(&mut self) -> Option<SuperNodeOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
