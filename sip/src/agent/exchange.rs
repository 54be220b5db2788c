//! One request and all the paths by which it is sent.
//!
//! A request goes by one path; if nothing comes back in [`HEDGE`], or a refusal that speaks of the path (430, 503), or
//! the flow breaks, the same request (equal CSeq, new branch) goes by the next. The receiver repeats its answer. When every
//! path has failed, the layer above is asked for fresh locations, once; for a BYE or a re-INVITE again and again, with
//! growing pauses, since the other side may be without a network for a moment and must learn of it all the same.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::{Instant, sort_by_key};

use super::client::ClientEntry;
use super::{CallId, Event, FlowId, Output, UserAgent};
use crate::header::Via;
use crate::message::{Method, Template};
use crate::transaction::{Client, Kind, earlier};

/// How long a request waits for any response before it goes by a second path too.
const HEDGE: Duration = Duration::from_millis(500);
/// How long an INVITE that a super node took (100) waits for a response of the device itself.
pub(super) const HEDGE_AFTER_TRYING: Duration = Duration::from_millis(2000);
/// How long after the ringing an INVITE goes by a second path: not while a caller whose call is taken at once waits.
const SECOND_PATH: Duration = Duration::from_millis(200);
/// By how many paths one request may go.
const MAXIMUM_ATTEMPTS: usize = 6;
/// How long a request waits for a flow when there is none.
const NO_FLOW: Duration = Duration::from_secs(32);
/// The pause before locations are asked for a second time; it doubles with each.
const PAUSE: Duration = Duration::from_secs(1);
/// How often locations are asked for on behalf of one request that has patience: 31 seconds in all.
const MAXIMUM_ASKED: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExchangeId(pub(super) u64);

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite {
        leg: usize,
    },
    Reinvite {
        dialog: usize,
    },
    Prack {
        dialog: usize,
    },
    Info {
        dialog: usize,
        sent: usize,
        end: bool,
    },
    Update {
        dialog: usize,
    },
    Bye {
        dialog: usize,
    },
}

impl Purpose {
    /// The dialog in which the request is sent.
    pub(super) fn dialog(self) -> Option<usize> {
        match self {
            Self::Invite { .. } => None,
            Self::Reinvite { dialog }
            | Self::Prack { dialog }
            | Self::Info { dialog, .. }
            | Self::Update { dialog }
            | Self::Bye { dialog } => Some(dialog),
        }
    }

    pub(super) fn method(self) -> Method {
        match self {
            Self::Invite { .. } | Self::Reinvite { .. } => Method::Invite,
            Self::Prack { .. } => Method::Prack,
            Self::Info { .. } => Method::Info,
            Self::Update { .. } => Method::Update,
            Self::Bye { .. } => Method::Bye,
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) call: CallId,
    pub(super) purpose: Purpose,
    pub(super) cseq: u32,
    pub(super) template: Template,
    pub(super) routes: Vec<NodeId>,
    /// A route set given by Record-Route, which stands above the own choice.
    pub(super) route_set: String,
    tried: Vec<Path>,
    /// The branches of the paths tried.
    branches: Vec<String>,
    pub(super) open: Vec<String>,
    /// The attempts that had a provisional response, which alone may be cancelled.
    pub(super) proceeding: Vec<String>,
    pub(super) hedge: Option<Instant>,
    /// A second path is taken although the first one has answered, then.
    second: Option<Instant>,
    /// Waits for a flow, until then.
    pub(super) stalled: Option<Instant>,
    pub(super) waits_for_locations: bool,
    /// How often locations were asked for.
    asked: u32,
    /// They are asked for again, then.
    pause: Option<Instant>,
    pub(super) failure: u16,
    pub(super) done: bool,
    /// Being cancelled, with this Reason.
    pub(super) cancel: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    route: Option<NodeId>,
    flow: FlowId,
}

impl Exchange {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earlier(
            earlier(self.hedge, self.second),
            earlier(self.stalled, self.pause),
        )
    }
}

impl UserAgent {
    /// Sends a request. `routes` are the peer's super nodes; `route_set` overrides them.
    pub(super) fn begin(
        &mut self,
        call: CallId,
        purpose: Purpose,
        cseq: u32,
        template: Template,
        (routes, route_set): (Vec<NodeId>, &[String]),
        now: Instant,
    ) -> ExchangeId {
        self.last_exchange += 1;
        let id = ExchangeId(self.last_exchange);
        let exchange = Exchange {
            call,
            purpose,
            cseq,
            template,
            routes,
            route_set: joined(route_set),
            tried: Vec::new(),
            branches: Vec::new(),
            open: Vec::new(),
            proceeding: Vec::new(),
            hedge: None,
            second: None,
            stalled: None,
            waits_for_locations: false,
            asked: 0,
            pause: None,
            failure: 503,
            done: false,
            cancel: None,
        };
        self.exchanges.insert(id, exchange);
        self.advance(id, now);
        id
    }

