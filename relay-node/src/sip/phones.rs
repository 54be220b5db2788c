//! The lines of the phones that are registered here: each is a user of the overlay by a certificate that the login server gives
//! this super node for it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::Certificate;
use login_server::wire::{Delegation, PhoneRequest, phone_text};
use machine::{Instant, Machine};
use p2psip::{
    Aor, CallId, Config, Contact, Input, LineInput, LinkId, PhoneLine, SuperNodeInput, line_of,
    proxy_place,
};
use sip::registrar::Registrar;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::line::Line;
use super::overlay::hosts;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Origin;
use crate::crypto::{Key, entropy};
use crate::direct::Door;
use crate::driver;
use crate::identity::Identity;
use crate::media::Keys;
use crate::node::Api;

/// Facts that may wait.
const ARRIVALS: usize = 4_096;
/// Certificates that are asked for at once.
const ASKED: usize = 1_024;
/// How long a certificate that could not be had waits for the next try.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is tried while the login server can't be reached.
const TRIES: u32 = 20;

/// What the lines' tasks tell.
pub(super) enum Arrival {
    /// Something for the node of the overlay.
    Peer { aor: Arc<str>, input: Input },
    /// The super node has ended a link.
    Closed { aor: Arc<str>, link: LinkId },
    /// The page of a call has gone.
    Lost { aor: Arc<str>, call: CallId },
}

/// What all lines share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) key: Key,
    pub(super) keys: Keys,
    pub(super) door: Door,
    /// The address of this super node that lines dial.
    pub(super) url: String,
    /// Where the sockets for sound are, and where others reach them.
    pub(super) listen: IpAddr,
    pub(super) host: IpAddr,
    pub(super) arrivals: mpsc::Sender<Arrival>,
}

impl Shared {
    pub(super) fn tell(&self, fact: SuperNodeInput) {
        // A super node with so much to do sheds its users; this one comes again.
        let _ = self.door.arrivals.try_send(driver::Arrival::Fact(fact));
    }
}

/// The lines of a super node.
pub(super) struct Phones {
    shared: Shared,
    identity: Identity,
    login: Option<Origin>,
    client: Client,
    proxy: p2psip::location::Location,
    lines: HashMap<Arc<str>, Line>,
    /// When each line has something to do.
    timers: BTreeSet<(Instant, Arc<str>)>,
    arriving: mpsc::Receiver<Arrival>,
    asked: JoinSet<(Arc<str>, Result<Certificate, String>)>,
    waiting: HashSet<Arc<str>>,
    /// SIP for the proxy.
    pub(super) sip: Vec<Vec<u8>>,
}

impl Phones {
    /// The lines of the super node behind `api`, whose proxy is at this address.
    pub(super) fn new(
        api: &Api,
        clock: Clock,
        (listen, reached): (IpAddr, IpAddr),
        (host, port): (&str, u16),
    ) -> Option<Self> {
        let keys = Keys::generate()
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()?;
        let (arrivals, arriving) = mpsc::channel(ARRIVALS);
        let identity = api.identity.borrow().clone();
        Some(Self {
            shared: Shared {
                clock,
                key: identity.key.clone(),
                keys,
                door: api.door.clone(),
                url: api.url.clone(),
                listen,
                host: reached,
                arrivals,
            },
            identity,
            login: api.login.clone(),
            client: api.client.clone(),
            proxy: proxy_place(host, port),
            lines: HashMap::new(),
            timers: BTreeSet::new(),
            arriving,
            asked: JoinSet::new(),
            waiting: HashSet::new(),
            sip: Vec::new(),
        })
    }

    /// Says whether the overlay knows a phone of this user here.
    pub(super) fn has(&self, user: &Aor) -> bool {
        self.lines.contains_key(user.uri())
    }

    /// The bindings of a user have changed, or were refreshed.
    pub(super) fn note(&mut self, aor: &Arc<str>, registrar: &Registrar) {
        let now = self.shared.clock.now();
        let registered = registrar.contacts(aor).next().is_some();
        let half = self.shared.clock.wall() + DAY / 2;
        match self.lines.get_mut(aor) {
            Some(line) if registered => {
                line.machine.go_online(self.shared.keys.fingerprint(), now);
                if line.until < half {
                    self.ask(aor);
                }
            }
            Some(line) => line.machine.go_offline(now),
            None if registered => self.ask(aor),
            None => {}
        }
        self.drain(aor, registrar);
    }

    /// Asks the login server for a certificate that lets this super node speak for a user's phone.
    fn ask(&mut self, aor: &Arc<str>) {
        let Some(user) = Aor::read(aor).filter(|user| user.domain() == self.identity.domain) else {
            return;
        };
        let Some(login) = self.login.clone() else {
            return;
        };
        if self.asked.len() >= ASKED || !self.waiting.insert(aor.clone()) {
            return;
        }
        let (client, identity) = (self.client.clone(), self.identity.clone());
        let (clock, aor) = (self.shared.clock, aor.clone());
        let name = user
            .name()
            .rsplit_once('@')
            .map_or("", |(name, _)| name)
            .to_owned();
        self.asked.spawn(async move {
            let mut tries = 0;
            loop {
                match request(&client, &login, &identity, &clock, &name).await {
                    Err((error, true)) if tries < TRIES => {
                        tries += 1;
                        tracing::debug!(%aor, "no certificate for a phone: {error}");
                        tokio::time::sleep(AGAIN).await;
                    }
                    answer => return (aor, answer.map_err(|(error, _)| error)),
                }
            }
        });
    }

