//! The user agent (RFC 3261 UAC and UAS) of one signed-in user.
//!
//! ```text
//! caller                              callee
//!   call(), offer(sdp), locations()
//!   ---------- INVITE (Identity) ------->   identity verified, then Event::Incoming
//!   <--------- 180 (100rel) -------------   ring()
//!   ---------- PRACK ------------------->
//!   <========= INFO trickle-ice ========>   candidate()
//!   <--------- 200 (answer) -------------   answer(sdp)
//!   Event::Answered once its fingerprint is one of the expected
//!   ---------- ACK --------------------->   Event::Established
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Job, NodeId, RevocationList, TrustAnchor};
use machine::{Instant, Machine, Map, Outbox, Rng, WallClock};

use crate::base64;
use crate::identity::Replays;
use crate::message::{Composer, Message, Method};
use crate::uri::Uri;

mod call;
mod client;
mod dialog;
mod exchange;
mod inside;
mod interface;
mod invitation;
mod outgoing;
mod proof;
mod server;
mod trickle;

use call::{Call, Phase};
use client::ClientEntry;
use exchange::{Exchange, ExchangeId};
pub use interface::{
    Account, CallId, Caller, Candidate, EndReason, Event, FlowId, Input, Misbehaviour, Output,
    Target,
};
use proof::Proof;
use server::ServerEntry;

/// How many calls may be in progress.
const MAXIMUM_CALLS: usize = 16;
/// How many calls, also such as are over, are remembered.
const MAXIMUM_REMEMBERED: usize = 128;
/// The methods that this user agent understands.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS";
/// The extensions that this user agent understands.
const SUPPORTED: &str = "100rel, trickle-ice";

/// The SIP user agent of one signed-in user on one device.
#[derive(Debug)]
pub struct UserAgent {
    account: Account,
    /// The account's address of record in canonical form.
    own: String,
    anchor: TrustAnchor,
    revocations: RevocationList,
    wall: WallClock,
    rng: Rng,
    /// The host in this user agent's Via, which means nothing (RFC 7118, section 5).
    sent_by: String,
    flows: Vec<Flow>,
    calls: Map<CallId, Call>,
    last_call: u64,
    exchanges: Map<ExchangeId, Exchange>,
    last_exchange: u64,
    clients: Map<String, ClientEntry>,
    servers: Map<String, ServerEntry>,
    proofs: Map<Job, Proof>,
    last_job: u64,
    replays: Replays,
    outbox: Outbox<Output>,
}

#[derive(Debug)]
struct Flow {
    id: FlowId,
    node: NodeId,
    secure: bool,
}

impl UserAgent {
    /// A user agent that speaks for `account` and believes in `anchor`.
    #[must_use]
    pub fn new(account: Account, anchor: TrustAnchor, wall: WallClock, mut rng: Rng) -> Self {
        let mut sent_by = String::new();
        for byte in rng.bytes::<6>() {
            let _ = core::fmt::Write::write_fmt(&mut sent_by, format_args!("{byte:02x}"));
        }
        sent_by.push_str(".invalid");
        Self {
            own: canonical(&account.uri),
            account,
            revocations: RevocationList::empty(anchor.overlay()),
            anchor,
            wall,
            sent_by,
            flows: Vec::new(),
            calls: Map::new(),
            last_call: 0,
            exchanges: Map::new(),
            last_exchange: 0,
            clients: Map::new(),
            servers: Map::new(),
            proofs: Map::new(),
            last_job: 0,
            replays: Replays::new(rng.bytes()),
            rng,
            outbox: Outbox::default(),
        }
    }

    /// Starts a call to the user `peer` (`sip:bob@example.org`).
    ///
    /// The INVITE leaves when there are both an [`offer`](Self::offer) and [`locations`](Self::locations), whichever
    /// comes first, so that microphone and look-up run side by side. A call beyond the limit ends at once with
    /// [`EndReason::Busy`].
    pub fn call(&mut self, peer: &str, now: Instant) -> CallId {
        let id = self.new_call(true, None, canonical(peer));
        if self.in_progress() > MAXIMUM_CALLS {
            self.end(id, EndReason::Busy, false, now);
        } else if let Some(call) = self.calls.get_mut(&id) {
            call.deadline = Some(now + call::NO_ANSWER);
        }
        id
    }

