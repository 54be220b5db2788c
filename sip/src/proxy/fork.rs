//! Targets, one group of equal preference after the other, and how each is sent to (RFC 3261, section 16.6).

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use machine::Instant;

use super::branch::{Branch, TIMER_C};
use super::context::{Best, Context, PATIENCE};
use super::place::number;
use super::token::{self, Purpose};
use super::write::{self, Onward};
use super::{Located, Lookup, Output, Proxy, Target, place};
use crate::header::{Address, elements};
use crate::message::{Message, Method, Name};
use crate::transaction::{Client, Kind};
use crate::{Peer, Transport};

/// The most branches of one request.
pub(super) const MOST: usize = 64;
/// The Max-Forwards of a request that brings none (RFC 3261, section 16.6, step 3).
const HOPS: u8 = 70;

impl Proxy {
    pub(super) fn take_located(&mut self, lookup: Lookup, located: Located, now: Instant) {
        let Some((index, u8::MAX)) = self.read_lookup(lookup) else {
            return;
        };
        let Some(context) = self.context(index) else {
            return;
        };
        if context.asked.take().is_none() {
            return;
        }
        match located {
            Located::Targets(mut targets) => {
                targets.truncate(MOST / 2);
                machine::sort_by_key(&mut targets, |target| Reverse(target.preference));
                targets.reverse();
                context.waiting = targets;
                self.start(index, now);
            }
            Located::Refused {
                status,
                headers,
                problem,
            } => {
                self.answer(index, status, &headers, &problem, now);
            }
        }
        self.settle(index, now);
    }

    pub(super) fn take_resolved(&mut self, lookup: Lookup, mut peers: Vec<Peer>, now: Instant) {
        let Some((index, number)) = self.read_lookup(lookup) else {
            return;
        };
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        if branch.asked.take().is_none() {
            return;
        }
        peers.truncate(8);
        if peers.is_empty() {
            self.take_outcome(index, number, 502, None, now);
        } else {
            branch.peer = Some(peers.remove(0));
            branch.rest = peers;
            self.transmit(index, number, now);
        }
        self.settle(index, now);
    }

    /// Starts the next group of targets, as many of it as the breadth allows at once (RFC 5393, section 5.3.3).
    pub(super) fn start(&mut self, index: u32, now: Instant) {
        let Some(context) = self.context(index) else {
            return;
        };
        let Some(preference) = context.waiting.last().map(|target| target.preference) else {
            return self.conclude(index, now);
        };
        let group = context.waiting.iter().rev();
        let group = group
            .take_while(|target| target.preference == preference)
            .count();
        let breadth = context.breadth;
        let count = group.min(usize::from(breadth));
        if count == 0 {
            context.waiting.clear();
            let problem = "Max-Breadth is used up";
            context.best = Some(Best::Local {
                status: 440,
                problem,
            });
            return self.conclude(index, now);
        }
        let targets = context.waiting.split_off(context.waiting.len() - count);
        let share = breadth / count as u8;
        for target in targets.into_iter().rev() {
            self.add_branch(index, target, share, now);
        }
        self.conclude(index, now);
    }

    /// Adds a branch for a target, and sends if it is known where to.
    pub(super) fn add_branch(&mut self, index: u32, target: Target, breadth: u8, now: Instant) {
        let Some(context) = self.context(index) else {
            return;
        };
        let hop = match target.flow {
            Some(flow) => Ok(flow),
            None => {
                let uri = next_hop(context, &target);
                match place(&uri).map(|place| place.peer()) {
                    Some(Some(Ok(peer))) if !peer.transport.is_secure() => Ok(peer),
                    // Who has to prove a name is asked for by that, even where the address is in the URI.
                    Some(None | Some(Ok(_))) => Err(Some(uri)),
                    None | Some(Some(Err(()))) => Err(None),
                }
            }
        };
        match hop {
            Ok(peer) => self.add_resolved(index, target, peer, Vec::new(), breadth, now),
            Err(uri) => {
                let asked = uri.is_some().then_some(now + PATIENCE);
                let Some(number) = self.push(index, Branch::new(target, breadth, asked)) else {
                    return;
                };
                match uri {
                    Some(uri) => {
                        let lookup = self.lookup(index, number);
                        self.outbox.push(Output::Resolve { lookup, uri });
                    }
                    // Another scheme, or a transport that is not known.
                    None => self.take_outcome(index, number, 502, None, now),
                }
            }
        }
    }

    /// Adds a branch for a target that is at `peer`, or else at `rest`, and sends.
    pub(super) fn add_resolved(
        &mut self,
        index: u32,
        target: Target,
        peer: Peer,
        rest: Vec<Peer>,
        breadth: u8,
        now: Instant,
    ) {
        let mut branch = Branch::new(target, breadth, None);
        branch.peer = Some(peer);
        branch.rest = rest;
        if let Some(number) = self.push(index, branch) {
            self.transmit(index, number, now);
        }
    }

    fn push(&mut self, index: u32, branch: Branch) -> Option<u8> {
        let branches = &mut self.context(index)?.branches;
        if branches.len() >= MOST {
            return None;
        }
        branches.push(branch);
        Some(branches.len() as u8 - 1)
    }

