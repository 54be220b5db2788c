//! The callee's side: INVITE and re-INVITE until they are answered and confirmed.

use alloc::string::String;

use machine::Instant;

use super::call::{Call, NEVER, Phase, RING_LIMIT};
use super::dialog::Dialog;
use super::line::{Line, canonical};
use super::outgoing::FIRST;
use super::reply::Reply;
use super::server::{Arrival, cause};
use super::{EndReason, Event, FlowId, MAXIMUM_CALLS, Misbehaviour, UserAgent};
use crate::identity::IdentityError;
use crate::message::{Message, Name};
use crate::sdp::{self, Description};
use crate::text::{digits, fill, filled};
use crate::transaction::{PATIENCE, Repeat, T2};
use crate::uri::Uri;

/// By how many paths one INVITE is taken.
const MAXIMUM_PATHS: usize = 8;

/// An INVITE or re-INVITE that came in, by one path or several.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) cseq: u32,
    from_tag: String,
    /// The description it brought, until it is told.
    pub(super) offer: String,
    /// The peer understands 100rel.
    reliable: bool,
    provisional: Option<Reply>,
    answer: Option<Reply>,
    /// Repeats a response until it is acknowledged (RFC 3261, section 13.3.1.4; RFC 3262, section 3).
    pub(super) repeat: Option<Repeat>,
    /// When nobody will acknowledge it any more.
    end: Instant,
    /// The RSeq of the reliable response, 0 if there was none.
    pub(super) rseq: u32,
    confirmed: bool,
}

impl Invitation {
    /// There is no final response yet.
    pub(super) fn is_open(&self) -> bool {
        self.answer.is_none()
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let repeat = self.repeat.as_ref();
        repeat.map_or(NEVER, |repeat| repeat.at.min(self.end))
    }

    fn begin_to_repeat(&mut self, now: Instant) {
        self.repeat = Some(Repeat::new(now));
        self.end = now + PATIENCE;
    }

    /// The response as it stands.
    fn reply(&self) -> Option<&Reply> {
        self.answer.as_ref().or(self.provisional.as_ref())
    }
}

impl Call {
    /// Tells the caller that this device rings (180).
    pub(super) fn ring(&mut self, line: &mut Line) {
        let Some(invitation) = &mut self.invitation else {
            return;
        };
        if self.phase != Phase::Alerting || invitation.provisional.is_some() {
            return;
        }
        let mut reply = Reply::describing(180);
        if invitation.reliable {
            invitation.rseq = 1 + line.rng.below(1 << 16);
            invitation.begin_to_repeat(line.now);
            let rseq = digits(invitation.rseq.into());
            fill(
                &mut reply.headers,
                "Require: 100rel\r\nRSeq: %\r\n",
                &[&rseq],
            );
        }
        invitation.provisional = Some(reply);
        self.reply(line);
    }

    /// Answers an incoming call, or the peer's offer to renegotiate.
    pub(super) fn answer(&mut self, sdp: String, line: &mut Line) {
        let Some(invitation) = self.invitation.as_mut().filter(|one| one.is_open()) else {
            return;
        };
        match self.phase {
            Phase::Alerting => self.phase = Phase::Answered,
            Phase::Established if self.verification.is_none() => {}
            _ => return,
        }
        let mut reply = Reply::describing(200);
        reply.sdp = sdp.clone();
        self.description = sdp;
        self.deadline = NEVER;
        invitation.begin_to_repeat(line.now);
        invitation.answer = Some(reply);
        self.reply(line);
        self.trickle(line);
    }

    /// Refuses the peer's offer to renegotiate (488); the call goes on as it was.
    pub(super) fn refuse_offer(&mut self, line: &mut Line) {
        if self.phase == Phase::Established {
            self.refuse(Reply::new(488), EndReason::NotAcceptable, false, line);
        }
    }

    /// Refuses an incoming call that isn't answered yet.
    pub(super) fn refuse_call(&mut self, status: u16, reason: EndReason, line: &mut Line) {
        if !self.outgoing && self.is_unanswered() {
            self.refuse(Reply::new(status), reason, false, line);
        }
    }

    /// Answers the invitation by every path it came by.
    fn reply(&mut self, line: &mut Line) {
        if let Some(invitation) = &self.invitation
            && let Some(reply) = invitation.reply()
        {
            let arrivals = self.arrivals.iter_mut();
            for arrival in arrivals.filter(|one| one.cseq == invitation.cseq) {
                arrival.respond(reply, line);
            }
        }
    }

