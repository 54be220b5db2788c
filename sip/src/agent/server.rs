//! Requests that come in: which call and dialog they belong to, and those that are answered at once.

use alloc::string::String;
use alloc::vec::Vec;

use credential::NodeId;
use machine::Instant;

use super::call::{Phase, Reply};
use super::trickle::{self, FRAGMENT};
use super::{ALLOW, CallId, EndReason, FlowId, Misbehaviour, Output, SUPPORTED, UserAgent};
use crate::header::{RAck, Reason};
use crate::message::{Composer, Message, Method, Name};
use crate::sdp;
use crate::transaction::{Due, Kind, Server};
use crate::uri::Uri;

/// The server transaction of an INVITE. Other requests over a reliable transport need none: they are answered at once,
/// and a copy by another path is known by its CSeq.
#[derive(Debug)]
pub(super) struct ServerEntry {
    pub(super) machine: Server,
    pub(super) request: Message,
    pub(super) flow: FlowId,
    /// The super node at the flow's other end.
    node: NodeId,
    /// The last response, and the To tag that it has.
    last: Option<(Reply, String)>,
    pub(super) call: Option<CallId>,
}

impl ServerEntry {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    pub(super) fn call(&self) -> Option<CallId> {
        self.call
    }
}

impl UserAgent {
    /// Takes a request in; says if the peer broke the protocol.
    pub(super) fn receive_request(
        &mut self,
        flow: FlowId,
        message: Message,
        now: Instant,
    ) -> Option<Misbehaviour> {
        let method = message.method();
        match method {
            Method::Ack => {
                self.receive_ack(&message, now);
                return None;
            }
            Method::Cancel => {
                let reply = self.receive_cancel(&message, now);
                self.answer_once(flow, &message, &reply);
                return None;
            }
            Method::Invite if self.receive_again(&message) => return None,
            _ => {}
        }
        if let Err(reply) = self.acceptable(&message) {
            self.answer_once(flow, &message, &reply);
            return None;
        }
        if message.to_tag().is_empty() {
            return self.receive_outside(flow, message, now);
        }
        let Some((call, at)) = self.find_dialog(&message) else {
            self.answer_once(flow, &message, &Reply::new(481));
            return Some(Misbehaviour::StrayRequest);
        };
        if method == Method::Invite {
            self.receive_reinvite(flow, call, at, message, now);
            return None;
        }
        let reply = self.receive_inside(call, at, &message, now);
        self.answer_once(flow, &message, &reply);
        if method == Method::Prack {
            self.trickle(call, now);
        }
        None
    }

    /// Checks what every request must satisfy (RFC 3261, section 8.2).
    fn acceptable(&self, message: &Message) -> Result<(), Reply> {
        let mut unknown = String::new();
        for option in message.list(Name::Require) {
            if !["100rel", "trickle-ice"]
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
            {
                unknown.push_str(if unknown.is_empty() { "" } else { ", " });
                unknown.push_str(option);
            }
        }
        if !unknown.is_empty() {
            return Err(Reply::new(420).header("Unsupported", &unknown));
        }
        let Ok(target) = Uri::read(message.request_uri()) else {
            return Err(Reply::new(416).warning("the Request-URI is no SIP URI"));
        };
        let other_device = target
            .instance()
            .is_some_and(|one| one != self.account.instance);
        if target.address_of_record() != self.own || other_device {
            return Err(Reply::new(404).warning("the request is for somebody else"));
        }
        Ok(())
    }

    fn receive_outside(
        &mut self,
        flow: FlowId,
        message: Message,
        now: Instant,
    ) -> Option<Misbehaviour> {
        let reply = match message.method() {
            Method::Invite => return self.receive_invite(flow, message, now),
            Method::Options => capabilities(),
            Method::Bye | Method::Prack | Method::Info | Method::Update => Reply::new(481),
            Method::Ack | Method::Cancel => return None,
            Method::Register | Method::Other => Reply::new(405).header("Allow", ALLOW),
        };
        self.answer_once(flow, &message, &reply);
        None
    }

    /// The call and the dialog of a request with both tags.
    pub(super) fn find_dialog(&self, message: &Message) -> Option<(CallId, usize)> {
        let (local, remote, call_id) = (message.to_tag(), message.from_tag(), message.call_id());
        let mut calls = self.calls.iter();
        let (id, call) =
            calls.find(|(_, call)| call.call_id == call_id && call.local_tag == local)?;
        let at = call
            .dialogs
            .iter()
            .position(|dialog| dialog.remote_tag == remote)?;
        Some((*id, at))
    }

