//! The stateful proxy (RFC 3261, section 16): takes requests, asks where they go, forks them, and brings the best response back.
//!
//! ```text
//!            Received --> [ transaction? ] --> [ Route, loop, hops ] --> Locate --> Located --> Resolve --> Resolved
//!                              | again                                     (who is asked        (a name, not a number:
//!                              v                                            is not known here)   RFC 3263)
//!                         last response                                                              |
//!                                                                                                    v
//!   Send (upstream)  <-- [ best response ] <-- [ client transactions, one for each target ] <-- Send (downstream)
//! ```
//! Both sides' transactions are those of RFC 3261 with RFC 6026 (the 2xx of an INVITE) and RFC 4320 (no 408 for what is no INVITE).
//! Loops end by RFC 5393, and a request that was record-routed is known by a sealed token (module `token`), which also
//! names the flow to either side (RFC 5626). A REGISTER for an own domain is handed out whole: see
//! [`Registrar`](crate::registrar::Registrar) and [`Proxy::reply`].
//!
//! The driver resolves, owns sockets and connections, and answers every [`Output::Locate`] and [`Output::Resolve`]; those
//! that it forgets end by themselves.

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use hashbrown::HashTable;
use machine::{Instant, Machine, Outbox};

use crate::message::{Flaw, Framing, Malformed, Message, Method, Name};
use crate::stream::{Breach, Broken};
use crate::{Peer, Transport};

mod branch;
mod context;
mod fork;
mod incoming;
mod outcome;
mod place;
mod route;
mod target;
mod timers;
mod token;
mod write;

pub use target::Target;

use context::Context;
pub(crate) use place::{Place, numeric};
use write::{Reply, Stamp};

/// One way into the proxy, as others are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The host: a name or a number, that of IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What a proxy is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens. The first of a transport stands in what is sent by that transport.
    pub listeners: Vec<Listener>,
    /// The domains that are its own, in lower case.
    pub domains: Vec<String>,
    /// Drawn anew by every process: tells what answers its own requests from everything else.
    pub secret: [u8; 16],
    /// Seals what comes back much later: Record-Routes and Paths. With the same one, a restarted proxy knows the dialogs from before.
    pub lasting: [u8; 16],
    /// Whether it stays in the path of every dialog. It does by itself where somebody can be reached by a flow only.
    pub record_route: bool,
    /// The most requests at once.
    pub requests: usize,
}

/// A question of the proxy's, which the answer names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lookup(pub(crate) u64);

/// The answer to [`Output::Locate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// Where the request goes; nowhere (480) if there is none. A target with the request's own URI lets it through.
    Targets(Vec<Target>),
    /// It goes nowhere.
    Refused {
        /// The status of the response.
        status: u16,
        /// More header lines of the response: a challenge.
        headers: String,
        /// What is wrong, in a sentence for people.
        problem: String,
    },
}

/// What a proxy is told.
#[derive(Debug)]
pub enum Input {
    /// A datagram, a frame, or a message from a [`Stream`](crate::stream::Stream).
    Received {
        /// Where it came from.
        source: Peer,
        /// Its bytes.
        message: Vec<u8>,
    },
    /// A stream broke.
    Broken {
        /// The stream.
        source: Peer,
        /// How.
        broken: Broken,
    },
    /// A message could not be sent: no connection, no such host.
    Undelivered {
        /// The message, as [`Output::Send`] had it.
        message: Vec<u8>,
    },
    /// The answer to [`Output::Locate`].
    Located {
        /// The question.
        lookup: Lookup,
        /// The answer.
        located: Located,
    },
    /// The answer to [`Output::Resolve`]: addresses in the order in which to try them; none if there are none.
    Resolved {
        /// The question.
        lookup: Lookup,
        /// The answer.
        peers: Vec<Peer>,
    },
}

/// What a proxy asks for.
#[derive(Debug)]
pub enum Output {
    /// Send a message.
    Send {
        /// Where to.
        peer: Peer,
        /// Its bytes.
        message: Vec<u8>,
    },
    /// Close a connection on which nothing can be understood any more.
    Close {
        /// The connection.
        peer: Peer,
        /// Why, for the log.
        breach: Breach,
    },
    /// Where does this request go? [`Proxy::request`] has the whole of it: whether its sender may is asked, too.
    Locate {
        /// To be named by the answer.
        lookup: Lookup,
        /// The Request-URI.
        uri: String,
        /// Where the request came from.
        source: Peer,
        /// Whether the Request-URI is in an own domain. Otherwise the sender asks this proxy to relay.
        own: bool,
    },
    /// Which addresses does this URI have (RFC 3263)?
    Resolve {
        /// To be named by the answer.
        lookup: Lookup,
        /// The URI.
        uri: String,
    },
    /// A REGISTER for an own domain: to be answered by [`Proxy::reply`].
    Register {
        /// Where it came from.
        source: Peer,
        /// The request.
        request: Message,
    },
    /// Something worth counting, or knowing.
    Event(Event),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What came is no SIP message.
    Malformed {
        /// Who sent it.
        source: Peer,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A response to nothing that was sent.
    Stray {
        /// Who sent it.
        source: Peer,
    },
    /// A request was refused.
    Refused {
        /// Who sent it.
        source: Peer,
        /// The status.
        status: u16,
    },
    /// Nothing can be sent on a flow: it need not be kept.
    FlowFailed {
        /// The flow.
        flow: Peer,
        /// The contact that was reached by it.
        uri: String,
    },
}

/// The proxy core.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Server transactions by [`key`](Self::key).
    table: HashTable<(u64, u32)>,
    timers: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    outbox: Outbox<Output>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Rises with every use, so that nothing late reaches a later request.
    generation: u32,
    context: Option<Box<Context>>,
}

