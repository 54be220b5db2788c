//! The user agent (RFC 3261 UAC and UAS) of one signed-in user.
//!
//! ```text
//! caller                              callee
//!   call(), offer(sdp), locations()
//!   ---------- INVITE (Identity) ------->   identity verified, then Event::Incoming
//!   <--------- 180 (100rel) -------------   ring()
//!   ---------- PRACK ------------------->
//!   <========= INFO trickle-ice ========>   candidate()
//!   <--------- 200 (answer) -------------   answer(sdp)
//!   Event::Answered once its fingerprint is one of the expected
//!   ---------- ACK --------------------->   Event::Established
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use credential::TrustAnchor;
use machine::{Instant, Machine, Rng, WallClock};

use crate::message::Message;

mod call;
mod client;
mod dialog;
mod exchange;
mod inside;
mod interface;
mod invitation;
mod line;
mod outgoing;
mod proof;
mod reply;
mod server;
mod trickle;

use call::{Call, NEVER, NO_ANSWER, Phase};
pub use interface::{
    Account, CallId, Caller, Candidate, EndReason, Event, FlowId, Input, Misbehaviour, Output,
    Target,
};
use line::{Flow, Line, canonical};
use reply::Reply;

/// How many calls may be in progress.
const MAXIMUM_CALLS: usize = 16;
/// How many calls, also such as are over, are remembered.
const MAXIMUM_REMEMBERED: usize = 128;

/// The SIP user agent of one signed-in user on one device.
#[derive(Debug)]
pub struct UserAgent {
    line: Line,
    /// In the order in which they began.
    calls: Vec<Call>,
    last_call: u64,
}

impl UserAgent {
    /// A user agent that speaks for `account` and believes in `anchor`.
    #[must_use]
    pub fn new(account: Account, anchor: TrustAnchor, wall: WallClock, rng: Rng) -> Self {
        Self {
            line: Line::new(account, anchor, wall, rng),
            calls: Vec::new(),
            last_call: 0,
        }
    }

    /// Starts a call to the user `peer` (`sip:bob@example.org`).
    ///
    /// The INVITE leaves when there are both an [`offer`](Self::offer) and [`locations`](Self::locations), whichever
    /// comes first, so that microphone and look-up run side by side. A call beyond the limit ends at once with
    /// [`EndReason::Busy`].
    pub fn call(&mut self, peer: &str, now: Instant) -> CallId {
        self.line.now = now;
        let full = self.in_progress() >= MAXIMUM_CALLS;
        let call_id = self.line.word();
        let (call, line) = self.new_call(true, call_id, canonical(peer));
        if full {
            call.end(EndReason::Busy, false, line);
        } else {
            call.deadline = now + NO_ANSWER;
        }
        call.id
    }

    /// Gives the SDP offer of an outgoing call. An offer with a section that has no fingerprint ends the call with
    /// [`EndReason::NotAcceptable`].
    pub fn offer(&mut self, call: CallId, sdp: String, now: Instant) {
        self.with(call, now, |call, line| call.offer(sdp, line));
    }

    /// Gives the verified locations of the peer, for a new call, after [`Event::LocationsWanted`], or when more or newer
    /// ones turn up: devices that don't ring yet are called too. None at all ends a call that isn't answered yet with
    /// [`EndReason::Offline`].
    pub fn locations(&mut self, call: CallId, targets: Vec<Target>, now: Instant) {
        self.with(call, now, |call, line| call.locations(targets, line));
    }

    /// Tells the caller that this device rings (180).
    pub fn ring(&mut self, call: CallId, now: Instant) {
        self.with(call, now, Call::ring);
    }

    /// Answers an incoming call, or the peer's offer to renegotiate.
    pub fn answer(&mut self, call: CallId, sdp: String, now: Instant) {
        self.with(call, now, |call, line| call.answer(sdp, line));
    }

    /// Refuses the peer's offer to renegotiate (488); the call goes on as it was.
    pub fn refuse_offer(&mut self, call: CallId, now: Instant) {
        self.with(call, now, Call::refuse_offer);
    }

    /// Declines an incoming call for all devices of the user (603).
    pub fn decline(&mut self, call: CallId, now: Instant) {
        self.refuse_call(call, 603, EndReason::Declined, now);
    }

    /// Says that this user is in another call (486).
    pub fn busy(&mut self, call: CallId, now: Instant) {
        self.refuse_call(call, 486, EndReason::Busy, now);
    }

    /// Says that an incoming call can't be taken with the media that this device has (488).
    pub fn not_acceptable(&mut self, call: CallId, now: Instant) {
        self.refuse_call(call, 488, EndReason::NotAcceptable, now);
    }

    /// Says that this device goes away (480). The user's other devices ring on.
    pub fn unavailable(&mut self, call: CallId, now: Instant) {
        self.refuse_call(call, 480, EndReason::Offline, now);
    }

    fn refuse_call(&mut self, call: CallId, status: u16, reason: EndReason, now: Instant) {
        self.with(call, now, |call, line| {
            call.refuse_call(status, reason, line);
        });
    }

