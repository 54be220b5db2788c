//! Client transactions: what comes back for what was sent.

use alloc::string::String;

use machine::Instant;

use super::FlowId;
use super::call::{Call, NEVER};
use super::exchange::{HEDGE_AFTER_TRYING, State};
use super::line::Line;
use crate::message::{Message, Method};
use crate::text::filled;
use crate::transaction::{Client, Due};

/// A request on one of its paths: a client transaction.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) flow: FlowId,
    pub(super) choice: usize,
    pub(super) branch: String,
    pub(super) via: String,
    /// None once it is over.
    pub(super) transaction: Option<Client>,
    /// A CANCEL was sent too.
    pub(super) cancelled: bool,
}

impl Call {
    /// Ends every attempt that `failed` speaks of.
    pub(super) fn fail_attempts(
        &mut self,
        status: u16,
        failed: impl Fn(&mut Attempt) -> bool,
        line: &mut Line,
    ) {
        for at in 0..self.exchanges.len() {
            for place in 0..self.exchanges[at].attempts.len() {
                if let Some(one) = self.exchanges[at].attempts.get_mut(place)
                    && failed(one)
                {
                    self.attempt_failed(at, place, status, line);
                }
            }
        }
    }

    /// A flow is gone: what was sent on it has failed (RFC 3261, section 17.1.4).
    pub(super) fn fail_flow(&mut self, flow: FlowId, line: &mut Line) {
        let lost = |one: &mut Attempt| one.flow == flow && one.transaction.is_some();
        self.fail_attempts(503, lost, line);
    }

    fn attempt_failed(&mut self, at: usize, place: usize, status: u16, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        let lost = exchange.attempts[place].transaction.take();
        exchange.failure = status;
        if exchange.state == State::Done {
            return;
        }
        if !exchange.is_cancelled() {
            self.advance(at, line);
        } else if exchange.is_idle() {
            // The CANCEL, if it was sent, may be lost with the path.
            exchange.rest_in(State::Done);
            if lost.is_some_and(|one| one.is_proceeding()) {
                self.cancel_was_lost(at, line);
            }
        }
    }

    /// A response to the attempt with that branch. False if it belongs to nothing.
    pub(super) fn receive_response(
        &mut self,
        branch: &str,
        status: u16,
        message: &Message,
        line: &mut Line,
    ) -> bool {
        let found = self.exchanges.iter().enumerate().find_map(|(at, one)| {
            let place = one.attempts.iter().position(|one| one.branch == branch);
            Some((at, place?))
        });
        let Some((at, place)) = found else {
            return false;
        };
        let exchange = &mut self.exchanges[at];
        let attempt = &mut exchange.attempts[place];
        if message.method() == Method::Cancel {
            return attempt.cancelled;
        }
        let Some(transaction) = &mut attempt.transaction else {
            return false;
        };
        let first = !transaction.is_proceeding();
        let received = transaction.receive(status, line.now);
        if received.acknowledge {
            self.send_beside(at, place, Method::Ack, (message.to_tag(), ""), line);
        }
        if received.pass {
            self.response(at, place, first, (status, message), line);
        }
        expires(&mut self.exchanges[at].attempts[place], line.now);
        true
    }

    fn response(
        &mut self,
        at: usize,
        place: usize,
        first: bool,
        (status, message): (u16, &Message),
        line: &mut Line,
    ) {
        let exchange = &mut self.exchanges[at];
        let cancelled = exchange.is_cancelled();
        if status < 200 {
            if cancelled {
                if first {
                    self.send_cancel(at, place, line);
                }
            } else if exchange.state == State::Ringing {
                // The hedge has ended.
            } else if status > 100 {
                exchange.timer = NEVER;
            } else if exchange.timer < NEVER {
                exchange.timer = exchange.timer.max(line.now + HEDGE_AFTER_TRYING);
            }
            self.provisional(at, status, message, line);
            return;
        }
        if exchange.state == State::Done && status >= 300 {
            return;
        }
        if matches!(status, 430 | 503 | 408) && !cancelled {
            exchange.failure = status;
            self.advance(at, line);
            return;
        }
        exchange.rest_in(State::Done);
        self.prefer_path(at, place, line);
        self.concluded(at, status, Some(message), line);
    }

    /// Cancels an INVITE in all its attempts; in those that had no response yet, when it comes (RFC 3261, 9.1).
    pub(super) fn cancel(&mut self, at: usize, reason: &str, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        if exchange.state == State::Done || exchange.is_cancelled() {
            return;
        }
        exchange.cancel = reason.into();
        let idle = exchange.is_idle();
        exchange.rest_in(if idle { State::Done } else { State::Active });
        for place in 0..exchange.attempts.len() {
            let transaction = &self.exchanges[at].attempts[place].transaction;
            if transaction.as_ref().is_some_and(Client::is_proceeding) {
                self.send_cancel(at, place, line);
            }
        }
    }

    /// Sends the CANCEL of an attempt. Over a reliable transport its transaction has nothing to do but to know the answer.
    fn send_cancel(&mut self, at: usize, place: usize, line: &mut Line) {
        let exchange = &mut self.exchanges[at];
        let attempt = &mut exchange.attempts[place];
        if !attempt.cancelled {
            attempt.cancelled = true;
            let reason = filled("Reason: %\r\n", &[&exchange.cancel]);
            self.send_beside(at, place, Method::Cancel, ("", &reason), line);
        }
    }

    /// Sends a request exactly where an attempt went, in its transaction (RFC 3261, 9.1 and 17.1.1.3).
    fn send_beside(
        &self,
        at: usize,
        place: usize,
        method: Method,
        (tag, headers): (&str, &str),
        line: &mut Line,
    ) {
        let exchange = &self.exchanges[at];
        let attempt = &exchange.attempts[place];
        let rest = self.rest(method, exchange.cseq, tag, (headers, ""), line);
        let message = exchange.write(method, &attempt.via, attempt.choice, &rest);
        line.send(attempt.flow, message);
    }
}

/// Runs the timer of an attempt's transaction; true if nobody answered in time. Flows are reliable, so nothing is sent
/// again.
pub(super) fn expires(attempt: &mut Attempt, now: Instant) -> bool {
    let transaction = attempt.transaction.as_mut();
    let due = transaction.and_then(|one| one.handle_timeout(now));
    if due == Some(Due::Over) {
        attempt.transaction = None;
    }
    due == Some(Due::TimedOut)
}