impl Proxy {
    /// A proxy without requests.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            slots: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            timers: BinaryHeap::new(),
            outbox: Outbox::default(),
        }
    }

    /// How many requests are not done with.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The request that a question is about, as long as it waits for the answer.
    #[must_use]
    pub fn request(&self, lookup: Lookup) -> Option<&Message> {
        let (index, _) = self.read_lookup(lookup)?;
        self.slots[index as usize]
            .context
            .as_deref()?
            .request
            .as_deref()
    }

    /// Says whether the request that a question is about says itself which way it goes, by Routes beyond this proxy.
    #[must_use]
    pub fn is_routed(&self, lookup: Lookup) -> bool {
        let slot = self.read_lookup(lookup);
        let slot = slot.and_then(|(index, _)| self.slots.get(index as usize));
        let context = slot.and_then(|slot| slot.context.as_deref());
        context.is_some_and(|context| {
            let request = context.request.as_deref();
            request.is_some_and(|one| one.list(Name::Route).count() > context.routes.used)
        })
    }

    /// Says whether an address of record is in an own domain. Where the domain is a number, addresses have no port, wherever
    /// this proxy listens.
    #[must_use]
    pub fn serves(&self, aor: &str) -> bool {
        place(aor).is_some_and(|place| {
            let mut listeners = self.config.listeners.iter();
            let named =
                place.port.is_none() && listeners.any(|one| route::is_host(&one.host, place.host));
            named || self.is_own(&place)
        })
    }

    /// Answers a request that has no transaction here: a REGISTER. `headers` are whole lines, `problem` says what is wrong, if
    /// anything is.
    pub fn reply(
        &mut self,
        request: &Message,
        source: Peer,
        status: u16,
        headers: &str,
        problem: &str,
    ) {
        let tag = self.tag(request);
        let reply = Reply {
            status,
            tag: &tag,
            lines: headers,
            problem,
            host: self.host(),
        };
        let message = write::reply(request, Stamp::of(request, source), &reply);
        let peer = write::way_back(request, source);
        self.outbox.push(Output::Send { peer, message });
        if status >= 300 {
            self.outbox
                .push(Output::Event(Event::Refused { source, status }));
        }
    }

    /// The name that this proxy gives itself.
    fn host(&self) -> &str {
        self.config
            .listeners
            .first()
            .map_or("localhost", |one| &one.host)
    }

    fn take(&mut self, source: Peer, message: Vec<u8>, now: Instant) {
        let framing = match source.transport {
            Transport::Udp => Framing::Datagram,
            Transport::Tcp | Transport::Tls => Framing::Stream,
            Transport::Ws | Transport::Wss | Transport::Inside => Framing::Frame,
        };
        match Message::read(message, framing) {
            Ok(message) if message.is_request() => self.take_request(source, message, now),
            Ok(message) => self.take_response(source, &message, now),
            Err(Malformed { flaw, request }) => {
                self.outbox
                    .push(Output::Event(Event::Malformed { source, flaw }));
                if let Some(request) = request {
                    let status = match request.method() {
                        Method::Other if flaw == Flaw::CSeq => 501,
                        _ => flaw.status(),
                    };
                    self.reply(&request, source, status, "", &flaw.text());
                }
            }
        }
    }

    fn take_broken(&mut self, source: Peer, broken: Broken) {
        let breach = broken.breach;
        if let Err(Malformed {
            request: Some(request),
            ..
        }) = Message::read(broken.head, Framing::Stream)
        {
            let problem = alloc::format!("{breach}");
            self.reply(&request, source, breach.status(), "", &problem);
        }
        self.outbox.push(Output::Close {
            peer: source,
            breach,
        });
    }
}

impl Machine for Proxy {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Received { source, message } => self.take(source, message, now),
            Input::Broken { source, broken } => self.take_broken(source, broken),
            Input::Undelivered { message } => self.take_undelivered(message, now),
            Input::Located { lookup, located } => self.take_located(lookup, located, now),
            Input::Resolved { lookup, peers } => self.take_resolved(lookup, peers, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }
}

/// A URI's place, if it is a SIP URI.
fn place(uri: &str) -> Option<Place<'_>> {
    Place::read(uri)
}
