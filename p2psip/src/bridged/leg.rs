//! The phone's side of a bridged call: a plain dialog of RFC 3261, by way of the super node's own proxy.
//!
//! ```text
//! page calls:   INVITE ->        <- 180 <- 200   ACK ->      .. BYE ->        (or CANCEL -> <- 487 ACK ->)
//! phone calls:  INVITE <-   180 -> 200 ->        ACK <-      .. BYE <-
//! ```
//! The way to the proxy is inside the node, so that nothing is sent again but a 2xx, which the far end has to acknowledge.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;
use sip::Message;
use sip::message::{Composer, Method, Name};

use crate::CallId;

/// RFC 3261, T1 and T2, and how long an answer waits for its ACK.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(32);
/// What the bridge takes of a phone.
const ALLOW: &str = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE\r\n";
const SDP: &str = "application/sdp";

/// Where the phone's side stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was sent yet.
    Preparing,
    /// The phone is being called.
    Calling,
    /// The phone calls and has no answer yet.
    Alerting,
    /// The phone calls, has an answer, and has not acknowledged it.
    Answered,
    /// The call stands.
    Up,
    Over,
}

/// One dialog with a phone.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) call: CallId,
    pub(super) phase: Phase,
    pub(super) call_id: String,
    /// This side's From or To, with its tag.
    local: String,
    local_tag: String,
    /// The other side's, with its tag once it has one.
    remote: String,
    remote_tag: String,
    contact: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    /// The branch and the number of the INVITE of this side.
    branch: String,
    invite: u32,
    cancelled: bool,
    /// The phone's INVITE or re-INVITE that has no final response, or one that waits for its ACK.
    request: Option<Message>,
    answer: Option<Repeat>,
}

#[derive(Debug)]
struct Repeat {
    message: Vec<u8>,
    cseq: u32,
    at: Instant,
    interval: Duration,
    end: Instant,
}

/// What a leg needs from outside: words that nobody can guess.
pub(super) type Word<'a> = &'a mut dyn FnMut() -> String;

impl Leg {
    /// The dialog of a call from a page, named `from` (a whole name-addr), to the phone of `uri`.
    pub(super) fn to_phone(call: CallId, from: &str, uri: &str, word: Word<'_>) -> Self {
        let local_tag = word();
        Self {
            call,
            phase: Phase::Preparing,
            call_id: word(),
            local: sip::joined(&[from, ";tag=", &local_tag]),
            local_tag,
            remote: sip::joined(&["<", uri, ">"]),
            remote_tag: String::new(),
            contact: contact(word),
            target: uri.into(),
            routes: Vec::new(),
            cseq: 1,
            branch: word(),
            invite: 1,
            cancelled: false,
            request: None,
            answer: None,
        }
    }

    /// The dialog of a call that a phone makes by this INVITE. `None` if it lacks what a dialog needs.
    pub(super) fn from_phone(call: CallId, invite: &Message, word: Word<'_>) -> Option<Self> {
        let local_tag = word();
        let local = sip::joined(&[invite.field(Name::To)?, ";tag=", &local_tag]);
        let contact_of = invite.contact()?.uri;
        Some(Self {
            call,
            phase: Phase::Alerting,
            call_id: invite.call_id().into(),
            local,
            local_tag,
            remote: invite.field(Name::From)?.into(),
            remote_tag: invite.from_tag().into(),
            contact: contact(word),
            target: contact_of.into(),
            routes: invite.list(Name::RecordRoute).map(String::from).collect(),
            cseq: 1,
            branch: word(),
            invite: 0,
            cancelled: false,
            request: Some(invite.clone()),
            answer: None,
        })
    }

    /// Says whether a message belongs to this dialog, or is about to.
    pub(super) fn takes(&self, message: &Message) -> bool {
        let (own, far) = if message.is_request() {
            (message.to_tag(), message.from_tag())
        } else {
            (message.from_tag(), message.to_tag())
        };
        let early = message.is(Method::Cancel) || !message.is_request();
        message.call_id() == self.call_id
            && (own == self.local_tag || own.is_empty() && early)
            && (far == self.remote_tag || early)
    }

    /// Calls the phone.
    pub(super) fn call(&mut self, offer: &str) -> Vec<u8> {
        self.phase = Phase::Calling;
        let head = sip::joined(&["Contact: <", &self.contact, ">\r\n", ALLOW]);
        self.request("INVITE", self.invite, &self.branch.clone(), &head, offer)
    }

    /// Says whether a 2xx is that of the phone which has the call.
    pub(super) fn takes_again(&self, response: &Message) -> bool {
        self.remote_tag == response.to_tag()
    }

    /// Takes the call to the phone back.
    pub(super) fn cancel(&mut self) -> Option<Vec<u8>> {
        let open = self.phase == Phase::Calling && !self.cancelled;
        self.cancelled = true;
        open.then(|| self.request("CANCEL", self.invite, &self.branch.clone(), "", ""))
    }

    /// Acknowledges a final response to this side's INVITE; the dialog is that of a 2xx then.
    pub(super) fn acknowledge(
        &mut self,
        response: &Message,
        status: u16,
        word: Word<'_>,
    ) -> Vec<u8> {
        if status < 300 {
            self.remote = response.field(Name::To).unwrap_or("").into();
            self.remote_tag = response.to_tag().into();
            let mut routes: Vec<String> =
                response.list(Name::RecordRoute).map(String::from).collect();
            routes.reverse();
            self.routes = routes;
            if let Some(contact) = response.contact() {
                self.target = contact.uri.into();
            }
            return self.request("ACK", self.invite, &word(), "", "");
        }
        let to = response.field(Name::To).unwrap_or("").to_string();
        let remote = core::mem::replace(&mut self.remote, to);
        let ack = self.request("ACK", self.invite, &self.branch.clone(), "", "");
        self.remote = remote;
        ack
    }

