use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::branch::Branch;
use super::write::Stamp;
use super::{Lookup, Output, Proxy, Slot, Target};
use crate::message::{Message, Method, Name};
use crate::transaction::{Kind, Server, earlier};
use crate::{Peer, siphash};

/// How long an answer to a question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A request on its way: the "response context" of RFC 3261, section 16.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) key: u64,
    pub(super) kind: Kind,
    pub(super) is_ack: bool,
    /// The server transaction, until it is over. An ACK has none.
    pub(super) server: Option<Server>,
    /// As long as it may still be sent somewhere.
    pub(super) request: Option<Box<Message>>,
    pub(super) source: Peer,
    /// Where responses go.
    pub(super) upstream: Peer,
    pub(super) stamp: Option<Stamp>,
    /// The last response that was sent, where it may have to be sent again.
    pub(super) last: Option<Vec<u8>>,
    /// The question about the request's targets is open until then.
    pub(super) asked: Option<Instant>,
    pub(super) routes: Routes,
    /// Targets that were not tried yet, the preferred ones last.
    pub(super) waiting: Vec<Target>,
    pub(super) branches: Vec<Branch>,
    pub(super) best: Option<Best>,
    /// The challenges of all branches, with the number of each (RFC 3261, section 16.7, step 7).
    pub(super) challenges: Vec<(u8, String)>,
    pub(super) is_cancelled: bool,
    /// A final response went back.
    pub(super) is_answered: bool,
    pub(super) breadth: u8,
    pub(super) scheduled: Option<Instant>,
}

/// What a request's Routes said.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes {
    /// How many Route elements are used up.
    pub(super) used: usize,
    /// The loop part of the branches.
    pub(super) part: String,
    /// The flow to the sender, which is to be in the Record-Route.
    pub(super) back: Option<Peer>,
}

/// A response that may become the final one.
#[derive(Debug)]
pub(super) enum Best {
    Remote { number: u8, response: Box<Message> },
    Local { status: u16, problem: &'static str },
}

impl Best {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Remote { response, .. } => response.status().unwrap_or(500),
            Self::Local { status, .. } => *status,
        }
    }
}

impl Context {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let server = self.server.as_ref().and_then(Server::poll_timeout);
        let branches = self.branches.iter().filter_map(Branch::poll_timeout).min();
        earlier(earlier(server, self.asked), branches)
    }

    pub(super) fn is_over(&self) -> bool {
        let open = self.asked.is_some() || !self.waiting.is_empty() && !self.is_answered;
        self.server.is_none() && !open && self.branches.iter().all(Branch::is_over)
    }

    /// Says whether nothing more can come that would change the final response.
    pub(super) fn is_decided(&self) -> bool {
        self.branches.iter().all(|branch| branch.outcome.is_some())
    }
}

impl Proxy {
    pub(super) fn context(&mut self, index: u32) -> Option<&mut Context> {
        self.slots.get_mut(index as usize)?.context.as_deref_mut()
    }

    /// A new context in a free place.
    pub(super) fn insert(&mut self, context: Context) -> u32 {
        let key = context.key;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        self.slots[index as usize].context = Some(Box::new(context));
        self.table.insert_unique(key, (key, index), |(key, _)| *key);
        index
    }

    pub(super) fn remove(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        let Some(context) = slot.context.take() else {
            return;
        };
        slot.generation = slot.generation.wrapping_add(1) & 0x00ff_ffff;
        self.free.push(index);
        if let Ok(entry) = self.table.find_entry(context.key, |(_, one)| *one == index) {
            entry.remove();
        }
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let found = self.table.find(key, |(one, _)| *one == key);
        found.map(|(_, index)| *index)
    }

    /// What names a server transaction (RFC 3261, section 17.2.3): branch and sent-by of the topmost Via, with what RFC
    /// 2543 needs where there is no branch. An ACK, and a CANCEL, name the INVITE's.
    pub(super) fn key(&self, message: &Message) -> u64 {
        let kind = match message.method() {
            Method::Ack | Method::Cancel => Method::Invite.as_str(),
            _ => message.method_text(),
        };
        let top = message.list(Name::Via).next().unwrap_or("");
        let via = message.via();
        let branch = via.and_then(|via| via.branch()).unwrap_or("");
        let cookie = branch.as_bytes().get(..7);
        let secret = &self.config.secret;
        if cookie.is_some_and(|cookie| cookie.eq_ignore_ascii_case(b"z9hG4bK")) {
            let sent_by = via.map_or("", |via| via.sent_by);
            let parts = [kind, "\n", branch, "\n", sent_by].map(str::as_bytes);
            return siphash::hash(secret, &parts);
        }
        let number = message.number().to_be_bytes();
        let (call, tag) = (message.call_id(), message.from_tag());
        let parts = [kind, "\n", top, "\n", call, "\n", tag, "\n"].map(str::as_bytes);
        let [a, b, c, d, e, f, g, h] = parts;
        siphash::hash(secret, &[a, b, c, d, e, f, g, h, &number])
    }

    /// The question number `branch` of a context; 255 asks for its targets.
    pub(super) fn lookup(&self, index: u32, branch: u8) -> Lookup {
        let generation = self.slots[index as usize].generation;
        Lookup(u64::from(index) << 32 | u64::from(generation) << 8 | u64::from(branch))
    }

    pub(super) fn read_lookup(&self, Lookup(number): Lookup) -> Option<(u32, u8)> {
        let index = (number >> 32) as u32;
        let slot = self.slots.get(index as usize)?;
        let same = u64::from(slot.generation) == number >> 8 & 0x00ff_ffff;
        (same && slot.context.is_some()).then_some((index, number as u8))
    }

    /// Sends a response to where the request came from, if the transaction allows.
    pub(super) fn send_back(&mut self, index: u32, status: u16, message: Vec<u8>, now: Instant) {
        let Some(context) = self.context(index) else {
            return;
        };
        let Some(server) = &mut context.server else {
            return;
        };
        if !server.respond(status, now) {
            return;
        }
        context.is_answered |= status >= 200;
        let peer = context.upstream;
        // Who answered an INVITE repeats that himself.
        let is_answer = context.kind == Kind::Invite && (200..300).contains(&status);
        let is_repeated = !is_answer && !peer.transport.is_reliable();
        context.last = is_repeated.then(|| message.clone());
        self.outbox.push(Output::Send { peer, message });
    }
}
