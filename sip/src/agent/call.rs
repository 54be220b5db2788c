use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::dialog::Dialog;
use super::exchange::ExchangeId;
use super::{Candidate, EndReason, Target};
use crate::identity::Presented;
use crate::message::Message;
use crate::transaction::T1;

/// How long an outgoing call waits for somebody to answer.
pub(super) const NO_ANSWER: Duration = Duration::from_secs(60);
/// How long an incoming call rings if nobody stops it; longer than any caller waits.
pub(super) const RING_LIMIT: Duration = Duration::from_secs(70);
/// How long a call that is over is remembered, for copies of its messages.
pub(super) const LINGER: Duration = Duration::from_secs(40);
/// How long changes of the super nodes are gathered before the peers are told.
pub(super) const SETTLE: Duration = Duration::from_millis(500);
/// How long a look-up asked for may take.
pub(super) const LOOK_UP: Duration = Duration::from_secs(8);

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Outgoing: offer, signature or locations are awaited.
    Preparing,
    /// Outgoing: the INVITEs are under way.
    Calling,
    /// Incoming: the Identity is being verified; nobody was told.
    Verifying,
    /// Incoming: the user was told.
    Alerting,
    /// Incoming: answered, not confirmed.
    Answered,
    /// Both sides have answer and confirmation.
    Established,
    /// The end was told; what is under way runs out.
    Over,
}

/// A call of this user agent.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) outgoing: bool,
    pub(super) phase: Phase,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// The peer's address of record.
    pub(super) peer: String,
    /// The description of this side that is in force or offered.
    pub(super) description: String,
    /// The Identity of the first offer.
    pub(super) identity: Option<String>,
    pub(super) targets: Option<Vec<Target>>,
    pub(super) legs: Vec<Leg>,
    pub(super) dialogs: Vec<Dialog>,
    /// The dialog of the call: the one answered, or the caller's.
    pub(super) current: Option<usize>,
    pub(super) invitation: Option<Invitation>,
    pub(super) verification: Option<Verification>,
    pub(super) renegotiation: Option<Renegotiation>,
    pub(super) candidates: Candidates,
    pub(super) ringing: bool,
    /// Hung up between answer and confirmation: the BYE must wait (RFC 3261, section 15).
    pub(super) bye_waits: bool,
    /// When to give up: nobody answers, or nobody looks up.
    pub(super) deadline: Option<Instant>,
    pub(super) look_up: Option<Instant>,
    /// When to tell the peer of changed super nodes.
    pub(super) refresh: Option<Instant>,
    /// When to forget a call that is over.
    pub(super) forget: Option<Instant>,
}

impl Call {
    pub(super) fn new(outgoing: bool, call_id: String, tag: String, peer: String) -> Self {
        Self {
            outgoing,
            phase: if outgoing {
                Phase::Preparing
            } else {
                Phase::Verifying
            },
            call_id,
            local_tag: tag,
            peer,
            description: String::new(),
            identity: None,
            targets: None,
            legs: Vec::new(),
            dialogs: Vec::new(),
            current: None,
            invitation: None,
            verification: None,
            renegotiation: None,
            candidates: Candidates::default(),
            ringing: false,
            bye_waits: false,
            deadline: None,
            look_up: None,
            refresh: None,
            forget: None,
        }
    }

    pub(super) fn dialog(&mut self) -> Option<&mut Dialog> {
        self.dialogs.get_mut(self.current?)
    }

    pub(super) fn is_unanswered(&self) -> bool {
        match self.phase {
            Phase::Preparing | Phase::Calling | Phase::Verifying | Phase::Alerting => true,
            Phase::Answered | Phase::Established | Phase::Over => false,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let invitation = self.invitation.as_ref().and_then(Invitation::poll_timeout);
        let glare = self.renegotiation.as_ref().and_then(|one| one.retry);
        [
            self.deadline,
            self.look_up,
            self.refresh,
            self.forget,
            invitation,
            glare,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// The INVITE to one device.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) target: Target,
    pub(super) exchange: ExchangeId,
    pub(super) dialog: Option<usize>,
    pub(super) ringing: bool,
    /// Why it failed.
    pub(super) failure: Option<EndReason>,
}

/// The local candidates of one ICE generation.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) list: Vec<Candidate>,
    pub(super) complete: bool,
}

/// A renegotiation that this side wants.
#[derive(Debug)]
pub(super) struct Renegotiation {
    pub(super) sdp: String,
    /// The re-INVITE has left.
    pub(super) sent: bool,
    /// After glare: when the layer above may try again.
    pub(super) retry: Option<Instant>,
}

/// What is checked of an INVITE's Identity.
#[derive(Debug)]
pub(super) struct Verification {
    pub(super) presented: Presented,
    pub(super) remaining: u8,
}

/// An INVITE or re-INVITE that came in, by one path or several.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) cseq: u32,
    pub(super) from_tag: String,
    pub(super) request: Message,
    /// The server transactions in which it came.
    pub(super) transactions: Vec<String>,
    pub(super) provisional: Option<Reply>,
    pub(super) answer: Option<Reply>,
    /// The RSeq of a reliable response that waits for its PRACK, or of a 2xx that waits for its ACK.
    pub(super) repeat: Option<Repeat>,
    pub(super) rseq: u32,
    pub(super) confirmed: bool,
}

impl Invitation {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.repeat.map(|repeat| repeat.at.min(repeat.end))
    }
}

/// Repeats a response until it is acknowledged (RFC 3261, section 13.3.1.4; RFC 3262, section 3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    pub(super) at: Instant,
    pub(super) interval: Duration,
    pub(super) end: Instant,
}

impl Repeat {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now + T1,
            interval: T1,
            end: now + 64 * T1,
        }
    }
}

/// A response but for what differs from transaction to transaction.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    /// With this user agent's Contact, as it is when the response is sent.
    pub(super) contact: bool,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            contact: false,
            content_type: "",
            body: Vec::new(),
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        for part in [name, ": ", value, "\r\n"] {
            self.headers.push_str(part);
        }
        self
    }

    pub(super) fn contact(mut self) -> Self {
        self.contact = true;
        self
    }

    pub(super) fn warning(self, sentence: &str) -> Self {
        let mut value = String::from("399 partyline ");
        value.push_str(&crate::header::quote(sentence));
        self.header("Warning", &value)
    }
}
