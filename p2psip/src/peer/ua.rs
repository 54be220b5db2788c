use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Certificate, RevocationList, Signed, Verified};
use machine::{Instant, Machine, Map, Outbox, Rng};
use overlay::{OrdinaryConfig, OrdinaryInput, OrdinaryNode};
use sip::{Account, Fingerprint, UserAgent};

use super::directory::{Answer, Directory};
use super::layers::{Origin, SIP_FRAME, origin};
use super::registration::Registration;
use super::{Config, Contact, Event, Input, Output};
use crate::{Aor, CallId, Candidate, EndReason, LinkId};

/// A user on a device: an ordinary node of the overlay and a SIP user agent in one.
#[derive(Debug)]
pub struct Peer {
    pub(super) node: OrdinaryNode,
    pub(super) agent: UserAgent,
    pub(super) user: Aor,
    pub(super) registration: Registration,
    pub(super) directory: Directory,
    pub(super) calls: Map<CallId, Call>,
    /// STUN servers by association, and the super nodes that were named last.
    pub(super) stun: Map<LinkId, Vec<String>>,
    pub(super) named: Vec<Contact>,
    pub(super) outbox: Outbox<Output>,
}

#[derive(Debug)]
pub(super) struct Call {
    /// Who is at the other end.
    pub(super) peer: Option<Aor>,
    /// Whether it was the other side that called.
    pub(super) incoming: bool,
    /// Whether both have agreed on a first description.
    pub(super) answered: bool,
    /// When the user was told that it is over. SIP may still have to carry that to the other side.
    pub(super) ended: Option<Instant>,
}

/// How long a call that is over is remembered, for SIP that carries its end across (RFC 3261 §17, 64 T1).
const AFTERLIFE: Duration = Duration::from_secs(32);

