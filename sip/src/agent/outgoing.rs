//! The caller's side of a call until it is answered: one INVITE per device, in parallel.

use alloc::string::String;
use alloc::vec::Vec;

use credential::Instance;

use super::call::{Call, NEVER, NO_ANSWER, Phase};
use super::dialog::Dialog;
use super::exchange::{Purpose, Way};
use super::line::Line;
use super::reply::{DESCRIPTION, SDP};
use super::{EndReason, Event, Target};
use crate::message::{Message, Name};
use crate::sdp::{self, Description};
use crate::text::{digits, filled};

/// The CSeq number of a call's first INVITE.
pub(super) const FIRST: u32 = 1;
/// How many devices of a callee are called.
const MAXIMUM_LEGS: usize = 8;
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// The INVITE to one device.
#[derive(Debug)]
pub(super) struct Leg {
    target: Target,
    exchange: usize,
    dialog: Option<usize>,
    ringing: bool,
    /// Why it failed.
    failure: Option<EndReason>,
}

impl Call {
    /// Gives the SDP offer of an outgoing call.
    pub(super) fn offer(&mut self, sdp: String, line: &mut Line) {
        if self.phase != Phase::Preparing || !self.description.is_empty() {
            return;
        }
        self.description = sdp;
        if !self.sign(&self.description.clone(), line) {
            self.end(EndReason::NotAcceptable, false, line);
        }
    }

    /// Takes the locations of the peer.
    pub(super) fn locations(&mut self, mut targets: Vec<Target>, line: &mut Line) {
        self.look_up = NEVER;
        targets.truncate(MAXIMUM_LEGS);
        if self.phase == Phase::Preparing {
            if targets.is_empty() {
                self.end(EndReason::Offline, true, line);
            } else {
                self.targets = targets;
                self.start(line);
            }
            return;
        }
        for target in &targets {
            for dialog in &mut self.dialogs {
                if dialog.instance == Some(target.instance) {
                    dialog.way.routes = target.routes.clone();
                }
            }
            let mut legs = self.legs.iter_mut();
            if let Some(leg) = legs.find(|leg| leg.target.instance == target.instance) {
                leg.target = target.clone();
            } else if self.phase == Phase::Calling && self.legs.len() < MAXIMUM_LEGS {
                self.start_leg(target.clone(), line);
            }
        }
        let routes_of = |instance: Option<Instance>| {
            let mut known = targets.iter();
            let found = known.find(|one| Some(one.instance) == instance);
            found.map(|one| one.routes.clone()).unwrap_or_default()
        };
        self.relocate(
            |call, exchange| {
                let outside = exchange.purpose == Purpose::Invite;
                routes_of(if outside {
                    Some(call.legs[exchange.at].target.instance)
                } else {
                    call.dialogs[exchange.at].instance
                })
            },
            line,
        );
    }

    /// Sends the INVITEs once offer, signature and locations are there.
    pub(super) fn start(&mut self, line: &mut Line) {
        if self.phase == Phase::Preparing && !self.identity.is_empty() && !self.targets.is_empty() {
            self.phase = Phase::Calling;
            self.deadline = line.now + NO_ANSWER;
            for target in core::mem::take(&mut self.targets) {
                self.start_leg(target, line);
            }
        }
    }

    fn start_leg(&mut self, target: Target, line: &mut Line) {
        let way = Way {
            uri: target.uri.clone(),
            routes: target.routes.clone(),
            route_set: String::new(),
        };
        self.legs.push(Leg {
            target,
            exchange: self.exchanges.len(),
            dialog: None,
            ringing: false,
            failure: None,
        });
        let purpose = (Purpose::Invite, self.legs.len() - 1);
        let headers = offering(&self.identity, line);
        let content = (headers.as_str(), &*self.description.clone());
        self.begin(purpose, way, (FIRST, ""), content, line);
    }

    /// A provisional response to any request of this call.
    pub(super) fn provisional(
        &mut self,
        at: usize,
        status: u16,
        message: &Message,
        line: &mut Line,
    ) {
        let exchange = &self.exchanges[at];
        let (leg, cancelled) = (exchange.at, !exchange.cancel.is_empty());
        if exchange.purpose != Purpose::Invite || status == 100 || message.to_tag().is_empty() {
            return;
        }
        let Some(dialog) = self.leg_dialog(leg, message).filter(|_| !cancelled) else {
            return;
        };
        self.acknowledge_provisional(dialog, message, line);
        self.plan_second_path(at, line);
        if status == 180 {
            let leg = &mut self.legs[leg];
            leg.ringing = true;
            if self.phase == Phase::Calling && !self.ringing {
                self.ringing = true;
                let (call, instance) = (self.id, leg.target.instance);
                line.tell(Event::Ringing { call, instance });
            }
        }
        self.trickle(line);
    }

