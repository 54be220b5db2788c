//! What goes into a user agent and what comes out.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Instance, NodeId, RevocationList, Sign, Signed, Verified, Verify};
use machine::WallClock;

use crate::sdp::Fingerprint;

/// A flow to a super node (RFC 5626), numbered by the layer above. A number is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// A call of this user agent, incoming or outgoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Who this user agent speaks for.
#[derive(Debug, Clone)]
pub struct Account {
    /// The certified SIP URI, `sip:alice@example.org`.
    pub uri: String,
    /// The name that a person reads.
    pub name: Option<String>,
    /// The certified device.
    pub instance: Instance,
    /// The certificate, DER, that goes along with every Identity.
    pub certificate: Vec<u8>,
}

/// One device of the callee, out of its verified location record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The device.
    pub instance: Instance,
    /// Its GRUU, the Request-URI: `sip:bob@example.org;gr=urn:uuid:..`.
    pub uri: String,
    /// Its super nodes, best first.
    pub routes: Vec<NodeId>,
    /// The fingerprints its answer may have.
    pub fingerprints: Vec<Fingerprint>,
    /// It is a super node that speaks for a phone: keys and sound are that one's.
    pub bridged: bool,
}

/// An ICE candidate as browsers hand it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The media section (`a=mid`) it belongs to.
    pub mid: String,
    /// The attribute's text, `candidate:1 1 udp ...`, without `a=`.
    pub line: String,
    /// The ICE generation (`a=ice-ufrag`) it belongs to.
    pub ufrag: String,
}

/// Who calls, as proved by the Identity header of his INVITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The verified SIP URI.
    pub uri: String,
    /// The name he gives himself: never verified.
    pub name: Option<String>,
    /// The device that calls.
    pub instance: Instance,
    /// A super node signed for him, because he calls from a phone: keys and sound are that one's.
    pub bridged: bool,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Somebody hung up.
    HungUp,
    /// The caller gave up before an answer.
    Cancelled,
    /// The callee did not want the call (603).
    Declined,
    /// The callee is in another call (486).
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// There is no such user (404).
    NotFound,
    /// No device of the callee can be reached (430, 480).
    Offline,
    /// Another device of the callee answered.
    AnsweredElsewhere,
    /// An INVITE was not proved by a valid Identity (428, 438, 403).
    IdentityRefused,
    /// A description's fingerprint is not the signed one.
    MediaRefused,
    /// A certificate has expired or is not trusted (437).
    CredentialExpired,
    /// The other side can't take part in this kind of media (488, 606).
    NotAcceptable,
    /// The path to the other side was lost.
    Network,
    /// Refused with another SIP status.
    Failed(u16),
}

/// How a peer broke the protocol. The message was refused or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Not a readable SIP message.
    Malformed,
    /// A response that belongs to nothing.
    StrayResponse,
    /// A request in a dialog that does not exist.
    StrayRequest,
    /// An Identity that does not hold.
    BadIdentity,
    /// Too many calls at once.
    TooManyCalls,
}

/// Facts for the user agent.
#[derive(Debug)]
pub enum Input {
    /// A flow to a super node is up.
    FlowUp {
        /// Its number.
        flow: FlowId,
        /// The super node at its other end.
        super_node: NodeId,
        /// Whether it runs over TLS (`wss:`).
        secure: bool,
    },
    /// A flow is gone.
    FlowDown {
        /// Its number.
        flow: FlowId,
    },
    /// A SIP message came in on a flow.
    Received {
        /// The flow.
        flow: FlowId,
        /// The whole message.
        message: Vec<u8>,
    },
    /// A [`Sign`] was done.
    Signed(Signed),
    /// A [`Verify`] was done.
    Verified(Verified),
    /// A newer revocation list came along.
    Revocations(RevocationList),
    /// The account's certificate (or name) was renewed.
    Renewed(Account),
    /// The date as the network sees it: the device's own clock may be wrong, and identities are dated.
    Clock(WallClock),
}

/// Requests of the user agent.
#[derive(Debug)]
pub enum Output {
    /// Send a SIP message on a flow.
    Send {
        /// The flow, one that is up.
        flow: FlowId,
        /// The whole message.
        message: Vec<u8>,
    },
    /// Sign with the account's key; answer by [`Input::Signed`].
    Sign(Sign),
    /// Check a signature; answer by [`Input::Verified`].
    Verify(Verify),
    /// Something the layer above should know.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A call comes in, its caller verified. Answer with [`UserAgent::ring`](crate::UserAgent::ring) and then one of
    /// [`answer`](crate::UserAgent::answer), [`decline`](crate::UserAgent::decline) and [`busy`](crate::UserAgent::busy).
    Incoming {
        /// The call.
        call: CallId,
        /// Who calls.
        caller: Caller,
        /// The SDP offer; its fingerprints are signed by the caller.
        offer: String,
    },
    /// An outgoing call rings at a device of the callee.
    Ringing {
        /// The call.
        call: CallId,
        /// The first device that rings.
        instance: Instance,
    },
    /// An outgoing call was answered.
    Answered {
        /// The call.
        call: CallId,
        /// The device.
        instance: Instance,
        /// It is a super node that speaks for a phone.
        bridged: bool,
        /// The SDP answer; its fingerprints are among the expected.
        answer: String,
    },
    /// The caller has confirmed that he got the answer to an incoming call (ACK).
    Established {
        /// The call.
        call: CallId,
    },
    /// Candidates of the peer (RFC 8840).
    Candidates {
        /// The call.
        call: CallId,
        /// The new ones, in order.
        candidates: Vec<Candidate>,
        /// No more will come in this generation.
        complete: bool,
    },
    /// The peer offers to renegotiate (re-INVITE); answer with [`UserAgent::answer`](crate::UserAgent::answer) or
    /// [`UserAgent::refuse_offer`](crate::UserAgent::refuse_offer).
    Offered {
        /// The call.
        call: CallId,
        /// The SDP offer; its fingerprints are verified.
        offer: String,
    },
    /// The peer answered a renegotiation.
    Renegotiated {
        /// The call.
        call: CallId,
        /// The SDP answer; its fingerprints are verified.
        answer: String,
    },
    /// A renegotiation did not come about; the call goes on as it was, the local offer is to be rolled back.
    NotRenegotiated {
        /// The call.
        call: CallId,
        /// Whether both sides tried at once and this side should try again.
        glare: bool,
    },
    /// Every known location failed: look the peer up again and tell by [`UserAgent::locations`](crate::UserAgent::locations). May come after
    /// [`Ended`](Self::Ended), for a BYE that has not found its way yet.
    LocationsWanted {
        /// The call.
        call: CallId,
    },
    /// A call is over. Told once for every call that was told of, and its last event but for `LocationsWanted`.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        reason: EndReason,
        /// Whether the other side (or the network) ended it.
        remote: bool,
    },
    /// Somebody broke the protocol.
    Misbehaved {
        /// On which flow.
        flow: FlowId,
        /// How.
        how: Misbehaviour,
    },
}