impl Peer {
    /// A peer that begins to associate with its super nodes at once.
    ///
    /// The certificate must be a user's; with another one nothing can be reached.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed);
        let account = account(&config.certificate, config.name);
        let user = Aor::read(&account.uri).unwrap_or_else(Aor::nobody);
        let agent = UserAgent::new(
            account.clone(),
            config.anchor.clone(),
            config.wall,
            rng.fork(),
        );
        let overlay = config.anchor.overlay();
        let node = OrdinaryNode::new(
            OrdinaryConfig {
                anchor: config.anchor,
                certificate: config.certificate,
                revocations: config
                    .revocations
                    .clone()
                    .unwrap_or_else(|| RevocationList::empty(overlay)),
                candidates: candidates(config.super_nodes),
                clock: config.wall,
                seed: rng.bytes(),
            },
            now,
        );
        let mut peer = Self {
            node,
            agent,
            registration: Registration::new(user.clone(), account.instance),
            directory: Directory::new(account.instance),
            user,
            calls: Map::new(),
            stun: Map::new(),
            named: Vec::new(),
            outbox: Outbox::default(),
        };
        if let Some(list) = config.revocations {
            peer.agent.handle_input(sip::Input::Revocations(list), now);
        }
        peer.pump(now);
        peer
    }

    /// Makes the user callable: places the location record and keeps it placed until [`go_offline`](Self::go_offline).
    ///
    /// `fingerprint` is the value of `a=fingerprint` of every description that this device will ever send,
    /// `sha-256 AB:CD:..`. Calling it again with another one replaces the record.
    pub fn go_online(&mut self, fingerprint: &str, now: Instant) {
        match Fingerprint::read(fingerprint) {
            Some(fingerprint) => self.registration.begin(fingerprint, now),
            None => self.event(Event::NotOnline),
        }
        self.pump(now);
    }

    /// Says where the user is reached besides his super nodes: at the proxy where his phone is registered.
    ///
    /// Such a user is no more reachable than the super node at which the phone is registered: one association will do.
    #[cfg(feature = "phones")]
    pub(crate) fn also_at(&mut self, place: crate::location::Location) {
        self.node.keep_one_association();
        self.registration.also_at(place);
    }

    /// Removes the location record. Calls in progress go on.
    pub fn go_offline(&mut self, now: Instant) {
        let event = self.registration.end(&mut self.node, now);
        self.events(event);
        self.pump(now);
    }

    /// The super nodes with which associations stand.
    pub fn super_nodes(&self) -> impl Iterator<Item = Contact> {
        self.node.associations().map(|(_, node, url)| Contact {
            node: Some(node),
            url: url.to_string(),
        })
    }

    /// Names further super nodes to try, for when those of the start don't answer.
    pub fn add_super_nodes(&mut self, super_nodes: Vec<Contact>, now: Instant) {
        let more = OrdinaryInput::Candidates(candidates(super_nodes));
        self.node.handle_input(more, now);
        self.pump(now);
    }

    /// Takes over a renewed certificate of the same user and device, and his name.
    pub fn set_credential(&mut self, certificate: Certificate, name: Option<String>, now: Instant) {
        let account = account(&certificate, name);
        self.node.renew(certificate, now);
        self.agent.handle_input(sip::Input::Renewed(account), now);
        self.registration.touch(now);
        self.pump(now);
    }

    /// Looks a callee up ahead of a call. What is found serves a [`call`](Self::call) within a few seconds.
    pub fn warm(&mut self, target: &str, now: Instant) {
        if let Some(target) = self.callee(target) {
            self.directory.warm(&target, &mut self.node, now);
        }
        self.pump(now);
    }

    /// Calls a user: `bob`, `bob@example.org` or `sip:bob@example.org`. He is looked up at once; the INVITE goes as
    /// soon as [`offer`](Self::offer) is there too.
    pub fn call(&mut self, target: &str, now: Instant) -> CallId {
        self.forget_old_calls(now);
        let peer = self.callee(target);
        let uri = peer.as_ref().map_or("sip:invalid", Aor::uri);
        let call = self.agent.call(uri, now);
        self.calls.insert(call, Call::with(peer.clone(), false));
        match peer {
            Some(peer) => self.look_up(call, &peer, false, now),
            None => self.abandon(call, EndReason::NotFound, now),
        }
        self.pump(now);
        call
    }

    /// Gives the SDP offer of an outgoing call.
    pub fn offer(&mut self, call: CallId, sdp: &str, now: Instant) {
        if self.is_live(call) {
            self.agent.offer(call, sdp.to_string(), now);
        }
        self.pump(now);
    }

    /// Answers an incoming call, or the other side's offer to renegotiate.
    pub fn answer(&mut self, call: CallId, sdp: &str, now: Instant) {
        if let Some(state) = self.calls.get_mut(&call)
            && state.ended.is_none()
        {
            state.answered = true;
            self.agent.answer(call, sdp.to_string(), now);
        }
        self.pump(now);
    }

    /// Refuses the other side's offer to renegotiate; the call goes on as it was.
    pub fn refuse_offer(&mut self, call: CallId, now: Instant) {
        if self.is_live(call) {
            self.agent.refuse_offer(call, now);
        }
        self.pump(now);
    }

    /// Declines an incoming call on all of the user's devices.
    pub fn decline(&mut self, call: CallId, now: Instant) {
        if self.is_live(call) {
            self.agent.decline(call, now);
            self.end(call, EndReason::Declined, false, now);
        }
        self.pump(now);
    }

    /// Ends a call in any state, here at once, there as soon as a super node can be reached.
    pub fn hang_up(&mut self, call: CallId, now: Instant) {
        let answered = self.calls.get(&call).is_some_and(|call| call.answered);
        let reason = if answered {
            EndReason::HungUp
        } else {
            EndReason::Cancelled
        };
        self.abandon(call, reason, now);
        self.pump(now);
    }

    /// Ends a call in any state for a reason of this side: no microphone, permission refused, not acceptable, going
    /// offline.
    pub fn fail(&mut self, call: CallId, reason: EndReason, now: Instant) {
        let refused = self
            .calls
            .get(&call)
            .is_some_and(|call| call.incoming && !call.answered);
        if refused && self.is_live(call) {
            // The caller shall not take it for a refusal of himself (603).
            match reason {
                EndReason::Offline => self.agent.unavailable(call, now),
                EndReason::Busy => self.agent.busy(call, now),
                _ => self.agent.not_acceptable(call, now),
            }
            self.end(call, reason, false, now);
        } else {
            self.abandon(call, reason, now);
        }
        self.pump(now);
    }

    /// Sends one of this side's ICE candidates.
    pub fn candidate(&mut self, call: CallId, candidate: Candidate, now: Instant) {
        if self.is_live(call) {
            self.agent.candidate(call, candidate, now);
        }
        self.pump(now);
    }

    /// Says that no more of this side's candidates will come in this generation.
    pub fn end_of_candidates(&mut self, call: CallId, now: Instant) {
        if self.is_live(call) {
            self.agent.end_of_candidates(call, now);
        }
        self.pump(now);
    }

    /// Offers to renegotiate a call that stands: ICE restart, camera on.
    pub fn renegotiate(&mut self, call: CallId, sdp: &str, now: Instant) {
        if self.is_live(call) {
            self.agent.renegotiate(call, sdp.to_string(), now);
        }
        self.pump(now);
    }

    /// Whom a text names, if a certificate can name him.
    fn callee(&self, text: &str) -> Option<Aor> {
        Aor::typed(text, self.user.domain())
            .filter(|callee| credential::profile::is_canonical(callee.uri()))
    }

    pub(super) fn forget_old_calls(&mut self, now: Instant) {
        self.calls
            .retain(|_, call| call.ended.is_none_or(|ended| now - ended < AFTERLIFE));
    }

    pub(super) fn is_live(&self, call: CallId) -> bool {
        let call = self.calls.get(&call);
        call.is_some_and(|call| call.ended.is_none())
    }

    pub(super) fn look_up(&mut self, call: CallId, peer: &Aor, again: bool, now: Instant) {
        let answer = self.directory.find(call, peer, again, &mut self.node, now);
        if let Some(answer) = answer {
            self.found(call, answer, now);
        }
    }

    /// Hands the callee's locations to the SIP layer, or ends the call for want of them.
    pub(super) fn found(&mut self, call: CallId, answer: Answer, now: Instant) {
        let Some(state) = self.calls.get(&call) else {
            return;
        };
        let open = state.ended.is_none() && !state.answered;
        match answer {
            Ok(targets) => self.agent.locations(call, targets, now),
            Err(reason) if open => self.abandon(call, reason, now),
            Err(_) => self.agent.locations(call, Vec::new(), now),
        }
    }

    /// Ends a call here and now, and has the SIP layer tell the other side.
    fn abandon(&mut self, call: CallId, reason: EndReason, now: Instant) {
        if !self.is_live(call) {
            return;
        }
        self.end(call, reason, false, now);
        self.agent.hang_up(call, now);
    }

    pub(super) fn end(&mut self, call: CallId, reason: EndReason, remote: bool, now: Instant) {
        self.directory.forget(call);
        let Some(state) = self.calls.get_mut(&call) else {
            return;
        };
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(now);
        self.event(Event::Ended {
            call,
            reason,
            remote,
        });
    }
}

