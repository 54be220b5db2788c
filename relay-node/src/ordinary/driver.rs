//! The loop that owns the ordinary node's machine: facts in, requests out. It decides nothing.

use std::collections::{HashMap, VecDeque};

use credential::{Certificate, RevocationList};
use machine::{Instant, Machine};
use p2psip::{Contact, Event, Input, LinkId, Output, Peer};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_tungstenite::tungstenite::Message;

use super::dial::Dialer;
use super::link;
use crate::clock::Clock;
use crate::config::Transport;
use crate::crypto::{Done, Work, Workers};
use crate::framed;
use crate::outlet::{Outlet, outlet};

/// Orders that may wait for the machine.
pub(super) const ORDERS: usize = 1_024;
/// Events that may wait for whoever uses the node; further ones are lost.
pub(super) const EVENTS: usize = 256;
/// Messages that may wait for a super node that reads slowly.
const QUEUE: usize = 256;

/// Something for the driver.
pub(super) enum Order {
    /// A fact for the machine.
    Fact(Input),
    /// A link stands.
    Stands { link: LinkId, transport: Transport },
    /// Further super nodes to try.
    SuperNodes(Vec<Contact>),
    /// Something to do with the machine.
    Act(Act),
    /// The user's certificate was renewed.
    Renewed(Box<Certificate>),
    /// The node shall end.
    Leave,
}

/// Something to do with the machine.
pub(super) type Act = Box<dyn FnOnce(&mut Peer, Instant) + Send>;

/// What is known of an ordinary node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrdinaryStatus {
    /// How many associations stand.
    pub associations: usize,
    /// By which transports links to super nodes stand.
    pub transports: Vec<Transport>,
    /// The super nodes to try at the next start, in this order.
    pub super_nodes: Vec<Contact>,
    /// Those that serve.
    pub serving: Vec<Contact>,
    /// The newest revocation list that was verified.
    pub revocations: Option<RevocationList>,
}

/// The driver of one ordinary node.
pub(super) struct Driver {
    pub(super) peer: Peer,
    pub(super) clock: Clock,
    pub(super) dialer: Dialer,
    pub(super) workers: Workers,
    pub(super) status: watch::Sender<OrdinaryStatus>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) orders: mpsc::WeakSender<Order>,
    pub(super) links: HashMap<LinkId, (Outlet<Message>, Option<Transport>)>,
    pub(super) backlog: VecDeque<Work>,
    /// Links that broke while something was sent on them.
    pub(super) lost: Vec<LinkId>,
}

impl Driver {
    /// Runs until it is told to leave, or nobody is left to tell it anything.
    pub(super) async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut done: mpsc::Receiver<Done>,
    ) {
        self.pump();
        loop {
            let due = self.peer.poll_timeout();
            let deadline = self.clock.deadline(due.unwrap_or(Instant::EPOCH));
            tokio::select! {
                biased;
                Some(answer) = done.recv() => self.feed(match answer {
                    Done::Signed(signed) => Input::Signed(signed),
                    Done::Verified(verified) => Input::Verified(verified),
                }),
                () = sleep_until(deadline), if due.is_some() => {
                    self.peer.handle_timeout(self.clock.now());
                }
                order = orders.recv() => match order {
                    Some(Order::Leave) | None => break,
                    Some(order) => self.order(order),
                },
            }
            self.pump();
        }
        // Dropping the outlets ends the links after what was sent.
        self.links.clear();
    }

    fn order(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            Order::Fact(end @ (Input::Closed { link } | Input::Busy { link })) => {
                if self.links.remove(&link).is_some() {
                    self.tell_transports();
                    self.feed(end);
                }
            }
            Order::Fact(fact) => self.feed(fact),
            Order::Stands { link, transport } => {
                if let Some(entry) = self.links.get_mut(&link) {
                    entry.1 = Some(transport);
                    self.tell_transports();
                    self.feed(Input::Opened { link });
                }
            }
            Order::SuperNodes(more) => self.peer.add_super_nodes(more, now),
            Order::Act(act) => act(&mut self.peer, now),
            Order::Renewed(certificate) => self.peer.set_credential(*certificate, None, now),
            Order::Leave => {}
        }
    }

    fn feed(&mut self, input: Input) {
        self.peer.handle_input(input, self.clock.now());
    }

    fn pump(&mut self) {
        loop {
            while let Some(output) = self.peer.poll_output() {
                self.perform(output);
            }
            if self.lost.is_empty() {
                break;
            }
            for link in std::mem::take(&mut self.lost) {
                self.feed(Input::Closed { link });
            }
        }
        while let Some(work) = self.backlog.pop_front() {
            if let Some(work) = self.workers.submit(work) {
                self.backlog.push_front(work);
                break;
            }
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Dial { link, url } => {
                let Some(orders) = self.orders.upgrade() else {
                    return;
                };
                let (outlet, drain) = outlet(QUEUE);
                self.links.insert(link, (outlet, None));
                tokio::spawn(link::serve(self.dialer.clone(), link, url, drain, orders));
            }
            Output::Close { link } => {
                if let Some((outlet, transport)) = self.links.remove(&link) {
                    match transport {
                        Some(_) => self.tell_transports(),
                        // Not even dialled yet: nothing was sent that could be lost.
                        None => outlet.cut(),
                    }
                }
            }
            Output::Frame { link, bytes } => self.send(link, Message::Binary(bytes.into())),
            Output::Text { link, text } => self.send(link, framed::text(text)),
            Output::Sign(sign) => self.backlog.push_back(Work::Sign(sign)),
            Output::Verify(verify) => self.backlog.push_back(Work::Verify(verify)),
            Output::Event(event) => self.event(event),
        }
    }

    fn send(&mut self, link: LinkId, message: Message) {
        let Some((outlet, _)) = self.links.get(&link) else {
            return;
        };
        if outlet.send(message).is_err()
            && let Some((outlet, _)) = self.links.remove(&link)
        {
            outlet.cut();
            self.tell_transports();
            self.lost.push(link);
        }
    }

    fn tell_transports(&self) {
        let standing = self.links.values().filter_map(|(_, transport)| *transport);
        let standing: Vec<_> = standing.collect();
        self.status
            .send_modify(|status| status.transports = standing);
    }

    fn event(&mut self, event: Event) {
        if let Event::Associations { up } = &event {
            tracing::info!(up, "associations");
            self.status.send_modify(|status| status.associations = *up);
        }
        if let Event::Welcome { super_nodes, .. } = &event {
            let (named, serving) = (super_nodes.clone(), self.peer.super_nodes().collect());
            self.status.send_modify(|status| {
                status.super_nodes = named;
                status.serving = serving;
            });
        }
        if let Event::Revocations(list) = &event {
            let list = Some(list.clone());
            self.status.send_modify(|status| status.revocations = list);
        }
        if let Event::Problem(problem) = &event {
            tracing::warn!(problem = problem.code(), "problem");
        }
        let call = match &event {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        };
        if self.events.try_send(event).is_err()
            && let Some(call) = call
        {
            // Nobody is there to take it.
            self.peer.decline(call, self.clock.now());
        }
    }
}
