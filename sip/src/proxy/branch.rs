use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::{Event, Output, Proxy, Target, write};
use crate::message::{Framing, Message, Name};
use crate::transaction::{Client, Due, Kind, PATIENCE, earlier};
use crate::{Peer, siphash};

/// How long a phone may ring: timer C of RFC 3261, section 16.6, "MUST be larger than 3 minutes".
pub(super) const TIMER_C: Duration = Duration::from_secs(185);

/// A request on its way to one target.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) target: Target,
    /// Where it goes. Unspecified until its name is resolved.
    pub(super) peer: Option<Peer>,
    /// Where else the target can be reached (RFC 3263, section 4.3).
    pub(super) rest: Vec<Peer>,
    /// The question for its addresses is open until then.
    pub(super) asked: Option<Instant>,
    pub(super) breadth: u8,
    /// What was sent.
    pub(super) sent: Vec<u8>,
    pub(super) client: Option<Client>,
    pub(super) timer_c: Option<Instant>,
    /// The ACK of its refusal, to be sent again when that comes again.
    pub(super) ack: Vec<u8>,
    pub(super) cancel: Cancel,
    /// The final status, once there is one.
    pub(super) outcome: Option<u16>,
}

/// The CANCEL of a branch.
#[derive(Debug)]
pub(super) enum Cancel {
    None,
    /// It is sent when the first response has come (RFC 3261, section 9.1), with these lines.
    Wanted(String),
    Sent {
        client: Box<Client>,
        message: Vec<u8>,
    },
    Done,
}

impl Branch {
    pub(super) const fn new(target: Target, breadth: u8, asked: Option<Instant>) -> Self {
        Self {
            target,
            peer: None,
            rest: Vec::new(),
            asked,
            breadth,
            sent: Vec::new(),
            client: None,
            timer_c: None,
            ack: Vec::new(),
            cancel: Cancel::None,
            outcome: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let client = self.client.as_ref().and_then(Client::poll_timeout);
        let cancel = match &self.cancel {
            Cancel::Sent { client, .. } => client.poll_timeout(),
            Cancel::None | Cancel::Wanted(_) | Cancel::Done => None,
        };
        earlier(earlier(client, cancel), earlier(self.asked, self.timer_c))
    }

    pub(super) fn is_over(&self) -> bool {
        let cancels = matches!(self.cancel, Cancel::Sent { .. });
        self.client.is_none() && self.asked.is_none() && !cancels
    }

    fn is_open(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_open)
    }
}

impl Proxy {
    /// The branch parameter of a context's branch: it is found by that again, and nobody else can write it.
    pub(super) fn branch_name(&self, index: u32, number: u8, part: &str) -> String {
        let generation = self.slots[index as usize].generation;
        let seal = self.seal(index, generation, number);
        alloc::format!("z9hG4bK{index:x}.{generation:x}.{number:x}.{seal:016x}.{part}")
    }

    /// The context and branch that a [`branch_name`](Self::branch_name) names.
    pub(super) fn read_branch(&self, message: &Message) -> Option<(u32, u8)> {
        let branch = message.via()?.branch()?.strip_prefix("z9hG4bK")?;
        let mut parts = branch.split('.');
        let mut part = |digits: usize| {
            let part = parts
                .next()
                .filter(|part| (1..=digits).contains(&part.len()))?;
            u64::from_str_radix(part, 16).ok()
        };
        let (index, generation) = (part(8)? as u32, part(6)? as u32);
        let (number, seal) = (part(2)? as u8, part(16)?);
        let slot = self.slots.get(index as usize)?;
        let sound = slot.generation == generation && self.seal(index, generation, number) == seal;
        sound.then_some((index, number))
    }

    fn seal(&self, index: u32, generation: u32, number: u8) -> u64 {
        let (index, generation) = (index.to_be_bytes(), generation.to_be_bytes());
        siphash::hash(&self.config.secret, &[b"b", &index, &generation, &[number]])
    }

