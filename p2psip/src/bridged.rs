//! A SIP phone as a user of the overlay: what the super node at which it registers does in its name.
//!
//! ```text
//!   phone <--RFC 3261, RTP--> proxy <--> [ PhoneLine: leg | sound | Peer ] <--> edge <--> pages
//!                                              |
//!                                            media: ICE, DTLS-SRTP towards the page; RTP towards the phone
//! ```
//! To the overlay it is a user like others, a [`Peer`] with a record, calls that are signed, and keys that the record names; only
//! that the certificate says that a super node holds the key. To the phone it is the far end of each call. Between the two, the
//! descriptions are written anew (module `sound`), and the driver's media bridge passes the sound on.

mod leg;
mod sound;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use machine::{Instant, Machine, Outbox, Rng};
use sip::Message;
use sip::message::Method;
use sip::sdp::Description;

use crate::location::Location;
use crate::{Aor, CallId, Caller, Config, EndReason, Event, Input, Output, Peer};

use leg::{Leg, Phase};
use sound::{Direction, Sound};

pub use sound::{Ice, Numbers};

/// Calls of one phone that are remembered at once.
const CALLS: usize = 8;

/// What the driver tells a line.
#[derive(Debug)]
pub enum LineInput {
    /// Something for the node of the overlay.
    Peer(Input),
    /// A SIP message from the proxy.
    Sip(Vec<u8>),
    /// The sockets that [`LineOutput::Open`] asked for.
    Opened {
        /// For which call.
        call: CallId,
        /// What pages are told.
        ice: Ice,
        /// Where the phone sends RTP; RTCP one port above.
        phone: SocketAddr,
    },
    /// There are no sockets, or the page has gone.
    Lost {
        /// Which call.
        call: CallId,
    },
}

/// What a line wants of its driver.
#[derive(Debug)]
pub enum LineOutput {
    /// What the node of the overlay wants; never an event.
    Peer(Output),
    /// Send a SIP message to the proxy.
    Sip(Vec<u8>),
    /// Open sockets for a call.
    Open {
        /// Which.
        call: CallId,
    },
    /// Both sides are known, or have changed: pass their sound on.
    Connect {
        /// Which call.
        call: CallId,
        /// Between whom.
        plan: Plan,
    },
    /// A call is over.
    Close {
        /// Which.
        call: CallId,
    },
    /// The record is placed (again), or can't be.
    Online(bool),
}

/// Between whom sound is passed on, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `a=fingerprint` of the page, one of which its DTLS certificate must have.
    pub page: Vec<sip::Fingerprint>,
    /// What payload numbers of the page become at the phone.
    pub to_phone: Numbers,
    /// What payload numbers of the phone become at the page.
    pub to_page: Numbers,
    /// Where the phone takes RTP, as it says; none if it wants to hear nothing.
    pub rtp: Option<SocketAddr>,
    /// Where it takes RTCP.
    pub rtcp: Option<SocketAddr>,
    /// Whether the phone wants to hear.
    pub hears: bool,
}

/// A phone's line.
#[derive(Debug)]
pub struct PhoneLine {
    peer: Peer,
    user: Aor,
    calls: Vec<Bridged>,
    rng: Rng,
    outbox: Outbox<LineOutput>,
}

#[derive(Debug)]
struct Bridged {
    leg: Leg,
    ice: Option<Ice>,
    /// Where the phone sends to.
    place: Option<SocketAddr>,
    /// What each side has said.
    page: Option<Sound>,
    phone: Option<Sound>,
    prints: Vec<sip::Fingerprint>,
    /// The number of this side's descriptions.
    version: u32,
    /// The peer's call is over.
    ended: bool,
}

