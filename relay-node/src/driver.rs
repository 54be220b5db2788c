//! The loop that owns the super node's machine: facts in, requests out. It decides nothing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use credential::{Certificate, MemberStatement, NodeId, RevocationList};
use machine::{Instant, Machine};
use p2psip::{
    LinkId, SuperNode, SuperNodeEvent, SuperNodeInput as Input, SuperNodeOutput as Output,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::calls::{Call, Calls};
use crate::clock::Clock;
use crate::crypto::{Done, Work, Workers};
use crate::links::{Kind, LinkEvent, Links, PeerOutlet};
use crate::outlet::{Outlet, Stuck};
use crate::shelf::Shelf;

mod complaints;
mod load;

use complaints::Complaints;
use load::Gauge;

/// Facts that may wait for the machine.
pub(crate) const ARRIVALS: usize = 4_096;
/// Cryptography that may wait for a thread before the machine gets no new facts.
const BACKLOG: usize = 64;
/// Super nodes whose address is remembered.
const ADDRESSES: usize = 256;
/// How long the machine may take to leave: it gives itself three seconds to hand its records on.
const LEAVING: Duration = Duration::from_secs(5);
/// How long what it sent last may take to go out.
const GOODBYE: Duration = Duration::from_millis(1_500);

/// A machine that does what a super node does.
///
/// [`SuperNode`] is the one; a test wraps it to make a super node that lies.
pub trait SuperNodeMachine: Machine<Input = Input, Output = Output> + Send + 'static {
    /// Leaves the overlay.
    fn leave(&mut self, now: Instant);
    /// Takes over a renewed credential.
    fn set_credential(
        &mut self,
        certificate: Certificate,
        statement: MemberStatement,
        now: Instant,
    );
    /// The super node that does the work, for the calls of the program that it is part of.
    fn core(&mut self) -> &mut SuperNode;
}

impl SuperNodeMachine for SuperNode {
    fn leave(&mut self, now: Instant) {
        Self::leave(self, now);
    }

    fn set_credential(
        &mut self,
        certificate: Certificate,
        statement: MemberStatement,
        now: Instant,
    ) {
        Self::set_credential(self, certificate, statement, now);
    }

    fn core(&mut self) -> &mut SuperNode {
        self
    }
}

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// An ordinary node opened a WebSocket.
    Associated {
        link: LinkId,
        secure: bool,
        outlet: Outlet<Message>,
    },
    /// A plain fact for the machine.
    Fact(Input),
    /// The node's credential was renewed.
    Renewed(Box<Certificate>, Box<MemberStatement>),
    /// Nothing, but that it has waited among the others.
    Probe,
    /// The program that the node is part of uses the overlay.
    Called(Call),
    /// The process shall end.
    Leave,
}

/// Where things for the driver come from.
pub(crate) struct Sources {
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    /// The other end of that queue, for what the driver itself puts in.
    pub(crate) own: mpsc::WeakSender<Arrival>,
    pub(crate) peers: mpsc::Receiver<LinkEvent>,
    pub(crate) done: mpsc::Receiver<Done>,
}

impl Sources {
    fn are_empty(&self) -> bool {
        self.arrivals.is_empty() && self.peers.is_empty() && self.done.is_empty()
    }
}

/// What the rest of the node may know of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// It is a member of the overlay and serves ordinary nodes.
    pub joined: bool,
    /// All super nodes that it knows, itself included: id and WebSocket address.
    pub members: Vec<(NodeId, String)>,
    /// Where super nodes can be dialled, as far as it was learnt: id and QUIC address.
    pub addresses: BTreeMap<NodeId, String>,
    /// How much it has to do, in percent; a change of this alone is not announced.
    pub load: u8,
}

/// The driver of one super node.
pub(crate) struct Driver<M> {
    pub(crate) machine: M,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) workers: Workers,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) revocations: watch::Sender<RevocationList>,
    shelf: Shelf,
    gauge: Gauge,
    tables: Tables,
    complaints: Complaints,
    /// The machine has left the overlay.
    left: bool,
    /// Nobody is left from whom anything could arrive: a closed queue is always ready, and must not be asked again.
    alone: bool,
    calls: Calls,
}

/// Where each connection's writer is.
#[derive(Default)]
struct Tables {
    associations: HashMap<LinkId, Outlet<Message>>,
    peers: HashMap<LinkId, PeerOutlet>,
    /// Connections of either kind whose task has not ended: what was sent may still be on its way out.
    open: HashSet<LinkId>,
    backlog: VecDeque<Work>,
    /// Closures that the machine has to hear of once the outputs at hand are done.
    lost: Vec<Input>,
}

impl<M: SuperNodeMachine> Driver<M> {
    pub(crate) fn new(
        machine: M,
        clock: Clock,
        links: Links,
        workers: Workers,
        status: watch::Sender<Status>,
        revocations: watch::Sender<RevocationList>,
        shelf: Shelf,
    ) -> Self {
        Self {
            machine,
            clock,
            links,
            workers,
            status,
            revocations,
            shelf,
            gauge: Gauge::new(clock.now()),
            tables: Tables::default(),
            complaints: Complaints::default(),
            left: false,
            alone: false,
            calls: Calls::default(),
        }
    }

