//! What happens at the page's side of a bridged call.

use machine::Instant;

use super::leg::{Leg, Phase};
use super::sound::{self, Sound};
use super::{Bridged, CALLS, LineOutput, PhoneLine, prints, quoted, word};
use crate::{CallId, Caller, EndReason, Event};

impl PhoneLine {
    pub(super) fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Incoming {
                call,
                caller,
                offer,
            } => self.called(call, &caller, &offer, now),
            Event::Ringing { call } => {
                let ring = self.find(call).and_then(|at| self.calls[at].leg.ring());
                ring.into_iter().for_each(|ring| self.sip(ring));
            }
            Event::Answered { call, answer, .. } => self.answered(call, &answer, now),
            Event::Offered { call, offer } => self.page_offers(call, &offer, now),
            Event::Ended { call, reason, .. } => self.ended(call, reason),
            Event::Online => self.outbox.push(LineOutput::Online(true)),
            Event::NotOnline => self.outbox.push(LineOutput::Online(false)),
            Event::Associations { .. }
            | Event::Welcome { .. }
            | Event::Revocations(_)
            | Event::Offline
            | Event::Missed { .. }
            | Event::Established { .. }
            | Event::Candidates { .. }
            | Event::Renegotiated { .. }
            | Event::NotRenegotiated { .. }
            | Event::Problem(_) => {}
        }
    }

    /// A page calls the phone.
    fn called(&mut self, call: CallId, caller: &Caller, offer: &str, now: Instant) {
        let sound = Sound::read(offer).filter(Sound::has_voice);
        let Some(sound) = sound.filter(|_| self.calls.len() < CALLS) else {
            return self.peer.fail(call, EndReason::NotAcceptable, now);
        };
        let name = caller.name.as_deref().map(quoted).unwrap_or_default();
        let from = sip::joined(&[&name, "<", &caller.uri, ">"]);
        let rng = &mut self.rng;
        let leg = Leg::to_phone(call, &from, self.user.uri(), &mut || word(rng));
        self.calls.push(Bridged {
            page: Some(sound),
            prints: prints(offer),
            ..Bridged::new(leg)
        });
        self.outbox.push(LineOutput::Open { call });
    }

    /// The page has taken the phone's call.
    fn answered(&mut self, call: CallId, answer: &str, now: Instant) {
        let Some(at) = self.find(call) else { return };
        let one = &mut self.calls[at];
        let sound = Sound::read(answer).filter(Sound::has_voice);
        let (Some(page), Some(phone), Some(place)) = (sound, &one.phone, one.place) else {
            return self.peer.fail(call, EndReason::NotAcceptable, now);
        };
        let common = phone.common(&page);
        one.prints = prints(answer);
        one.version = 1;
        let text = sound::for_phone(&common, place, phone.direction.turned(), one.id(), 1);
        one.page = Some(page);
        let reply = one.leg.accept(&text, now);
        let plan = one.connect();
        reply.into_iter().for_each(|reply| self.sip(reply));
        plan.into_iter().for_each(|plan| self.outbox.push(plan));
    }

    /// The page describes its sound anew: a picture more, another network. The phone need not know.
    fn page_offers(&mut self, call: CallId, offer: &str, now: Instant) {
        let Some(at) = self.find(call) else { return };
        let one = &mut self.calls[at];
        let sound = Sound::read(offer).filter(Sound::has_voice);
        let (Some(page), Some(phone), Some(ice)) = (sound, &one.phone, &one.ice) else {
            return self.peer.refuse_offer(call, now);
        };
        one.version += 1;
        let common = page.common(phone);
        let answer = sound::answer_for_page(&page, &common, ice, one.id(), one.version);
        one.prints = prints(offer);
        one.page = Some(page);
        let plan = one.connect();
        plan.into_iter().for_each(|plan| self.outbox.push(plan));
        self.peer.answer(call, &answer, now);
    }

    fn ended(&mut self, call: CallId, reason: EndReason) {
        let Some(at) = self.find(call) else { return };
        let rng = &mut self.rng;
        let one = &mut self.calls[at];
        one.ended = true;
        let message = match one.leg.phase {
            Phase::Preparing => {
                one.leg.phase = Phase::Over;
                None
            }
            // Its 487, or an answer that crosses, ends it.
            Phase::Calling => one.leg.cancel(),
            Phase::Alerting => one.leg.refuse(status(reason)),
            Phase::Answered | Phase::Up => Some(one.leg.bye(&mut || word(rng))),
            Phase::Over => None,
        };
        message.into_iter().for_each(|message| self.sip(message));
        self.outbox.push(LineOutput::Close { call });
        self.settle(at);
    }
}

/// What a phone hears of a call that a page did not take.
const fn status(reason: EndReason) -> u16 {
    match reason {
        EndReason::Busy => 486,
        EndReason::Declined => 603,
        EndReason::NotFound => 404,
        EndReason::Cancelled => 487,
        EndReason::NotAcceptable | EndReason::MediaRefused => 488,
        EndReason::IdentityRefused => 403,
        EndReason::NoAnswer
        | EndReason::Offline
        | EndReason::NoMicrophone
        | EndReason::PermissionRefused
        | EndReason::AnsweredElsewhere
        | EndReason::HungUp => 480,
        EndReason::Network | EndReason::RecordRefused | EndReason::CredentialExpired => 503,
        EndReason::Failed => 500,
    }
}