    /// Ends a call in any state: CANCEL, 603 or BYE as fits.
    pub fn hang_up(&mut self, call: CallId, now: Instant) {
        let Some(found) = self.calls.get_mut(&call) else {
            return;
        };
        match found.phase {
            Phase::Preparing | Phase::Calling => {
                self.cancel_legs(call, None, "SIP;cause=487;text=\"Request Terminated\"", now);
                self.end(call, EndReason::Cancelled, false, now);
            }
            Phase::Verifying | Phase::Alerting => self.decline(call, now),
            Phase::Answered => {
                found.bye_waits = true;
                self.end(call, EndReason::HungUp, false, now);
            }
            Phase::Established => {
                self.bye(call, "", now);
                self.end(call, EndReason::HungUp, false, now);
            }
            Phase::Over => {}
        }
    }

    /// Makes a call with a new Call-ID, or one that came.
    fn new_call(&mut self, outgoing: bool, call_id: Option<String>, peer: String) -> CallId {
        self.last_call += 1;
        let id = CallId(self.last_call);
        let call_id = call_id.unwrap_or_else(|| self.word());
        let tag = self.word();
        self.calls
            .insert(id, Call::new(outgoing, call_id, tag, peer));
        if self.calls.len() > MAXIMUM_REMEMBERED {
            let over = self
                .calls
                .iter()
                .find(|(_, call)| call.phase == Phase::Over);
            if let Some(oldest) = over.map(|(id, _)| *id) {
                self.forget(oldest);
            }
        }
        id
    }

    fn in_progress(&self) -> usize {
        let calls = self.calls.values();
        calls.filter(|call| call.phase != Phase::Over).count()
    }

    /// Tells the end of a call, once, and lets what is under way run out.
    fn end(&mut self, id: CallId, reason: EndReason, remote: bool, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if call.phase == Phase::Over {
            return;
        }
        let told = call.phase != Phase::Verifying;
        call.phase = Phase::Over;
        call.deadline = None;
        call.renegotiation = None;
        call.verification = None;
        call.forget = Some(now + call::LINGER);
        if told {
            self.outbox.push(Output::Event(Event::Ended {
                call: id,
                reason,
                remote,
            }));
        }
    }

    fn forget(&mut self, id: CallId) {
        self.calls.remove(&id);
        self.forget_exchanges(id);
        self.servers.retain(|_, entry| entry.call() != Some(id));
        self.proofs.retain(|_, proof| proof.call() != id);
    }

    /// The Contact of this user agent: its GRUU and the super nodes by which it can be reached now.
    fn contact(&self) -> String {
        let mut contact = String::from("<");
        contact.push_str(&self.own);
        contact.push_str(";gr=");
        let instance = self.account.instance;
        let _ = core::fmt::Write::write_fmt(&mut contact, format_args!("{instance}>"));
        for (at, flow) in self.flows.iter().enumerate() {
            contact.push_str(if at == 0 { ";sn=\"" } else { "." });
            let _ = core::fmt::Write::write_fmt(&mut contact, format_args!("{}", flow.node));
        }
        if !self.flows.is_empty() {
            contact.push('"');
        }
        contact
    }

    /// Begins a request of a call: what every request has but Via and Route.
    fn request(&self, call: &Call, method: Method, cseq: u32, target: &str, tag: &str) -> Composer {
        let mut from = String::new();
        if let Some(name) = &self.account.name {
            from.push_str(&crate::header::quote(name));
            from.push(' ');
        }
        for part in ["<", &self.own, ">;tag=", &call.local_tag] {
            from.push_str(part);
        }
        let mut to = String::new();
        for part in ["<", &call.peer, ">"] {
            to.push_str(part);
        }
        if !tag.is_empty() {
            to.push_str(";tag=");
            to.push_str(tag);
        }
        let mut sequence = String::new();
        let _ =
            core::fmt::Write::write_fmt(&mut sequence, format_args!("{cseq} {}", method.as_str()));
        Composer::request(method.as_str(), target)
            .header("Max-Forwards", "70")
            .header("From", &from)
            .header("To", &to)
            .header("Call-ID", &call.call_id)
            .header("CSeq", &sequence)
    }