    /// Finds or opens the dialog of a leg that a response belongs to.
    fn leg_dialog(&mut self, leg: usize, response: &Message) -> Option<usize> {
        let leg = &mut self.legs[leg];
        if let Some(at) = leg.dialog
            && self.dialogs[at].remote_tag == response.to_tag()
        {
            self.dialogs[at].refresh(response);
            return Some(at);
        }
        if self.dialogs.len() >= 2 * MAXIMUM_LEGS {
            return None;
        }
        let mut dialog = Dialog::new(response, FIRST, Some(leg.target.instance));
        dialog.fingerprints = leg.target.fingerprints.clone();
        // What its signed record says of the device, unless it says newer things itself.
        if dialog.way.uri.is_empty() {
            dialog.way.uri = leg.target.uri.clone();
        }
        if dialog.way.routes.is_empty() {
            dialog.way.routes = leg.target.routes.clone();
        }
        leg.dialog = Some(self.dialogs.len());
        self.dialogs.push(dialog);
        leg.dialog
    }

    /// Sends the PRACK for a reliable provisional response (RFC 3262, section 4), once.
    fn acknowledge_provisional(&mut self, at: usize, response: &Message, line: &mut Line) {
        let rseq = response.field(Name::RSeq).and_then(crate::message::decimal);
        let Some(rseq) = rseq.filter(|_| response.lists(Name::Require, "100rel")) else {
            return;
        };
        let dialog = &mut self.dialogs[at];
        if dialog.rseq != 0 && rseq != dialog.rseq + 1 {
            return;
        }
        dialog.rseq = rseq;
        let numbers = [&*digits(rseq), &*digits(response.number().into())];
        let header = filled("RAck: % % INVITE\r\n", &numbers);
        self.send_inside(Purpose::Prack, at, (&header, ""), line);
    }

    /// A final response, or the failure of every path (then without a message), to any request of this call.
    pub(super) fn concluded(
        &mut self,
        at: usize,
        status: u16,
        message: Option<&Message>,
        line: &mut Line,
    ) {
        let exchange = &self.exchanges[at];
        let (at, cseq) = (exchange.at, exchange.cseq);
        match exchange.purpose {
            Purpose::Invite => match message {
                Some(message) if status < 300 => self.answered(at, message, line),
                Some(_) | None => self.leg_failed(at, status, line),
            },
            Purpose::Reinvite => self.reinvite_concluded(at, cseq, (status, message), line),
            Purpose::Info => self.info_concluded(at, status, line),
            // The other side knows nothing of the call any more (RFC 3261, section 12.2.1.2).
            Purpose::Update if status == 481 => self.end(EndReason::Network, true, line),
            Purpose::Prack | Purpose::Update | Purpose::Bye => {}
        }
    }

    /// The description in an answer, if it is keyed as the dialog's device has proved.
    pub(super) fn sound_answer(&self, at: usize, response: &Message) -> Option<String> {
        let expected = &self.dialogs[at].fingerprints;
        let sdp = core::str::from_utf8(response.body()).ok()?;
        let sound = response.has_body_of(sdp::MEDIA_TYPE)
            && Description::read(sdp).is_ok_and(|one| one.check(expected).is_ok());
        sound.then(|| sdp.into())
    }

    /// A device answered. The first answer whose fingerprint is the expected one wins.
    fn answered(&mut self, leg: usize, response: &Message, line: &mut Line) {
        let Some(at) = self.leg_dialog(leg, response) else {
            return;
        };
        self.acknowledge_answer(at, FIRST, line);
        let dialog = &mut self.dialogs[at];
        if dialog.confirmed {
            return;
        }
        dialog.confirmed = true;
        if self.phase != Phase::Calling {
            // Cancelled too late, or another device was quicker (RFC 3261, section 13.2.2.4).
            let elsewhere = self.current.is_some();
            self.bye_dialog(at, if elsewhere { ELSEWHERE } else { "" }, line);
            return;
        }
        let Some(answer) = self.sound_answer(at, response) else {
            self.bye_dialog(at, super::inside::FOREIGN_MEDIA, line);
            self.fail_leg(leg, EndReason::MediaRefused, line);
            return;
        };
        self.current = Some(at);
        self.phase = Phase::Established;
        self.deadline = NEVER;
        self.cancel_legs(Some(leg), ELSEWHERE, line);
        line.tell(Event::Answered {
            call: self.id,
            instance: self.legs[leg].target.instance,
            bridged: self.legs[leg].target.bridged,
            answer,
        });
        self.deliver_candidates(line);
        self.trickle(line);
    }

