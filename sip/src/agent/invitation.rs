//! The callee's side: INVITE and re-INVITE until they are answered and confirmed.

use alloc::string::String;
use alloc::vec::Vec;

use machine::Instant;

use super::call::{Call, Invitation, Phase, Repeat, Reply};
use super::dialog::Dialog;
use super::outgoing::FIRST;
use super::server::server_key;
use super::{
    ALLOW, CallId, EndReason, Event, FlowId, MAXIMUM_CALLS, Misbehaviour, Output, SUPPORTED,
    UserAgent, canonical,
};
use crate::header::Reason;
use crate::identity::IdentityError;
use crate::message::{Message, Name};
use crate::sdp;
use crate::transaction::T2;
use crate::uri::Uri;

/// By how many paths one INVITE is taken.
const MAXIMUM_PATHS: usize = 8;

impl UserAgent {
    /// Tells the caller that this device rings (180).
    pub fn ring(&mut self, call: CallId, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        let rseq = 1 + self.rng.below(1 << 16);
        let Some(invitation) = found.invitation.as_mut() else {
            return;
        };
        if found.phase != Phase::Alerting || invitation.provisional.is_some() {
            return;
        }
        let request = &invitation.request;
        let reliable =
            request.lists(Name::Supported, "100rel") || request.lists(Name::Require, "100rel");
        if reliable {
            invitation.rseq = rseq;
            invitation.repeat = Some(Repeat::new(now));
        }
        let mut reply = describing(180);
        if reliable {
            let mut number = String::new();
            let _ = core::fmt::Write::write_fmt(&mut number, format_args!("{rseq}"));
            reply = reply.header("Require", "100rel").header("RSeq", &number);
        }
        self.reply(call, reply, now);
    }

    /// Answers an incoming call, or the peer's offer to renegotiate.
    pub fn answer(&mut self, call: CallId, sdp: String, now: Instant) {
        let mut reply = describing(200);
        reply.content_type = sdp::MEDIA_TYPE;
        reply.body = sdp.as_bytes().to_vec();
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        let open = found
            .invitation
            .as_ref()
            .is_some_and(|one| one.answer.is_none());
        match found.phase {
            Phase::Alerting if open => found.phase = Phase::Answered,
            Phase::Established if open && found.verification.is_none() => {}
            _ => return,
        }
        found.description = sdp;
        found.deadline = None;
        if let Some(invitation) = found.invitation.as_mut() {
            invitation.repeat = Some(Repeat::new(now));
        }
        self.reply(call, reply, now);
        self.trickle(call, now);
    }

    /// Refuses the peer's offer to renegotiate (488); the call goes on as it was.
    pub fn refuse_offer(&mut self, call: CallId, now: Instant) {
        if self
            .calls
            .get(&call)
            .is_some_and(|call| call.phase == Phase::Established)
        {
            self.refuse(call, &Reply::new(488), EndReason::NotAcceptable, false, now);
        }
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

    fn refuse_call(&mut self, id: CallId, status: u16, reason: EndReason, now: Instant) {
        if self
            .calls
            .get(&id)
            .is_some_and(|call| !call.outgoing && call.is_unanswered())
        {
            self.refuse(id, &Reply::new(status), reason, false, now);
        }
    }

    /// Answers the invitation by every path it came by, and remembers the answer for paths to come.
    fn reply(&mut self, id: CallId, reply: Reply, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(invitation) = call.invitation.as_mut() else {
            return;
        };
        let slot = if reply.status < 200 {
            &mut invitation.provisional
        } else {
            &mut invitation.answer
        };
        *slot = Some(reply.clone());
        let (keys, tag) = (invitation.transactions.clone(), call.local_tag.clone());
        for key in keys {
            self.respond(&key, &reply, &tag, now);
        }
    }

    /// Refuses the invitation. A call that isn't answered yet ends with it, one that is goes on.
    pub(super) fn refuse(
        &mut self,
        id: CallId,
        reply: &Reply,
        reason: EndReason,
        remote: bool,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let ends = call.is_unanswered();
        let Some(invitation) = call.invitation.as_mut().filter(|one| one.answer.is_none()) else {
            return;
        };
        invitation.repeat = None;
        call.verification = None;
        self.reply(id, reply.clone(), now);
        if ends {
            self.end(id, reason, remote, now);
        }
    }

    /// The other side hung up: an invitation in progress is refused, an answer no longer repeated.
    pub(super) fn abandon_invitation(&mut self, id: CallId, now: Instant) {
        self.refuse(id, &Reply::new(487), EndReason::HungUp, true, now);
        if let Some(invitation) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.invitation.as_mut())
        {
            invitation.repeat = None;
        }
    }

    /// The flow by which the invitation came first.
    pub(super) fn invitation_flow(&self, id: CallId) -> Option<FlowId> {
        let invitation = self.calls.get(&id)?.invitation.as_ref()?;
        let first = invitation.transactions.first()?;
        self.servers.get(first).map(|entry| entry.flow)
    }

