//! Requests that come in: which call and dialog they belong to, and those that are answered at once.

use alloc::string::String;

use credential::NodeId;
use machine::Instant;

use super::call::{Call, NEVER, Phase};
use super::line::Line;
use super::reply::{DESCRIPTION, Reply, head};
use super::trickle::{self, FRAGMENT};
use super::{EndReason, FlowId, Misbehaviour, UserAgent};
use crate::header::{RAck, Reason};
use crate::message::{Message, Method, Name};
use crate::text::filled;
use crate::transaction::{Due, Kind, Server};
use crate::uri::Uri;

/// An INVITE as it came by one path: a server transaction. Other requests over a reliable transport need none: they are
/// answered at once, and a copy by another path is known by its CSeq.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) key: String,
    pub(super) cseq: u32,
    /// What its responses repeat of it.
    head: String,
    pub(super) flow: FlowId,
    /// The super node at the flow's other end.
    node: NodeId,
    pub(super) transaction: Server,
    /// The last response.
    last: Option<Reply>,
}

impl Arrival {
    pub(super) fn new(request: &Message, tag: &str, flow: FlowId, line: &Line) -> Self {
        Self {
            key: transaction_key(request),
            cseq: request.number(),
            head: head(request, tag),
            flow,
            node: line.flow(flow).map_or(NodeId([0; 20]), |flow| flow.node),
            transaction: Server::new(Kind::Invite, true),
            last: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.transaction.poll_timeout().unwrap_or(NEVER)
    }

    /// Sends a response, if the transaction still takes one.
    pub(super) fn respond(&mut self, reply: &Reply, line: &mut Line) {
        if self.transaction.respond(reply.status, line.now) {
            self.last = Some(reply.clone());
            self.respond_again(line);
        }
    }

    /// Sends the last response, again or for the first time, by the flow that the request came by; when that is gone, by
    /// another to the same super node, or any at all, whose super node hands it on to the one in the topmost Via.
    fn respond_again(&mut self, line: &mut Line) {
        let near = || line.flows.iter().find(|flow| flow.node == self.node);
        let flow = line.flow(self.flow).or_else(near);
        if let Some(flow) = flow.or(line.flows.first())
            && let Some(reply) = &self.last
        {
            (self.flow, self.node) = (flow.id, flow.node);
            line.reply(self.flow, &self.head, reply);
        }
    }
}

impl Call {
    /// A flow came up: responses whose flow was lost are sent again.
    pub(super) fn respond_again(&mut self, line: &mut Line) {
        for arrival in &mut self.arrivals {
            if line.flow(arrival.flow).is_none() && arrival.transaction.is_awaited() {
                arrival.respond_again(line);
            }
        }
    }

    pub(super) fn arrival_timeouts(&mut self, line: &mut Line) {
        self.arrivals.retain_mut(|arrival| {
            let due = arrival.transaction.handle_timeout(line.now);
            if due == Some(Due::Again) {
                arrival.respond_again(line);
            }
            // When nobody acknowledged a refusal, there is nothing to be done about it.
            matches!(due, None | Some(Due::Again))
        });
    }

    /// Answers a request in a dialog, the same again if it came before.
    fn receive_inside(&mut self, at: usize, message: &Message, line: &mut Line) -> Reply {
        let (method, number) = (message.method(), message.number());
        let dialog = &mut self.dialogs[at];
        if let Some(status) = dialog.answer_to(number, method) {
            return Reply::new(status);
        }
        // RFC 3261, section 12.2.2: a lower number is out of order. A PRACK is known by what it acknowledges.
        if dialog.overtakes(number) && method != Method::Prack {
            return Reply::warning(500, "the request was overtaken");
        }
        let reply = match method {
            Method::Bye => self.receive_bye(at, message, line),
            Method::Prack => self.receive_prack(message),
            Method::Info => self.receive_info(at, message, line),
            Method::Update => self.receive_update(at, message),
            Method::Options => capabilities(),
            Method::Invite | Method::Ack | Method::Cancel | Method::Register | Method::Other => {
                Reply::with(405, DESCRIPTION)
            }
        };
        self.dialogs[at].remember(number, method, reply.status);
        if method == Method::Prack {
            self.trickle(line);
        }
        reply
    }