    /// Ends a call in any state: CANCEL, 603 or BYE as fits.
    pub fn hang_up(&mut self, call: CallId, now: Instant) {
        self.with(call, now, Call::hang_up);
    }

    /// Offers to renegotiate an established call (re-INVITE with a fresh Identity): ICE restart, camera. Ends with
    /// [`Event::Renegotiated`] or [`Event::NotRenegotiated`]. One at a time: another before that is ignored.
    pub fn renegotiate(&mut self, call: CallId, sdp: String, now: Instant) {
        self.with(call, now, |call, line| call.renegotiate(sdp, line));
    }

    /// Sends a local candidate to the peer, as soon as a dialog allows.
    pub fn candidate(&mut self, call: CallId, candidate: Candidate, now: Instant) {
        self.with(call, now, |call, line| call.candidate(candidate, line));
    }

    /// Says that no more local candidates come in this generation.
    pub fn end_of_candidates(&mut self, call: CallId, now: Instant) {
        self.with(call, now, Call::end_of_candidates);
    }

    /// Does something with a call, if it is known.
    fn with(&mut self, id: CallId, now: Instant, act: impl FnOnce(&mut Call, &mut Line)) {
        if let Some((call, line)) = self.find(id, now) {
            act(call, line);
        }
    }

    fn find(&mut self, id: CallId, now: Instant) -> Option<(&mut Call, &mut Line)> {
        self.line.now = now;
        let call = self.calls.iter_mut().find(|call| call.id == id)?;
        Some((call, &mut self.line))
    }

    fn new_call(
        &mut self,
        outgoing: bool,
        call_id: String,
        peer: String,
    ) -> (&mut Call, &mut Line) {
        if self.calls.len() >= MAXIMUM_REMEMBERED
            && let Some(oldest) = self.calls.iter().position(|call| call.phase == Phase::Over)
        {
            self.calls.remove(oldest);
        }
        self.last_call += 1;
        let names = [call_id, self.line.word(), peer];
        let call = Call::new(CallId(self.last_call), outgoing, names);
        (self.calls.push_mut(call), &mut self.line)
    }

    fn in_progress(&self) -> usize {
        let calls = self.calls.iter();
        calls.filter(|call| call.phase != Phase::Over).count()
    }

    fn receive(&mut self, flow: FlowId, bytes: Vec<u8>) {
        if self.line.flow(flow).is_none() {
            return;
        }
        let misbehaved = match Message::parse(bytes) {
            Ok(message) if message.is_request() => self.receive_request(flow, &message),
            Ok(message) => {
                (!self.receive_response(&message)).then_some(Misbehaviour::StrayResponse)
            }
            Err(malformed) => {
                if let Some(request) = malformed.request {
                    let reply = Reply::warning(malformed.flaw.status(), &malformed.flaw.text());
                    self.answer_once(flow, &request, &reply);
                }
                Some(Misbehaviour::Malformed)
            }
        };
        if let Some(how) = misbehaved {
            self.line.tell(Event::Misbehaved { flow, how });
        }
    }

    /// A response came in. False if it belongs to nothing.
    fn receive_response(&mut self, message: &Message) -> bool {
        // More than one Via: it was never meant for this user agent (RFC 3261, section 8.1.3.3).
        let mut vias = message.list(crate::message::Name::Via);
        let (Some(status), Some(via), (Some(_), None)) =
            (message.status(), message.via(), (vias.next(), vias.next()))
        else {
            return false;
        };
        let (branch, line) = (via.branch().unwrap_or(""), &mut self.line);
        let mut calls = self.calls.iter_mut();
        calls.any(|call| call.receive_response(branch, status, message, line))
    }
}

impl Machine for UserAgent {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        let line = &mut self.line;
        line.now = now;
        match input {
            Input::FlowUp {
                flow: id,
                super_node: node,
                secure,
            } => {
                line.remove_flow(id);
                line.flows.push(Flow { id, node, secure });
                for call in &mut self.calls {
                    call.flows_changed(line);
                    call.respond_again(line);
                    call.resume(line);
                }
            }
            Input::FlowDown { flow } => {
                line.remove_flow(flow);
                for call in &mut self.calls {
                    call.flows_changed(line);
                    call.fail_flow(flow, line);
                }
            }
            Input::Received { flow, message } => self.receive(flow, message),
            Input::Signed(signed) => {
                for call in &mut self.calls {
                    call.signed(&signed, line);
                }
            }
            Input::Verified(verified) => {
                for call in &mut self.calls {
                    call.verified(&verified, line);
                }
            }
            Input::Revocations(list) => line.revocations = list,
            Input::Renewed(account) => {
                line.own = canonical(&account.uri);
                line.account = account;
            }
            Input::Clock(wall) => line.wall = wall,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.line.now = now;
        while let Some(old) = self.calls.iter().position(|call| call.forget <= now) {
            self.calls.remove(old);
        }
        for call in &mut self.calls {
            call.timeouts(&mut self.line);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.line.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let next = self.calls.iter().map(Call::poll_timeout);
        next.min().filter(|next| *next < NEVER)
    }
}