    /// Answers a request in a dialog, the same again if it came before.
    fn receive_inside(&mut self, id: CallId, at: usize, message: &Message, now: Instant) -> Reply {
        let (method, number) = (
            message.method(),
            message.cseq().map_or(0, |cseq| cseq.number),
        );
        let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        else {
            return Reply::new(481);
        };
        if let Some(status) = dialog.answer_to(number, method) {
            return Reply::new(status);
        }
        // RFC 3261, section 12.2.2: a lower number is out of order. A PRACK is known by what it acknowledges.
        if dialog.remote_cseq.is_some_and(|last| number < last) && method != Method::Prack {
            return Reply::new(500).warning("the request was overtaken");
        }
        dialog.remote_cseq = dialog.remote_cseq.max(Some(number));
        let reply = match method {
            Method::Bye => self.receive_bye(id, at, message, now),
            Method::Prack => self.receive_prack(id, message),
            Method::Info => self.receive_info(id, at, message),
            Method::Update => self.receive_update(id, at, message),
            Method::Options => capabilities(),
            Method::Invite | Method::Ack | Method::Cancel | Method::Register | Method::Other => {
                Reply::new(405).header("Allow", ALLOW)
            }
        };
        if let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        {
            dialog.remember(number, method, reply.status);
        }
        reply
    }

    fn receive_bye(&mut self, id: CallId, at: usize, message: &Message, now: Instant) -> Reply {
        let Some(call) = self.calls.get(&id) else {
            return Reply::new(481);
        };
        let reason = message.list(Name::Reason).find_map(Reason::read);
        let reason = match reason.map_or(0, |reason| reason.cause) {
            200 => EndReason::AnsweredElsewhere,
            488 => EndReason::MediaRefused,
            _ if call.is_unanswered() => EndReason::Cancelled,
            _ => EndReason::HungUp,
        };
        if call.current != Some(at) {
            // Another device's dialog, or one that was never answered: it ends, the call goes on.
            return Reply::new(200);
        }
        match call.phase {
            Phase::Verifying | Phase::Alerting => {
                self.refuse(id, &Reply::new(487), reason, true, now);
            }
            Phase::Answered | Phase::Established => {
                self.abandon_invitation(id, now);
                self.end(id, reason, true, now);
            }
            Phase::Preparing | Phase::Calling | Phase::Over => {}
        }
        Reply::new(200)
    }

    fn receive_prack(&mut self, id: CallId, message: &Message) -> Reply {
        let Some(call) = self.calls.get_mut(&id) else {
            return Reply::new(481);
        };
        let rack = message.field(Name::RAck).and_then(RAck::read);
        let Some(invitation) = call.invitation.as_mut() else {
            return Reply::new(481);
        };
        let known = rack.is_some_and(|rack| {
            invitation.rseq != 0
                && rack.response == invitation.rseq
                && rack.request == invitation.cseq
        });
        if !known {
            return Reply::new(481);
        }
        if invitation.answer.is_none() {
            invitation.repeat = None;
        }
        if let Some(dialog) = call.dialog() {
            dialog.trickle.open = true;
        }
        Reply::new(200)
    }

    fn receive_info(&mut self, id: CallId, at: usize, message: &Message) -> Reply {
        if !trickle::is_trickle(message) {
            return Reply::new(469).header("Recv-Info", "trickle-ice");
        }
        if !message.has_body_of(FRAGMENT) {
            return Reply::new(415).header("Accept", FRAGMENT);
        }
        if !self.receive_candidates(id, at, message) {
            return Reply::new(400).warning("the candidates can't be read");
        }
        Reply::new(200)
    }

