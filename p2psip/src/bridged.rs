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
mod page;
mod phone;
mod sound;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use machine::{Instant, Machine, Outbox, Rng};
use sip::Message;
use sip::sdp::Description;

use crate::location::Location;
use crate::{Aor, CallId, Config, EndReason, Input, Output, Peer};

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
    fn settle(&mut self, at: usize) {
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

#[cfg(test)]
pub(crate) mod tests;