    fn receive_bye(&mut self, at: usize, message: &Message, line: &mut Line) -> Reply {
        let reason = match cause(message) {
            200 => EndReason::AnsweredElsewhere,
            488 => EndReason::MediaRefused,
            _ if self.is_unanswered() => EndReason::Cancelled,
            _ => EndReason::HungUp,
        };
        // Another device's dialog, or one that was never answered, ends, and the call goes on.
        if self.current == Some(at) {
            match self.phase {
                Phase::Verifying | Phase::Alerting => {
                    self.refuse(Reply::new(487), reason, true, line);
                }
                Phase::Answered | Phase::Established => {
                    self.abandon_invitation(line);
                    self.end(reason, true, line);
                }
                Phase::Preparing | Phase::Calling | Phase::Over => {}
            }
        }
        Reply::new(200)
    }

    fn receive_prack(&mut self, message: &Message) -> Reply {
        let rack = message.field(Name::RAck).and_then(RAck::read);
        let (Some(rack), Some(invitation)) = (rack, &mut self.invitation) else {
            return Reply::new(481);
        };
        let known = (invitation.rseq, invitation.cseq) == (rack.response, rack.request);
        if invitation.rseq == 0 || !known {
            return Reply::new(481);
        }
        if invitation.is_open() {
            invitation.repeat = None;
        }
        if let Some(dialog) = self.dialog() {
            dialog.trickle.open = true;
        }
        Reply::new(200)
    }

    fn receive_info(&mut self, at: usize, message: &Message, line: &mut Line) -> Reply {
        if !trickle::is_trickle(message) {
            return Reply::with(469, "Recv-Info: trickle-ice\r\n");
        }
        if !message.has_body_of(FRAGMENT) {
            return Reply::with(415, "Accept: application/trickle-ice-sdpfrag\r\n");
        }
        if !self.receive_candidates(at, message, line) {
            return Reply::warning(400, "the candidates can't be read");
        }
        Reply::new(200)
    }

    /// A target refresh (RFC 3311). Offers come by re-INVITE, with an Identity, only.
    fn receive_update(&mut self, at: usize, message: &Message) -> Reply {
        if !message.body().is_empty() {
            return Reply::warning(488, "offer by INVITE, with an Identity");
        }
        self.dialogs[at].refresh(message);
        let mut reply = Reply::new(200);
        reply.contact = true;
        reply
    }
}

impl UserAgent {
    /// Takes a request in; says if the peer broke the protocol.
    pub(super) fn receive_request(
        &mut self,
        flow: FlowId,
        message: &Message,
    ) -> Option<Misbehaviour> {
        let mut broken = None;
        if let Some(reply) = self.serve(flow, message, &mut broken) {
            self.answer_once(flow, message, &reply);
        }
        broken
    }

    /// Answers a request without keeping anything.
    pub(super) fn answer_once(&mut self, flow: FlowId, request: &Message, reply: &Reply) {
        // A request without To tag may belong to a call all the same: a CANCEL.
        let mut calls = self.calls.iter();
        let invited = calls.find(|call| !call.outgoing && call.call_id == request.call_id());
        let tag = match invited {
            Some(call) => call.local_tag.clone(),
            None => self.line.word(),
        };
        self.line.reply(flow, &head(request, &tag), reply);
    }

