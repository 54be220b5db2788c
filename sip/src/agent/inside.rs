//! Requests that this side sends in a dialog: BYE, re-INVITE, and the ACK of an answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::call::{Phase, Renegotiation, SETTLE};
use super::exchange::{ExchangeId, Purpose};
use super::{CallId, EndReason, Event, Output, UserAgent};
use crate::message::{Composer, Message, Method, Template};
use crate::sdp::{self, Description};

/// The Reason of a BYE after an answer whose fingerprint was not the signed one.
pub(super) const FOREIGN_MEDIA: &str = "SIP;cause=488;text=\"Fingerprint not signed\"";

impl UserAgent {
    /// Offers to renegotiate an established call (re-INVITE with a fresh Identity): ICE restart, camera. Ends with
    /// [`Event::Renegotiated`] or [`Event::NotRenegotiated`]. One at a time: another before that is ignored.
    pub fn renegotiate(&mut self, call: CallId, sdp: String, now: Instant) {
        let retry = now + self.glare_delay(call);
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        if found.phase != Phase::Established || found.renegotiation.is_some() {
            return;
        }
        // No INVITE while another is in progress in either direction (RFC 3261, section 14.1).
        let busy = found
            .invitation
            .as_ref()
            .is_some_and(|one| one.answer.is_none());
        found.renegotiation = Some(Renegotiation {
            sdp: sdp.clone(),
            sent: false,
            retry: busy.then_some(retry),
        });
        if !busy && !self.sign(call, &sdp, now) {
            self.renegotiation_failed(call, false);
        }
    }

    /// Sends the re-INVITE once it is signed.
    pub(super) fn reinvite(&mut self, id: CallId, identity: &str, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let (Some(at), Some(renegotiation)) = (call.current, call.renegotiation.as_mut()) else {
            return;
        };
        if renegotiation.retry.is_some() || renegotiation.sent {
            return;
        }
        renegotiation.sent = true;
        let sdp = renegotiation.sdp.clone();
        let Some(dialog) = call.dialogs.get_mut(at) else {
            return;
        };
        let cseq = dialog.next_cseq();
        let routes = (dialog.routes.clone(), dialog.route_set.clone());
        let (target, tag) = (dialog.remote_target.clone(), dialog.remote_tag.clone());
        call.description = sdp.clone();
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let composer = self.request(call, Method::Invite, cseq, &target, &tag);
        let template = self.offering(composer, identity, &sdp);
        let purpose = Purpose::Reinvite { dialog: at };
        self.begin(id, purpose, cseq, template, (routes.0, &routes.1), now);
        self.trickle(id, now);
    }

    pub(super) fn reinvite_concluded(
        &mut self,
        id: CallId,
        at: usize,
        cseq: u32,
        (status, message): (u16, Option<&Message>),
        now: Instant,
    ) {
        let answer = message.filter(|_| status < 300);
        if answer.is_some() {
            self.acknowledge_answer(id, at, cseq);
        }
        let retry = now + self.glare_delay(id);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(renegotiation) = call.renegotiation.as_mut().filter(|one| one.sent) else {
            return;
        };
        if let Some(answer) = answer {
            call.renegotiation = None;
            let sdp = core::str::from_utf8(answer.body()).unwrap_or("");
            let dialog = &mut call.dialogs[at];
            dialog.refresh(answer);
            let expected = &dialog.fingerprints;
            let sound = answer.has_body_of(sdp::MEDIA_TYPE)
                && Description::read(sdp).is_ok_and(|one| one.check(expected).is_ok());
            if sound {
                let answer = sdp.into();
                self.outbox
                    .push(Output::Event(Event::Renegotiated { call: id, answer }));
                self.deliver_candidates(id);
            } else {
                self.bye(id, FOREIGN_MEDIA, now);
                self.end(id, EndReason::MediaRefused, true, now);
            }
        } else if status == 491 {
            renegotiation.retry = Some(retry);
        } else {
            self.renegotiation_failed(id, false);
            // The other side knows nothing of the call any more (RFC 3261, section 12.2.1.2).
            if status == 481 {
                self.end(id, EndReason::Network, true, now);
            }
        }
    }

