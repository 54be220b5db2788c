use core::cell::{Cell, RefCell};
use core::time::Duration;

use machine::{Instant, Machine, Outbox, WallClock};
use p2psip::{Config, Input, LinkId, Output, Peer};

use crate::event;
use crate::host::Host;
use crate::link::{Links, Message};

/// Owns the machine and has the host do what it asks for.
///
/// The host may call back in while it does: the machine is never borrowed then, and what the call makes it want waits
/// its turn in `outputs`.
pub(crate) struct Driver {
    peer: RefCell<Peer>,
    outputs: RefCell<Outbox<Output>>,
    /// Those of them that the page is told. It may take its time over them, so they come after all that leaves.
    events: RefCell<Outbox<Output>>,
    performing: Cell<bool>,
    closed: Cell<bool>,
    /// What the host was told last.
    due: Cell<Option<Instant>>,
    links: RefCell<Links>,
    host: Host,
}

impl Driver {
    pub(crate) fn start(host: Host, config: impl FnOnce([u8; 32], WallClock) -> Config) -> Self {
        let mut seed = [0; 32];
        host.random(&mut seed);
        let wall = WallClock::new(host.started() as u64);
        let peer = Peer::new(config(seed, wall), now(&host));
        // What the machine wants first waits until its owner holds it, and can take events.
        host.wake(0.0);
        Self {
            peer: RefCell::new(peer),
            outputs: RefCell::default(),
            events: RefCell::default(),
            performing: Cell::new(false),
            closed: Cell::new(false),
            due: Cell::new(None),
            links: RefCell::default(),
            host,
        }
    }

    /// Ends everything; the machine is deaf and mute from here on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.outputs.take();
        self.events.take();
        self.links.borrow_mut().close_all(&self.host);
        self.host.close();
        self.host.wake(-1.0);
    }

    /// Takes in what the host reports.
    pub(crate) fn tell(&self, input: Input) {
        self.run(|peer, now| peer.handle_input(input, now));
    }

    /// A link is gone.
    pub(crate) fn closed(&self, link: LinkId) {
        self.links.borrow_mut().close(link, &self.host);
        self.tell(Input::Closed { link });
    }

    /// The time has come that the host was told.
    pub(crate) fn due(&self) {
        self.due.set(None);
        self.run(Machine::handle_timeout);
    }

    /// Does something with the machine, then everything that it wants in consequence.
    pub(crate) fn run<T>(&self, act: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        let result = act(&mut self.peer.borrow_mut(), now(&self.host));
        self.settle();
        result
    }

    /// Does what the machine wants, once for all who wait, and tells the host when to look again.
    fn settle(&self) {
        self.collect();
        if !self.performing.replace(true) {
            loop {
                let next = self.outputs.borrow_mut().pop();
                let next = next.or_else(|| self.events.borrow_mut().pop());
                let Some(output) = next else { break };
                self.perform(output);
            }
            self.performing.set(false);
        }
        if self.closed.get() {
            return;
        }
        let due = self.peer.borrow().poll_timeout();
        if due != self.due.replace(due) {
            self.host.wake(match due {
                Some(due) => (due - now(&self.host)).as_secs_f64() * 1_000.0,
                None => -1.0,
            });
        }
    }

    fn collect(&self) {
        let mut peer = self.peer.borrow_mut();
        while let Some(output) = peer.poll_output() {
            let queue = match output {
                Output::Event(_) => &self.events,
                _ => &self.outputs,
            };
            if !self.closed.get() {
                queue.borrow_mut().push(output);
            }
        }
    }

    fn perform(&self, output: Output) {
        let host = &self.host;
        match output {
            Output::Dial { link, url } => match host.dial(link.0 as f64, &url) {
                Some(socket) => self.links.borrow_mut().add(link, socket),
                None => self.tell(Input::Closed { link }),
            },
            Output::Close { link } => self.links.borrow_mut().close(link, &self.host),
            Output::Frame { link, bytes } => self.send(link, &Message::Frame(&bytes)),
            Output::Text { link, text } => self.send(link, &Message::Text(&text)),
            Output::Sign(request) => host.sign(request.job.0 as f64, &request.message),
            Output::Verify(request) => host.verify(
                request.job.0 as f64,
                &request.key.to_point(),
                &request.signature.0,
                &request.message,
            ),
            Output::Event(event) => event::deliver(event, host),
        }
    }

    /// A link that can't take a message is as good as dead.
    fn send(&self, link: LinkId, message: &Message<'_>) {
        let sent = self.links.borrow().send(link, message, &self.host);
        if !sent {
            self.closed(link);
        }
    }
}

fn now(host: &Host) -> Instant {
    Instant::new(Duration::from_micros((host.now() * 1_000.0) as u64))
}
