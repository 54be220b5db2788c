//! Transactions (RFC 3261, section 17, with the Accepted states of RFC 6026).
//!
//! The four machines know neither messages nor sockets: they are told what came and say what is due. Over a reliable
//! transport the timers that repeat messages do not run and those that absorb repetitions are zero.

use core::time::Duration;

use machine::Instant;

/// The estimate of a round trip.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// The longest interval between two copies of a request other than INVITE, and of a response to an INVITE.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);
/// How long a transaction waits for an answer: timers B, F, H, J, L and M.
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);
/// Timer D over an unreliable transport: "at least 32 seconds".
const TIMER_D: Duration = Duration::from_secs(32);

/// Which machine of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invite,
    Other,
}

/// What a timer that has run out asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send the request, or the last response, again.
    Again,
    /// No answer came: tell the user of the transaction. It is over.
    TimedOut,
    /// It is over.
    Over,
}

/// When a message is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) at: Instant,
    interval: Duration,
}

impl Repeat {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            at: now + T1,
            interval: T1,
        }
    }

    /// Doubles the interval, up to a limit.
    pub(crate) fn advance(&mut self, limit: Duration, now: Instant) {
        self.interval = (self.interval * 2).min(limit);
        self.at = now + self.interval;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientState {
    /// Calling, for an INVITE.
    Trying,
    Proceeding,
    Completed,
    Accepted,
}

/// A client transaction.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    kind: Kind,
    reliable: bool,
    state: ClientState,
    repeat: Option<Repeat>,
    end: Option<Instant>,
}

/// What to do with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Hand it to the user of the transaction.
    pub(crate) pass: bool,
    /// Acknowledge it: a refusal of an INVITE.
    pub(crate) acknowledge: bool,
}

impl Client {
    /// Begins when the request is sent.
    pub(crate) fn new(kind: Kind, reliable: bool, now: Instant) -> Self {
        Self {
            kind,
            reliable,
            state: ClientState::Trying,
            repeat: (!reliable).then(|| Repeat::new(now)),
            end: Some(now + PATIENCE),
        }
    }

    pub(crate) fn receive(&mut self, status: u16, now: Instant) -> Received {
        let waiting = self.is_open();
        let (mut pass, mut acknowledge) = (waiting, false);
        match (self.kind, status) {
            (_, ..200) => {
                if waiting {
                    self.proceed();
                }
            }
            (Kind::Invite, ..300) => {
                if waiting {
                    self.finish(ClientState::Accepted, Some(now + PATIENCE));
                }
                pass |= self.state == ClientState::Accepted;
            }
            (Kind::Invite, _) => {
                if waiting {
                    let linger = if self.reliable {
                        Duration::ZERO
                    } else {
                        TIMER_D
                    };
                    self.finish(ClientState::Completed, Some(now + linger));
                }
                acknowledge = self.state == ClientState::Completed;
            }
            (Kind::Other, _) => {
                if waiting {
                    let linger = if self.reliable { Duration::ZERO } else { T4 };
                    self.finish(ClientState::Completed, Some(now + linger));
                }
            }
        }
        Received { pass, acknowledge }
    }

    /// Whether no final response has come yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, ClientState::Trying | ClientState::Proceeding)
    }

    /// Whether the last response is a provisional one.
    pub(crate) fn is_proceeding(&self) -> bool {
        self.state == ClientState::Proceeding
    }

    fn proceed(&mut self) {
        self.state = ClientState::Proceeding;
        match self.kind {
            // Timers A and B stop: the user of the transaction decides how long it waits.
            Kind::Invite => {
                self.repeat = None;
                self.end = None;
            }
            // Timer E goes on at T2.
            Kind::Other => {
                if let Some(repeat) = &mut self.repeat {
                    repeat.interval = T2;
                }
            }
        }
    }

    fn finish(&mut self, state: ClientState, end: Option<Instant>) {
        self.state = state;
        self.repeat = None;
        self.end = end;
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.repeat.map(|repeat| repeat.at), self.end)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if self.end.is_some_and(|end| end <= now) {
            let waiting = self.is_open();
            return Some(if waiting { Due::TimedOut } else { Due::Over });
        }
        let repeat = self.repeat.as_mut().filter(|repeat| repeat.at <= now)?;
        let limit = match self.kind {
            Kind::Invite => PATIENCE,
            Kind::Other => T2,
        };
        repeat.advance(limit, now);
        Some(Due::Again)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerState {
    /// Trying and Proceeding.
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

/// A server transaction.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    kind: Kind,
    reliable: bool,
    state: ServerState,
    repeat: Option<Repeat>,
    end: Option<Instant>,
}

impl Server {
    /// Begins when the request has come.
    pub(crate) fn new(kind: Kind, reliable: bool) -> Self {
        Self {
            kind,
            reliable,
            state: ServerState::Proceeding,
            repeat: None,
            end: None,
        }
    }

    /// A response is being sent. False if it must not be: the transaction has its final one.
    pub(crate) fn respond(&mut self, status: u16, now: Instant) -> bool {
        match (self.state, self.kind, status) {
            (ServerState::Proceeding, _, ..200) => {}
            (ServerState::Proceeding, Kind::Invite, ..300) => {
                self.state = ServerState::Accepted;
                self.end = Some(now + PATIENCE);
            }
            (ServerState::Proceeding, Kind::Invite, _) => {
                self.state = ServerState::Completed;
                self.repeat = (!self.reliable).then(|| Repeat::new(now));
                self.end = Some(now + PATIENCE);
            }
            (ServerState::Proceeding, Kind::Other, _) => {
                self.state = ServerState::Completed;
                let linger = if self.reliable {
                    Duration::ZERO
                } else {
                    PATIENCE
                };
                self.end = Some(now + linger);
            }
            // The user of an INVITE's transaction repeats its 2xx until the ACK comes.
            (ServerState::Accepted, Kind::Invite, 200..300) => {}
            (ServerState::Accepted | ServerState::Completed | ServerState::Confirmed, ..) => {
                return false;
            }
        }
        true
    }

    /// The request came again; true if the last response is to be sent again.
    pub(crate) fn receive_again(&self) -> bool {
        matches!(self.state, ServerState::Proceeding | ServerState::Completed)
    }

    /// Whether the other side still waits for a response.
    pub(crate) fn is_awaited(&self) -> bool {
        self.state != ServerState::Confirmed
    }

    /// An ACK with the transaction's branch came, which belongs to a refusal. False if there was none.
    pub(crate) fn acknowledge(&mut self, now: Instant) -> bool {
        if self.kind != Kind::Invite || self.state != ServerState::Completed {
            return self.state == ServerState::Confirmed;
        }
        self.state = ServerState::Confirmed;
        self.repeat = None;
        let linger = if self.reliable { Duration::ZERO } else { T4 };
        self.end = Some(now + linger);
        true
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.repeat.map(|repeat| repeat.at), self.end)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if self.end.is_some_and(|end| end <= now) {
            let unheard = self.kind == Kind::Invite && self.state == ServerState::Completed;
            return Some(if unheard { Due::TimedOut } else { Due::Over });
        }
        let repeat = self.repeat.as_mut().filter(|repeat| repeat.at <= now)?;
        repeat.advance(T2, now);
        Some(Due::Again)
    }
}

/// The earlier of two deadlines.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests;