    /// Refuses the invitation. A call that isn't answered yet ends with it, one that is goes on.
    pub(super) fn refuse(
        &mut self,
        reply: Reply,
        reason: EndReason,
        remote: bool,
        line: &mut Line,
    ) {
        let Some(invitation) = self.invitation.as_mut().filter(|one| one.is_open()) else {
            return;
        };
        invitation.repeat = None;
        invitation.answer = Some(reply);
        self.verification = None;
        self.reply(line);
        if self.is_unanswered() {
            self.end(reason, remote, line);
        }
    }

    /// The other side hung up: an invitation in progress is refused, an answer no longer repeated.
    pub(super) fn abandon_invitation(&mut self, line: &mut Line) {
        self.refuse(Reply::new(487), EndReason::HungUp, true, line);
        if let Some(invitation) = &mut self.invitation {
            invitation.repeat = None;
        }
    }

    /// Says whether a request is a copy of the invitation by another path.
    fn is_invited_by(&self, message: &Message) -> bool {
        let same =
            |one: &Invitation| one.cseq == message.number() && one.from_tag == message.from_tag();
        self.call_id == message.call_id() && self.invitation.as_ref().is_some_and(same)
    }

    /// A copy of an INVITE by another path is answered as the first. Where the copy was made by a proxy, not by the
    /// caller's hedge, it did not name this device, and gets 482 (RFC 3261, section 8.2.2.2).
    fn merge(&mut self, flow: FlowId, message: &Message, line: &mut Line) -> Option<Reply> {
        let target = Uri::read(message.request_uri()).ok();
        let named = target.and_then(|uri| uri.instance()) == Some(line.account.instance);
        let same = |one: &&Arrival| one.cseq == message.number();
        let paths = self.arrivals.iter().filter(same).count();
        if !named && message.to_tag().is_empty() || paths >= MAXIMUM_PATHS {
            return Some(Reply::new(482));
        }
        let mut arrival = Arrival::new(message, &self.local_tag, flow, line);
        if let Some(reply) = self.invitation.as_ref().and_then(Invitation::reply) {
            arrival.respond(reply, line);
        }
        self.arrivals.push(arrival);
        None
    }

    /// A re-INVITE.
    pub(super) fn receive_reinvite(
        &mut self,
        at: usize,
        flow: FlowId,
        message: &Message,
        line: &mut Line,
    ) -> Option<Reply> {
        if self.is_invited_by(message) {
            return self.merge(flow, message, line);
        }
        let pending = self.invitation.as_ref().is_some_and(Invitation::is_open);
        let established = self.phase == Phase::Established && self.current == Some(at);
        let overtaken = self.dialogs[at].overtakes(message.number());
        if self.phase == Phase::Over {
            return Some(Reply::new(481));
        }
        if overtaken || pending || self.phase == Phase::Answered {
            let seconds = digits(1 + u64::from(line.rng.below(10)));
            return Some(Reply::with(500, &filled("Retry-After: %\r\n", &[&seconds])));
        }
        if self.offers() || !established {
            return Some(Reply::new(491));
        }
        match offer(message) {
            Ok(description) => {
                self.dialogs[at].refresh(message);
                self.invite(flow, message, &description, line);
                None
            }
            Err(refusal) => Some(refusal),
        }
    }

    /// Takes an INVITE or re-INVITE in and has its Identity checked.
    fn invite(
        &mut self,
        flow: FlowId,
        message: &Message,
        description: &Description<'_>,
        line: &mut Line,
    ) {
        let arrival = Arrival::new(message, &self.local_tag, flow, line);
        self.arrivals.push(arrival);
        let reliable = |name| message.lists(name, "100rel");
        self.invitation = Some(Invitation {
            cseq: message.number(),
            from_tag: message.from_tag().into(),
            offer: message.text().into(),
            reliable: reliable(Name::Supported) || reliable(Name::Require),
            provisional: None,
            answer: None,
            repeat: None,
            end: NEVER,
            rseq: 0,
            confirmed: false,
        });
        if let Err(error) = self.prove(message, description, line) {
            self.unproved(error, line);
        }
    }