    pub(super) fn glare_timeout(&mut self, id: CallId, now: Instant) {
        let call = self.calls.get(&id);
        let retry = call.and_then(|call| call.renegotiation.as_ref()?.retry);
        if retry.is_some_and(|retry| retry <= now) {
            self.renegotiation_failed(id, true);
        }
    }

    fn renegotiation_failed(&mut self, id: CallId, glare: bool) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.renegotiation = None;
            self.outbox
                .push(Output::Event(Event::NotRenegotiated { call: id, glare }));
            self.deliver_candidates(id);
        }
    }

    /// How long to wait after glare: 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other, in steps of
    /// 10 ms (RFC 3261, section 14.1).
    fn glare_delay(&mut self, id: CallId) -> Duration {
        let owner = self.calls.get(&id).is_some_and(|call| call.outgoing);
        let (least, steps) = if owner { (2100, 190) } else { (0, 200) };
        Duration::from_millis(least + 10 * u64::from(self.rng.below(steps + 1)))
    }

    /// The super nodes of this user agent changed: its peers are told soon, so that they need not look it up.
    pub(super) fn flows_changed(&mut self, now: Instant) {
        let calls = self.calls.values_mut();
        for call in calls.filter(|call| call.phase == Phase::Established) {
            call.refresh = Some(now + SETTLE);
        }
    }

    /// Tells the peer this user agent's Contact (a target refresh by UPDATE without an offer).
    pub(super) fn refresh(&mut self, id: CallId, now: Instant) {
        let contact = self.contact();
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.refresh = None;
        let Some(at) = call.current.filter(|_| call.phase == Phase::Established) else {
            return;
        };
        if call.dialogs[at].updates && !self.flows.is_empty() {
            self.send_inside(id, at, Purpose::Update { dialog: at }, now, |composer| {
                Template::new(composer.header("Contact", &contact), "", Vec::new())
            });
        }
    }

    /// Hangs up the call's dialog.
    pub(super) fn bye(&mut self, id: CallId, reason: &str, now: Instant) {
        if let Some(at) = self.calls.get(&id).and_then(|call| call.current) {
            self.bye_dialog(id, at, reason, now);
        }
    }

    /// Ends a dialog.
    pub(super) fn bye_dialog(&mut self, id: CallId, at: usize, reason: &str, now: Instant) {
        let purpose = Purpose::Bye { dialog: at };
        self.send_inside(id, at, purpose, now, |composer| {
            let composer = match reason {
                "" => composer,
                reason => composer.header("Reason", reason),
            };
            Template::new(composer, "", Vec::new())
        });
    }

    /// Sends a request in a dialog.
    pub(super) fn send_inside(
        &mut self,
        id: CallId,
        at: usize,
        purpose: Purpose,
        now: Instant,
        complete: impl FnOnce(Composer) -> Template,
    ) -> Option<ExchangeId> {
        let dialog = self.calls.get_mut(&id)?.dialogs.get_mut(at)?;
        let cseq = dialog.next_cseq();
        let (routes, route_set) = (dialog.routes.clone(), dialog.route_set.clone());
        let call = self.calls.get(&id)?;
        let dialog = call.dialogs.get(at)?;
        let (target, tag) = (&dialog.remote_target, &dialog.remote_tag);
        let template = complete(self.request(call, purpose.method(), cseq, target, tag));
        Some(self.begin(id, purpose, cseq, template, (routes, &route_set), now))
    }

    /// Sends the ACK of a 2xx, once for every copy (RFC 3261, section 13.2.2.4).
    pub(super) fn acknowledge_answer(&mut self, id: CallId, at: usize, cseq: u32) {
        let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        else {
            return;
        };
        let copy = dialog.acks;
        dialog.acks += 1;
        let (routes, route_set) = (dialog.routes.clone(), dialog.route_set.clone());
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let dialog = &call.dialogs[at];
        let (target, tag) = (&dialog.remote_target, &dialog.remote_tag);
        let composer = self.request(call, Method::Ack, cseq, target, tag);
        let template = Template::new(composer, "", Vec::new());
        self.send_once(&template, &routes, &route_set, copy);
    }
}