    /// A target refresh (RFC 3311). Offers come by re-INVITE, with an Identity, only.
    fn receive_update(&mut self, id: CallId, at: usize, message: &Message) -> Reply {
        if !message.body().is_empty() {
            return Reply::new(488).warning("offer by INVITE, with an Identity");
        }
        if let Some(dialog) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.dialogs.get_mut(at))
        {
            dialog.refresh(message);
        }
        Reply::new(200).contact()
    }

    /// Answers a request without keeping anything.
    pub(super) fn answer_once(&mut self, flow: FlowId, request: &Message, reply: &Reply) {
        if request.method() == Method::Ack {
            return;
        }
        let tag = match self.find_invited(request) {
            Some(tag) => tag,
            None => self.word(),
        };
        let message = self.written(request, reply, &tag);
        self.outbox.push(Output::Send { flow, message });
    }

    fn written(&self, request: &Message, reply: &Reply, tag: &str) -> Vec<u8> {
        let mut composer = Composer::response(request, reply.status, tag).raw(&reply.headers);
        if reply.contact {
            composer = composer.header("Contact", &self.contact());
        }
        composer.body(reply.content_type, &reply.body)
    }

    /// The tag of the call that a request without To tag (a CANCEL) belongs to.
    fn find_invited(&self, request: &Message) -> Option<String> {
        let call_id = request.call_id();
        let mut calls = self.calls.values();
        let call = calls.find(|call| !call.outgoing && call.call_id == call_id)?;
        Some(call.local_tag.clone())
    }

    /// Opens the server transaction of an INVITE; the key names it.
    pub(super) fn open(&mut self, flow: FlowId, request: Message, call: CallId) -> String {
        let key = server_key(&request);
        let node = self.flows.iter().find(|one| one.id == flow);
        let entry = ServerEntry {
            node: node.map_or(NodeId([0; 20]), |one| one.node),
            machine: Server::new(Kind::Invite, true),
            request,
            flow,
            last: None,
            call: Some(call),
        };
        self.servers.insert(key.clone(), entry);
        key
    }

    /// Sends a response in a server transaction.
    pub(super) fn respond(&mut self, key: &str, reply: &Reply, tag: &str, now: Instant) {
        let Some(entry) = self.servers.get_mut(key) else {
            return;
        };
        if !entry.machine.respond(reply.status, now) {
            return;
        }
        entry.last = Some((reply.clone(), tag.into()));
        self.send_last(key);
    }

    /// Sends a transaction's last response, again or for the first time.
    fn send_last(&mut self, key: &str) {
        let flow = self.flow_back(key);
        if let Some(entry) = self.servers.get(key)
            && let (Some(flow), Some((reply, tag))) = (flow, &entry.last)
        {
            let message = self.written(&entry.request, reply, tag);
            self.outbox.push(Output::Send { flow, message });
        }
    }

    /// The flow for a response: the one that the request came by; when that is gone, another to the same super node, or
    /// any at all, whose super node hands it on to the one in the topmost Via.
    fn flow_back(&mut self, key: &str) -> Option<FlowId> {
        let entry = self.servers.get_mut(key)?;
        let same = self.flows.iter().find(|flow| flow.id == entry.flow);
        let near = || self.flows.iter().find(|flow| flow.node == entry.node);
        let flow = same.or_else(near).or_else(|| self.flows.first())?;
        (entry.flow, entry.node) = (flow.id, flow.node);
        Some(flow.id)
    }

    /// A flow came up: responses whose flow was lost are sent again.
    pub(super) fn respond_again(&mut self) {
        let lost = self.servers.keys_where(|_, entry| {
            self.flows.iter().all(|flow| flow.id != entry.flow) && entry.machine.is_awaited()
        });
        for key in lost {
            self.send_last(&key);
        }
    }

    /// A copy of an INVITE in a transaction that is open: repeats what was answered.
    fn receive_again(&mut self, message: &Message) -> bool {
        let key = server_key(message);
        let Some(entry) = self.servers.get(&key) else {
            return false;
        };
        if entry.machine.receive_again() {
            self.send_last(&key);
        }
        true
    }

    pub(super) fn server_timeouts(&mut self, now: Instant) {
        let mut again = Vec::new();
        self.servers
            .retain(|key, entry| match entry.machine.handle_timeout(now) {
                Some(Due::Again) => {
                    again.push(key.clone());
                    true
                }
                None => true,
                // Nobody acknowledged a refusal: there is nothing to be done about it.
                Some(Due::Over | Due::TimedOut) => false,
            });
        for key in again {
            self.send_last(&key);
        }
    }
}

/// What this user agent understands.
fn capabilities() -> Reply {
    Reply::new(200)
        .header("Allow", ALLOW)
        .header("Supported", SUPPORTED)
        .header("Recv-Info", "trickle-ice")
        .header("Accept", sdp::MEDIA_TYPE)
        .contact()
}

/// Names a server transaction (RFC 3261, section 17.2.3); an INVITE's also serves its ACK and CANCEL.
pub(super) fn server_key(request: &Message) -> String {
    let mut key = String::new();
    if let Some(via) = request.via() {
        key.push_str(via.branch().unwrap_or(""));
        key.push(' ');
        key.push_str(via.sent_by);
        key.make_ascii_lowercase();
    }
    key
}