impl Machine for Peer {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Opened { link } => self.node.handle_input(OrdinaryInput::Up(link), now),
            Input::Closed { link } => self.node.handle_input(OrdinaryInput::Down(link), now),
            Input::Busy { link } => self.node.handle_input(OrdinaryInput::Busy(link), now),
            Input::Frame { link, bytes } => match bytes.split_first() {
                Some((&SIP_FRAME, message)) => self.received(link, message.to_vec(), now),
                _ => {
                    let input = OrdinaryInput::Frame { link, frame: bytes };
                    self.node.handle_input(input, now);
                }
            },
            Input::Text { link, text } => self.received(link, text.into_bytes(), now),
            Input::Signed(Signed { job, signature }) => match origin(job) {
                Origin::Overlay(job) => {
                    let signed = Signed { job, signature };
                    self.node.handle_input(OrdinaryInput::Signed(signed), now);
                }
                Origin::Sip(job) => {
                    let input = sip::Input::Signed(Signed { job, signature });
                    self.agent.handle_input(input, now);
                }
            },
            Input::Verified(Verified { job, valid }) => match origin(job) {
                Origin::Overlay(job) => {
                    let verified = Verified { job, valid };
                    self.node
                        .handle_input(OrdinaryInput::Verified(verified), now);
                }
                Origin::Sip(job) => {
                    let input = sip::Input::Verified(Verified { job, valid });
                    self.agent.handle_input(input, now);
                }
            },
            Input::Network => self.node.handle_input(OrdinaryInput::Woken, now),
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
        self.agent.handle_timeout(now);
        self.pump(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let timers = [
            self.node.poll_timeout(),
            self.agent.poll_timeout(),
            self.registration.poll_timeout(),
        ];
        timers.into_iter().flatten().min()
    }
}

impl Call {
    pub(super) const fn with(peer: Option<Aor>, incoming: bool) -> Self {
        Self {
            peer,
            incoming,
            answered: false,
            ended: None,
        }
    }
}

fn account(certificate: &Certificate, name: Option<String>) -> Account {
    let (uri, instance) = match certificate.user() {
        Some((uri, instance)) => (uri.to_string(), instance),
        None => (String::new(), credential::Instance([0; 16])),
    };
    Account {
        uri,
        name,
        instance,
        certificate: certificate.der().to_vec(),
    }
}

fn candidates(contacts: Vec<Contact>) -> Vec<overlay::Candidate> {
    let candidate = |Contact { node, url }| overlay::Candidate { url, node };
    contacts.into_iter().map(candidate).collect()
}