    fn leg_failed(&mut self, leg: usize, status: u16, line: &mut Line) {
        let known = REASONS.iter().find(|(known, _)| *known == status);
        let reason = match known {
            Some(_) if status == 480 && self.legs[leg].ringing => EndReason::NoAnswer,
            Some((_, reason)) => *reason,
            None => EndReason::Failed(status),
        };
        if status >= 600 && self.phase == Phase::Calling {
            // A refusal for all devices (RFC 3261, section 16.7, step 5).
            let text = filled("SIP;cause=%", &[&digits(status.into())]);
            self.cancel_legs(Some(leg), &text, line);
            self.end(reason, true, line);
        } else {
            self.fail_leg(leg, reason, line);
        }
    }

    /// Ends the call when no device is left, with what says most about why.
    fn fail_leg(&mut self, leg: usize, reason: EndReason, line: &mut Line) {
        self.legs[leg].failure = Some(reason);
        if self.phase != Phase::Calling {
            return;
        }
        let mut most = reason;
        for leg in &self.legs {
            let Some(failure) = leg.failure else { return };
            if weight(failure) >= weight(most) {
                most = failure;
            }
        }
        self.end(most, true, line);
    }

    /// Cancels the INVITEs to all devices but one.
    pub(super) fn cancel_legs(&mut self, except: Option<usize>, reason: &str, line: &mut Line) {
        for at in 0..self.legs.len() {
            let leg = &self.legs[at];
            if Some(at) != except && leg.failure.is_none() {
                self.cancel(leg.exchange, reason, line);
            }
        }
    }

    /// The path broke under a CANCEL: a BYE in the early dialog finds the device by another (RFC 3261, section 15).
    pub(super) fn cancel_was_lost(&mut self, at: usize, line: &mut Line) {
        let exchange = &self.exchanges[at];
        if let Some(dialog) = self.legs[exchange.at].dialog {
            let reason = exchange.cancel.clone();
            self.bye_dialog(dialog, &reason, line);
        }
    }
}

/// What a refusal says of the end of a call.
const REASONS: &[(u16, EndReason)] = &[
    (403, EndReason::IdentityRefused),
    (404, EndReason::NotFound),
    (408, EndReason::Network),
    (410, EndReason::Offline),
    (415, EndReason::NotAcceptable),
    (428, EndReason::IdentityRefused),
    (430, EndReason::Offline),
    (436, EndReason::IdentityRefused),
    (437, EndReason::CredentialExpired),
    (438, EndReason::IdentityRefused),
    (480, EndReason::Offline),
    (486, EndReason::Busy),
    (487, EndReason::Cancelled),
    (488, EndReason::NotAcceptable),
    (503, EndReason::Network),
    (504, EndReason::Network),
    (600, EndReason::Busy),
    (603, EndReason::Declined),
    (604, EndReason::NotFound),
    (606, EndReason::NotAcceptable),
];

/// What offers have beside what every request has.
pub(super) fn offering(identity: &str, line: &Line) -> String {
    let mut headers = filled(
        "Contact: %\r\nIdentity: %\r\n",
        &[&line.contact(), identity],
    );
    headers.push_str(DESCRIPTION);
    headers.push_str(SDP);
    headers
}

/// How much a leg's failure says about the whole call.
fn weight(reason: EndReason) -> u8 {
    match reason {
        EndReason::MediaRefused => 9,
        EndReason::Declined => 8,
        EndReason::Busy => 7,
        EndReason::IdentityRefused | EndReason::CredentialExpired => 6,
        EndReason::NotAcceptable => 5,
        EndReason::NoAnswer => 4,
        EndReason::Failed(_) => 3,
        EndReason::Network => 2,
        EndReason::NotFound | EndReason::Offline => 1,
        EndReason::HungUp | EndReason::Cancelled | EndReason::AnsweredElsewhere => 0,
    }
}