    /// Sends the request by the next path, if there is one; else sees what remains.
    pub(super) fn advance(&mut self, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        if exchange.done || exchange.cancel.is_some() {
            return;
        }
        match self.next_path(exchange) {
            Some(path) => self.attempt(id, path, now),
            None => self.fail_if_idle(id, now),
        }
    }

    /// The path least used so far; a flow that ends at the very super node is the best of equals.
    fn next_path(&self, exchange: &Exchange) -> Option<Path> {
        if exchange.tried.len() >= MAXIMUM_ATTEMPTS {
            return None;
        }
        let by_set = [None];
        let by_node: Vec<_> = exchange.routes.iter().copied().map(Some).collect();
        let routes = if exchange.route_set.is_empty() && !by_node.is_empty() {
            &by_node[..]
        } else {
            &by_set[..]
        };
        let tried = &exchange.tried;
        let mut best = None;
        for (place, route) in routes.iter().enumerate() {
            for (order, flow) in self.flows.iter().enumerate() {
                let path = Path {
                    route: *route,
                    flow: flow.id,
                };
                if tried.contains(&path) {
                    continue;
                }
                let same_route = tried.iter().filter(|one| one.route == *route).count();
                let same_flow = tried.iter().filter(|one| one.flow == flow.id).count();
                let cost = (
                    same_route,
                    same_flow,
                    place,
                    *route != Some(flow.node),
                    order,
                );
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, path));
                }
            }
        }
        best.map(|(_, path)| path)
    }

    fn attempt(&mut self, id: ExchangeId, path: Path, now: Instant) {
        let branch = self.branch();
        let Some(flow) = self.flows.iter().find(|flow| flow.id == path.flow) else {
            return;
        };
        let transport = if flow.secure { "WSS" } else { "WS" };
        let via = Via::write(transport, &self.sent_by, &branch);
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let route = match path.route {
            Some(node) => Some(route_to(node)),
            None => (!exchange.route_set.is_empty()).then(|| exchange.route_set.clone()),
        };
        let message = exchange.template.request(&via, route.as_deref());
        exchange.tried.push(path);
        exchange.branches.push(branch.clone());
        exchange.open.push(branch.clone());
        exchange.hedge = Some(now + HEDGE);
        exchange.stalled = None;
        let invite = exchange.purpose.method() == Method::Invite;
        let kind = if invite { Kind::Invite } else { Kind::Other };
        let entry = ClientEntry {
            machine: Client::new(kind, true, now),
            exchange: Some(id),
            flow: path.flow,
            message: message.clone(),
        };
        self.clients.insert(branch, entry);
        self.outbox.push(Output::Send {
            flow: path.flow,
            message,
        });
    }

    /// When nothing is open any more: waits for a flow, asks for locations, or gives up.
    fn fail_if_idle(&mut self, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.hedge = None;
        let waits = exchange.waits_for_locations || exchange.pause.is_some();
        if !exchange.open.is_empty() || exchange.done || waits {
            return;
        }
        if self.flows.is_empty() {
            exchange.stalled.get_or_insert(now + NO_FLOW);
            return;
        }
        let ours = exchange.cancel.is_none();
        if ours && exchange.route_set.is_empty() {
            return self.ask_again(id, now);
        }
        self.give_up(id, now);
    }

    /// Asks for locations, at once the first time, after a pause later; gives up in the end.
    fn ask_again(&mut self, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let patient = matches!(
            exchange.purpose,
            Purpose::Bye { .. } | Purpose::Reinvite { .. }
        );
        let most = if patient { MAXIMUM_ASKED } else { 1 };
        if exchange.asked >= most {
            return self.give_up(id, now);
        }
        if exchange.asked > 0 && exchange.pause.is_none() {
            exchange.pause = Some(now + PAUSE * (1 << (exchange.asked - 1)));
            return;
        }
        exchange.pause = None;
        exchange.asked += 1;
        exchange.waits_for_locations = true;
        let call = exchange.call;
        self.want_locations(call, now);
    }

    fn give_up(&mut self, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        exchange.done = true;
        exchange.stalled = None;
        exchange.pause = None;
        let status = exchange.failure;
        self.concluded(id, status, None, now);
    }

    fn want_locations(&mut self, id: CallId, now: Instant) {
        if let Some(call) = self.calls.get_mut(&id)
            && call.look_up.is_none()
        {
            call.look_up = Some(now + super::call::LOOK_UP);
            self.outbox
                .push(Output::Event(Event::LocationsWanted { call: id }));
        }
    }

    /// Fresh locations came (or will not come): requests that waited for them go on. `routes_of` says where an
    /// exchange may go now.
    pub(super) fn relocate(
        &mut self,
        call: CallId,
        routes_of: impl Fn(&Exchange) -> Option<Vec<NodeId>>,
        now: Instant,
    ) {
        let waiting = self.exchanges.iter_mut();
        let waiting = waiting.filter(|(_, one)| one.call == call && one.waits_for_locations);
        let mut ready = Vec::new();
        for (id, exchange) in waiting {
            exchange.waits_for_locations = false;
            let routes = routes_of(exchange).filter(|routes| !routes.is_empty());
            ready.push((*id, routes.is_some()));
            if let Some(routes) = routes {
                exchange.routes = routes;
                exchange.tried.clear();
                exchange.branches.clear();
            }
        }
        for (id, found) in ready {
            if found {
                self.advance(id, now)
            } else {
                self.ask_again(id, now)
            }
        }
    }

    /// A flow came up: requests that had none go on.
    pub(super) fn resume(&mut self, now: Instant) {
        let stalled = self.exchanges.keys_where(|_, one| one.stalled.is_some());
        for id in stalled {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.stalled = None;
                exchange.tried.clear();
                exchange.branches.clear();
            }
            self.advance(id, now);
        }
    }

    /// A flow is gone: what was sent on it has failed (RFC 3261, section 17.1.4).
    pub(super) fn fail_flow(&mut self, flow: FlowId, now: Instant) {
        let lost = self.clients.keys_where(|_, entry| entry.flow == flow);
        for branch in lost {
            if let Some(entry) = self.clients.remove(&branch)
                && let Some(id) = entry.exchange
            {
                self.attempt_failed(id, &branch, 503, now);
            }
        }
    }

    pub(super) fn attempt_failed(
        &mut self,
        id: ExchangeId,
        branch: &str,
        status: u16,
        now: Instant,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else {
            return;
        };
        let was_proceeding = exchange.proceeding.iter().any(|one| one == branch);
        exchange.open.retain(|one| one != branch);
        exchange.proceeding.retain(|one| one != branch);
        exchange.failure = status;
        if exchange.done {
            return;
        }
        if exchange.cancel.is_some() {
            // The CANCEL, if it was sent, may be lost with the path.
            if exchange.open.is_empty() {
                exchange.done = true;
                self.cancel_was_lost(id, was_proceeding, now);
            }
            return;
        }
        self.advance(id, now);
    }

    /// What a second path brought about goes by that path first from now on.
    pub(super) fn prefer_path(&mut self, id: ExchangeId, branch: &str) {
        let Some(exchange) = self.exchanges.get(&id) else {
            return;
        };
        let place = exchange.branches.iter().position(|one| one == branch);
        let Some(place) = place.filter(|place| *place > 0) else {
            return;
        };
        let path = exchange.tried[place];
        sort_by_key(&mut self.flows, |flow| flow.id != path.flow);
        let call = self.calls.get_mut(&exchange.call);
        if let Some(dialog) = exchange.purpose.dialog()
            && let Some(dialog) = call.and_then(|call| call.dialogs.get_mut(dialog))
        {
            sort_by_key(&mut dialog.routes, |node| Some(*node) != path.route);
        }
    }

    /// Has the request sent by one more path although the first has answered: then the answer finds its way even if a
    /// super node dies while the phone rings.
    pub(super) fn plan_second_path(&mut self, id: ExchangeId, now: Instant) {
        if let Some(exchange) = self.exchanges.get_mut(&id)
            && exchange.tried.len() == 1
        {
            exchange.second.get_or_insert(now + SECOND_PATH);
        }
    }

    fn second_path(&mut self, id: ExchangeId, now: Instant) {
        if let Some(exchange) = self.exchanges.get(&id)
            && exchange.tried.len() == 1
            && !exchange.done
            && exchange.cancel.is_none()
            && let Some(path) = self.next_path(exchange)
        {
            self.attempt(id, path, now);
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.hedge = None;
            }
        }
    }

    /// Does what is due in exchanges and client transactions.
    pub(super) fn exchange_timeouts(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let due = self
            .clients
            .keys_where(|_, entry| is_due(entry.poll_timeout()));
        for key in due {
            self.expire_client(&key, now);
        }
        let due = self
            .exchanges
            .keys_where(|_, one| is_due(one.poll_timeout()));
        for id in due {
            let one = self.exchanges.get_mut(&id);
            let Some(one) = one.filter(|one| is_due(one.poll_timeout())) else {
                continue;
            };
            if one.second.take_if(|at| *at <= now).is_some() {
                self.second_path(id, now);
            } else if one.stalled.is_some() {
                self.give_up(id, now)
            } else if one.pause.is_some() {
                self.ask_again(id, now)
            } else {
                self.advance(id, now)
            }
        }
    }

    /// Forgets the exchanges of a call.
    pub(super) fn forget_exchanges(&mut self, call: CallId) {
        self.exchanges.retain(|_, exchange| exchange.call != call);
        let exchanges = &self.exchanges;
        self.clients
            .retain(|_, entry| entry.exchange.is_none_or(|id| exchanges.contains_key(&id)));
    }
}

/// A route set as one header's value.
pub(super) fn joined(route_set: &[String]) -> String {
    let mut all = String::new();
    for route in route_set {
        all.push_str(if all.is_empty() { "" } else { ", " });
        all.push_str(route);
    }
    all
}

/// The Route that leads to a super node.
pub(super) fn route_to(node: NodeId) -> String {
    let mut route = String::from("<sip:");
    route.push_str(&node.host());
    route.push_str(";lr>");
    route
}
