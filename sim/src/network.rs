use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine::{Instant, Rng};

use crate::{Action, ConnectionId, Fact, Host};

/// A host of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// A message that the network carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// When it was sent.
    pub at: Instant,
    /// By whom.
    pub from: HostId,
    /// To whom.
    pub to: HostId,
    /// What.
    pub payload: Vec<u8>,
}

#[derive(Debug)]
struct Place<H> {
    host: H,
    alive: bool,
    /// Alive, but the network around it is gone: nothing goes in or out, and nobody is told.
    isolated: bool,
    woken_for: Option<Instant>,
}

#[derive(Debug)]
struct Connection {
    ends: [HostId; 2],
    /// When the last message in each direction arrives, to keep the order.
    last: [Instant; 2],
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Dialled {
        from: HostId,
        token: u64,
        address: String,
    },
    Deliver {
        to: HostId,
        from: HostId,
        fact: Fact,
    },
    Wake(HostId),
}

/// Hosts, the connections between them, and the time.
#[derive(Debug)]
pub struct Network<H> {
    now: Instant,
    rng: Rng,
    places: Vec<Place<H>>,
    addresses: BTreeMap<String, HostId>,
    connections: BTreeMap<ConnectionId, Connection>,
    cut: BTreeSet<(HostId, HostId)>,
    events: BTreeMap<(Instant, u64), Event>,
    next: u64,
    latency: Duration,
    jitter: Duration,
    /// In thousandths.
    loss: u32,
    silence: Option<Duration>,
    trace: u64,
    log: Option<Vec<Traffic>>,
}