    /// Waits for what comes; `registrar` says where phones are. Nothing is lost if it is given up.
    pub(super) async fn next(&mut self) -> Arrived {
        let due = self.timers.first().map(|(due, _)| *due);
        let due = due.map(|due| self.shared.clock.deadline(due));
        let later = due.unwrap_or_else(tokio::time::Instant::now);
        tokio::select! {
            Some(arrival) = self.arriving.recv() => Arrived::Fact(arrival),
            Some(asked) = self.asked.join_next() => match asked {
                Ok((aor, answer)) => Arrived::Certified(aor, Box::new(answer)),
                Err(_) => Arrived::Due,
            },
            () = tokio::time::sleep_until(later), if due.is_some() => Arrived::Due,
            else => std::future::pending().await,
        }
    }

    /// Takes in what [`next`](Self::next) found.
    pub(super) fn take(&mut self, arrived: Arrived, registrar: &Registrar) {
        match arrived {
            Arrived::Fact(Arrival::Peer { aor, input }) => {
                self.input(&aor, LineInput::Peer(input), registrar);
            }
            Arrived::Fact(Arrival::Lost { aor, call }) => {
                self.input(&aor, LineInput::Lost { call }, registrar);
            }
            Arrived::Fact(Arrival::Closed { aor, link }) => {
                if let Some(line) = self.lines.get_mut(&aor) {
                    line.closed(link, &self.shared);
                }
                self.drain(&aor, registrar);
            }
            Arrived::Certified(aor, answer) => self.certified(&aor, *answer, registrar),
            Arrived::Due => {
                let now = self.shared.clock.now();
                let due = self.timers.iter().take_while(|(due, _)| *due <= now);
                let lines: Vec<Arc<str>> = due.map(|(_, aor)| aor.clone()).collect();
                for aor in lines {
                    if let Some(line) = self.lines.get_mut(&aor) {
                        line.machine.handle_timeout(now);
                    }
                    self.drain(&aor, registrar);
                }
            }
        }
    }

    /// Takes in what the proxy sends to a line.
    pub(super) fn receive(&mut self, message: Vec<u8>, registrar: &Registrar) {
        let read = sip::Message::parse(message.clone()).ok();
        let Some(user) = read.as_ref().and_then(line_of) else {
            return;
        };
        let aor: Arc<str> = user.uri().into();
        self.input(&aor, LineInput::Sip(message), registrar);
    }

    fn input(&mut self, aor: &Arc<str>, input: LineInput, registrar: &Registrar) {
        if let Some(line) = self.lines.get_mut(aor) {
            line.input(input, &self.shared);
        }
        self.drain(aor, registrar);
    }

    fn drain(&mut self, aor: &Arc<str>, registrar: &Registrar) {
        if let Some(line) = self.lines.get_mut(aor) {
            let hosts = hosts(registrar, aor);
            let sip = line.drain(&self.shared, &hosts);
            self.sip.extend(sip);
            let due = line.machine.poll_timeout();
            if due != line.due {
                let before = std::mem::replace(&mut line.due, due);
                before.map(|before| self.timers.remove(&(before, aor.clone())));
                due.map(|due| self.timers.insert((due, aor.clone())));
            }
        }
    }

    fn certified(
        &mut self,
        aor: &Arc<str>,
        answer: Result<Certificate, String>,
        registrar: &Registrar,
    ) {
        self.waiting.remove(aor);
        let certificate = match answer {
            Ok(certificate) => certificate,
            Err(error) => {
                return tracing::warn!(%aor, "pages and other super nodes won't find this phone: {error}");
            }
        };
        let (now, until) = (self.shared.clock.now(), certificate.not_after());
        match self.lines.get_mut(aor) {
            Some(line) => {
                line.until = until;
                line.machine.set_credential(certificate, now);
            }
            None => {
                let config = Config {
                    anchor: self.identity.anchor.clone(),
                    certificate,
                    name: None,
                    super_nodes: vec![Contact {
                        node: Some(self.identity.node),
                        url: self.shared.url.clone(),
                    }],
                    revocations: None,
                    seed: entropy(),
                    wall: self.shared.clock.wall_clock(),
                };
                let print = self.shared.keys.fingerprint();
                let mut machine = PhoneLine::new(config, self.proxy.clone(), print, now);
                if registrar.contacts(aor).next().is_none() {
                    machine.go_offline(now);
                }
                let line = Line::new(aor.clone(), machine, until);
                self.lines.insert(aor.clone(), line);
            }
        }
        self.drain(aor, registrar);
    }
}

/// What [`Phones::next`] has waited for.
pub(super) enum Arrived {
    Fact(Arrival),
    Certified(Arc<str>, Box<Result<Certificate, String>>),
    Due,
}

/// How long a delegated certificate lasts, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Asks for one certificate. An error says whether it may pass.
async fn request(
    client: &Client,
    login: &Origin,
    identity: &Identity,
    clock: &Clock,
    user: &str,
) -> Result<Certificate, (String, bool)> {
    let timestamp = clock.wall();
    let text = phone_text(&identity.anchor.overlay().to_string(), timestamp, user);
    let request = PhoneRequest {
        certificate: STANDARD.encode(identity.certificate.der()),
        user: user.to_owned(),
        timestamp,
        signature: STANDARD.encode(identity.key.sign(text.as_bytes()).0),
    };
    let answer: Delegation = client
        .post(login, "/phone", &request)
        .await
        .map_err(|error| (format!("the login server {error}"), error.passing()))?;
    let der = STANDARD.decode(&answer.certificate).ok();
    der.and_then(|der| Certificate::read(&der).ok())
        .ok_or_else(|| ("the login server gave no certificate".to_owned(), false))
}