    pub(super) fn branch(&mut self, index: u32, number: u8) -> Option<&mut Branch> {
        self.context(index)?.branches.get_mut(usize::from(number))
    }

    pub(super) fn fire_branch(&mut self, index: u32, number: u8, now: Instant) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        let peer = branch.peer;
        let mut sends = Vec::new();
        if let Cancel::Sent { client, message } = &mut branch.cancel {
            match client.handle_timeout(now) {
                Some(Due::Again) => sends.push(message.clone()),
                Some(Due::TimedOut | Due::Over) => branch.cancel = Cancel::Done,
                None => {}
            }
        }
        let (mut timed_out, mut gives_up) = (branch.asked.is_some_and(|at| at <= now), false);
        match branch
            .client
            .as_mut()
            .and_then(|client| client.handle_timeout(now))
        {
            Some(Due::Again) => sends.push(branch.sent.clone()),
            Some(Due::TimedOut) => {
                branch.client = None;
                timed_out = true;
            }
            Some(Due::Over) => {
                branch.client = None;
                (branch.sent, branch.ack) = (Vec::new(), Vec::new());
            }
            None => {}
        }
        if branch.timer_c.is_some_and(|at| at <= now) {
            branch.timer_c = None;
            gives_up = branch.is_open() && matches!(branch.cancel, Cancel::None);
            if branch.is_open() && !gives_up {
                // It was cancelled and does not say so.
                branch.client = None;
                timed_out = true;
            }
        }
        if timed_out {
            branch.asked = None;
        }
        if let Some(peer) = peer {
            let sends = sends
                .into_iter()
                .map(|message| Output::Send { peer, message });
            sends.for_each(|send| self.outbox.push(send));
        }
        if gives_up {
            self.cancel_branch(index, number, "", now);
        }
        if timed_out {
            self.take_outcome(index, number, 408, None, now);
        }
    }

    /// Cancels one branch, at once or as soon as it may be.
    pub(super) fn cancel_branch(&mut self, index: u32, number: u8, lines: &str, now: Instant) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        if branch.asked.take().is_some() {
            branch.outcome = Some(487);
            return;
        }
        let is_waited_for = branch.client.as_ref().map(Client::is_proceeding);
        match is_waited_for {
            Some(true) if !matches!(branch.cancel, Cancel::Sent { .. } | Cancel::Done) => {
                let Some(peer) = branch.peer else { return };
                let Ok(sent) = Message::read(branch.sent.clone(), Framing::Frame) else {
                    return;
                };
                let to = sent.field(Name::To).unwrap_or("");
                let message = write::follow_up("CANCEL", &sent, to, lines);
                let client = Client::new(Kind::Other, peer.transport.is_reliable(), now);
                branch.cancel = Cancel::Sent {
                    client: Box::new(client),
                    message: message.clone(),
                };
                branch.timer_c = Some(now + PATIENCE);
                self.outbox.push(Output::Send { peer, message });
            }
            Some(false) if branch.is_open() => branch.cancel = Cancel::Wanted(lines.into()),
            Some(_) | None => {}
        }
    }

    /// A message of ours could not be sent.
    pub(super) fn take_undelivered(&mut self, message: Vec<u8>, now: Instant) {
        let Ok(message) = Message::read(message, Framing::Frame) else {
            return;
        };
        if !message.is_request() {
            return;
        }
        let Some((index, number)) = self.read_branch(&message) else {
            return;
        };
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        if !branch.is_open() {
            return;
        }
        branch.client = None;
        branch.timer_c = None;
        let flow = branch.target.flow;
        let uri = branch.target.uri.clone();
        if let Some(flow) = flow {
            self.outbox
                .push(Output::Event(Event::FlowFailed { flow, uri }));
        }
        let status = if flow.is_some() { 430 } else { 503 };
        self.take_outcome(index, number, status, None, now);
        self.settle(index, now);
    }
}
