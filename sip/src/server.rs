//! The SIP server of a domain: [`Proxy`], [`Registrar`] and [`Guard`] put together.
//!
//! ```text
//! REGISTER --> password? --> Registrar ----------------------> Registration: the user's record is to be placed ..
//! request ---> password? --> Registrar knows the user --> Proxy forwards
//!                      \---> it doesn't ---------------> Elsewhere: somebody else may
//! ```
//! Who claims to be a user of the domain proves it by a password, for each request that begins something; who doesn't may call
//! users of the domain, and nobody else through here.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use machine::{Instant, Machine, Outbox};

use crate::digest::{Algorithm, Claim, Denied, Door, Guard, Verdict};
use crate::message::{Message, Method};
use crate::proxy::{self, Located, Lookup, Proxy, Target};
use crate::registrar::{self, Limits, Registrar};
use crate::stream::Breach;
use crate::transaction::earlier;
use crate::{Peer, Transport, Uri};

/// The most passwords that are looked up at once.
const CLAIMS: usize = 10_000;

/// What a server is.
#[derive(Debug, Clone)]
pub struct Config {
    /// The proxy's part. Its first domain is the realm of passwords; users of the others register elsewhere.
    pub proxy: proxy::Config,
    /// What the registrar takes.
    pub limits: Limits,
    /// Whether everybody is believed. For tests, where nobody else can come.
    pub open: bool,
    /// Whether somebody may know more of other domains than DNS: they are asked for by [`Output::Elsewhere`], too.
    pub transit: bool,
    /// Whether MD5 is offered to phones that don't know SHA-256.
    pub md5: bool,
}

/// A question for a user's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretId(u64);

/// What a server is told.
#[derive(Debug)]
pub enum Input {
    /// What came from the network, and answers to the proxy's questions: to [`Output::Elsewhere`] and [`Output::Resolve`].
    Proxy(proxy::Input),
    /// The answer to [`Output::Secret`]: [`Algorithm::secret`] of user, realm and password; none if there is no such user.
    Secret {
        /// The question.
        id: SecretId,
        /// The secret.
        secret: Option<String>,
    },
}

/// What a server asks for.
#[derive(Debug)]
pub enum Output {
    /// Send a message.
    Send {
        /// Where to.
        peer: Peer,
        /// Its bytes.
        message: Vec<u8>,
    },
    /// Close a connection.
    Close {
        /// The connection.
        peer: Peer,
        /// Why.
        breach: Breach,
    },
    /// Which addresses does this URI have (RFC 3263)?
    Resolve {
        /// To be named by the answer.
        lookup: Lookup,
        /// The URI.
        uri: String,
    },
    /// A user of an own domain who has no binding here: is he somewhere else? With [`Config::transit`] also one of another domain. To be
    /// answered by [`proxy::Input::Located`].
    Elsewhere {
        /// To be named by the answer.
        lookup: Lookup,
        /// The Request-URI.
        uri: String,
    },
    /// What is this user's secret?
    Secret {
        /// To be named by the answer.
        id: SecretId,
        /// The user.
        user: String,
        /// The secret for this algorithm.
        algorithm: Algorithm,
    },
    /// The bindings of a user have changed.
    Registration(registrar::Event),
    /// Something worth counting, or knowing.
    Event(proxy::Event),
}

/// The SIP server of a domain.
#[derive(Debug)]
pub struct Server {
    proxy: Proxy,
    registrar: Registrar,
    guard: Guard,
    open: bool,
    transit: bool,
    /// Own domains whose users register elsewhere.
    others: Vec<String>,
    claims: BTreeMap<u64, (Claim, Waiting)>,
    next: u64,
    outbox: Outbox<Output>,
}

/// What waits for a password to be checked.
#[derive(Debug)]
enum Waiting {
    Register {
        source: Peer,
        request: Message,
    },
    Call {
        lookup: Lookup,
        uri: String,
        own: bool,
    },
}