    /// Sends a branch's request, by a transaction of its own.
    fn transmit(&mut self, index: u32, number: u8, now: Instant) {
        let Some(context) = self.slots[index as usize].context.as_deref() else {
            return;
        };
        let Some(branch) = context.branches.get(usize::from(number)) else {
            return;
        };
        let (Some(peer), Some(request)) = (branch.peer, context.request.as_deref()) else {
            return;
        };
        let name = self.branch_name(index, number, &context.routes.part);
        let message = self.write(context, branch, request, peer, &name);
        let (kind, is_ack) = (context.kind, context.is_ack);
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        if is_ack {
            branch.outcome = Some(200);
        } else {
            let reliable = peer.transport.is_reliable();
            branch.client = Some(Client::new(kind, reliable, now));
            branch.timer_c = (kind == Kind::Invite).then_some(now + TIMER_C);
            branch.sent.clone_from(&message);
        }
        self.outbox.push(Output::Send { peer, message });
    }

    fn write(
        &self,
        context: &Context,
        branch: &Branch,
        request: &Message,
        peer: Peer,
        name: &str,
    ) -> Vec<u8> {
        let target = &branch.target;
        let sent_by = self.sent_by(peer.transport, peer.address.is_ipv6());
        let lines = self.record(context, target, request, peer);
        let hops = request.field(Name::MaxForwards).and_then(number);
        let mut onward = Onward {
            uri: &target.uri,
            transport: peer.transport,
            sent_by: &sent_by,
            branch: name,
            stamp: context.stamp,
            hops: hops.map_or(HOPS, |hops| hops - 1),
            breadth: (!context.is_ack).then_some(branch.breadth),
            used: context.routes.used,
            route: &target.route,
            last: "",
            lines: &lines,
            believed: context.source.transport == Transport::Inside,
        };
        // A strict router takes the Request-URI for its own (RFC 3261, section 16.6, step 6).
        let first = elements(&target.route).find(|one| !one.is_empty());
        let mut left = request.list(Name::Route).skip(onward.used);
        if let Some(hop) = first.or_else(|| left.next()).and_then(Address::read)
            && place(hop.uri).is_some_and(|place| place.parameter("lr").is_none())
        {
            onward.last = &target.uri;
            onward.uri = hop.uri;
            match first {
                Some(first) => {
                    let rest = target.route.split_once(first).map_or("", |(_, rest)| rest);
                    onward.route = rest.trim_start_matches([',', ' ']);
                }
                None => onward.used += 1,
            }
        }
        write::request(request, &onward)
    }

    /// The Record-Route or Path of a request: with it, this proxy stays in the path.
    fn record(&self, context: &Context, target: &Target, request: &Message, peer: Peer) -> String {
        let secret = &self.config.lasting;
        let method = request.method();
        let uri = |flow: Option<Peer>, side: Peer, purpose: Purpose<'_>| {
            let token = token::write(flow, purpose, secret);
            let host = self.sent_by(side.transport, side.address.is_ipv6());
            let transport = match side.transport {
                Transport::Udp => String::new(),
                other => crate::joined(&[";transport=", other.parameter()]),
            };
            crate::joined(&["<sip:", &token, "@", &host, &transport, ";lr"])
        };
        if method == Method::Register {
            let knows = |option| request.lists(Name::Supported, option);
            if !knows("path") && !knows("outbound") {
                return String::new();
            }
            let path = uri(Some(context.source), context.source, Purpose::Path);
            return crate::joined(&["Path: ", &path, ";ob>\r\n"]);
        }
        let makes_dialog = match method {
            Method::Invite => true,
            Method::Other => matches!(request.method_text(), "SUBSCRIBE" | "REFER" | "NOTIFY"),
            _ => false,
        };
        let (back, onward) = (context.routes.back, target.flow);
        // Who speaks the one transport need not speak the other (RFC 5658, section 3.1).
        let bridges = context.source.transport != peer.transport;
        let stays = self.config.record_route || bridges || back.is_some() || onward.is_some();
        if !makes_dialog || !stays || !request.to_tag().is_empty() {
            return String::new();
        }
        let dialog = Purpose::Dialog(request.call_id());
        let callee = uri(onward, peer, dialog);
        let one = back.is_none() && onward.is_none() && context.source.transport == peer.transport;
        if one {
            return crate::joined(&["Record-Route: ", &callee, ">\r\n"]);
        }
        // Two, one for each side (RFC 5658): the topmost one is what the callee sees first.
        let caller = uri(back, context.source, dialog);
        // Whoever sends passes his own side's token first, so the other side's comes last.
        crate::joined(&["Record-Route: ", &callee, ">, ", &caller, ">\r\n"])
    }
}

/// The URI that says where a target's next hop is.
fn next_hop(context: &Context, target: &Target) -> String {
    let mut given = elements(&target.route);
    let given = given.find(|one| !one.is_empty());
    let request = context.request.as_deref();
    let left = || request.and_then(|request| request.list(Name::Route).nth(context.routes.used));
    let route = given.or_else(left).and_then(Address::read);
    String::from(route.map_or(target.uri.as_str(), |route| route.uri))
}