    /// Runs until everybody who could tell it anything is gone, or it is told to leave.
    pub(crate) async fn run(mut self, mut sources: Sources) {
        self.pump(false);
        while self.step(&mut sources).await {}
        self.leave(&mut sources).await;
    }

    /// Does the next thing; false if that is to leave. It may be given up at any time, and loses nothing.
    async fn step(&mut self, sources: &mut Sources) -> bool {
        let open = self.tables.backlog.len() < BACKLOG;
        let due = self.machine.poll_timeout();
        let deadline = self.clock.deadline(due.unwrap_or(Instant::EPOCH));
        let measuring = self.clock.deadline(self.gauge.due());
        tokio::select! {
            biased;
            Some(answer) = sources.done.recv() => self.done(answer),
            () = sleep_until(deadline), if due.is_some() => {
                self.machine.handle_timeout(self.clock.now());
            }
            () = sleep_until(measuring) => self.measure(&sources.own),
            Some(event) = sources.peers.recv(), if open => self.peer(event),
            arrival = sources.arrivals.recv(), if open && !self.alone => match arrival {
                Some(Arrival::Leave) => return false,
                Some(arrival) => self.arrival(arrival),
                None => {
                    self.alone = true;
                    return false;
                }
            },
        }
        self.pump(sources.are_empty());
        true
    }

    fn done(&mut self, answer: Done) {
        self.feed(match answer {
            Done::Signed(signed) => Input::Signed(signed),
            Done::Verified(verified) => Input::Verified(verified),
        });
    }

    fn measure(&mut self, own: &mpsc::WeakSender<Arrival>) {
        let now = self.clock.now();
        if self.gauge.wants(now)
            && let Some(own) = own.upgrade()
            && own.try_send(Arrival::Probe).is_ok()
        {
            self.gauge.sent();
        }
        if let Some(load) = self.gauge.measure(load::processors_time(), now) {
            self.status.send_if_modified(|status| {
                status.load = load;
                false
            });
            self.feed(Input::Load(load));
        }
    }