    /// Ends the dialog.
    pub(super) fn bye(&mut self, word: Word<'_>) -> Vec<u8> {
        self.phase = Phase::Over;
        self.answer = None;
        self.cseq += 1;
        self.request("BYE", self.cseq, &word(), "", "")
    }

    /// Answers a second phone that took the call although another had it: thank you, and good-bye.
    pub(super) fn dismiss(&self, response: &Message, word: Word<'_>) -> [Vec<u8>; 2] {
        let mut other = Self {
            phase: Phase::Up,
            remote: String::new(),
            remote_tag: String::new(),
            local: self.local.clone(),
            local_tag: self.local_tag.clone(),
            call_id: self.call_id.clone(),
            contact: self.contact.clone(),
            target: self.target.clone(),
            routes: Vec::new(),
            branch: String::new(),
            request: None,
            answer: None,
            ..*self
        };
        let ack = other.acknowledge(response, 200, word);
        [ack, other.bye(word)]
    }

    /// Says to the phone that it rings over there.
    pub(super) fn ring(&self) -> Option<Vec<u8>> {
        let request = self.request.as_ref()?;
        (self.phase == Phase::Alerting).then(|| self.respond(request, 180, "", ""))
    }

    /// Answers the phone's INVITE, or its re-INVITE, with a description.
    pub(super) fn accept(&mut self, answer: &str, now: Instant) -> Option<Vec<u8>> {
        let request = self.request.take()?;
        let message = self.respond(&request, 200, ALLOW, answer);
        if self.phase == Phase::Alerting {
            self.phase = Phase::Answered;
        }
        self.answer = Some(Repeat {
            message: message.clone(),
            cseq: request.cseq().map_or(0, |cseq| cseq.number),
            at: now + T1,
            interval: T1,
            end: now + PATIENCE,
        });
        Some(message)
    }

    /// Refuses the phone's INVITE or re-INVITE.
    pub(super) fn refuse(&mut self, status: u16) -> Option<Vec<u8>> {
        let request = self.request.take()?;
        if self.phase == Phase::Alerting {
            self.phase = Phase::Over;
        }
        Some(self.respond(&request, status, "", ""))
    }

    /// A re-INVITE, or UPDATE with an offer: is to be answered by [`accept`](Self::accept) or [`refuse`](Self::refuse). False if another
    /// one waits.
    pub(super) fn offered(&mut self, request: &Message) -> bool {
        if self.request.is_some() || self.answer.is_some() || self.phase != Phase::Up {
            return false;
        }
        if let Some(contact) = request.contact() {
            self.target = contact.uri.into();
        }
        self.request = Some(request.clone());
        true
    }

    /// The phone has acknowledged an answer. Says whether that was the one to its first INVITE.
    pub(super) fn acknowledged(&mut self, ack: &Message) -> bool {
        let number = ack.cseq().map(|cseq| cseq.number);
        if self.answer.as_ref().map(|answer| answer.cseq) == number {
            self.answer = None;
        }
        let first = self.phase == Phase::Answered;
        if first {
            self.phase = Phase::Up;
        }
        first
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.answer.as_ref().map(|answer| answer.at.min(answer.end))
    }

    /// Repeats an answer that is not acknowledged; `Err` if nobody ever will.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<Option<Vec<u8>>, ()> {
        let Some(answer) = &mut self.answer else {
            return Ok(None);
        };
        if now >= answer.end {
            self.answer = None;
            return Err(());
        }
        if now < answer.at {
            return Ok(None);
        }
        answer.interval = (answer.interval * 2).min(T2);
        answer.at = now + answer.interval;
        Ok(Some(answer.message.clone()))
    }

    /// A response to a request of the phone in this dialog.
    pub(super) fn respond(
        &self,
        request: &Message,
        status: u16,
        headers: &str,
        body: &str,
    ) -> Vec<u8> {
        let mut composer = Composer::response(request, status, &self.local_tag);
        if request.is(Method::Invite) && status < 300 {
            for route in request.fields(Name::RecordRoute) {
                composer = composer.header("Record-Route", route);
            }
            let contact = sip::joined(&["<", &self.contact, ">"]);
            composer = composer.header("Contact", &contact);
        }
        composer.raw(headers).body(SDP, body.as_bytes())
    }

    fn request(
        &self,
        method: &str,
        number: u32,
        branch: &str,
        headers: &str,
        body: &str,
    ) -> Vec<u8> {
        let via = sip::joined(&["SIP/2.0/WSS bridge.invalid;branch=z9hG4bK", branch]);
        let cseq = sip::joined(&[&sip::digits(u64::from(number)), " ", method]);
        let mut composer = Composer::request(method, &self.target)
            .header("Via", &via)
            .header("Max-Forwards", "70");
        for route in &self.routes {
            composer = composer.header("Route", route);
        }
        composer
            .header("From", &self.local)
            .header("To", &self.remote)
            .header("Call-ID", &self.call_id)
            .header("CSeq", &cseq)
            .raw(headers)
            .body(SDP, body.as_bytes())
    }
}

/// A response to a request that belongs to no call.
pub(super) fn refuse(request: &Message, status: u16) -> Vec<u8> {
    Composer::response(request, status, "bridge")
        .raw(ALLOW)
        .finish()
}

/// Nobody dials it: the proxy that the phone's requests go through knows the way.
fn contact(word: Word<'_>) -> String {
    sip::joined(&["sip:", &word(), "@bridge.invalid"])
}
