use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use credential::{Instance, NodeId};

use super::Candidate;
use crate::header::Address;
use crate::message::{Message, Method, Name};
use crate::sdp::Fingerprint;
use crate::uri::Uri;

/// How many answers a dialog remembers, for requests that come by a second path.
const REMEMBERED: usize = 16;
/// How many super nodes of a peer are read from his Contact.
const MAXIMUM_ROUTES: usize = 4;
/// How many candidates of a peer are taken in one dialog.
const MAXIMUM_CANDIDATES: usize = 256;

/// A dialog (RFC 3261, section 12), early or confirmed.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) remote_tag: String,
    pub(super) remote_target: String,
    /// The peer's super nodes, best first: where requests in the dialog go when there is no route set.
    pub(super) routes: Vec<NodeId>,
    pub(super) route_set: Vec<String>,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    pub(super) instance: Option<Instance>,
    /// The fingerprints that the peer has proved to be his.
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) confirmed: bool,
    /// The peer takes UPDATE (RFC 3311).
    pub(super) updates: bool,
    /// The highest RSeq that was acknowledged.
    pub(super) rseq: u32,
    pub(super) answered: VecDeque<Answered>,
    pub(super) trickle: Trickle,
    /// Where the last ACK went, so that the next copy goes another way.
    pub(super) acks: usize,
}

/// The state of RFC 8840 in one dialog.
#[derive(Debug, Default)]
pub(super) struct Trickle {
    /// The peer understands it.
    pub(super) supported: bool,
    /// The peer knows the dialog, so an INFO will find it.
    pub(super) open: bool,
    pub(super) busy: bool,
    pub(super) sent: usize,
    pub(super) sent_end: bool,
    pub(super) received: Vec<Candidate>,
    pub(super) delivered: usize,
    pub(super) complete: bool,
    pub(super) delivered_end: bool,
}

/// A request that was answered, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) cseq: u32,
    pub(super) method: Method,
    pub(super) status: u16,
}

impl Dialog {
    /// The dialog that a response to an INVITE opens at the caller, with the device that was called.
    pub(super) fn at_caller(response: &Message, cseq: u32, instance: Instance) -> Self {
        let mut dialog = Self::new(response, response.to_tag(), cseq, Some(instance));
        let routes = response.list(Name::RecordRoute).map(String::from);
        dialog.route_set = routes.collect();
        dialog.route_set.reverse();
        dialog.trickle.open = true;
        dialog
    }

    /// The dialog that an INVITE opens at the callee.
    pub(super) fn at_callee(request: &Message, cseq: u32) -> Self {
        let mut dialog = Self::new(request, request.from_tag(), cseq, None);
        dialog.remote_cseq = request.cseq().map(|cseq| cseq.number);
        dialog.route_set = request.list(Name::RecordRoute).map(String::from).collect();
        dialog
    }

    fn new(
        message: &Message,
        remote_tag: &str,
        local_cseq: u32,
        instance: Option<Instance>,
    ) -> Self {
        let mut dialog = Self {
            remote_tag: remote_tag.into(),
            remote_target: String::new(),
            routes: Vec::new(),
            route_set: Vec::new(),
            local_cseq,
            remote_cseq: None,
            instance,
            fingerprints: Vec::new(),
            confirmed: false,
            updates: false,
            rseq: 0,
            answered: VecDeque::new(),
            trickle: Trickle::default(),
            acks: 0,
        };
        dialog.refresh(message);
        dialog
    }

    /// Takes the peer's Contact out of a target refresh, and what he understands.
    pub(super) fn refresh(&mut self, message: &Message) {
        if message.lists(Name::RecvInfo, "trickle-ice") {
            self.trickle.supported = true;
        }
        self.updates |= message.lists(Name::Allow, "UPDATE");
        let Some(contact) = message.contact() else {
            return;
        };
        let instance = Uri::read(contact.uri).ok().and_then(|uri| uri.instance());
        // A dialog stays with the device that it was proved for.
        if self.instance.is_some() && instance != self.instance {
            return;
        }
        self.remote_target = contact.uri.into();
        self.instance = instance;
        let routes = routes(&contact);
        if !routes.is_empty() {
            self.routes = routes;
        }
    }

    pub(super) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// What was answered to a request with this number, if it came before.
    pub(super) fn answer_to(&self, cseq: u32, method: Method) -> Option<u16> {
        let mut all = self.answered.iter();
        all.find(|one| one.cseq == cseq && one.method == method)
            .map(|one| one.status)
    }

    pub(super) fn remember(&mut self, cseq: u32, method: Method, status: u16) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered {
            cseq,
            method,
            status,
        });
    }

    /// Takes candidates of the peer in, once each.
    pub(super) fn receive_candidates(&mut self, candidates: Vec<Candidate>, complete: bool) {
        let trickle = &mut self.trickle;
        for one in candidates {
            if trickle.received.len() < MAXIMUM_CANDIDATES && !trickle.received.contains(&one) {
                trickle.complete = false;
                trickle.delivered_end = false;
                trickle.received.push(one);
            }
        }
        trickle.complete |= complete;
    }
}

/// The super nodes in a Contact's `sn` parameter.
fn routes(contact: &Address<'_>) -> Vec<NodeId> {
    let list = contact.parameter("sn").unwrap_or("");
    let mut nodes: Vec<NodeId> = Vec::new();
    for node in list.split('.').filter_map(|id| id.parse().ok()) {
        if nodes.len() < MAXIMUM_ROUTES && !nodes.contains(&node) {
            nodes.push(node);
        }
    }
    nodes
}