    fn arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Associated {
                link,
                secure,
                outlet,
            } => {
                self.tables.open.insert(link);
                self.tables.associations.insert(link, outlet);
                self.feed(Input::Opened { link, secure });
            }
            Arrival::Fact(Input::Closed { link }) => {
                self.tables.open.remove(&link);
                if self.tables.associations.remove(&link).is_some() {
                    self.feed(Input::Closed { link });
                }
            }
            Arrival::Fact(Input::Seeds(seeds)) => {
                self.learn(seeds.iter().cloned());
                self.feed(Input::Seeds(seeds));
            }
            Arrival::Fact(fact) => self.feed(fact),
            Arrival::Renewed(certificate, statement) => {
                let now = self.clock.now();
                self.machine.set_credential(*certificate, *statement, now);
            }
            Arrival::Probe => self.gauge.back(self.clock.now()),
            Arrival::Called(call) => {
                let now = self.clock.now();
                self.calls.begin(self.machine.core(), call, now);
            }
            Arrival::Leave => {}
        }
    }

    fn peer(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Opened {
                link,
                certificate,
                outlet,
            } => {
                self.tables.open.insert(link);
                self.tables.peers.insert(link, outlet);
                self.feed(Input::PeerOpened { link, certificate });
            }
            LinkEvent::DialFailed { node } => self.feed(Input::DialFailed { node }),
            LinkEvent::Message {
                link,
                kind,
                message,
            } => {
                if self.tables.peers.contains_key(&link) {
                    self.feed(match kind {
                        Kind::Overlay => Input::PeerFrame {
                            link,
                            bytes: message,
                        },
                        Kind::Sip => Input::PeerSip { link, message },
                    });
                }
            }
            LinkEvent::Closed { link } => {
                self.tables.open.remove(&link);
                if self.tables.peers.remove(&link).is_some() {
                    self.feed(Input::PeerClosed { link });
                }
            }
        }
    }

    /// Remembers where super nodes can be dialled.
    fn learn(&self, addresses: impl IntoIterator<Item = (NodeId, String)>) {
        self.status.send_if_modified(|status| {
            let before = status.addresses.len();
            for (node, address) in addresses {
                if status.addresses.len() < ADDRESSES || status.addresses.contains_key(&node) {
                    status.addresses.insert(node, address);
                }
            }
            status.addresses.len() > before
        });
    }

    fn feed(&mut self, input: Input) {
        self.machine.handle_input(input, self.clock.now());
    }

    /// Does what the machine asks until it asks for nothing more.
    ///
    /// A signature while nothing else waits is made or checked at once: to wake a thread for it and to be woken by it
    /// would take as long.
    fn pump(&mut self, idle: bool) {
        self.perform_all();
        if idle
            && self.tables.backlog.len() == 1
            && let Some(work) = self.tables.backlog.pop_front()
        {
            self.done(self.workers.at_once(work));
            self.perform_all();
        }
        while let Some(work) = self.tables.backlog.pop_front() {
            if let Some(work) = self.workers.submit(work) {
                self.tables.backlog.push_front(work);
                break;
            }
        }
    }

    fn perform_all(&mut self) {
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.perform(output);
            }
            if self.tables.lost.is_empty() {
                break;
            }
            for lost in std::mem::take(&mut self.tables.lost) {
                self.feed(lost);
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Frame { link, bytes } => {
                self.tables.tell(link, Message::Binary(bytes.into()));
            }
            Output::Text { link, text } => {
                self.tables.tell(link, Message::Text(Utf8Bytes::from(text)));
            }
            Output::Close { link } => drop(self.tables.associations.remove(&link)),
            Output::Dial { node, address } => {
                self.learn([(node, address.clone())]);
                self.links.dial(node, address);
            }
            Output::PeerFrame { link, bytes } => {
                self.tables.tell_peer(link, Kind::Overlay, bytes);
            }
            Output::PeerSip { link, message } => {
                self.tables.tell_peer(link, Kind::Sip, message);
            }
            Output::PeerClose { link } => drop(self.tables.peers.remove(&link)),
            Output::Sign(sign) => self.tables.backlog.push_back(Work::Sign(sign)),
            Output::Verify(verify) => self.tables.backlog.push_back(Work::Verify(verify)),
            Output::Persist { keep, forget } => self.shelf.keep(keep, forget),
            Output::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: SuperNodeEvent) {
        match event {
            SuperNodeEvent::Joined { members } => {
                tracing::info!(members, "joined the overlay");
                self.status.send_modify(|status| status.joined = true);
            }
            SuperNodeEvent::Left => {
                tracing::info!("left the overlay");
                self.left = true;
            }
            SuperNodeEvent::Members { members } => {
                tracing::info!(members = members.len(), "membership changed");
                self.status.send_modify(|status| status.members = members);
            }
            SuperNodeEvent::Associated {
                link,
                uri,
                instance,
            } => {
                tracing::info!(link = link.0, uri, %instance, "associated");
            }
            SuperNodeEvent::Revocations(list) => {
                tracing::info!(number = list.number(), "newer revocation list");
                self.revocations.send_replace(list);
            }
            SuperNodeEvent::Dissociated {
                link,
                uri,
                instance,
            } => {
                tracing::info!(link = link.0, uri, %instance, "association ended");
            }
            SuperNodeEvent::Restored { records, damaged } => {
                tracing::info!(records, damaged, "records kept over the restart");
            }
            SuperNodeEvent::Got { query, records } => self.calls.got(query, records),
            SuperNodeEvent::Placed { query, sequence } => self.calls.placed(query, sequence),
            SuperNodeEvent::Misbehaved { who, how } => {
                if let Some(kept_back) = self.complaints.admit(self.clock.now()) {
                    tracing::warn!(?who, ?how, kept_back, "misbehaviour");
                }
            }
        }
    }

    /// Lets the machine hand its records on and say goodbye, and what it sent go out.
    async fn leave(&mut self, sources: &mut Sources) {
        tracing::info!("leaving the overlay");
        let now = self.clock.now();
        self.machine.leave(now);
        self.pump(false);
        let end = self.clock.deadline(now + LEAVING);
        while !self.left {
            // Whatever else comes meanwhile is the machine's to refuse, and a second wish to leave says nothing new.
            if timeout_at(end, self.step(sources)).await.is_err() {
                tracing::warn!("not all records could be handed on in time");
                break;
            }
        }
        // Without an outlet a connection ends after what was sent.
        self.tables.associations.clear();
        self.tables.peers.clear();
        let end = self.clock.deadline(self.clock.now() + GOODBYE);
        while !self.tables.open.is_empty() && timeout_at(end, self.step(sources)).await.is_ok() {}
        self.links.close().await;
    }
}

impl Tables {
    fn tell(&mut self, link: LinkId, message: Message) {
        let Some(outlet) = self.associations.get(&link) else {
            return;
        };
        if let Err(stuck) = outlet.send(message) {
            if let Some(outlet) = self.associations.remove(&link)
                && stuck == Stuck::Full
            {
                tracing::warn!(link = link.0, "an ordinary node reads too slowly: cut");
                outlet.cut();
            }
            self.lost.push(Input::Closed { link });
        }
    }

    fn tell_peer(&mut self, link: LinkId, kind: Kind, message: Vec<u8>) {
        let Some(outlet) = self.peers.get(&link) else {
            return;
        };
        if let Err(stuck) = outlet.send(kind, message) {
            if let Some(outlet) = self.peers.remove(&link)
                && stuck == Stuck::Full
            {
                tracing::warn!(link = link.0, "a super node reads too slowly: cut");
                outlet.cut();
            }
            self.lost.push(Input::PeerClosed { link });
        }
    }
}
