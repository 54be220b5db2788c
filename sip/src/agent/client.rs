//! Client transactions: what comes back for what was sent.

use alloc::string::String;
use alloc::vec::Vec;

use credential::NodeId;
use machine::Instant;

use super::exchange::{ExchangeId, HEDGE_AFTER_TRYING, joined, route_to};
use super::{FlowId, Output, UserAgent};
use crate::header::Via;
use crate::message::{Composer, Message, Method, Name, Template};
use crate::transaction::{Client, Due, Kind};

/// A client transaction and the exchange it belongs to (none for a CANCEL).
#[derive(Debug)]
pub(super) struct ClientEntry {
    pub(super) machine: Client,
    pub(super) exchange: Option<ExchangeId>,
    pub(super) flow: FlowId,
    pub(super) message: Vec<u8>,
}

impl ClientEntry {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}

impl UserAgent {
    /// A response came in. False if it belongs to nothing.
    pub(super) fn receive_response(&mut self, message: &Message, now: Instant) -> bool {
        let (Some(status), Some(via), Some(cseq)) =
            (message.status(), message.via(), message.cseq())
        else {
            return false;
        };
        let key = client_key(via.branch().unwrap_or(""), cseq.method());
        // More than one Via: it was never meant for this user agent (RFC 3261, section 8.1.3.3).
        let Some(entry) = self
            .clients
            .get_mut(&key)
            .filter(|_| message.list(Name::Via).nth(1).is_none())
        else {
            return false;
        };
        let received = entry.machine.receive(status, now);
        let (exchange, flow) = (entry.exchange, entry.flow);
        if received.acknowledge
            && let Ok(request) = Message::parse(entry.message.clone())
        {
            let to = message.field(Name::To).unwrap_or("");
            let ack = hop_by_hop(&request, Method::Ack, to).finish();
            self.outbox.push(Output::Send { flow, message: ack });
        }
        if received.pass
            && let Some(id) = exchange
        {
            self.response(id, &key, status, message, now);
        }
        self.expire_client(&key, now);
        true
    }

    fn response(
        &mut self,
        id: ExchangeId,
        branch: &str,
        status: u16,
        message: &Message,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if status < 200 {
            let first = !exchange.proceeding.iter().any(|one| one == branch);
            if first {
                exchange.proceeding.push(branch.into());
            }
            if exchange.cancel.is_some() {
                if first {
                    self.send_cancel(id, branch, now);
                }
            } else if status == 100 {
                exchange.hedge = exchange.hedge.map(|at| at.max(now + HEDGE_AFTER_TRYING));
            } else {
                exchange.hedge = None;
            }
            self.provisional(id, status, message, now);
            return;
        }
        exchange.open.retain(|one| one != branch);
        exchange.proceeding.retain(|one| one != branch);
        if exchange.done && !(200..300).contains(&status) {
            return;
        }
        if matches!(status, 430 | 503 | 408) && exchange.cancel.is_none() {
            exchange.failure = status;
            self.advance(id, now);
            return;
        }
        exchange.done = true;
        exchange.hedge = None;
        self.prefer_path(id, branch);
        self.concluded(id, status, Some(message), now);
    }

    /// Sends a request that gets no response: the ACK of an answer. Each copy goes by another path.
    pub(super) fn send_once(
        &mut self,
        template: &Template,
        routes: &[NodeId],
        route_set: &[String],
        copy: usize,
    ) {
        if self.flows.is_empty() {
            return;
        }
        let route = if !route_set.is_empty() {
            Some(joined(route_set))
        } else if routes.is_empty() {
            None
        } else {
            Some(route_to(routes[copy % routes.len()]))
        };
        let branch = self.branch();
        let flow = &self.flows[copy % self.flows.len()];
        let via = Via::write(
            if flow.secure { "WSS" } else { "WS" },
            &self.sent_by,
            &branch,
        );
        let (flow, message) = (flow.id, template.request(&via, route.as_deref()));
        self.outbox.push(Output::Send { flow, message });
    }

    /// Cancels an INVITE in all its attempts; in those that had no response yet, when it comes (RFC 3261, 9.1).
    pub(super) fn cancel(&mut self, id: ExchangeId, reason: &str, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        if exchange.done || exchange.cancel.is_some() {
            return;
        }
        exchange.cancel = Some(reason.into());
        exchange.hedge = None;
        exchange.stalled = None;
        exchange.waits_for_locations = false;
        if exchange.open.is_empty() {
            exchange.done = true;
        }
        for branch in exchange.proceeding.clone() {
            self.send_cancel(id, &branch, now);
        }
    }

    fn send_cancel(&mut self, id: ExchangeId, branch: &str, now: Instant) {
        let reason = self
            .exchanges
            .get(&id)
            .and_then(|exchange| exchange.cancel.clone());
        let key = client_key(branch, Method::Cancel);
        if self.clients.contains_key(&key) {
            return;
        }
        let Some(entry) = self.clients.get(branch) else {
            return;
        };
        let Ok(request) = Message::parse(entry.message.clone()) else {
            return;
        };
        let to = request.field(Name::To).unwrap_or("");
        let composer = hop_by_hop(&request, Method::Cancel, to);
        let message = composer
            .header("Reason", reason.as_deref().unwrap_or(""))
            .finish();
        let flow = entry.flow;
        let entry = ClientEntry {
            machine: Client::new(Kind::Other, true, now),
            exchange: None,
            flow,
            message: message.clone(),
        };
        self.clients.insert(key, entry);
        self.outbox.push(Output::Send { flow, message });
    }

    pub(super) fn expire_client(&mut self, key: &str, now: Instant) {
        let Some(entry) = self.clients.get_mut(key) else {
            return;
        };
        match entry.machine.handle_timeout(now) {
            None => {}
            Some(Due::Again) => {
                let (flow, message) = (entry.flow, entry.message.clone());
                self.outbox.push(Output::Send { flow, message });
            }
            Some(Due::Over) => {
                self.clients.remove(key);
            }
            Some(Due::TimedOut) => {
                let exchange = entry.exchange;
                self.clients.remove(key);
                if let Some(id) = exchange {
                    self.attempt_failed(id, key, 408, now);
                }
            }
        }
    }
}

fn client_key(branch: &str, method: Method) -> String {
    let mut key = String::from(branch);
    if method == Method::Cancel {
        key.push_str(" CANCEL");
    }
    key
}

/// A request that goes exactly where `request` went, in the same transaction (RFC 3261, 9.1 and 17.1.1.3).
fn hop_by_hop(request: &Message, method: Method, to: &str) -> Composer {
    let mut composer = Composer::request(method.as_str(), request.request_uri());
    for name in [Name::Via, Name::Route, Name::MaxForwards, Name::From] {
        for value in request.fields(name) {
            composer = composer.header(name.as_str(), value);
        }
    }
    composer = composer
        .header("To", to)
        .header("Call-ID", request.call_id());
    let mut cseq = String::new();
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    let _ = core::fmt::Write::write_fmt(&mut cseq, format_args!("{number} {}", method.as_str()));
    composer.header("CSeq", &cseq)
}
