use super::link::{self, Links};
use super::{Standing, key};
use credential::{Signed, Verified};
use machine::{Instant, Machine};
use overlay::{
    GetError, Key, OrdinaryEvent as Event, OrdinaryInput as Input, OrdinaryNode,
    OrdinaryOutput as Output, PlaceError, Placement, QueryId, Reading, SignedRecord,
};
use relay_node::Clock;
use relay_node::crypto::{self, verify};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

/// After a change of the associations, how long to wait for another one before the record says so.
const GATHER: Duration = Duration::from_millis(200);
/// After a failure, how long to wait.
const AGAIN: Duration = Duration::from_secs(1);
const LIFETIME: u32 = 3_600;
/// As long as a phone's location record.
const LENGTH: usize = 600;

/// What a node is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    Update(Placed),
    /// Places a record of this length under a name.
    Place(String, usize, Placed),
    /// Looks up somebody's record under a name.
    Get(Whose, Reading, Found),
}

/// A name, and whose record under it.
#[derive(Debug)]
pub(super) struct Whose {
    pub(super) name: String,
    pub(super) owner: String,
}

type Placed = oneshot::Sender<Result<u64, PlaceError>>;

type Found = oneshot::Sender<Result<Vec<SignedRecord>, GetError>>;

/// Who waits for the end of a call.
enum Asked {
    Update(Option<Placed>),
    Place(Placed),
    Get(Found),
}

/// The own record: where it is, what it says, and how often it was written.
struct Own {
    key: Key,
    text: String,
    version: u32,
}

/// The loop around one ordinary node.
///
/// It is another one than `relay-node` has, for thousands shall run beside each other in one process: without threads of
/// their own for signatures, files, or a chain of sources, and with a record in place of calls.
pub(super) struct Driver {
    node: OrdinaryNode,
    clock: Clock,
    key: crypto::Key,
    links: Links,
    arrivals: mpsc::Receiver<Input>,
    state: watch::Sender<Standing>,
    asked: HashMap<QueryId, Asked>,
    own: Option<Own>,
    /// When to place it again.
    due: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        node: OrdinaryNode,
        clock: Clock,
        key: crypto::Key,
        tls: Option<Arc<ClientConfig>>,
        state: watch::Sender<Standing>,
    ) -> Self {
        let (arrive, arrivals) = mpsc::channel(link::QUEUE);
        Self {
            node,
            clock,
            key,
            links: Links::new(tls, arrive),
            arrivals,
            state,
            asked: HashMap::new(),
            own: None,
            due: None,
        }
    }

    pub(super) fn register(&mut self, key: Key, text: String) {
        self.own = Some(Own {
            key,
            text,
            version: 0,
        });
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        self.pump();
        loop {
            let due = [self.node.poll_timeout(), self.due];
            let due = due.into_iter().flatten().min();
            let deadline = self.clock.deadline(due.unwrap_or(Instant::EPOCH));
            tokio::select! {
                Some(input) = self.arrivals.recv() => {
                    self.node.handle_input(input, self.clock.now());
                }
                () = sleep_until(deadline), if due.is_some() => {
                    let now = self.clock.now();
                    self.node.handle_timeout(now);
                    if self.due.is_some_and(|due| due <= now) {
                        self.due = None;
                        self.update(None);
                    }
                }
                order = orders.recv() => match order {
                    Some(Order::Update(answer)) => self.update(Some(answer)),
                    Some(Order::Place(name, length, answer)) => {
                        let query = self.place(key(&name), vec![b'.'; length]);
                        self.asked.insert(query, Asked::Place(answer));
                    }
                    Some(Order::Get(whose, reading, answer)) => self.get(&whose, reading, answer),
                    None => return,
                },
            }
            self.pump();
        }
    }

    fn update(&mut self, answer: Option<Placed>) {
        let Some(own) = &mut self.own else {
            return;
        };
        own.version += 1;
        let mut body = format!("{} {} ", own.text, own.version).into_bytes();
        body.resize(LENGTH, b'.');
        let key = own.key;
        let query = self.place(key, body);
        self.asked.insert(query, Asked::Update(answer));
    }

    fn place(&mut self, key: Key, body: Vec<u8>) -> QueryId {
        let (overlay, placement) = (self.node.overlay(), Placement::lasting(LIFETIME));
        let now = self.clock.now();
        self.node.update(overlay, key, body, placement, now)
    }

    fn get(&mut self, whose: &Whose, reading: Reading, answer: Found) {
        let (overlay, now) = (self.node.overlay(), self.clock.now());
        let (key, owner) = (key(&whose.name), Some(whose.owner.as_str()));
        let query = self.node.get(overlay, key, owner, reading, now);
        self.asked.insert(query, Asked::Get(answer));
    }

    fn pump(&mut self) {
        while let Some(output) = self.node.poll_output() {
            let now = self.clock.now();
            match output {
                Output::Dial { link, url } => {
                    self.state.send_modify(|state| state.dials += 1);
                    self.links.dial(link, url);
                }
                Output::Send { link, frame } => {
                    if !self.links.send(link, frame) {
                        self.node.handle_input(Input::Down(link), now);
                    }
                }
                Output::Close(link) => self.links.close(link),
                Output::Sign(sign) => {
                    let (job, signature) = (sign.job, self.key.sign(&sign.message));
                    let signed = Input::Signed(Signed { job, signature });
                    self.node.handle_input(signed, now);
                }
                Output::Verify(check) => {
                    let valid = verify(&check.key, &check.message, &check.signature);
                    let job = check.job;
                    let verified = Input::Verified(Verified { job, valid });
                    self.node.handle_input(verified, now);
                }
                Output::Event(event) => self.event(event, now),
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Associated { .. } => {
                self.associations();
                self.again(now + GATHER);
            }
            Event::Dissociated { .. } => self.associations(),
            Event::Lost(_) => {
                self.state.send_modify(|state| state.lost += 1);
                self.again(now + GATHER);
            }
            Event::Placed { query, sequence } => {
                self.state
                    .send_modify(|state| state.placed = Some(sequence));
                self.placed(query, Ok(sequence));
            }
            Event::PlaceFailed { query, error } => {
                if let Some(Asked::Update(None)) = self.asked.get(&query) {
                    self.again(now + AGAIN);
                }
                self.placed(query, Err(error));
            }
            Event::Records {
                query,
                records,
                last: true,
            } => self.found(query, Ok(records)),
            Event::GetFailed { query, error } => self.found(query, Err(error)),
            Event::Records { .. }
            | Event::SuperNodes(_)
            | Event::Revocations(_)
            | Event::Misbehaved { .. }
            | Event::CredentialExpired => {}
        }
    }

    fn associations(&self) {
        let associations = self.node.associations().count();
        self.state
            .send_modify(|state| state.associations = associations);
    }

    fn again(&mut self, at: Instant) {
        if self.own.is_some() {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    fn placed(&mut self, query: QueryId, result: Result<u64, PlaceError>) {
        match self.asked.remove(&query) {
            Some(Asked::Update(Some(answer)) | Asked::Place(answer)) => {
                let _ = answer.send(result);
            }
            Some(Asked::Update(None) | Asked::Get(_)) | None => {}
        }
    }

    fn found(&mut self, query: QueryId, result: Result<Vec<SignedRecord>, GetError>) {
        if let Some(Asked::Get(answer)) = self.asked.remove(&query) {
            let _ = answer.send(result);
        }
    }
}