    /// An INVITE outside a dialog.
    pub(super) fn receive_invite(
        &mut self,
        flow: FlowId,
        message: Message,
        now: Instant,
    ) -> Option<Misbehaviour> {
        if let Some(id) = self.find_merged(&message) {
            self.merge(flow, id, message, now);
            return None;
        }
        let refusal = if self.in_progress() >= MAXIMUM_CALLS {
            Some((Reply::new(486), Misbehaviour::TooManyCalls))
        } else if message.field(Name::Identity).is_none() {
            let (status, sentence) = IdentityError::Missing.answer();
            Some((
                Reply::new(status).warning(sentence),
                Misbehaviour::BadIdentity,
            ))
        } else {
            None
        };
        if let Some((reply, how)) = refusal {
            self.answer_once(flow, &message, &reply);
            return Some(how);
        }
        if let Err(reply) = describes(&message) {
            self.answer_once(flow, &message, &reply);
            return None;
        }
        let peer = message.from().map_or("", |from| from.uri);
        let id = self.new_call(false, Some(message.call_id().into()), canonical(peer));
        let dialog = Dialog::at_callee(&message, FIRST - 1);
        if let Some(call) = self.calls.get_mut(&id) {
            call.dialogs.push(dialog);
            call.current = Some(0);
            // Verification that never ends must not hold the call.
            call.deadline = Some(now + super::call::RING_LIMIT);
        }
        self.invite(flow, id, message, now);
        None
    }

