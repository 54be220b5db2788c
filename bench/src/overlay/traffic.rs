//! What goes over the wire: QUIC packets in UDP and IP, with acknowledgements and handshakes.

use std::time::Duration;

use machine::Instant;

/// What a message is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Keeping the table: everything up to the revocation lists.
    Maintenance,
    /// Searching, placing and copying records.
    #[default]
    Records,
}

/// Bytes sent by all super nodes together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) maintenance: u64,
    pub(super) records: u64,
    /// Of the maintenance, by kind of message; the last two are handshakes and acknowledgements.
    pub(super) kinds: [u64; KINDS],
    /// How many messages of each kind, and what is in them without any header.
    pub(super) messages: [u64; KINDS],
    pub(super) bodies: [u64; KINDS],
}

pub(super) const KINDS: usize = 13;
pub(super) const HANDSHAKES: usize = KINDS - 2;
pub(super) const ACKNOWLEDGEMENTS: usize = KINDS - 1;
pub(super) const NAMES: [&str; KINDS] = [
    "hello",
    "digest",
    "branch",
    "members",
    "announcements",
    "ask",
    "doubt",
    "news",
    "ping",
    "pong",
    "revocations",
    "handshakes",
    "acknowledgements",
];

impl Sent {
    pub(super) fn add(&mut self, purpose: Purpose, kind: usize, bytes: u64) {
        match purpose {
            Purpose::Maintenance => {
                self.maintenance += bytes;
                self.kinds[kind] += bytes;
            }
            Purpose::Records => self.records += bytes,
        }
    }

    /// A message of so many bytes with the head of its frame.
    pub(super) fn count(&mut self, purpose: Purpose, kind: usize, frame: usize) {
        if purpose == Purpose::Maintenance {
            self.messages[kind] += 1;
            self.bodies[kind] += frame.saturating_sub(HEAD) as u64;
        }
    }

    pub(super) fn since(&self, earlier: &Self) -> Self {
        let less = |mut now: [u64; KINDS], before: [u64; KINDS]| {
            for (kind, before) in now.iter_mut().zip(before) {
                *kind -= before;
            }
            now
        };
        Self {
            maintenance: self.maintenance - earlier.maintenance,
            records: self.records - earlier.records,
            kinds: less(self.kinds, earlier.kinds),
            messages: less(self.messages, earlier.messages),
            bodies: less(self.bodies, earlier.bodies),
        }
    }
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.maintenance += other.maintenance;
        self.records += other.records;
        let pairs = [
            (&mut self.kinds, other.kinds),
            (&mut self.messages, other.messages),
            (&mut self.bodies, other.bodies),
        ];
        for (kinds, others) in pairs {
            for (kind, more) in kinds.iter_mut().zip(others) {
                *kind += more;
            }
        }
    }
}

/// The purpose and the kind of a frame between super nodes, by its variant.
pub(super) fn kind(frame: &[u8]) -> (Purpose, usize) {
    let variant = usize::from(frame.get(HEAD).copied().unwrap_or(0));
    if let 22..=24 = variant {
        // What a newcomer asks before it says hello as a member.
        (Purpose::Maintenance, 0)
    } else if variant < HANDSHAKES {
        (Purpose::Maintenance, variant)
    } else {
        (Purpose::Records, variant)
    }
}

/// Bytes of an overlay frame before the message.
pub(super) const HEAD: usize = 17;
/// IPv4 and UDP.
const DATAGRAM: u64 = 28;
/// A short header with a connection id of 8 bytes and a packet number of 2, and the tag of the cipher.
const PACKET: u64 = 1 + 8 + 2 + 16;
/// The head of a STREAM frame, and the length before each message.
const STREAM: u64 = 6;
const LENGTH: u64 = 4;
const ACK: u64 = 6;
const FULL: u64 = 1_200;

/// A packet that only acknowledges.
pub(super) const ACKNOWLEDGEMENT: u64 = DATAGRAM + PACKET + ACK;
/// An acknowledgement waits so long for something to ride on.
pub(super) const DELAYED: Duration = Duration::from_millis(25);
/// What either side sends for a connection with certificates on both sides: Initial and Handshake datagrams of full
/// size, acknowledgements, the first bytes of both streams, tickets and connection ids.
pub(super) const DIALLING: u64 = 2 * (FULL + DATAGRAM) + 250;
pub(super) const ANSWERING: u64 = (FULL + DATAGRAM) + 1_100;
/// Initial datagrams to somebody who is not there, in the three seconds that a driver tries.
pub(super) const VAIN: u64 = 4 * (FULL + DATAGRAM);

/// Datagrams of a message.
pub(super) fn packets(frame: usize) -> u64 {
    (frame as u64 + LENGTH).div_ceil(FULL)
}

/// Bytes of a message with all headers.
pub(super) fn bytes(frame: usize) -> u64 {
    frame as u64 + LENGTH + packets(frame) * (DATAGRAM + PACKET + STREAM)
}

/// What one end of a connection has received and not acknowledged yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owed(Option<(Instant, Purpose)>);

impl Owed {
    /// Something has come: bytes of acknowledgements that go out for it or before it, and what for.
    pub(super) fn receive(
        &mut self,
        count: u64,
        purpose: Purpose,
        now: Instant,
    ) -> [(Purpose, u64); 2] {
        let before = self.settle(now);
        let both = self.0.is_some();
        let many = (count / 2 + u64::from(both)) * ACKNOWLEDGEMENT;
        self.0 = (count % 2 == 1 && !both).then_some((now, purpose));
        [before, (purpose, many)]
    }

    /// Something is sent: the acknowledgement rides on it, unless it had to go before.
    pub(super) fn send(&mut self, now: Instant) -> (Purpose, u64) {
        let before = self.settle(now);
        self.0 = None;
        before
    }

    fn settle(&mut self, now: Instant) -> (Purpose, u64) {
        if let Some((at, purpose)) = self.0
            && now - at > DELAYED
        {
            self.0 = None;
            return (purpose, ACKNOWLEDGEMENT);
        }
        (Purpose::Maintenance, 0)
    }
}
