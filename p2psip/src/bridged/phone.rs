//! What the phone says, and what it is answered.

use alloc::vec::Vec;

use machine::Instant;
use sip::Message;
use sip::message::Method;

use super::leg::{self, Leg, Phase};
use super::sound::{Sound, for_phone};
use super::{Bridged, CALLS, LineOutput, PhoneLine, word};
use crate::{Aor, EndReason};

impl PhoneLine {
    pub(super) fn receive(&mut self, message: Vec<u8>, now: Instant) {
        let Ok(message) = Message::parse(message) else {
            return;
        };
        let mut calls = self.calls.iter();
        let at = calls.position(|one| one.leg.takes(&message));
        match (at, message.status()) {
            (Some(at), None) => self.request(at, &message, now),
            (Some(at), Some(status)) => self.response(at, &message, status, now),
            (None, None) => self.stray(&message, now),
            (None, Some(_)) => {}
        }
    }

    /// A request that belongs to no call: the first INVITE of one, if anything.
    fn stray(&mut self, request: &Message, now: Instant) {
        let refusal = match request.method() {
            Method::Ack => return,
            Method::Invite if request.to_tag().is_empty() => match self.invited(request, now) {
                Ok(()) => return,
                Err(status) => status,
            },
            Method::Options => 200,
            Method::Invite | Method::Bye | Method::Cancel | Method::Info | Method::Update => 481,
            Method::Prack | Method::Register | Method::Other => 405,
        };
        self.sip(leg::refuse(request, refusal));
    }

    /// The phone calls a page.
    fn invited(&mut self, request: &Message, now: Instant) -> Result<(), u16> {
        let callee = request
            .to()
            .and_then(|to| Aor::read(to.uri))
            .ok_or(404_u16)?;
        let sound = sound(request).filter(Sound::has_voice).ok_or(488_u16)?;
        if self.calls.len() >= CALLS {
            return Err(486);
        }
        let call = self.peer.call(callee.uri(), now);
        let rng = &mut self.rng;
        let leg = Leg::from_phone(call, request, &mut || word(rng)).ok_or(400_u16)?;
        self.calls.push(Bridged {
            phone: Some(sound),
            ..Bridged::new(leg)
        });
        self.outbox.push(LineOutput::Open { call });
        Ok(())
    }

    fn request(&mut self, at: usize, request: &Message, now: Instant) {
        let one = &mut self.calls[at];
        let answer = |one: &Bridged, status| one.leg.respond(request, status, "", "");
        match request.method() {
            Method::Ack => {
                one.leg.acknowledged(request);
                self.settle(at);
            }
            Method::Cancel => {
                let reply = answer(one, 200);
                let refusal = one.leg.refuse(487);
                let call = one.leg.call;
                self.sip(reply);
                refusal.into_iter().for_each(|message| self.sip(message));
                self.peer.hang_up(call, now);
            }
            Method::Bye => {
                let reply = answer(one, 200);
                let refusal = one.leg.refuse(487);
                one.leg.phase = Phase::Over;
                let call = one.leg.call;
                self.sip(reply);
                refusal.into_iter().for_each(|message| self.sip(message));
                self.peer.hang_up(call, now);
                self.settle(at);
            }
            Method::Invite | Method::Update if !request.body().is_empty() => {
                self.reoffered(at, request, now);
            }
            Method::Info | Method::Update | Method::Options => {
                let reply = answer(one, 200);
                self.sip(reply);
            }
            // An INVITE without an offer, too: the bridge offers nothing by itself.
            Method::Invite => {
                let reply = answer(one, 488);
                self.sip(reply);
            }
            Method::Prack | Method::Register | Method::Other => {
                let reply = answer(one, 405);
                self.sip(reply);
            }
        }
    }

    /// The phone holds the call, goes on, or moves its sound elsewhere.
    fn reoffered(&mut self, at: usize, request: &Message, now: Instant) {
        let one = &mut self.calls[at];
        let known = one.phone.as_ref().zip(one.place).zip(one.page.as_ref());
        let (Some(sound), Some(((_, place), page))) = (sound(request), known) else {
            let reply = one.leg.respond(request, 488, "", "");
            return self.sip(reply);
        };
        let common = sound.common(page);
        if !common.has_voice() {
            let reply = one.leg.respond(request, 488, "", "");
            return self.sip(reply);
        }
        let invite = request.is(Method::Invite);
        if invite && !one.leg.offered(request) {
            let reply = one.leg.respond(request, 491, "", "");
            return self.sip(reply);
        }
        one.version += 1;
        let (id, direction) = (one.id(), common.direction.turned());
        let answer = for_phone(&common, place, direction, id, one.version);
        let reply = if invite {
            one.leg.accept(&answer, now)
        } else {
            Some(one.leg.respond(request, 200, "", &answer))
        };
        one.phone = Some(sound);
        let plan = one.connect();
        reply.into_iter().for_each(|reply| self.sip(reply));
        plan.into_iter().for_each(|plan| self.outbox.push(plan));
    }

    fn response(&mut self, at: usize, response: &Message, status: u16, now: Instant) {
        if response.method() != Method::Invite || status < 200 {
            return;
        }
        let rng = &mut self.rng;
        let mut word = || word(rng);
        let one = &mut self.calls[at];
        let call = one.leg.call;
        if status >= 300 {
            let ack = one.leg.acknowledge(response, status, &mut word);
            let refused = one.leg.phase == Phase::Calling;
            if refused {
                one.leg.phase = Phase::Over;
            }
            self.sip(ack);
            if refused {
                match status {
                    486 | 600 => self.peer.fail(call, EndReason::Busy, now),
                    603 => self.peer.decline(call, now),
                    488 | 606 | 415 => self.peer.fail(call, EndReason::NotAcceptable, now),
                    _ => self.peer.fail(call, EndReason::Offline, now),
                }
                self.settle(at);
            }
            return;
        }
        if one.leg.phase != Phase::Calling {
            let own = one.leg.takes_again(response);
            if own {
                let ack = one.leg.acknowledge(response, status, &mut word);
                return self.sip(ack);
            }
            let messages = one.leg.dismiss(response, &mut word);
            return messages.into_iter().for_each(|message| self.sip(message));
        }
        let ack = one.leg.acknowledge(response, status, &mut word);
        one.leg.phase = Phase::Up;
        let answer = one.phone_answered(sound(response).filter(Sound::has_voice));
        let bye = answer.is_none() || one.ended;
        let bye = bye.then(|| one.leg.bye(&mut word));
        let ended = one.ended;
        let plan = if bye.is_none() { one.connect() } else { None };
        self.sip(ack);
        match (bye, answer) {
            (None, Some(answer)) => {
                plan.into_iter().for_each(|plan| self.outbox.push(plan));
                self.peer.answer(call, &answer, now);
            }
            (Some(bye), _) => {
                self.sip(bye);
                if !ended {
                    self.peer.fail(call, EndReason::NotAcceptable, now);
                }
            }
            (None, None) => {}
        }
        self.settle(at);
    }
}

/// The sound that a message of the phone describes.
fn sound(message: &Message) -> Option<Sound> {
    Sound::read(core::str::from_utf8(message.body()).ok()?)
}