impl<H: Host> Network<H> {
    /// An empty network with 20 to 30 ms of latency and no loss.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            now: Instant::EPOCH,
            rng: Rng::new(seed),
            places: Vec::new(),
            addresses: BTreeMap::new(),
            connections: BTreeMap::new(),
            cut: BTreeSet::new(),
            events: BTreeMap::new(),
            next: 0,
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(10),
            loss: 0,
            silence: None,
            trace: 0xcbf2_9ce4_8422_2325,
            log: None,
        }
    }

    /// Sets the one-way latency, and how much may come on top.
    pub fn set_latency(&mut self, latency: Duration, jitter: Duration) {
        (self.latency, self.jitter) = (latency, jitter);
    }

    /// Sets how many packets in a thousand are lost. Each loss delays what follows on its connection.
    pub fn set_loss(&mut self, per_mille: u32) {
        self.loss = per_mille;
    }

    /// Has a connection closed at the sender's end when a message was lost for good, after so long, as drivers do.
    pub fn set_silence(&mut self, silence: Duration) {
        self.silence = Some(silence);
    }

    /// Keeps a copy of every message from now on; see [`take_log`](Self::take_log).
    pub fn keep_log(&mut self) {
        self.log.get_or_insert_default();
    }

    /// The messages since the last call.
    pub fn take_log(&mut self) -> Vec<Traffic> {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A number that depends on everything that has happened.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// Adds a host that others can dial.
    pub fn add(&mut self, host: H, address: &str) -> HostId {
        let id = HostId(self.places.len());
        self.places.push(Place {
            host,
            alive: true,
            isolated: false,
            woken_for: None,
        });
        self.addresses.insert(address.to_owned(), id);
        self.settle(id);
        id
    }

    /// Lets a host be dialled by one more address.
    pub fn add_address(&mut self, id: HostId, address: &str) {
        self.addresses.insert(address.to_owned(), id);
    }

    /// A host, dead or alive.
    #[must_use]
    pub fn host(&self, id: HostId) -> &H {
        &self.places[id.0].host
    }

    /// Does something with a host, and then what it asks for.
    pub fn with<R>(&mut self, id: HostId, action: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.now;
        let result = action(&mut self.places[id.0].host, now);
        self.settle(id);
        result
    }

    /// Kills a host: its peers see their connections closed, as when a process is killed.
    pub fn kill(&mut self, id: HostId) {
        self.places[id.0].alive = false;
        self.close_all(id);
    }

    /// Takes a host off the network without a word: a pulled plug. Its peers must find out.
    pub fn isolate(&mut self, id: HostId) {
        self.places[id.0].isolated = true;
    }

    /// Cuts two hosts off from each other, silently.
    pub fn cut(&mut self, one: HostId, other: HostId) {
        self.cut.insert(pair(one, other));
    }

    /// Undoes [`isolate`](Self::isolate) and every [`cut`](Self::cut). What was sent meanwhile stays lost: the
    /// connections concerned are closed.
    pub fn heal(&mut self) {
        let broken: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| !self.reaches(connection.ends[0], connection.ends[1]))
            .map(|(&id, _)| id)
            .collect();
        for place in &mut self.places {
            place.isolated = false;
        }
        self.cut.clear();
        for connection in broken {
            self.close(connection, None);
        }
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something holds; false if it does not within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut holds: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            if holds(self) {
                return true;
            }
            if !self.step(end) {
                self.now = end;
                return holds(self);
            }
        }
    }

    fn step(&mut self, end: Instant) -> bool {
        let Some(entry) = self.events.first_entry() else {
            return false;
        };
        if entry.key().0 > end {
            return false;
        }
        let ((at, _), event) = entry.remove_entry();
        self.now = at;
        match event {
            Event::Dialled {
                from,
                token,
                address,
            } => self.dialled(from, token, &address),
            Event::Deliver { to, from, fact } => self.deliver(to, from, fact),
            Event::Wake(id) => {
                let place = &mut self.places[id.0];
                if place.woken_for == Some(at) {
                    place.woken_for = None;
                }
                if place.alive {
                    if place.host.poll_wake().is_some_and(|due| due <= at) {
                        place.host.wake(at);
                    }
                    self.settle(id);
                }
            }
        }
        true
    }

    fn deliver(&mut self, to: HostId, from: HostId, fact: Fact) {
        if !self.places[to.0].alive || !self.reaches(to, from) {
            if let Fact::Received { connection, .. } = fact {
                self.unanswered(from, connection);
            }
            return;
        }
        match &fact {
            Fact::Received { connection, .. } | Fact::Opened { connection, .. } => {
                if !self.connections.contains_key(connection) {
                    return;
                }
            }
            Fact::Closed { connection } => {
                self.connections.remove(connection);
            }
            Fact::Refused { .. } => {}
        }
        self.places[to.0].host.handle(fact, self.now);
        self.settle(to);
    }

    fn dialled(&mut self, from: HostId, token: u64, address: &str) {
        let to = self.addresses.get(address).copied();
        let reached = to.filter(|&to| self.reaches(from, to));
        match (to, reached) {
            (Some(to), Some(_)) if self.places[to.0].alive => {
                self.next += 1;
                let connection = ConnectionId(self.next);
                let (ends, last) = ([from, to], [self.now; 2]);
                self.connections
                    .insert(connection, Connection { ends, last });
                let opened = |token| Fact::Opened { connection, token };
                self.send(connection, from, to, opened(None));
                self.send(connection, to, from, opened(Some(token)));
            }
            // Nobody listens: an error comes back. Nobody answers: silence.
            (Some(_), None) => {}
            (Some(_) | None, _) => {
                let (at, from_self) = (self.now + self.latency, from);
                let fact = Fact::Refused { token };
                self.push(
                    at,
                    Event::Deliver {
                        to: from,
                        from: from_self,
                        fact,
                    },
                );
            }
        }
    }

    /// Does what a host asks for, and notes when to wake it.
    fn settle(&mut self, id: HostId) {
        while let Some(action) = self.places[id.0].host.poll_action() {
            if !self.places[id.0].alive {
                continue;
            }
            match action {
                Action::Dial { token, address } => {
                    let at = self.now + self.delay();
                    self.push(
                        at,
                        Event::Dialled {
                            from: id,
                            token,
                            address,
                        },
                    );
                }
                Action::Send {
                    connection,
                    payload,
                } => {
                    let Some(ends) = self.connections.get(&connection).map(|c| c.ends) else {
                        self.unanswered(id, connection);
                        continue;
                    };
                    let to = if ends[0] == id { ends[1] } else { ends[0] };
                    self.note(id, to, &payload);
                    let fact = Fact::Received {
                        connection,
                        payload,
                    };
                    self.send(connection, id, to, fact);
                }
                Action::Close { connection } => self.close(connection, Some(id)),
            }
        }
        let place = &mut self.places[id.0];
        if let Some(due) = place.host.poll_wake() {
            let due = due.max(self.now);
            if place.woken_for.is_none_or(|earlier| due < earlier) {
                place.woken_for = Some(due);
                self.push(due, Event::Wake(id));
            }
        }
    }

    fn unanswered(&mut self, from: HostId, connection: ConnectionId) {
        if let Some(silence) = self.silence {
            let (to, fact) = (from, Fact::Closed { connection });
            self.push(self.now + silence, Event::Deliver { to, from, fact });
        }
    }

    fn send(&mut self, connection: ConnectionId, from: HostId, to: HostId, fact: Fact) {
        let mut at = self.now + self.delay();
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let direction = usize::from(state.ends[0] != from);
        at = at.max(state.last[direction]);
        state.last[direction] = at;
        self.push(at, Event::Deliver { to, from, fact });
    }

    /// Closes a connection; the other end, or both, learn of it after what was sent before.
    fn close(&mut self, connection: ConnectionId, by: Option<HostId>) {
        let Some(ends) = self.connections.get(&connection).map(|c| c.ends) else {
            return;
        };
        for (to, from) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            if Some(to) != by {
                self.send(connection, from, to, Fact::Closed { connection });
            }
        }
    }

    fn close_all(&mut self, id: HostId) {
        let concerned = self
            .connections
            .iter()
            .filter(|(_, c)| c.ends.contains(&id));
        let concerned: Vec<ConnectionId> = concerned.map(|(&connection, _)| connection).collect();
        for connection in concerned {
            self.close(connection, Some(id));
        }
    }

    fn reaches(&self, one: HostId, other: HostId) -> bool {
        let isolated = self.places[one.0].isolated || self.places[other.0].isolated;
        (!isolated || one == other) && !self.cut.contains(&pair(one, other))
    }

    fn delay(&mut self) -> Duration {
        let jitter = self.rng.below(self.jitter.as_micros() as u32);
        let mut delay = self.latency + Duration::from_micros(u64::from(jitter));
        while self.rng.below(1_000) < self.loss {
            delay += self.latency * 2 + Duration::from_millis(50);
        }
        delay
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.next += 1;
        self.events.insert((at, self.next), event);
    }

    fn note(&mut self, from: HostId, to: HostId, payload: &[u8]) {
        let at = self.now;
        let head = [
            at.since_epoch().as_micros() as u64,
            from.0 as u64,
            to.0 as u64,
        ];
        let head = head.iter().flat_map(|number| number.to_be_bytes());
        // FNV-1a: it need only tell runs apart.
        for byte in head.chain(payload.iter().copied()) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(log) = &mut self.log {
            log.push(Traffic {
                at,
                from,
                to,
                payload: payload.to_vec(),
            });
        }
    }
}

fn pair(one: HostId, other: HostId) -> (HostId, HostId) {
    (one.min(other), one.max(other))
}
