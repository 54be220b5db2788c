//! What is going to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use credential::NodeId;
use machine::Instant;

use super::Host;

#[derive(Debug)]
pub(super) enum Event {
    Wake(Host),
    Opened {
        to: Host,
        connection: u64,
    },
    Unreached {
        to: Host,
        node: NodeId,
    },
    Frame {
        to: Host,
        connection: u64,
        frame: Vec<u8>,
    },
    Closed {
        to: Host,
        connection: u64,
    },
}

#[derive(Debug)]
struct Queued {
    at: Instant,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BinaryHeap<Reverse<Queued>>,
    next: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, event: Event) {
        self.next += 1;
        let number = self.next;
        self.events.push(Reverse(Queued { at, number, event }));
    }

    /// The next event up to a point in time.
    pub(super) fn pop(&mut self, end: Instant) -> Option<(Instant, Event)> {
        if self.events.peek()?.0.at > end {
            return None;
        }
        let Reverse(next) = self.events.pop()?;
        Some((next.at, next.event))
    }
}
