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
use machine::Instant;

use super::Event;
use super::call::{Call, LOOK_UP, NEVER};
use super::client::{Attempt, expires};
use super::line::Line;
use super::reply::end;
use crate::header::quote;
use crate::message::Method;
use crate::text::{digits, fill, filled};
use crate::transaction::{Client, Kind};

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

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite,
    Reinvite,
    Prack,
    Info,
    Update,
    Bye,
}

impl Purpose {
    fn method(self) -> Method {
        match self {
            Self::Invite | Self::Reinvite => Method::Invite,
            Self::Prack => Method::Prack,
            Self::Info => Method::Info,
            Self::Update => Method::Update,
            Self::Bye => Method::Bye,
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    pub(super) uri: String,
    /// The peer's super nodes, best first.
    pub(super) routes: Vec<NodeId>,
    /// A route set given by Record-Route, which stands above the own choice.
    pub(super) route_set: String,
}

impl Way {
    /// The Route for the choice of a super node; none where nothing is known.
    fn route(&self, choice: usize) -> String {
        match self.routes.get(choice) {
            _ if !self.route_set.is_empty() => self.route_set.clone(),
            Some(node) => filled("<sip:%;lr>", &[&node.host()]),
            None => String::new(),
        }
    }

    /// How many choices there are.
    fn choices(&self) -> usize {
        let by_node = self.route_set.is_empty() && !self.routes.is_empty();
        if by_node { self.routes.len() } else { 1 }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) purpose: Purpose,
    /// The leg that an INVITE calls; the dialog in which another request is sent.
    pub(super) at: usize,
    pub(super) cseq: u32,
    pub(super) way: Way,
    /// The request behind Via and Route.
    pub(super) rest: String,
    pub(super) attempts: Vec<Attempt>,
    pub(super) state: State,
    /// When to do what the state waits for.
    pub(super) timer: Instant,
    /// How often locations were asked for.
    asked: u32,
    pub(super) failure: u16,
    /// The Reason of its CANCEL, if it is being cancelled.
    pub(super) cancel: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// At least one attempt is open; the timer is the hedge.
    Active,
    /// The first path has answered; by a second one goes the request when the timer runs out.
    Ringing,
    /// Waits for a flow, until the timer.
    Stalled,
    /// Waits for locations.
    Locating,
    /// Asks for locations again when the timer runs out.
    Pausing,
    Done,
}

impl Exchange {
    /// No attempt waits for a final response.
    pub(super) fn is_idle(&self) -> bool {
        let mut open = self
            .attempts
            .iter()
            .filter_map(|one| one.transaction.as_ref());
        !open.any(Client::is_open)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        !self.cancel.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let open = self
            .attempts
            .iter()
            .filter_map(|one| one.transaction.as_ref());
        open.filter_map(Client::poll_timeout)
            .fold(self.timer, Instant::min)
    }

    pub(super) fn rest_in(&mut self, state: State) {
        self.state = state;
        self.timer = NEVER;
    }

    /// Writes a request of this exchange, its CANCEL or its ACK.
    pub(super) fn write(&self, method: Method, via: &str, choice: usize, rest: &str) -> String {
        request(method, &self.way, via, choice, rest)
    }
}

/// Writes a request for one path.
fn request(method: Method, way: &Way, via: &str, choice: usize, rest: &str) -> String {
    let mut text = filled(
        "% % SIP/2.0\r\nVia: %\r\n",
        &[method.as_str(), &way.uri, via],
    );
    let route = way.route(choice);
    if !route.is_empty() {
        fill(&mut text, "Route: %\r\n", &[&route]);
    }
    text.push_str(rest);
    text
}

impl Call {
    /// What every request of a call has but Via and Route, behind its first line. `headers` are whole lines.
    pub(super) fn rest(
        &self,
        method: Method,
        cseq: u32,
        tag: &str,
        (headers, body): (&str, &str),
        line: &Line,
    ) -> String {
        let name = line.account.name.as_deref().map(quote).unwrap_or_default();
        let mut text = filled(
            "Max-Forwards: 70\r\nFrom: %<%>;tag=%\r\nTo: <%>%%\r\nCall-ID: %\r\nCSeq: % %\r\n",
            &[
                &name,
                &line.own,
                &self.local_tag,
                &self.peer,
                if tag.is_empty() { "" } else { ";tag=" },
                tag,
                &self.call_id,
                &digits(cseq.into()),
                method.as_str(),
            ],
        );
        text.push_str(headers);
        end(&mut text, body);
        text
    }

    /// Sends a request outside a dialog, or one that the dialog has numbered already.
    pub(super) fn begin(
        &mut self,
        (purpose, at): (Purpose, usize),
        way: Way,
        (cseq, tag): (u32, &str),
        content: (&str, &str),
        line: &mut Line,
    ) {
        let rest = self.rest(purpose.method(), cseq, tag, content, line);
        self.exchanges.push(Exchange {
            purpose,
            at,
            cseq,
            way,
            rest,
            attempts: Vec::new(),
            state: State::Active,
            timer: NEVER,
            asked: 0,
            failure: 503,
            cancel: String::new(),
        });
        self.advance(self.exchanges.len() - 1, line);
    }

    /// Sends a request in a dialog, with whole header lines and a body.
    pub(super) fn send_inside(
        &mut self,
        purpose: Purpose,
        at: usize,
        content: (&str, &str),
        line: &mut Line,
    ) {
        let dialog = &mut self.dialogs[at];
        dialog.local_cseq += 1;
        let (cseq, tag) = (dialog.local_cseq, dialog.remote_tag.clone());
        let way = dialog.way.clone();
        self.begin((purpose, at), way, (cseq, &tag), content, line);
    }

    /// Sends the ACK of a 2xx, once for every copy, each by another path (RFC 3261, section 13.2.2.4).
    pub(super) fn acknowledge_answer(&mut self, at: usize, cseq: u32, line: &mut Line) {
        let dialog = &mut self.dialogs[at];
        let copy = dialog.acks;
        dialog.acks += 1;
        let dialog = &self.dialogs[at];
        let rest = self.rest(Method::Ack, cseq, &dialog.remote_tag, ("", ""), line);
        let branch = line.branch();
        let Some(flow) = line.flows.get(copy % line.flows.len().max(1)) else {
            return;
        };
        let (flow, via) = (flow.id, line.via(flow, &branch));
        let choice = copy % dialog.way.choices();
        line.send(flow, request(Method::Ack, &dialog.way, &via, choice, &rest));
    }

    /// Sends the request by the next path, if there is one; else sees what remains.
    pub(super) fn advance(&mut self, at: usize, line: &mut Line) {
        let exchange = &self.exchanges[at];
        if exchange.state == State::Done || exchange.is_cancelled() {
            return;
        }
        if !self.attempt(at, line) {
            self.fail_if_idle(at, line);
        }
    }

    /// Sends the request by the path least used so far; a flow that ends at the very super node is the best of equals.
    /// False if there is none.
    fn attempt(&mut self, at: usize, line: &mut Line) -> bool {
        let exchange = &mut self.exchanges[at];
        if exchange.attempts.len() >= MAXIMUM_ATTEMPTS {
            return false;
        }
        let (mut best, mut least) = (None, usize::MAX);
        for choice in 0..exchange.way.choices() {
            for flow in &line.flows {
                let (mut tried, mut cost) = (false, choice << 1);
                for one in &exchange.attempts {
                    let (same_choice, same_flow) = (one.choice == choice, one.flow == flow.id);
                    tried |= same_choice && same_flow;
                    cost += usize::from(same_choice) << 16 | usize::from(same_flow) << 8;
                }
                cost += usize::from(exchange.way.routes.get(choice) != Some(&flow.node));
                if !tried && cost < least {
                    (best, least) = (Some((choice, *flow)), cost);
                }
            }
        }
        let Some((choice, flow)) = best else {
            return false;
        };
        let branch = line.branch();
        let via = line.via(&flow, &branch);
        let method = exchange.purpose.method();
        let message = exchange.write(method, &via, choice, &exchange.rest);
        let invite = method == Method::Invite;
        let kind = if invite { Kind::Invite } else { Kind::Other };
        exchange.state = State::Active;
        exchange.timer = line.now + HEDGE;
        exchange.attempts.push(Attempt {
            flow: flow.id,
            choice,
            branch,
            via,
            transaction: Some(Client::new(kind, true, line.now)),
            cancelled: false,
        });
        line.send(flow.id, message);
        true
    }

    /// When nothing is open any more: waits for a flow, asks for locations, or gives up.
    fn fail_if_idle(&mut self, at: usize, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        if !matches!(exchange.state, State::Active | State::Ringing) {
            return;
        }
        exchange.rest_in(State::Active);
        if !exchange.is_idle() {
            return;
        }
        if line.flows.is_empty() {
            exchange.state = State::Stalled;
            exchange.timer = line.now + NO_FLOW;
        } else if exchange.way.route_set.is_empty() {
            self.ask_again(at, line);
        } else {
            self.give_up(at, line);
        }
    }

    /// Asks for locations, at once the first time, after a pause later; gives up in the end.
    fn ask_again(&mut self, at: usize, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        let patient = matches!(exchange.purpose, Purpose::Bye | Purpose::Reinvite);
        let most = if patient { MAXIMUM_ASKED } else { 1 };
        if exchange.asked >= most {
            return self.give_up(at, line);
        }
        if exchange.asked > 0 && exchange.state != State::Pausing {
            exchange.state = State::Pausing;
            exchange.timer = line.now + PAUSE * (1 << (exchange.asked - 1));
            return;
        }
        exchange.rest_in(State::Locating);
        exchange.asked += 1;
        if self.look_up == NEVER {
            self.look_up = line.now + LOOK_UP;
            line.tell(Event::LocationsWanted { call: self.id });
        }
    }

    fn give_up(&mut self, at: usize, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        exchange.rest_in(State::Done);
        let status = exchange.failure;
        self.concluded(at, status, None, line);
    }

    /// Fresh locations came (or will not come): requests that waited for them go on. `routes_of` says where an
    /// exchange may go now.
    pub(super) fn relocate(
        &mut self,
        routes_of: impl Fn(&Self, &Exchange) -> Vec<NodeId>,
        line: &mut Line,
    ) {
        for at in 0..self.exchanges.len() {
            if self.exchanges[at].state != State::Locating {
                continue;
            }
            let routes = routes_of(self, &self.exchanges[at]);
            if routes.is_empty() {
                self.ask_again(at, line);
            } else {
                self.exchanges[at].way.routes = routes;
                self.restart(at, line);
            }
        }
    }

    /// Goes on as if nothing had been tried.
    fn restart(&mut self, at: usize, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        exchange.state = State::Active;
        exchange.attempts.clear();
        self.advance(at, line);
    }

    /// A flow came up: requests that had none go on.
    pub(super) fn resume(&mut self, line: &mut Line) {
        for at in 0..self.exchanges.len() {
            if self.exchanges[at].state == State::Stalled {
                self.restart(at, line);
            }
        }
    }

    /// What a second path brought about goes by that path first from now on.
    pub(super) fn prefer_path(&mut self, at: usize, place: usize, line: &mut Line) {
        if place == 0 {
            return;
        }
        let exchange = &self.exchanges[at];
        let path = &exchange.attempts[place];
        if let Some(best) = line.flows.iter().position(|flow| flow.id == path.flow) {
            line.flows.swap(0, best);
        }
        if exchange.purpose != Purpose::Invite
            && let Some(node) = exchange.way.routes.get(path.choice)
        {
            let routes = &mut self.dialogs[exchange.at].way.routes;
            if let Some(best) = routes.iter().position(|one| one == node) {
                routes.swap(0, best);
            }
        }
    }

    /// Has the request sent by one more path although the first has answered: then the answer finds its way even if a
    /// super node dies while the phone rings.
    pub(super) fn plan_second_path(&mut self, at: usize, line: &Line) {
        let exchange = &mut self.exchanges[at];
        if exchange.attempts.len() == 1 && exchange.state == State::Active {
            exchange.state = State::Ringing;
            exchange.timer = line.now + SECOND_PATH;
        }
    }

    /// Does what is due in exchanges and client transactions.
    pub(super) fn exchange_timeouts(&mut self, line: &mut Line) {
        let now = line.now;
        self.fail_attempts(408, |one| expires(one, now), line);
        for at in 0..self.exchanges.len() {
            let exchange = &self.exchanges[at];
            if exchange.timer > now {
                continue;
            }
            match exchange.state {
                State::Active => self.advance(at, line),
                State::Ringing => {
                    self.attempt(at, line);
                    self.exchanges[at].rest_in(State::Active);
                }
                State::Stalled => self.give_up(at, line),
                State::Pausing => self.ask_again(at, line),
                State::Locating | State::Done => {}
            }
        }
    }
}