    /// A copy of an INVITE by another path is answered as the first. Where the copy was made by a proxy, not by the
    /// caller's hedge, it did not name this device, and gets 482 (RFC 3261, section 8.2.2.2).
    fn merge(&mut self, flow: FlowId, id: CallId, message: Message, now: Instant) {
        let target = Uri::read(message.request_uri()).ok();
        let named = target.and_then(|uri| uri.instance()) == Some(self.account.instance);
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let Some(invitation) = call.invitation.as_ref() else {
            return;
        };
        if !named && message.to_tag().is_empty() || invitation.transactions.len() >= MAXIMUM_PATHS {
            self.answer_once(flow, &message, &Reply::new(482));
            return;
        }
        let tag = call.local_tag.clone();
        let reply = invitation
            .answer
            .clone()
            .or_else(|| invitation.provisional.clone());
        let key = self.open(flow, message, id);
        if let Some(invitation) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.invitation.as_mut())
        {
            invitation.transactions.push(key.clone());
        }
        if let Some(reply) = reply {
            self.respond(&key, &reply, &tag, now);
        }
    }

    fn find_merged(&self, message: &Message) -> Option<CallId> {
        let (call_id, tag) = (message.call_id(), message.from_tag());
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        let same = |call: &Call| {
            call.call_id == call_id
                && call
                    .invitation
                    .as_ref()
                    .is_some_and(|one| one.cseq == number && one.from_tag == tag)
        };
        self.calls
            .iter()
            .find(|(_, call)| same(call))
            .map(|(id, _)| *id)
    }

    /// A re-INVITE.
    pub(super) fn receive_reinvite(
        &mut self,
        flow: FlowId,
        id: CallId,
        at: usize,
        message: Message,
        now: Instant,
    ) {
        if self.find_merged(&message) == Some(id) {
            self.merge(flow, id, message, now);
            return;
        }
        let wait = self.rng.below(10) + 1;
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let pending = call
            .invitation
            .as_ref()
            .is_some_and(|one| one.answer.is_none());
        let offered = call
            .renegotiation
            .as_ref()
            .is_some_and(|one| one.retry.is_none());
        let established = call.phase == Phase::Established && call.current == Some(at);
        let dialog = &mut call.dialogs[at];
        let overtaken = dialog.remote_cseq.is_some_and(|last| number < last);
        if !overtaken {
            dialog.remote_cseq = dialog.remote_cseq.max(Some(number));
        }
        let refusal = if call.phase == Phase::Over {
            Some(Reply::new(481))
        } else if overtaken || pending || call.phase == Phase::Answered {
            let mut seconds = String::new();
            let _ = core::fmt::Write::write_fmt(&mut seconds, format_args!("{wait}"));
            Some(Reply::new(500).header("Retry-After", &seconds))
        } else if offered || !established {
            Some(Reply::new(491))
        } else {
            describes(&message).err()
        };
        if let Some(reply) = refusal {
            self.answer_once(flow, &message, &reply);
            return;
        }
        dialog.refresh(&message);
        self.invite(flow, id, message, now);
    }

    /// Takes an INVITE or re-INVITE in and has its Identity checked.
    fn invite(&mut self, flow: FlowId, id: CallId, message: Message, now: Instant) {
        let key = self.open(flow, message.clone(), id);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.invitation = Some(Invitation {
            cseq: message.cseq().map_or(0, |cseq| cseq.number),
            from_tag: message.from_tag().into(),
            request: message.clone(),
            transactions: Vec::from([key]),
            provisional: None,
            answer: None,
            repeat: None,
            rseq: 0,
            confirmed: false,
        });
        if let Err(error) = self.prove(id, &message, now) {
            self.unproved(id, error, now);
        }
    }

    /// A CANCEL (RFC 3261, section 9.2): 200 whenever the INVITE is known, and 487 for that if it isn't answered.
    pub(super) fn receive_cancel(&mut self, message: &Message, now: Instant) -> Reply {
        let key = server_key(message);
        let Some(id) = self.servers.get(&key).and_then(|entry| entry.call) else {
            return Reply::new(481);
        };
        let reason = message.list(Name::Reason).find_map(Reason::read);
        let reason = match reason.map_or(0, |reason| reason.cause) {
            200 => EndReason::AnsweredElsewhere,
            600..700 => EndReason::Declined,
            408 => EndReason::NoAnswer,
            _ => EndReason::Cancelled,
        };
        let call = self.calls.get(&id);
        let current = call.and_then(|call| call.invitation.as_ref());
        if current.is_some_and(|one| one.transactions.contains(&key)) {
            self.refuse(id, &Reply::new(487), reason, true, now);
        }
        Reply::new(200)
    }

    /// An ACK: of a refusal, for its transaction; of an answer, for the call.
    pub(super) fn receive_ack(&mut self, message: &Message, now: Instant) {
        if let Some(entry) = self.servers.get_mut(&server_key(message))
            && entry.machine.acknowledge(now)
        {
            return;
        }
        // One that belongs to nothing is that of a refusal which was not kept.
        let Some((id, at)) = self.find_dialog(message) else {
            return;
        };
        let number = message.cseq().map_or(0, |cseq| cseq.number);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let answered = |one: &Reply| one.status < 300;
        let Some(invitation) = call.invitation.as_mut() else {
            return;
        };
        if call.current != Some(at)
            || invitation.cseq != number
            || !invitation.answer.as_ref().is_some_and(answered)
        {
            return;
        }
        if invitation.confirmed {
            return;
        }
        invitation.confirmed = true;
        invitation.repeat = None;
        call.dialogs[at].confirmed = true;
        call.dialogs[at].trickle.open = true;
        if call.phase == Phase::Answered {
            call.phase = Phase::Established;
            self.outbox
                .push(Output::Event(Event::Established { call: id }));
        } else if call.bye_waits {
            call.bye_waits = false;
            self.bye(id, "", now);
        }
        self.trickle(id, now);
    }

    /// Repeats what waits for its PRACK or ACK; in the end gives up.
    pub(super) fn invitation_timeout(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(invitation) = call.invitation.as_mut() else {
            return;
        };
        let Some(repeat) = invitation
            .repeat
            .as_mut()
            .filter(|repeat| repeat.at.min(repeat.end) <= now)
        else {
            return;
        };
        if repeat.end <= now {
            invitation.repeat = None;
            if invitation.answer.is_none() {
                // RFC 3262, section 3: "the UAS SHOULD reject the original request with a 5xx response".
                self.refuse(id, &Reply::new(504), EndReason::Network, true, now);
            } else {
                // RFC 3261, section 13.3.1.4: confirmed or not, the dialog is ended.
                call.bye_waits = false;
                self.bye(id, "", now);
                self.end(id, EndReason::Network, true, now);
            }
            return;
        }
        repeat.interval *= 2;
        let limit = if invitation.answer.is_some() {
            T2
        } else {
            repeat.interval
        };
        repeat.interval = repeat.interval.min(limit);
        repeat.at = now + repeat.interval;
        let reply = invitation
            .answer
            .clone()
            .or_else(|| invitation.provisional.clone());
        let (keys, tag) = (invitation.transactions.clone(), call.local_tag.clone());
        for key in keys {
            if let Some(reply) = &reply {
                self.respond(&key, reply, &tag, now);
            }
        }
    }
}

/// A response with what the peer needs to know of this device.
fn describing(status: u16) -> Reply {
    Reply::new(status)
        .contact()
        .header("Allow", ALLOW)
        .header("Supported", SUPPORTED)
        .header("Recv-Info", "trickle-ice")
}

/// Says whether an INVITE brings an offer that can be read.
fn describes(message: &Message) -> Result<(), Reply> {
    if message.body().is_empty() {
        return Err(Reply::new(488).warning("the INVITE must bring an offer"));
    }
    if !message.has_body_of(sdp::MEDIA_TYPE) {
        return Err(Reply::new(415).header("Accept", sdp::MEDIA_TYPE));
    }
    let text = core::str::from_utf8(message.body()).ok();
    if text.is_none_or(|text| sdp::Description::read(text).is_err()) {
        return Err(Reply::new(400).warning("the offer can't be read"));
    }
    Ok(())
}