impl PhoneLine {
    /// The line of the phone whose delegated certificate is in `config`; `proxy` is where other proxies reach it, `fingerprint` that
    /// of the media bridge.
    #[must_use]
    pub fn new(config: Config, proxy: Location, fingerprint: &str, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed);
        let config = Config {
            seed: rng.bytes(),
            ..config
        };
        let user = config
            .certificate
            .user()
            .and_then(|(uri, _)| Aor::read(uri));
        let mut peer = Peer::new(config, now);
        peer.also_at(proxy);
        peer.go_online(fingerprint, now);
        let mut line = Self {
            peer,
            user: user.unwrap_or_else(Aor::nobody),
            calls: Vec::new(),
            rng,
            outbox: Outbox::default(),
        };
        line.pump(now);
        line
    }

    /// Whose line it is.
    #[must_use]
    pub const fn user(&self) -> &Aor {
        &self.user
    }

    /// Takes the record back: the phone is not registered any more. Calls go on.
    pub fn go_offline(&mut self, now: Instant) {
        self.peer.go_offline(now);
        self.pump(now);
    }

    /// The phone is registered (again).
    pub fn go_online(&mut self, fingerprint: &str, now: Instant) {
        self.peer.go_online(fingerprint, now);
        self.pump(now);
    }

    /// Takes over a renewed delegated certificate.
    pub fn set_credential(&mut self, certificate: credential::Certificate, now: Instant) {
        self.peer.set_credential(certificate, None, now);
        self.pump(now);
    }

    /// Whether a call is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.calls.is_empty()
    }

    fn receive(&mut self, message: Vec<u8>, now: Instant) {
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
        let sound = core::str::from_utf8(request.body())
            .ok()
            .and_then(Sound::read);
        let sound = sound.filter(Sound::has_voice).ok_or(488_u16)?;
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
                self.settle(at, now);
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
                self.settle(at, now);
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
        let sound = core::str::from_utf8(request.body())
            .ok()
            .and_then(Sound::read);
        let known = one.phone.as_ref().zip(one.place).zip(one.page.as_ref());
        let (Some(sound), Some(((_, place), page))) = (sound, known) else {
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
        let answer = sound::for_phone(&common, place, direction, id, one.version);
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
                self.settle(at, now);
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
        let sound = core::str::from_utf8(response.body())
            .ok()
            .and_then(Sound::read);
        let sound = sound.filter(Sound::has_voice);
        let answer = one.phone_answered(sound);
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
        self.settle(at, now);
    }

    fn opened(&mut self, call: CallId, ice: Ice, place: SocketAddr, now: Instant) {
        let Some(at) = self.find(call) else { return };
        let one = &mut self.calls[at];
        if one.ended {
            return;
        }
        let id = one.id();
        match (one.leg.phase, &one.page, &one.phone) {
            (Phase::Preparing, Some(page), _) => {
                let offer = sound::for_phone(page, place, Direction::Both, id, 1);
                let invite = one.leg.call(&offer);
                self.sip(invite);
            }
            (_, _, Some(phone)) => {
                let offer = sound::offer_for_page(phone, &ice, id);
                self.peer.offer(call, &offer, now);
            }
            (_, _, None) => {}
        }
        if let Some(at) = self.find(call) {
            let one = &mut self.calls[at];
            one.ice = Some(ice);
            one.place = Some(place);
        }
    }

    fn lost(&mut self, call: CallId, now: Instant) {
        if self.find(call).is_some() {
            self.peer.fail(call, EndReason::Network, now);
        }
    }

    fn find(&self, call: CallId) -> Option<usize> {
        self.calls.iter().position(|one| one.leg.call == call)
    }

    fn sip(&mut self, message: Vec<u8>) {
        self.outbox.push(LineOutput::Sip(message));
    }

    /// Forgets a call that both sides have done with.
    fn settle(&mut self, at: usize, _now: Instant) {
        let done = self
            .calls
            .get(at)
            .is_some_and(|one| one.ended && one.leg.phase == Phase::Over);
        if done {
            self.calls.swap_remove(at);
        }
    }

    fn pump(&mut self, now: Instant) {
        while let Some(output) = self.peer.poll_output() {
            match output {
                Output::Event(event) => self.event(event, now),
                output => self.outbox.push(LineOutput::Peer(output)),
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
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
            Event::Ended { call, reason, .. } => self.ended(call, reason, now),
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

    fn ended(&mut self, call: CallId, reason: EndReason, now: Instant) {
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
        self.settle(at, now);
    }
}

impl Bridged {
    const fn new(leg: Leg) -> Self {
        Self {
            leg,
            ice: None,
            place: None,
            page: None,
            phone: None,
            prints: Vec::new(),
            version: 0,
            ended: false,
        }
    }

    /// The number of this side's sessions.
    const fn id(&self) -> u64 {
        self.leg.call.0 + 1
    }

    /// The phone has taken the page's call: what the page is answered.
    fn phone_answered(&mut self, sound: Option<Sound>) -> Option<String> {
        let (phone, page, ice) = (sound?, self.page.as_ref()?, self.ice.as_ref()?);
        let common = page.common(&phone);
        if !common.has_voice() {
            return None;
        }
        self.version = 1;
        let answer = sound::answer_for_page(page, &common, ice, self.id(), 1);
        self.phone = Some(phone);
        Some(answer)
    }

    fn connect(&self) -> Option<LineOutput> {
        let (page, phone) = (self.page.as_ref()?, self.phone.as_ref()?);
        let plan = Plan {
            page: self.prints.clone(),
            to_phone: page.numbers(phone),
            to_page: phone.numbers(page),
            rtp: phone.place,
            rtcp: phone.control,
            hears: phone.direction.hears(),
        };
        let call = self.leg.call;
        Some(LineOutput::Connect { call, plan })
    }
}

impl Machine for PhoneLine {
    type Input = LineInput;
    type Output = LineOutput;

    fn handle_input(&mut self, input: LineInput, now: Instant) {
        match input {
            LineInput::Peer(input) => self.peer.handle_input(input, now),
            LineInput::Sip(message) => self.receive(message, now),
            LineInput::Opened { call, ice, phone } => self.opened(call, ice, phone, now),
            LineInput::Lost { call } => self.lost(call, now),
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        let mut lost = Vec::new();
        let mut again = Vec::new();
        for one in &mut self.calls {
            match one.leg.handle_timeout(now) {
                Ok(message) => again.extend(message),
                Err(()) => lost.push(one.leg.call),
            }
        }
        again.into_iter().for_each(|message| self.sip(message));
        // RFC 3261, section 13.3.1.4: an answer that nobody acknowledges ends the dialog.
        lost.into_iter()
            .for_each(|call| self.peer.hang_up(call, now));
        self.pump(now);
    }

    fn poll_output(&mut self) -> Option<LineOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let legs = self.calls.iter().filter_map(|one| one.leg.poll_timeout());
        legs.chain(self.peer.poll_timeout()).min()
    }
}

/// Whose line a SIP message inside the node is for: who calls, or whom a call was made to.
#[must_use]
pub fn line_of(message: &Message) -> Option<Aor> {
    let address = if message.is_request() {
        message.from()
    } else {
        message.to()
    };
    Aor::read(address?.uri)
}

fn prints(text: &str) -> Vec<sip::Fingerprint> {
    Description::read(text).map_or(Vec::new(), |one| one.fingerprints())
}

/// A name as a quoted string.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for character in name.chars().filter(|c| !c.is_control()) {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push_str("\" ");
    text
}

fn word(rng: &mut Rng) -> String {
    let mut text = String::new();
    for byte in rng.bytes::<12>() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
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

#[cfg(test)]
pub(crate) mod tests;
