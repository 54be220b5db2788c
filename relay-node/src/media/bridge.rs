//! The state of one bridged call's sound, apart from all sockets.
//!
//! ```text
//! page ==ICE, DTLS, SRTP==> one socket [ Bridge ] two sockets --RTP, RTCP--> phone
//! ```
//! - From a page is taken what comes from an address that has shown, by a check of ICE, that it knows the password; DTLS before that
//!   is dropped, so that nobody else can begin the handshake. Sound passes when the certificate of the handshake is the signed one.
//! - From a phone is taken what comes from the address that its description names, or, where that one is behind a NAT, from the
//!   host that its SIP comes from; the first that sends stays the only one until the phone describes its sound anew.
//! - Payloads are passed on as they are. Only their numbers may change.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use machine::{Instant, Machine, Outbox};
use p2psip::{Ice, Plan};

use super::lite::Lite;
use super::secured::{Keys, Secured, renumber};

/// A page says every few seconds that it still agrees (RFC 7675); one that does not for this long has gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a page may take to begin. A call rings for a minute.
const BEGINNING: Duration = Duration::from_secs(90);

/// What the driver tells a bridge.
#[derive(Debug)]
pub(crate) enum Input {
    /// A datagram came to the page's socket.
    Page { from: SocketAddr, bytes: Vec<u8> },
    /// A datagram came to the phone's socket for RTP.
    Rtp { from: SocketAddr, bytes: Vec<u8> },
    /// A datagram came to the phone's socket for RTCP.
    Rtcp { from: SocketAddr, bytes: Vec<u8> },
    /// Both sides are known, or one has changed. `hosts` are where the phone's SIP comes from.
    Connect { plan: Plan, hosts: Vec<IpAddr> },
}

/// What a bridge wants of its driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send from the page's socket.
    Page { to: SocketAddr, bytes: Vec<u8> },
    /// Send from the phone's socket for RTP.
    Rtp { to: SocketAddr, bytes: Vec<u8> },
    /// Send from the phone's socket for RTCP.
    Rtcp { to: SocketAddr, bytes: Vec<u8> },
    /// The page has gone.
    Lost,
}

/// One call's bridge.
pub(crate) struct Bridge {
    ice: Lite,
    secured: Secured,
    /// What the clock of DTLS showed at the epoch.
    epoch: std::time::Instant,
    plan: Option<Plan>,
    hosts: Vec<IpAddr>,
    /// Where the phone's sound comes from, once some has come.
    phone: Option<SocketAddr>,
    /// Where its RTCP comes from.
    control: Option<SocketAddr>,
    silent: Instant,
    outbox: Outbox<Output>,
}

impl Bridge {
    /// A bridge that a page is told of by `ice`; `epoch` is what [`std::time::Instant`] showed at [`Instant::EPOCH`].
    pub(crate) fn new(ice: &Ice, keys: Keys, epoch: std::time::Instant, now: Instant) -> Self {
        Self {
            ice: Lite::new(ice),
            secured: Secured::new(keys),
            epoch,
            plan: None,
            hosts: Vec::new(),
            phone: None,
            control: None,
            silent: now + BEGINNING,
            outbox: Outbox::default(),
        }
    }

    fn page_said(&mut self, from: SocketAddr, bytes: &[u8], now: Instant) {
        match bytes.first() {
            // RFC 7983.
            Some(0..=3) => {
                if let Some(answer) = self.ice.check(from, bytes) {
                    self.silent = now + SILENCE;
                    self.outbox.push(Output::Page {
                        to: from,
                        bytes: answer,
                    });
                }
            }
            Some(20..=63) if self.ice.knows(from) => {
                self.secured.receive(bytes, self.there(now));
                self.transmit();
                if self.secured.is_closed() {
                    self.outbox.push(Output::Lost);
                }
            }
            Some(128..=191) if self.ice.knows(from) => self.page_sound(bytes),
            _ => {}
        }
    }

    fn page_sound(&mut self, bytes: &[u8]) {
        let control = is_control(bytes);
        if !self.is_proved() {
            return;
        }
        let Some(mut opened) = self.secured.open(bytes, control) else {
            return;
        };
        let Some(plan) = &self.plan else { return };
        if control {
            if let Some(to) = self.control.or(plan.rtcp) {
                self.outbox.push(Output::Rtcp { to, bytes: opened });
            }
        } else if let Some(to) = self.phone.or(plan.rtp).filter(|_| plan.hears)
            && renumber(&mut opened, &plan.to_phone)
        {
            self.outbox.push(Output::Rtp { to, bytes: opened });
        }
    }

    /// Says whether the page has shown the certificate that was signed for this call.
    fn is_proved(&self) -> bool {
        let (Some(plan), Some(shown)) = (&self.plan, self.secured.peer()) else {
            return false;
        };
        plan.page.iter().any(|print| print.text() == shown)
    }

    fn phone_said(&mut self, from: SocketAddr, mut bytes: Vec<u8>, control: bool) {
        let Some(plan) = &self.plan else { return };
        let (learnt, named) = if control {
            (&mut self.control, plan.rtcp)
        } else {
            (&mut self.phone, plan.rtp)
        };
        // A phone that holds the call names no address, and is still where it was.
        let at_home = named == Some(from) || self.hosts.contains(&from.ip());
        if learnt.map_or(!at_home, |learnt| learnt != from) {
            return;
        }
        if bytes.len() < 8 || bytes[0] >> 6 != 2 || control != is_control(&bytes) {
            return;
        }
        *learnt = Some(from);
        let Some(to) = self.ice.chosen().filter(|_| self.is_proved()) else {
            return;
        };
        let Some(plan) = &self.plan else { return };
        if !control && !renumber(&mut bytes, &plan.to_page) {
            return;
        }
        if let Some(bytes) = self.secured.seal(&bytes, control) {
            self.outbox.push(Output::Page { to, bytes });
        }
    }

    fn connect(&mut self, plan: Plan, hosts: Vec<IpAddr>) {
        let before = self.plan.as_ref().map(|plan| (plan.rtp, plan.rtcp));
        if before != Some((plan.rtp, plan.rtcp)) && plan.rtp.is_some() {
            (self.phone, self.control) = (None, None);
        }
        self.plan = Some(plan);
        self.hosts = hosts;
    }

    fn transmit(&mut self) {
        while let Some(bytes) = self.secured.transmit() {
            if let Some(to) = self.ice.chosen() {
                self.outbox.push(Output::Page { to, bytes });
            }
        }
    }

    fn there(&self, now: Instant) -> std::time::Instant {
        self.epoch + now.since_epoch()
    }
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Machine for Bridge {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Page { from, bytes } => self.page_said(from, &bytes, now),
            Input::Rtp { from, bytes } => self.phone_said(from, bytes, false),
            Input::Rtcp { from, bytes } => self.phone_said(from, bytes, true),
            Input::Connect { plan, hosts } => self.connect(plan, hosts),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let there = self.there(now);
        if self.secured.poll_timeout().is_some_and(|due| due <= there) {
            self.secured.handle_timeout(there);
            self.transmit();
        }
        if now >= self.silent {
            self.silent = now + SILENCE;
            self.outbox.push(Output::Lost);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let handshake = self.secured.poll_timeout();
        let handshake =
            handshake.map(|due| Instant::new(due.saturating_duration_since(self.epoch)));
        handshake.into_iter().chain([self.silent]).min()
    }
}

/// Says whether a packet is RTCP (RFC 5761, section 4).
fn is_control(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

#[cfg(test)]
mod tests;
