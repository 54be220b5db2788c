use alloc::string::String;
use alloc::vec::Vec;

use credential::{Instance, NodeId};

use super::Candidate;
use super::exchange::Way;
use crate::header::Address;
use crate::message::{Message, Method, Name};
use crate::sdp::Fingerprint;
use crate::text::joined;
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
    /// The remote target, and how requests in the dialog get there.
    pub(super) way: Way,
    pub(super) local_cseq: u32,
    /// The highest number of the peer's requests; 0 before the first.
    pub(super) remote_cseq: u32,
    pub(super) instance: Option<Instance>,
    /// The fingerprints that the peer has proved to be his.
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) confirmed: bool,
    /// The peer takes UPDATE (RFC 3311).
    pub(super) updates: bool,
    /// The highest RSeq that was acknowledged.
    pub(super) rseq: u64,
    answered: Vec<Answered>,
    /// How many requests were answered.
    requests: usize,
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
    /// What was sent with the INFO under way, if there is one.
    pub(super) under_way: Option<Sent>,
    /// What the peer is known to have.
    pub(super) sent: Sent,
    pub(super) received: Vec<Candidate>,
    pub(super) complete: bool,
    /// How many of the received were handed on, and whether their end was.
    pub(super) delivered: Sent,
}

/// How many candidates, and whether they were all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) count: usize,
    pub(super) end: bool,
}

/// A request that was answered, and how.
#[derive(Debug)]
struct Answered {
    cseq: u32,
    method: Method,
    status: u16,
}

impl Dialog {
    /// The dialog that an INVITE opens at the callee, or a response to it at the caller; `instance` is the device that
    /// was called.
    pub(super) fn new(message: &Message, local_cseq: u32, instance: Option<Instance>) -> Self {
        let called = message.is_request();
        let tag = if called {
            message.from_tag()
        } else {
            message.to_tag()
        };
        let mut dialog = Self {
            remote_tag: tag.into(),
            way: Way::default(),
            local_cseq,
            remote_cseq: if called { message.number() } else { 0 },
            instance,
            fingerprints: Vec::new(),
            confirmed: false,
            updates: false,
            rseq: 0,
            answered: Vec::new(),
            requests: 0,
            trickle: Trickle::default(),
            acks: 0,
        };
        for route in message.list(Name::RecordRoute) {
            let set = &*dialog.way.route_set;
            let comma = if set.is_empty() { "" } else { ", " };
            let parts = if called {
                [set, comma, route]
            } else {
                [route, comma, set]
            };
            dialog.way.route_set = joined(&parts);
        }
        dialog.trickle.open = !called;
        dialog.refresh(message);
        dialog
    }

    /// Takes the peer's Contact out of a target refresh, and what he understands.
    pub(super) fn refresh(&mut self, message: &Message) {
        self.trickle.supported |= message.lists(Name::RecvInfo, "trickle-ice");
        self.updates |= message.lists(Name::Allow, "UPDATE");
        let Some(contact) = message.contact() else {
            return;
        };
        let instance = Uri::read(contact.uri).ok().and_then(|uri| uri.instance());
        // A dialog stays with the device that it was proved for.
        if self.instance.is_some() && instance != self.instance {
            return;
        }
        self.way.uri = contact.uri.into();
        self.instance = instance;
        let routes = routes(&contact);
        if !routes.is_empty() {
            self.way.routes = routes;
        }
    }

    /// Says whether a request with this number comes after one with a higher.
    pub(super) fn overtakes(&mut self, cseq: u32) -> bool {
        let overtaken = cseq < self.remote_cseq;
        self.remote_cseq = self.remote_cseq.max(cseq);
        overtaken
    }

    /// What was answered to a request with this number, if it came before.
    pub(super) fn answer_to(&self, cseq: u32, method: Method) -> Option<u16> {
        let mut all = self.answered.iter();
        all.find(|one| one.cseq == cseq && one.method == method)
            .map(|one| one.status)
    }

    pub(super) fn remember(&mut self, cseq: u32, method: Method, status: u16) {
        let answered = Answered {
            cseq,
            method,
            status,
        };
        match self.answered.get_mut(self.requests % REMEMBERED) {
            Some(oldest) => *oldest = answered,
            None => self.answered.push(answered),
        }
        self.requests += 1;
    }

    /// Takes a candidate of the peer in, once.
    pub(super) fn receive_candidate(&mut self, candidate: Candidate) {
        let trickle = &mut self.trickle;
        if trickle.received.len() < MAXIMUM_CANDIDATES && !trickle.received.contains(&candidate) {
            trickle.complete = false;
            trickle.delivered.end = false;
            trickle.received.push(candidate);
        }
    }
}

/// The super nodes in a Contact's `sn` parameter.
fn routes(contact: &Address<'_>) -> Vec<NodeId> {
    let list = contact.parameter("sn").unwrap_or("");
    let mut nodes: Vec<NodeId> = Vec::new();
    for id in list.split('.') {
        if let Ok(node) = id.parse()
            && nodes.len() < MAXIMUM_ROUTES
            && !nodes.contains(&node)
        {
            nodes.push(node);
        }
    }
    nodes
}
