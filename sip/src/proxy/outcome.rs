//! Responses, and which of them goes back (RFC 3261, section 16.7).

use alloc::boxed::Box;
use alloc::string::String;

use machine::Instant;

use super::branch::{Cancel, TIMER_C};
use super::context::Best;
use super::fork::MOST;
use super::{Event, Output, Proxy, write};
use crate::Peer;
use crate::digest::Door;
use crate::message::{Message, Method, Name};
use crate::transaction::Kind;

/// Told to the phones that lose, so that they don't show a missed call (RFC 3326).
const ELSEWHERE: &str = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
const DECLINED: &str = "Reason: SIP;cause=603;text=\"Declined elsewhere\"\r\n";

impl Proxy {
    pub(super) fn take_response(&mut self, source: Peer, response: &Message, now: Instant) {
        let stray = Output::Event(Event::Stray { source });
        let Some((index, number)) = self.read_branch(response) else {
            return self.outbox.push(stray);
        };
        let status = response.status().unwrap_or(0);
        let Some(branch) = self.branch(index, number) else {
            return self.outbox.push(stray);
        };
        if response.method() == Method::Cancel {
            if let Cancel::Sent { client, .. } = &mut branch.cancel {
                client.receive(status, now);
            }
            return self.settle(index, now);
        }
        let Some(client) = &mut branch.client else {
            return self.outbox.push(stray);
        };
        let received = client.receive(status, now);
        if received.acknowledge {
            self.acknowledge(index, number, response);
        }
        if received.pass {
            match status {
                ..200 => self.take_provisional(index, number, status, response, now),
                _ => self.take_final(index, number, status, response, now),
            }
        }
        self.settle(index, now);
    }