    /// A CANCEL (RFC 3261, section 9.2): 200 whenever the INVITE is known, and 487 for that if it isn't answered.
    pub(super) fn receive_cancel(
        &mut self,
        at: usize,
        message: &Message,
        line: &mut Line,
    ) -> Reply {
        let reason = match cause(message) {
            200 => EndReason::AnsweredElsewhere,
            600..700 => EndReason::Declined,
            408 => EndReason::NoAnswer,
            _ => EndReason::Cancelled,
        };
        let cseq = self.arrivals[at].cseq;
        if self.invitation.as_ref().is_some_and(|one| one.cseq == cseq) {
            self.refuse(Reply::new(487), reason, true, line);
        }
        Reply::new(200)
    }

    /// The ACK of an answer.
    pub(super) fn receive_ack(&mut self, at: usize, message: &Message, line: &mut Line) {
        let Some(invitation) = &mut self.invitation else {
            return;
        };
        let answered = |one: &Reply| one.status < 300;
        if self.current != Some(at)
            || invitation.cseq != message.number()
            || !invitation.answer.as_ref().is_some_and(answered)
            || invitation.confirmed
        {
            return;
        }
        invitation.confirmed = true;
        invitation.repeat = None;
        self.dialogs[at].confirmed = true;
        self.dialogs[at].trickle.open = true;
        if self.phase == Phase::Answered {
            self.phase = Phase::Established;
            line.tell(Event::Established { call: self.id });
        } else if self.bye_waits {
            self.bye_waits = false;
            self.bye("", line);
        }
        self.trickle(line);
    }

    /// Repeats what waits for its PRACK or ACK; in the end gives up.
    pub(super) fn invitation_timeout(&mut self, line: &mut Line) {
        let Some(invitation) = &mut self.invitation else {
            return;
        };
        if invitation.poll_timeout() > line.now {
            return;
        }
        let open = invitation.is_open();
        if invitation.end > line.now {
            if let Some(repeat) = &mut invitation.repeat {
                repeat.advance(if open { PATIENCE } else { T2 }, line.now);
            }
            self.reply(line);
            return;
        }
        invitation.repeat = None;
        if open {
            // RFC 3262, section 3: "the UAS SHOULD reject the original request with a 5xx response".
            self.refuse(Reply::new(504), EndReason::Network, true, line);
        } else {
            // RFC 3261, section 13.3.1.4: confirmed or not, the dialog is ended.
            self.bye_waits = false;
            self.bye("", line);
            self.end(EndReason::Network, true, line);
        }
    }
}

impl UserAgent {
    /// An INVITE outside a dialog. Returns the refusal, if it is refused at once.
    pub(super) fn receive_invite(
        &mut self,
        flow: FlowId,
        message: &Message,
        broken: &mut Option<Misbehaviour>,
    ) -> Option<Reply> {
        let mut calls = self.calls.iter_mut();
        if let Some(call) = calls.find(|call| call.is_invited_by(message)) {
            return call.merge(flow, message, &mut self.line);
        }
        if self.in_progress() >= MAXIMUM_CALLS {
            *broken = Some(Misbehaviour::TooManyCalls);
            return Some(Reply::new(486));
        }
        if message.field(Name::Identity).is_none() {
            *broken = Some(Misbehaviour::BadIdentity);
            let (status, sentence) = IdentityError::Missing.answer();
            return Some(Reply::warning(status, sentence));
        }
        let description = match offer(message) {
            Ok(description) => description,
            Err(refusal) => return Some(refusal),
        };
        let peer = message.from().map_or("", |from| from.uri);
        let call_id = message.call_id().into();
        let (call, line) = self.new_call(false, call_id, canonical(peer));
        call.dialogs.push(Dialog::new(message, FIRST - 1, None));
        call.current = Some(0);
        // Verification that never ends must not hold the call.
        call.deadline = line.now + RING_LIMIT;
        call.invite(flow, message, &description, line);
        None
    }
}

/// The offer that an INVITE must bring.
fn offer(message: &Message) -> Result<Description<'_>, Reply> {
    if message.body().is_empty() {
        return Err(Reply::warning(488, "the INVITE must bring an offer"));
    }
    if !message.has_body_of(sdp::MEDIA_TYPE) {
        return Err(Reply::with(415, "Accept: application/sdp\r\n"));
    }
    Description::read(message.text()).map_err(|_| Reply::warning(400, "the offer can't be read"))
}
