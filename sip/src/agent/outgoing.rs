//! The caller's side of a call until it is answered: one INVITE per device, in parallel.

use alloc::string::String;
use alloc::vec::Vec;

use machine::Instant;

use super::call::{Leg, Phase};
use super::dialog::Dialog;
use super::exchange::{ExchangeId, Purpose};
use super::{ALLOW, CallId, EndReason, Event, Output, SUPPORTED, Target, UserAgent};
use crate::message::{Composer, Message, Method, Name, Template};
use crate::sdp::{self, Description};

/// The CSeq number of a call's first INVITE.
pub(super) const FIRST: u32 = 1;
/// How many devices of a callee are called.
const MAXIMUM_LEGS: usize = 8;
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl UserAgent {
    /// Gives the SDP offer of an outgoing call. An offer with a section that has no fingerprint ends the call with
    /// [`EndReason::NotAcceptable`].
    pub fn offer(&mut self, call: CallId, sdp: String, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        if found.phase != Phase::Preparing || !found.description.is_empty() {
            return;
        }
        found.description = sdp.clone();
        if !self.sign(call, &sdp, now) {
            self.end(call, EndReason::NotAcceptable, false, now);
        }
    }

    /// Gives the verified locations of the peer, for a new call, after [`Event::LocationsWanted`], or when more or newer
    /// ones turn up: devices that don't ring yet are called too. None at all ends a call that isn't answered yet with
    /// [`EndReason::Offline`].
    pub fn locations(&mut self, call: CallId, mut targets: Vec<Target>, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        found.look_up = None;
        targets.truncate(MAXIMUM_LEGS);
        if found.phase == Phase::Preparing {
            if targets.is_empty() {
                self.end(call, EndReason::Offline, true, now);
            } else {
                found.targets = Some(targets);
                self.start(call, now);
            }
            return;
        }
        let mut instances = Vec::new();
        for leg in &mut found.legs {
            instances.push(Some(leg.target.instance));
            if let Some(target) = targets
                .iter()
                .find(|one| one.instance == leg.target.instance)
            {
                leg.target = target.clone();
            }
        }
        let dialogs: Vec<_> = found.dialogs.iter().map(|dialog| dialog.instance).collect();
        for dialog in &mut found.dialogs {
            let target = targets
                .iter()
                .find(|one| Some(one.instance) == dialog.instance);
            if let Some(target) = target {
                dialog.routes = target.routes.clone();
            }
        }
        if found.phase == Phase::Calling {
            let further = targets.iter();
            let further = further.filter(|one| !instances.contains(&Some(one.instance)));
            for target in further.take(MAXIMUM_LEGS.saturating_sub(instances.len())) {
                self.start_leg(call, target.clone(), now);
            }
        }
        let routes_of = |exchange: &super::Exchange| {
            let instance = match exchange.purpose {
                Purpose::Invite { leg } => *instances.get(leg)?,
                other => *dialogs.get(other.dialog()?)?,
            };
            let target = targets.iter().find(|one| Some(one.instance) == instance);
            target.map(|target| target.routes.clone())
        };
        self.relocate(call, routes_of, now);
    }

    /// Sends the INVITEs once offer, signature and locations are there.
    pub(super) fn start(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.phase != Phase::Preparing || call.identity.is_none() || call.targets.is_none() {
            return;
        }
        call.phase = Phase::Calling;
        call.deadline = Some(now + super::call::NO_ANSWER);
        for target in call.targets.take().unwrap_or_default() {
            self.start_leg(id, target, now);
        }
    }

    fn start_leg(&mut self, id: CallId, target: Target, now: Instant) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let leg = call.legs.len();
        let identity = call.identity.as_deref().unwrap_or("");
        let composer = self.request(call, Method::Invite, FIRST, &target.uri, "");
        let template = self.offering(composer, identity, &call.description);
        let routes = target.routes.clone();
        if let Some(call) = self.calls.get_mut(&id) {
            call.legs.push(Leg {
                target,
                exchange: ExchangeId(0),
                dialog: None,
                ringing: false,
                failure: None,
            });
        }
        let exchange = self.begin(
            id,
            Purpose::Invite { leg },
            FIRST,
            template,
            (routes, &[]),
            now,
        );
        if let Some(call) = self.calls.get_mut(&id)
            && let Some(leg) = call.legs.get_mut(leg)
        {
            leg.exchange = exchange;
        }
    }

    /// Completes an INVITE with what offers have.
    pub(super) fn offering(&self, composer: Composer, identity: &str, sdp: &str) -> Template {
        let composer = composer
            .header("Contact", &self.contact())
            .header("Allow", ALLOW)
            .header("Supported", SUPPORTED)
            .header("Recv-Info", "trickle-ice")
            .header("Identity", identity);
        Template::new(composer, sdp::MEDIA_TYPE, sdp.as_bytes().to_vec())
    }

    /// A provisional response to any request of this user agent.
    pub(super) fn provisional(
        &mut self,
        id: ExchangeId,
        status: u16,
        message: &Message,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let (call, purpose, cancelled) =
            (exchange.call, exchange.purpose, exchange.cancel.is_some());
        let Purpose::Invite { leg } = purpose else {
            return;
        };
        if status == 100 || message.to_tag().is_empty() {
            return;
        }
        let Some(dialog) = self.leg_dialog(call, leg, message) else {
            return;
        };
        if cancelled {
            return;
        }
        self.acknowledge_provisional(call, dialog, message, now);
        self.plan_second_path(id, now);
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        if status == 180
            && let Some(leg) = found.legs.get_mut(leg)
        {
            leg.ringing = true;
            let instance = leg.target.instance;
            if found.phase == Phase::Calling && !found.ringing {
                found.ringing = true;
                self.outbox
                    .push(Output::Event(Event::Ringing { call, instance }));
            }
        }
        self.trickle(call, now);
    }

    /// Finds or opens the dialog of a leg that a response belongs to.
    fn leg_dialog(&mut self, id: CallId, leg: usize, response: &Message) -> Option<usize> {
        let call = self.calls.get_mut(&id)?;
        let leg = call.legs.get_mut(leg)?;
        let known = leg.dialog.filter(|at| {
            let dialog = call.dialogs.get(*at);
            dialog.is_some_and(|dialog| dialog.remote_tag == response.to_tag())
        });
        if let Some(at) = known {
            call.dialogs[at].refresh(response);
            return Some(at);
        }
        if call.dialogs.len() >= 2 * MAXIMUM_LEGS {
            return None;
        }
        let mut dialog = Dialog::at_caller(response, FIRST, leg.target.instance);
        dialog.fingerprints = leg.target.fingerprints.clone();
        // What its signed record says of the device, unless it says newer things itself.
        if dialog.remote_target.is_empty() {
            dialog.remote_target = leg.target.uri.clone();
        }
        if dialog.routes.is_empty() {
            dialog.routes = leg.target.routes.clone();
        }
        call.dialogs.push(dialog);
        leg.dialog = Some(call.dialogs.len() - 1);
        leg.dialog
    }

    /// Sends the PRACK for a reliable provisional response (RFC 3262, section 4), once.
    fn acknowledge_provisional(&mut self, id: CallId, at: usize, response: &Message, now: Instant) {
        let rseq = response.field(Name::RSeq).and_then(crate::message::decimal);
        let rseq = rseq.and_then(|rseq| u32::try_from(rseq).ok());
        let Some(rseq) = rseq.filter(|_| response.lists(Name::Require, "100rel")) else {
            return;
        };
        let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        else {
            return;
        };
        if dialog.rseq != 0 && rseq != dialog.rseq.wrapping_add(1) {
            return;
        }
        dialog.rseq = rseq;
        let number = response.cseq().map_or(0, |cseq| cseq.number);
        let mut rack = String::new();
        let _ = core::fmt::Write::write_fmt(&mut rack, format_args!("{rseq} {number} INVITE"));
        let purpose = Purpose::Prack { dialog: at };
        self.send_inside(id, at, purpose, now, |composer| {
            Template::new(composer.header("RAck", &rack), "", Vec::new())
        });
    }

    /// A final response, or the failure of every path (then without a message), to any request of this user agent.
    pub(super) fn concluded(
        &mut self,
        id: ExchangeId,
        status: u16,
        message: Option<&Message>,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let (call, purpose, cseq) = (exchange.call, exchange.purpose, exchange.cseq);
        match purpose {
            Purpose::Invite { leg } => match message {
                Some(message) if status < 300 => self.answered(call, leg, message, now),
                Some(_) | None => self.leg_failed(call, leg, status, now),
            },
            Purpose::Reinvite { dialog } => {
                self.reinvite_concluded(call, dialog, cseq, (status, message), now);
            }
            Purpose::Info { dialog, sent, end } => {
                self.info_concluded(call, dialog, status, (sent, end), now);
            }
            // The other side knows nothing of the call any more (RFC 3261, section 12.2.1.2).
            Purpose::Update { .. } if status == 481 => {
                self.end(call, EndReason::Network, true, now)
            }
            Purpose::Prack { .. } | Purpose::Update { .. } | Purpose::Bye { .. } => {}
        }
    }

    /// A device answered. The first answer whose fingerprint is the expected one wins.
    fn answered(&mut self, id: CallId, leg: usize, response: &Message, now: Instant) {
        let Some(at) = self.leg_dialog(id, leg, response) else {
            return;
        };
        self.acknowledge_answer(id, at, FIRST);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.current == Some(at) {
            return;
        }
        let dialog = &mut call.dialogs[at];
        if dialog.confirmed {
            return;
        }
        dialog.confirmed = true;
        if call.phase != Phase::Calling {
            // Cancelled too late, or another device was quicker (RFC 3261, section 13.2.2.4).
            let reason = if call.current.is_some() {
                ELSEWHERE
            } else {
                ""
            };
            self.bye_dialog(id, at, reason, now);
            return;
        }
        let sdp = core::str::from_utf8(response.body()).unwrap_or("");
        let expected = &dialog.fingerprints;
        let sound = response.has_body_of(sdp::MEDIA_TYPE)
            && Description::read(sdp).is_ok_and(|one| one.check(expected).is_ok());
        if !sound {
            self.bye_dialog(id, at, super::inside::FOREIGN_MEDIA, now);
            self.fail_leg(id, leg, EndReason::MediaRefused, now);
            return;
        }
        call.current = Some(at);
        call.phase = Phase::Established;
        call.deadline = None;
        let instance = call.legs[leg].target.instance;
        self.cancel_legs(id, Some(leg), ELSEWHERE, now);
        self.outbox.push(Output::Event(Event::Answered {
            call: id,
            instance,
            answer: sdp.into(),
        }));
        self.deliver_candidates(id);
        self.trickle(id, now);
    }

    fn leg_failed(&mut self, id: CallId, leg: usize, status: u16, now: Instant) {
        let rang = self
            .calls
            .get(&id)
            .and_then(|call| call.legs.get(leg))
            .is_some_and(|leg| leg.ringing);
        let reason = match status {
            480 if rang => EndReason::NoAnswer,
            410 | 430 | 480 => EndReason::Offline,
            404 | 604 => EndReason::NotFound,
            408 | 503 | 504 => EndReason::Network,
            486 | 600 => EndReason::Busy,
            487 => EndReason::Cancelled,
            603 => EndReason::Declined,
            403 | 428 | 436 | 438 => EndReason::IdentityRefused,
            437 => EndReason::CredentialExpired,
            415 | 488 | 606 => EndReason::NotAcceptable,
            other => EndReason::Failed(other),
        };
        if status >= 600
            && self
                .calls
                .get(&id)
                .is_some_and(|call| call.phase == Phase::Calling)
        {
            // A refusal for all devices (RFC 3261, section 16.7, step 5).
            let mut text = String::from("SIP;cause=");
            let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{status}"));
            self.cancel_legs(id, Some(leg), &text, now);
            self.end(id, reason, true, now);
            return;
        }
        self.fail_leg(id, leg, reason, now);
    }

    /// Ends the call when no device is left, with what says most about why.
    fn fail_leg(&mut self, id: CallId, leg: usize, reason: EndReason, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if let Some(leg) = call.legs.get_mut(leg) {
            leg.failure = Some(reason);
        }
        if call.phase != Phase::Calling || call.legs.iter().any(|leg| leg.failure.is_none()) {
            return;
        }
        let reasons = call.legs.iter().filter_map(|leg| leg.failure);
        if let Some(reason) = reasons.max_by_key(|reason| weight(*reason)) {
            self.end(id, reason, true, now);
        }
    }

    /// Cancels the INVITEs to all devices but one.
    pub(super) fn cancel_legs(
        &mut self,
        id: CallId,
        except: Option<usize>,
        reason: &str,
        now: Instant,
    ) {
        let Some(call) = self.calls.get(&id) else {
            return;
        };
        let legs = call.legs.iter().enumerate();
        let legs = legs.filter(|(at, leg)| Some(*at) != except && leg.failure.is_none());
        let exchanges: Vec<_> = legs.map(|(_, leg)| leg.exchange).collect();
        for exchange in exchanges {
            self.cancel(exchange, reason, now);
        }
    }

    /// The path broke under a CANCEL: a BYE in the early dialog finds the device by another (RFC 3261, section 15).
    pub(super) fn cancel_was_lost(&mut self, id: ExchangeId, was_sent: bool, now: Instant) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let Purpose::Invite { leg } = exchange.purpose else {
            return;
        };
        let (call, reason) = (exchange.call, exchange.cancel.clone());
        let dialog = self
            .calls
            .get(&call)
            .and_then(|call| call.legs.get(leg)?.dialog);
        if let Some(at) = dialog.filter(|_| was_sent) {
            self.bye_dialog(call, at, reason.as_deref().unwrap_or(""), now);
        }
    }
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
