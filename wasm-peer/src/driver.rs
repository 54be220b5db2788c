use core::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use machine::{Instant, Machine};
use p2psip::{Config, Event, Input, LinkId, Output, Peer};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::clock::Clock;
use crate::crypto::Crypto;
use crate::event;
use crate::link::Link;
use crate::timer::Timer;

/// Owns the machine and does what it asks for.
///
/// A JavaScript listener may call back in while an event is delivered to it: the machine is never borrowed then, and
/// what the call makes it want waits its turn in `outputs`.
pub(crate) struct Driver {
    me: Weak<Self>,
    peer: RefCell<Peer>,
    outputs: RefCell<VecDeque<Output>>,
    performing: Cell<bool>,
    closed: Cell<bool>,
    links: RefCell<Vec<(LinkId, Link)>>,
    clock: Clock,
    crypto: Rc<Crypto>,
    timer: Timer,
    listener: js_sys::Function,
}

impl Driver {
    pub(crate) fn start(
        config: impl FnOnce(&Clock) -> Config,
        crypto: Crypto,
        listener: js_sys::Function,
    ) -> Rc<Self> {
        let clock = Clock::start();
        let now = clock.now();
        let peer = Peer::new(config(&clock), now);
        let driver = Rc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            peer: RefCell::new(peer),
            outputs: RefCell::default(),
            performing: Cell::new(false),
            closed: Cell::new(false),
            links: RefCell::default(),
            clock,
            crypto: Rc::new(crypto),
            timer: Timer::new({
                let me = me.clone();
                move || {
                    if let Some(driver) = me.upgrade() {
                        driver.timer.fired();
                        driver.run(Machine::handle_timeout);
                    }
                }
            }),
            listener,
        });
        // What the machine wants first waits until its owner holds it, and can take events.
        driver.timer.set(Some(now), now);
        driver
    }

    /// Ends everything; the machine is deaf and mute from here on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.outputs.borrow_mut().clear();
        self.links.borrow_mut().clear();
        self.timer.set(None, Instant::EPOCH);
    }

    /// Does something with the machine, then everything that it wants in consequence.
    pub(crate) fn run<T>(&self, act: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        let result = act(&mut self.peer.borrow_mut(), self.clock.now());
        self.settle();
        result
    }

    /// Kept apart from [`run`](Self::run), which is compiled anew for each of its callers.
    #[inline(never)]
    fn settle(&self) {
        self.collect();
        if !self.performing.replace(true) {
            loop {
                let next = self.outputs.borrow_mut().pop_front();
                let Some(output) = next else { break };
                self.perform(output);
            }
            self.performing.set(false);
        }
        if !self.closed.get() {
            let due = self.peer.borrow().poll_timeout();
            self.timer.set(due, self.clock.now());
        }
    }

    fn tell(&self, input: Input) {
        if let Input::Closed { link } = input {
            self.unlink(link);
        }
        self.run(|peer, now| peer.handle_input(input, now));
    }

    fn collect(&self) {
        let mut peer = self.peer.borrow_mut();
        let mut outputs = self.outputs.borrow_mut();
        while let Some(output) = peer.poll_output() {
            if !self.closed.get() {
                outputs.push_back(output);
            }
        }
    }

    fn perform(&self, output: Output) {
        match output {
            Output::Dial { link, url } => {
                let me = self.me.clone();
                let dialled = Link::dial(link, &url, move |input| {
                    if let Some(driver) = me.upgrade() {
                        driver.tell(input);
                    }
                });
                match dialled {
                    Some(socket) => self.links.borrow_mut().push((link, socket)),
                    None => self.tell(Input::Closed { link }),
                }
            }
            Output::Close { link } => self.unlink(link),
            Output::Frame { link, bytes } => self.send(link, |socket| socket.frame(&bytes)),
            Output::Text { link, text } => self.send(link, |socket| socket.text(&text)),
            Output::Sign(request) => {
                let (me, crypto) = (self.me.clone(), self.crypto.clone());
                spawn_local(async move {
                    if let Some(signed) = crypto.sign(request).await
                        && let Some(driver) = me.upgrade()
                    {
                        driver.tell(Input::Signed(signed));
                    }
                });
            }
            Output::Verify(request) => {
                let (me, crypto) = (self.me.clone(), self.crypto.clone());
                spawn_local(async move {
                    let verified = crypto.verify(request).await;
                    if let Some(driver) = me.upgrade() {
                        driver.tell(Input::Verified(verified));
                    }
                });
            }
            Output::Event(event) => self.deliver(event),
        }
    }

    /// Sends on a link; one that can't take any more counts as broken.
    fn send(&self, link: LinkId, send: impl FnOnce(&Link) -> bool) {
        let sent = self
            .links
            .borrow()
            .iter()
            .find(|(id, _)| *id == link)
            .map(|(_, socket)| send(socket));
        if sent == Some(false) {
            self.tell(Input::Closed { link });
        }
    }

    fn unlink(&self, link: LinkId) {
        self.links.borrow_mut().retain(|(id, _)| *id != link);
    }

    /// What a listener throws is the page's affair and has been reported there.
    fn deliver(&self, event: Event) {
        let _ = self
            .listener
            .call1(&JsValue::UNDEFINED, &event::to_object(event));
    }
}
