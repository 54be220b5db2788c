//! The P2P UA (draft §4.1).

mod directory;
mod layers;
mod registration;
mod ua;

use alloc::string::String;
use alloc::vec::Vec;

use credential::{
    Certificate, NodeId, RevocationList, Sign, Signed, TrustAnchor, Verified, Verify,
};
use machine::WallClock;

use crate::{CallId, Caller, Candidate, EndReason, LinkId};

pub use ua::Peer;

/// Where a super node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its id, if it is known; whoever answers must prove this one then.
    pub node: Option<NodeId>,
    /// Its WebSocket address, `wss://host:port/p2psip`.
    pub url: String,
}

/// What a peer starts from.
#[derive(Debug, Clone)]
pub struct Config {
    /// The overlay's authority, pinned at sign-in.
    pub anchor: TrustAnchor,
    /// The user's certificate.
    pub certificate: Certificate,
    /// The name that is shown to the called; nobody vouches for it.
    pub name: Option<String>,
    /// Super nodes to try, the best first: the page's own, those of earlier runs, the bootstrap server's.
    pub super_nodes: Vec<Contact>,
    /// The newest revocation list of earlier runs.
    pub revocations: Option<RevocationList>,
    /// Fresh randomness.
    pub seed: [u8; 32],
    /// The date.
    pub wall: WallClock,
}

/// What the driver tells a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A link that was dialled stands; the subprotocol is `p2psip.1`.
    Opened {
        /// Which.
        link: LinkId,
    },
    /// A link broke, or never came to stand. Nothing more will come on it.
    Closed {
        /// Which.
        link: LinkId,
    },
    /// Whoever was dialled closed the connection before a word was said, as a super node does that has too much to do. A
    /// browser can't tell that from [`Input::Closed`].
    Busy {
        /// Which.
        link: LinkId,
    },
    /// A binary message arrived.
    Frame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A text message arrived.
    Text {
        /// On which link.
        link: LinkId,
        /// The message.
        text: String,
    },
    /// Answers [`Output::Sign`].
    Signed(Signed),
    /// Answers [`Output::Verify`].
    Verified(Verified),
    /// The network has changed or is back (the browser's `online`), or the device woke up: try the links at once.
    Network,
}

/// What a peer wants of its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open a WebSocket with the subprotocol `p2psip.1`.
    Dial {
        /// Its name from now on.
        link: LinkId,
        /// Where to.
        url: String,
    },
    /// Close a link. Nothing more is wanted of it, no [`Input::Closed`] is needed.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Send a binary message.
    Frame {
        /// On which link.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send a text message.
    Text {
        /// On which link.
        link: LinkId,
        /// The message.
        text: String,
    },
    /// Sign with the user's key.
    Sign(Sign),
    /// Check a signature.
    Verify(Verify),
    /// Something for the user.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// How many associations stand has changed. With at least one, calls can be made.
    Associations {
        /// How many stand.
        up: usize,
    },
    /// A super node named others and its STUN servers. Keep them for the next start.
    Welcome {
        /// Super nodes to try at the next start, in this order. The serving one is the first if it wants that; else it stands
        /// behind those that it named.
        super_nodes: Vec<Contact>,
        /// `stun:host:port` of each.
        stun: Vec<String>,
    },
    /// A newer revocation list came. Keep it for the next start.
    Revocations(RevocationList),
    /// The location record is placed: the user can be called.
    Online,
    /// The location record can't be placed now; it is tried again.
    NotOnline,
    /// The location record is removed after [`Peer::go_offline`], or there was none.
    Offline,
    /// Someone calls. His identity is proved, the fingerprint in the offer is the one he signed, his device hears that
    /// this one rings. Answer it by [`Peer::answer`], [`Peer::decline`] or [`Peer::hang_up`].
    Incoming {
        /// The call.
        call: CallId,
        /// Who.
        caller: Caller,
        /// His SDP.
        offer: String,
    },
    /// A call that this user can't take, because he is in another, was refused as busy.
    Missed {
        /// Who.
        caller: Caller,
    },
    /// A device of the callee rings.
    Ringing {
        /// The call.
        call: CallId,
    },
    /// The callee answered; the fingerprint in the SDP is the one in his signed record.
    Answered {
        /// The call.
        call: CallId,
        /// His SDP.
        answer: String,
        /// He is at a phone, for which a super node speaks: keys and sound are that one's.
        bridged: bool,
    },
    /// The caller has received the answer.
    Established {
        /// The call.
        call: CallId,
    },
    /// ICE candidates of the other side.
    Candidates {
        /// The call.
        call: CallId,
        /// The candidates.
        candidates: Vec<Candidate>,
        /// No more will come of this generation.
        complete: bool,
    },
    /// The other side offers to renegotiate; answer by [`Peer::answer`] or [`Peer::refuse_offer`].
    Offered {
        /// The call.
        call: CallId,
        /// Its SDP.
        offer: String,
    },
    /// The other side answered a renegotiation.
    Renegotiated {
        /// The call.
        call: CallId,
        /// Its SDP.
        answer: String,
    },
    /// The other side did not take a renegotiation; the call goes on as it was, roll the offer back.
    NotRenegotiated {
        /// The call.
        call: CallId,
        /// Both offered at once: try again after a moment.
        glare: bool,
    },
    /// A call is over. The last event of every call, and there is always one.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        reason: EndReason,
        /// Whether the other side, or the network, ended it.
        remote: bool,
    },
    /// Somebody misbehaves or something needs the user. For a log or a notice; nothing has to be done.
    Problem(Problem),
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The user's own certificate has expired or was revoked: sign in again.
    CredentialExpired,
    /// A super node sent what is no message of this overlay.
    Frame,
    /// A super node could not prove what it is.
    SuperNode,
    /// Somebody sent SIP that can't be read or belongs to nothing.
    Sip,
    /// Somebody's INVITE was not proved and was refused; nothing rang.
    Identity,
    /// A location record was not usable.
    Record,
}

impl Problem {
    /// The problem as the JavaScript API spells it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CredentialExpired => "credential-expired",
            Self::Frame => "bad-frame",
            Self::SuperNode => "super-node-refused",
            Self::Sip => "bad-sip",
            Self::Identity => "identity-refused",
            Self::Record => "record-refused",
        }
    }
}