    /// Sends the ACK of a refusal, the same one each time.
    fn acknowledge(&mut self, index: u32, number: u8, response: &Message) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        let Some(peer) = branch.peer else { return };
        if branch.ack.is_empty() {
            let sent = Message::read(branch.sent.clone(), crate::message::Framing::Frame);
            let (Ok(sent), Some(to)) = (sent, response.field(Name::To)) else {
                return;
            };
            branch.ack = write::follow_up("ACK", &sent, to, "");
        }
        let message = branch.ack.clone();
        self.outbox.push(Output::Send { peer, message });
    }

    fn take_provisional(
        &mut self,
        index: u32,
        number: u8,
        status: u16,
        response: &Message,
        now: Instant,
    ) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        if let Cancel::Wanted(lines) = &branch.cancel {
            let lines = lines.clone();
            branch.cancel = Cancel::None;
            return self.cancel_branch(index, number, &lines, now);
        }
        if status > 100 && branch.timer_c.is_some() && matches!(branch.cancel, Cancel::None) {
            branch.timer_c = Some(now + TIMER_C);
        }
        let is_invite = self
            .context(index)
            .is_some_and(|one| one.kind == Kind::Invite);
        // For other requests there are none but 100 (RFC 4320, section 4.1).
        if status > 100 && is_invite {
            let message = write::response(response, None, "");
            self.send_back(index, status, message, now);
        }
    }

    fn take_final(
        &mut self,
        index: u32,
        number: u8,
        status: u16,
        response: &Message,
        now: Instant,
    ) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        branch.timer_c = None;
        if (200..300).contains(&status) {
            branch.outcome = Some(status);
            let message = write::response(response, None, "");
            self.send_back(index, status, message, now);
            let Some(context) = self.context(index) else {
                return;
            };
            context.waiting.clear();
            context.request = None;
            if let Some(branch) = context.branches.get_mut(usize::from(number)) {
                branch.sent = alloc::vec::Vec::new();
            }
            return self.cancel_branches(index, ELSEWHERE, now);
        }
        self.take_outcome(index, number, status, Some(response), now);
    }

    /// A branch has a final status other than 2xx, by a response or without one.
    pub(super) fn take_outcome(
        &mut self,
        index: u32,
        number: u8,
        status: u16,
        response: Option<&Message>,
        now: Instant,
    ) {
        let Some(branch) = self.branch(index, number) else {
            return;
        };
        branch.timer_c = None;
        branch.outcome = Some(status);
        let untouched = matches!(branch.cancel, Cancel::None);
        let unreached = match status {
            430 | 503 => true,
            408 | 502 => response.is_none(),
            _ => false,
        };
        if unreached && untouched && self.try_otherwise(index, number, now) {
            return;
        }
        let Some(context) = self.context(index) else {
            return;
        };
        if let Some(response) = response
            && matches!(status, 401 | 407)
        {
            let door = if status == 401 {
                Door::Server
            } else {
                Door::Proxy
            };
            let mut lines = String::new();
            for value in response.named(door.challenge()) {
                for part in [door.challenge(), ": ", value, "\r\n"] {
                    lines.push_str(part);
                }
            }
            context.challenges.push((number, lines));
        }
        let better = context
            .best
            .as_ref()
            .is_none_or(|best| rank(status) < rank(best.status()));
        if better {
            context.best = Some(match response {
                Some(response) => Best::Remote {
                    number,
                    response: Box::new(response.clone()),
                },
                None => Best::Local {
                    status,
                    problem: match status {
                        502 => "no address of the next server is known",
                        503 => "the next server can't be reached",
                        430 => "the phone's connection is gone",
                        _ => "nobody answered",
                    },
                },
            });
        }
        if status >= 600 {
            context.waiting.clear();
            self.cancel_branches(index, DECLINED, now);
        }
        self.conclude(index, now);
    }

    /// Takes a target's next address, or its other flow. False if there is none.
    fn try_otherwise(&mut self, index: u32, number: u8, now: Instant) -> bool {
        let Some(context) = self.context(index) else {
            return false;
        };
        let full = context.branches.len() >= MOST;
        if context.is_cancelled || context.is_answered || context.request.is_none() || full {
            return false;
        }
        let branch = &mut context.branches[usize::from(number)];
        let breadth = branch.breadth;
        let mut target = branch.target.clone();
        if branch.rest.is_empty() {
            let Some(next) = branch.target.otherwise.take() else {
                return false;
            };
            self.add_branch(index, *next, breadth, now);
            return true;
        }
        // The next address of the same name is tried as if that were the flow; what follows stays to be tried.
        let mut rest = core::mem::take(&mut branch.rest);
        let next = rest.remove(0);
        target.otherwise = branch.target.otherwise.take();
        self.add_resolved(index, target, next, rest, breadth, now);
        true
    }

    pub(super) fn cancel_branches(&mut self, index: u32, lines: &str, now: Instant) {
        let count = self
            .context(index)
            .map_or(0, |context| context.branches.len());
        for number in 0..count as u8 {
            self.cancel_branch(index, number, lines, now);
        }
    }

    /// When all branches have ended: starts the next group, or sends the best response back.
    pub(super) fn conclude(&mut self, index: u32, now: Instant) {
        let Some(context) = self.context(index) else {
            return;
        };
        if context.is_answered || !context.is_decided() || context.asked.is_some() {
            return;
        }
        if !context.waiting.is_empty() && !context.is_cancelled {
            return self.start(index, now);
        }
        let is_invite = context.kind == Kind::Invite;
        if context.is_ack {
            return;
        }
        match context.best.take() {
            None if context.is_cancelled => self.answer(index, 487, "", "", now),
            None if context.branches.is_empty() => {
                let problem = "the user can't be reached now";
                self.answer(index, 480, "", problem, now);
            }
            // RFC 4320, section 4.2: a late 408 does harm only.
            None | Some(Best::Local { status: 408, .. }) if !is_invite => context.server = None,
            None => self.answer(index, 408, "", "nobody answered", now),
            Some(Best::Local { status: 408, .. }) if context.is_cancelled => {
                self.answer(index, 487, "", "", now);
            }
            // RFC 3261, section 16.7, step 6: it is not this server that is overloaded.
            Some(Best::Local {
                status: 503,
                problem,
            }) => self.answer(index, 500, "", problem, now),
            Some(Best::Local { status, problem }) => self.answer(index, status, "", problem, now),
            Some(Best::Remote { number, response }) => {
                let status = response.status().unwrap_or(500);
                let mut lines = String::new();
                if matches!(status, 401 | 407) {
                    let others = context.challenges.iter().filter(|(one, _)| *one != number);
                    others.for_each(|(_, more)| lines.push_str(more));
                }
                let sent = if status == 503 { 500 } else { status };
                let message = write::response(&response, (sent != status).then_some(sent), &lines);
                self.send_back(index, sent, message, now);
            }
        }
        if let Some(context) = self.context(index) {
            context.is_answered = true;
            context.request = None;
            context.challenges.clear();
        }
    }
}

/// Which response is better, the best one lowest (RFC 3261, section 16.7, step 6).
fn rank(status: u16) -> u16 {
    match status {
        600.. => 0,
        // They say what to do better.
        401 | 407 | 415 | 420 | 484 => 400,
        // They say nothing about the user.
        408 | 430 | 487 => 499,
        503 => 599,
        502 => 598,
        other => other / 100 * 100 + 1,
    }
}