impl Server {
    /// A server that nobody has registered at.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let secret = config.proxy.secret;
        let realm = config.proxy.domains.first().map_or("", String::as_str);
        let others = config.proxy.domains.iter().skip(1).cloned().collect();
        Self {
            guard: Guard::new(realm, secret, config.md5),
            registrar: Registrar::new(config.limits, secret),
            proxy: Proxy::new(config.proxy),
            open: config.open,
            transit: config.transit,
            others,
            claims: BTreeMap::new(),
            next: 0,
            outbox: Outbox::default(),
        }
    }

    /// The bindings of the domain's users.
    #[must_use]
    pub const fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The requests on their way.
    #[must_use]
    pub const fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    fn pump(&mut self, now: Instant) {
        while let Some(output) = self.proxy.poll_output() {
            match output {
                proxy::Output::Send { peer, message } => {
                    self.outbox.push(Output::Send { peer, message })
                }
                proxy::Output::Close { peer, breach } => {
                    self.outbox.push(Output::Close { peer, breach })
                }
                proxy::Output::Resolve { lookup, uri } => {
                    self.outbox.push(Output::Resolve { lookup, uri })
                }
                proxy::Output::Register { source, request } => {
                    self.take_register(source, request, now)
                }
                proxy::Output::Locate {
                    lookup,
                    uri,
                    own,
                    source,
                } => {
                    if source.transport == Transport::Inside {
                        // Whoever speaks for a phone has checked who calls it.
                        self.find(lookup, uri, own, now);
                    } else {
                        self.take_call(lookup, uri, own, now);
                    }
                }
                proxy::Output::Event(event) => self.outbox.push(Output::Event(event)),
            }
        }
        while let Some(event) = self.registrar.poll_event() {
            self.outbox.push(Output::Registration(event));
        }
    }

    fn take_register(&mut self, source: Peer, request: Message, now: Instant) {
        let served = request.to().is_some_and(|to| self.registers(to.uri));
        if !served && request.to().is_some_and(|to| Uri::read(to.uri).is_ok()) {
            let problem = "To is in no domain of this registrar";
            return self.proxy.reply(&request, source, 404, "", problem);
        }
        if self.open {
            return self.register(source, &request, now);
        }
        match self.guard.claim(&request, Door::Server, now) {
            Ok(claim) if self.claims.len() < CLAIMS => {
                self.ask(claim, Waiting::Register { source, request })
            }
            Ok(_) => self.proxy.reply(
                &request,
                source,
                503,
                "Retry-After: 5\r\n",
                "too many at once",
            ),
            Err(denied) => {
                let (status, lines, problem) = self.deny(denied, Door::Server, now);
                self.proxy.reply(&request, source, status, &lines, &problem);
            }
        }
    }

    /// Says whether a user has his password and his bindings here.
    fn registers(&self, aor: &str) -> bool {
        let host = Uri::read(aor).map_or_else(|_| String::new(), |uri| uri.host().into());
        let elsewhere = |domain: &String| domain.eq_ignore_ascii_case(&host);
        self.proxy.serves(aor) && !self.others.iter().any(elsewhere)
    }

    fn register(&mut self, source: Peer, request: &Message, now: Instant) {
        let answer = self.registrar.register(request, source, now);
        self.proxy.reply(
            request,
            source,
            answer.status,
            &answer.headers,
            answer.problem,
        );
    }

    /// A request that says nothing that would prove where it may go.
    fn take_call(&mut self, lookup: Lookup, uri: String, own: bool, now: Instant) {
        let Some(request) = self.proxy.request(lookup) else {
            return;
        };
        let ours = request.from().is_some_and(|from| self.registers(from.uri));
        if self.open || ours && request.method() == Method::Ack {
            return self.find(lookup, uri, own, now);
        }
        if !ours {
            if own {
                return self.find(lookup, uri, own, now);
            }
            return self.refuse(
                lookup,
                403,
                "",
                "this server forwards for its own users only",
                now,
            );
        }
        match self.guard.claim(request, Door::Proxy, now) {
            Ok(claim) if self.claims.len() < CLAIMS => {
                self.ask(claim, Waiting::Call { lookup, uri, own })
            }
            Ok(_) => self.refuse(lookup, 503, "Retry-After: 5\r\n", "too many at once", now),
            Err(denied) => {
                let (status, lines, problem) = self.deny(denied, Door::Proxy, now);
                self.refuse(lookup, status, &lines, &problem, now);
            }
        }
    }

    fn find(&mut self, lookup: Lookup, uri: String, own: bool, now: Instant) {
        if !own {
            if self.transit && !self.proxy.is_routed(lookup) {
                return self.outbox.push(Output::Elsewhere { lookup, uri });
            }
            return self.locate(
                lookup,
                Located::Targets(alloc::vec![Target::new(&uri)]),
                now,
            );
        }
        let Ok(user) = Uri::read(&uri) else {
            return self.refuse(lookup, 404, "", "no such user", now);
        };
        let targets = self.registrar.lookup(&user, now);
        if targets.is_empty() {
            self.outbox.push(Output::Elsewhere { lookup, uri });
        } else {
            self.locate(lookup, Located::Targets(targets), now);
        }
    }

    fn locate(&mut self, lookup: Lookup, located: Located, now: Instant) {
        self.proxy
            .handle_input(proxy::Input::Located { lookup, located }, now);
    }

    fn refuse(&mut self, lookup: Lookup, status: u16, lines: &str, problem: &str, now: Instant) {
        let refused = Located::Refused {
            status,
            headers: lines.into(),
            problem: problem.into(),
        };
        self.locate(lookup, refused, now);
    }

    fn ask(&mut self, claim: Claim, waiting: Waiting) {
        let (user, algorithm) = (claim.user.clone(), claim.algorithm);
        let id = self.next;
        self.next += 1;
        self.claims.insert(id, (claim, waiting));
        let id = SecretId(id);
        self.outbox.push(Output::Secret {
            id,
            user,
            algorithm,
        });
    }

    /// Status, header lines and sentence of a denial.
    fn deny(&mut self, denied: Denied, door: Door, now: Instant) -> (u16, String, String) {
        let problem = alloc::format!("{denied}");
        match denied {
            Denied::Missing | Denied::Stale => {
                let lines = self.guard.challenge(door, denied == Denied::Stale, now);
                (door.status(), lines, problem)
            }
            Denied::Refused(_) => (400, String::new(), problem),
        }
    }

    fn take_secret(&mut self, SecretId(id): SecretId, secret: Option<&str>, now: Instant) {
        let Some((claim, waiting)) = self.claims.remove(&id) else {
            return;
        };
        let verdict = self.guard.check(&claim, secret, now);
        let door = match waiting {
            Waiting::Register { .. } => Door::Server,
            Waiting::Call { .. } => Door::Proxy,
        };
        let refusal = match verdict {
            Verdict::Granted => None,
            Verdict::Wrong => Some((false, "user or password is wrong")),
            Verdict::Replayed => Some((true, "the nonce was used before")),
        };
        let refusal = refusal.map(|(stale, problem)| {
            (
                door.status(),
                self.guard.challenge(door, stale, now),
                problem,
            )
        });
        match waiting {
            Waiting::Register { source, request } => {
                let refusal = refusal.or_else(|| {
                    let to = request.to().map_or("", |to| to.uri);
                    let foreign = (403, String::new(), "the password is another user's");
                    (!is_user(to, &claim.user)).then_some(foreign)
                });
                match refusal {
                    None => self.register(source, &request, now),
                    Some((status, lines, problem)) => {
                        self.proxy.reply(&request, source, status, &lines, problem);
                    }
                }
            }
            Waiting::Call { lookup, uri, own } => {
                let from = self.proxy.request(lookup).and_then(Message::from);
                let own_name = from.is_some_and(|from| is_user(from.uri, &claim.user));
                match refusal {
                    Some((status, lines, problem)) => {
                        self.refuse(lookup, status, &lines, problem, now)
                    }
                    None if own_name => self.find(lookup, uri, own, now),
                    None => {
                        self.refuse(lookup, 403, "", "From is not the user of the password", now)
                    }
                }
            }
        }
    }
}

impl Machine for Server {
    type Input = Input;
    type Output = Output;

    fn handle_input(&mut self, input: Input, now: Instant) {
        match input {
            Input::Proxy(input) => self.proxy.handle_input(input, now),
            Input::Secret { id, secret } => self.take_secret(id, secret.as_deref(), now),
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.proxy.handle_timeout(now);
        self.registrar.handle_timeout(now);
        self.pump(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earlier(self.proxy.poll_timeout(), self.registrar.poll_timeout())
    }
}

/// Says whether a URI's user part is this user.
fn is_user(uri: &str, user: &str) -> bool {
    Uri::read(uri).is_ok_and(|uri| uri.user() == user)
}
