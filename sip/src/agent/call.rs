use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::Job;
use machine::Instant;

use super::dialog::Dialog;
use super::exchange::Exchange;
use super::invitation::Invitation;
use super::line::Line;
use super::outgoing::Leg;
use super::proof::Verification;
use super::reply::Reply;
use super::server::Arrival;
use super::{CallId, Candidate, EndReason, Event, Target};

/// How long an outgoing call waits for somebody to answer.
pub(super) const NO_ANSWER: Duration = Duration::from_secs(60);
/// How long an incoming call rings if nobody stops it; longer than any caller waits.
pub(super) const RING_LIMIT: Duration = Duration::from_secs(70);
/// How long a call that is over is remembered, for copies of its messages.
const LINGER: Duration = Duration::from_secs(40);
/// How long changes of the super nodes are gathered before the peers are told.
pub(super) const SETTLE: Duration = Duration::from_millis(500);
/// How long a look-up asked for may take.
pub(super) const LOOK_UP: Duration = Duration::from_secs(8);
/// A deadline that never comes.
pub(super) const NEVER: Instant = Instant::new(Duration::MAX);

/// Where a call stands. A call is unanswered before [`Answered`](Self::Answered).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// A call of this user agent, with everything that is under way for it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) outgoing: bool,
    pub(super) phase: Phase,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// The peer's address of record.
    pub(super) peer: String,
    /// The description of this side that is in force or offered.
    pub(super) description: String,
    /// The Identity of the first offer, empty before it is signed.
    pub(super) identity: String,
    pub(super) targets: Vec<Target>,
    pub(super) legs: Vec<Leg>,
    pub(super) dialogs: Vec<Dialog>,
    /// The dialog of the call: the one answered, or the caller's.
    pub(super) current: Option<usize>,
    /// The requests of this side.
    pub(super) exchanges: Vec<Exchange>,
    /// The INVITEs of the other.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) invitation: Option<Invitation>,
    /// The Identity that is being signed.
    pub(super) signing: Option<(Job, String)>,
    pub(super) verification: Option<Verification>,
    pub(super) renegotiation: Option<Renegotiation>,
    /// The local candidates of one ICE generation, and whether they are all.
    pub(super) candidates: Vec<Candidate>,
    pub(super) complete: bool,
    pub(super) ringing: bool,
    /// Hung up between answer and confirmation: the BYE must wait (RFC 3261, section 15).
    pub(super) bye_waits: bool,
    /// When to give up: nobody answers, or nobody looks up.
    pub(super) deadline: Instant,
    pub(super) look_up: Instant,
    /// When to tell the peer of changed super nodes.
    pub(super) refresh: Instant,
    /// When to forget a call that is over.
    pub(super) forget: Instant,
}

/// A renegotiation that this side wants.
#[derive(Debug)]
pub(super) struct Renegotiation {
    pub(super) sdp: String,
    /// The re-INVITE has left.
    pub(super) sent: bool,
    /// After glare: when the layer above may try again.
    pub(super) retry: Instant,
}

impl Call {
    pub(super) fn new(id: CallId, outgoing: bool, names: [String; 3]) -> Self {
        let [call_id, local_tag, peer] = names;
        Self {
            id,
            outgoing,
            phase: if outgoing {
                Phase::Preparing
            } else {
                Phase::Verifying
            },
            call_id,
            local_tag,
            peer,
            description: String::new(),
            identity: String::new(),
            targets: Vec::new(),
            legs: Vec::new(),
            dialogs: Vec::new(),
            current: None,
            exchanges: Vec::new(),
            arrivals: Vec::new(),
            invitation: None,
            signing: None,
            verification: None,
            renegotiation: None,
            candidates: Vec::new(),
            complete: false,
            ringing: false,
            bye_waits: false,
            deadline: NEVER,
            look_up: NEVER,
            refresh: NEVER,
            forget: NEVER,
        }
    }

    pub(super) fn dialog(&mut self) -> Option<&mut Dialog> {
        self.dialogs.get_mut(self.current?)
    }

    pub(super) fn is_unanswered(&self) -> bool {
        self.phase < Phase::Answered
    }

    /// An offer of this side is under way, and no answer to it.
    pub(super) fn offers(&self) -> bool {
        let renegotiation = self.renegotiation.as_ref();
        renegotiation.is_some_and(|one| one.retry == NEVER)
    }

    /// Ends the call in any state: CANCEL, 603 or BYE as fits.
    pub(super) fn hang_up(&mut self, line: &mut Line) {
        match self.phase {
            Phase::Preparing | Phase::Calling => {
                let reason = "SIP;cause=487;text=\"Request Terminated\"";
                self.cancel_legs(None, reason, line);
                self.end(EndReason::Cancelled, false, line);
            }
            Phase::Verifying | Phase::Alerting => self.refuse_call(603, EndReason::Declined, line),
            Phase::Answered => {
                self.bye_waits = true;
                self.end(EndReason::HungUp, false, line);
            }
            Phase::Established => {
                self.bye("", line);
                self.end(EndReason::HungUp, false, line);
            }
            Phase::Over => {}
        }
    }

    /// Tells the end of the call, once, and lets what is under way run out.
    pub(super) fn end(&mut self, reason: EndReason, remote: bool, line: &mut Line) {
        if self.phase == Phase::Over {
            return;
        }
        if self.phase != Phase::Verifying {
            let call = self.id;
            line.tell(Event::Ended {
                call,
                reason,
                remote,
            });
        }
        self.phase = Phase::Over;
        self.deadline = NEVER;
        self.renegotiation = None;
        self.verification = None;
        self.forget = line.now + LINGER;
    }

    pub(super) fn timeouts(&mut self, line: &mut Line) {
        let now = line.now;
        self.exchange_timeouts(line);
        self.arrival_timeouts(line);
        if self.look_up <= now {
            self.locations(Vec::new(), line);
        }
        if self.refresh <= now {
            self.refresh(line);
        }
        self.invitation_timeout(line);
        self.glare_timeout(line);
        if self.deadline <= now {
            self.deadline = NEVER;
            match self.phase {
                Phase::Preparing | Phase::Calling => {
                    self.cancel_legs(None, "SIP;cause=408;text=\"Request Timeout\"", line);
                    self.end(EndReason::NoAnswer, false, line);
                }
                Phase::Verifying | Phase::Alerting => {
                    self.refuse(Reply::new(480), EndReason::NoAnswer, false, line);
                }
                Phase::Answered | Phase::Established | Phase::Over => {}
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let mut next = self.deadline.min(self.look_up);
        next = next.min(self.refresh).min(self.forget);
        if let Some(invitation) = &self.invitation {
            next = next.min(invitation.poll_timeout());
        }
        if let Some(renegotiation) = &self.renegotiation {
            next = next.min(renegotiation.retry);
        }
        for exchange in &self.exchanges {
            next = next.min(exchange.poll_timeout());
        }
        for arrival in &self.arrivals {
            next = next.min(arrival.poll_timeout());
        }
        next
    }
}