    /// A random word: a tag, a Call-ID, what follows the cookie in a branch.
    fn word(&mut self) -> String {
        let mut word = String::new();
        base64::write_url(&self.rng.bytes::<12>(), &mut word);
        word
    }

    fn branch(&mut self) -> String {
        let mut branch = String::from("z9hG4bK");
        branch.push_str(&self.word());
        branch
    }

    fn receive(&mut self, flow: FlowId, bytes: Vec<u8>, now: Instant) {
        if !self.flows.iter().any(|one| one.id == flow) {
            return;
        }
        let misbehaved = match Message::parse(bytes) {
            Ok(message) if message.is_request() => self.receive_request(flow, message, now),
            Ok(message) => {
                (!self.receive_response(&message, now)).then_some(Misbehaviour::StrayResponse)
            }
            Err(malformed) => {
                if let Some(request) = malformed.request {
                    let mut sentence = String::new();
                    let _ = core::fmt::Write::write_fmt(
                        &mut sentence,
                        format_args!("{}", malformed.flaw),
                    );
                    let reply = call::Reply::new(malformed.flaw.status()).warning(&sentence);
                    self.answer_once(flow, &request, &reply);
                }
                Some(Misbehaviour::Malformed)
            }
        };
        if let Some(how) = misbehaved {
            self.outbox
                .push(Output::Event(Event::Misbehaved { flow, how }));
        }
    }

    fn call_timeouts(&mut self, now: Instant) {
        let due = self
            .calls
            .keys_where(|_, call| call.poll_timeout().is_some_and(|at| at <= now));
        for id in due {
            self.call_timeout(id, now);
        }
    }

    fn call_timeout(&mut self, id: CallId, now: Instant) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(call.forget) {
            self.forget(id);
            return;
        }
        let (look_up, refresh) = (passed(call.look_up), passed(call.refresh));
        if look_up {
            self.locations(id, Vec::new(), now);
        }
        if refresh {
            self.refresh(id, now);
        }
        self.invitation_timeout(id, now);
        self.glare_timeout(id, now);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if passed(call.deadline) {
            call.deadline = None;
            match call.phase {
                Phase::Preparing | Phase::Calling => {
                    self.cancel_legs(id, None, "SIP;cause=408;text=\"Request Timeout\"", now);
                    self.end(id, EndReason::NoAnswer, false, now);
                }
                Phase::Verifying | Phase::Alerting => {
                    self.refuse(id, &call::Reply::new(480), EndReason::NoAnswer, false, now);
                }
                Phase::Answered | Phase::Established | Phase::Over => {}
            }
        }
    }
}

impl Machine for UserAgent {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::FlowUp {
                flow,
                super_node: node,
                secure,
            } => {
                self.flows.retain(|one| one.id != flow);
                self.flows.push(Flow {
                    id: flow,
                    node,
                    secure,
                });
                self.flows_changed(now);
                self.respond_again();
                self.resume(now);
            }
            Input::FlowDown { flow } => {
                self.flows.retain(|one| one.id != flow);
                self.flows_changed(now);
                self.fail_flow(flow, now);
            }
            Input::Received { flow, message } => self.receive(flow, message, now),
            Input::Signed(signed) => self.signed(signed, now),
            Input::Verified(verified) => self.verified(verified, now),
            Input::Revocations(list) => self.revocations = list,
            Input::Renewed(account) => {
                self.own = canonical(&account.uri);
                self.account = account;
            }
            Input::Clock(wall) => self.wall = wall,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.exchange_timeouts(now);
        self.server_timeouts(now);
        self.call_timeouts(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::poll_timeout);
        let exchanges = self.exchanges.values().filter_map(Exchange::poll_timeout);
        let clients = self.clients.values().filter_map(ClientEntry::poll_timeout);
        let servers = self.servers.values().filter_map(ServerEntry::poll_timeout);
        calls.chain(exchanges).chain(clients).chain(servers).min()
    }
}

/// The canonical form of a user's URI; a text that is none stays, and matches nobody.
fn canonical(uri: &str) -> String {
    Uri::read(uri).map_or_else(|_| uri.into(), |uri| uri.address_of_record())
}
