//! What all calls of a user agent share: whose they are, how they reach the network, and what waits for the driver.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Job, NodeId, RevocationList, TrustAnchor};
use machine::{Instant, Outbox, Rng, WallClock};

use super::reply::Reply;
use super::{Account, Event, FlowId, Output};
use crate::base64;
use crate::header::Via;
use crate::identity::Replays;
use crate::text::{fill, filled, hex};
use crate::uri::Uri;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) account: Account,
    /// The account's address of record in canonical form.
    pub(super) own: String,
    pub(super) anchor: TrustAnchor,
    pub(super) revocations: RevocationList,
    pub(super) wall: WallClock,
    /// When the input came that is being handled.
    pub(super) now: Instant,
    pub(super) rng: Rng,
    /// The host in this user agent's Via, which means nothing (RFC 7118, section 5).
    sent_by: String,
    /// Best first.
    pub(super) flows: Vec<Flow>,
    last_job: u64,
    pub(super) replays: Replays,
    pub(super) outbox: Outbox<Output>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    pub(super) id: FlowId,
    /// The super node at the other end.
    pub(super) node: NodeId,
    pub(super) secure: bool,
}

impl Line {
    pub(super) fn new(
        account: Account,
        anchor: TrustAnchor,
        wall: WallClock,
        mut rng: Rng,
    ) -> Self {
        let mut sent_by = String::new();
        hex(&mut sent_by, &rng.bytes::<6>(), "");
        sent_by.push_str(".invalid");
        Self {
            own: canonical(&account.uri),
            account,
            revocations: RevocationList::empty(anchor.overlay()),
            anchor,
            wall,
            now: Instant::EPOCH,
            sent_by,
            flows: Vec::new(),
            last_job: 0,
            replays: Replays::new(rng.bytes()),
            rng,
            outbox: Outbox::default(),
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }

    pub(super) fn send(&mut self, flow: FlowId, message: String) {
        let message = message.into_bytes();
        self.outbox.push(Output::Send { flow, message });
    }

    /// Answers the request with that [`head`](super::reply::head).
    pub(super) fn reply(&mut self, flow: FlowId, head: &str, reply: &Reply) {
        let message = reply.write(head, &self.contact());
        self.send(flow, message);
    }

    /// Numbers a signature that is to be made or checked.
    pub(super) fn job(&mut self) -> Job {
        self.last_job += 1;
        Job(self.last_job)
    }

    pub(super) fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.id == id)
    }

    pub(super) fn remove_flow(&mut self, id: FlowId) {
        if let Some(at) = self.flows.iter().position(|flow| flow.id == id) {
            self.flows.remove(at);
        }
    }

    /// This user agent's Via on a flow.
    pub(super) fn via(&self, flow: &Flow, branch: &str) -> String {
        let transport = if flow.secure { "WSS" } else { "WS" };
        Via::write(transport, &self.sent_by, branch)
    }

    /// The Contact of this user agent: its GRUU and the super nodes by which it can be reached now.
    pub(super) fn contact(&self) -> String {
        let urn = self.account.instance.urn();
        let mut contact = filled("<%;gr=%>", &[&self.own, &urn]);
        let mut before = ";sn=\"";
        for flow in &self.flows {
            let host = flow.node.host();
            let id = host.strip_suffix(".sn").unwrap_or(&host);
            fill(&mut contact, "%%", &[before, id]);
            before = ".";
        }
        if !self.flows.is_empty() {
            contact.push('"');
        }
        contact
    }

    /// A random word: a tag, a Call-ID, what follows the cookie in a branch.
    pub(super) fn word(&mut self) -> String {
        let mut word = String::new();
        base64::write_url(&self.rng.bytes::<12>(), &mut word);
        word
    }

    pub(super) fn branch(&mut self) -> String {
        filled("z9hG4bK%", &[&self.word()])
    }
}

/// The canonical form of a user's URI; a text that is none stays, and matches nobody.
pub(super) fn canonical(uri: &str) -> String {
    Uri::read(uri).map_or_else(|_| uri.into(), |uri| uri.address_of_record())
}