    /// Gives a request to whom it is for. Returns the response, unless there is none or the call sends it.
    fn serve(
        &mut self,
        flow: FlowId,
        message: &Message,
        broken: &mut Option<Misbehaviour>,
    ) -> Option<Reply> {
        let (method, line) = (message.method(), &mut self.line);
        if let Method::Invite | Method::Ack | Method::Cancel = method {
            let key = transaction_key(message);
            for call in &mut self.calls {
                let Some(at) = call.arrivals.iter().position(|one| one.key == key) else {
                    continue;
                };
                if method == Method::Cancel {
                    return Some(call.receive_cancel(at, message, line));
                }
                let arrival = &mut call.arrivals[at];
                if method == Method::Invite {
                    if arrival.transaction.receive_again() {
                        arrival.respond_again(line);
                    }
                    return None;
                }
                if arrival.transaction.acknowledge(line.now) {
                    return None;
                }
            }
        }
        match method {
            Method::Cancel => return Some(Reply::new(481)),
            // One that belongs to nothing is that of a refusal which was not kept.
            Method::Ack => {
                let (call, at) = find_dialog(&mut self.calls, message)?;
                call.receive_ack(at, message, line);
                return None;
            }
            _ => {}
        }
        if let Err(refusal) = acceptable(message, line) {
            return Some(refusal);
        }
        if message.to_tag().is_empty() {
            return match method {
                Method::Invite => self.receive_invite(flow, message, broken),
                Method::Options => Some(capabilities()),
                Method::Register | Method::Other => Some(Reply::with(405, DESCRIPTION)),
                Method::Bye | Method::Prack | Method::Info | Method::Update => {
                    Some(Reply::new(481))
                }
                Method::Ack | Method::Cancel => None,
            };
        }
        let Some((call, at)) = find_dialog(&mut self.calls, message) else {
            *broken = Some(Misbehaviour::StrayRequest);
            return Some(Reply::new(481));
        };
        if method == Method::Invite {
            call.receive_reinvite(at, flow, message, line)
        } else {
            Some(call.receive_inside(at, message, line))
        }
    }
}

/// Checks what every request must satisfy (RFC 3261, section 8.2).
fn acceptable(message: &Message, line: &Line) -> Result<(), Reply> {
    let mut unknown = String::new();
    for option in message.list(Name::Require) {
        let known = ["100rel", "trickle-ice"];
        if !known.iter().any(|known| option.eq_ignore_ascii_case(known)) {
            unknown.push_str(if unknown.is_empty() { "" } else { ", " });
            unknown.push_str(option);
        }
    }
    if !unknown.is_empty() {
        return Err(Reply::with(420, &filled("Unsupported: %\r\n", &[&unknown])));
    }
    let Ok(target) = Uri::read(message.request_uri()) else {
        return Err(Reply::warning(416, "the Request-URI is no SIP URI"));
    };
    let device = target.instance().unwrap_or(line.account.instance);
    if target.address_of_record() != line.own || device != line.account.instance {
        return Err(Reply::warning(404, "the request is for somebody else"));
    }
    Ok(())
}

/// The call and the dialog of a request with both tags.
fn find_dialog<'a>(calls: &'a mut [Call], message: &Message) -> Option<(&'a mut Call, usize)> {
    let (local, remote, call_id) = (message.to_tag(), message.from_tag(), message.call_id());
    let mut calls = calls.iter_mut();
    let call = calls.find(|call| call.call_id == call_id && call.local_tag == local)?;
    let at = call
        .dialogs
        .iter()
        .position(|one| one.remote_tag == remote)?;
    Some((call, at))
}

/// The status in a Reason, 0 if there is none.
pub(super) fn cause(message: &Message) -> u16 {
    let reason = message.list(Name::Reason).find_map(Reason::read);
    reason.map_or(0, |reason| reason.cause)
}

/// What this user agent understands.
fn capabilities() -> Reply {
    let mut reply = Reply::describing(200);
    reply.headers.push_str("Accept: application/sdp\r\n");
    reply
}

/// Names a server transaction (RFC 3261, section 17.2.3); an INVITE's also serves its ACK and CANCEL.
fn transaction_key(request: &Message) -> String {
    let mut key = String::new();
    if let Some(via) = request.via() {
        key = filled("% %", &[via.branch().unwrap_or(""), via.sent_by]);
        key.make_ascii_lowercase();
    }
    key
}
