//! The role SIP server: the sockets around [`sip::server::Server`].
//!
//! One task owns the machine and the UDP socket. Each connection has a task of its own that cuts its bytes into messages; what
//! is sent on it waits in a queue that is bounded, and who doesn't read is cut off.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use machine::Machine;
use p2psip::{Aor, Whereabouts};
use ring::hmac;
use sip::message::Flaw;
use sip::proxy::{Event, Input as ProxyInput, Listener, Located, Lookup, Target};
use sip::registrar::Event as Registration;
use sip::server::{Config, Input, Output, Server};
use sip::{Peer, Transport};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::config::Sip;
use crate::crypto::{Key, entropy};
use crate::node::{Api, in_words};
use crate::tls::{self, TlsError};

mod connections;
mod domain;
mod gateway;
mod line;
mod names;
mod overlay;
mod phones;
mod websockets;

use connections::{Arrival, Connections};
pub(crate) use gateway::Overlays;
use gateway::{Gateway, LIFETIME};
use names::{Named, Names};
use overlay::{Overlay, Told};
use phones::{Arrived, Phones};
pub(crate) use websockets::{Foreign, WebSockets};

/// Messages from connections that may wait.
const ARRIVALS: usize = 4_096;
/// Datagrams taken in before anything else is looked at.
const BATCH: usize = 64;
/// The largest datagram.
const LARGEST: usize = 65_536;
/// The most requests at once.
const REQUESTS: usize = 200_000;

/// Why the SIP server does not start.
#[derive(Debug)]
pub enum SipError {
    /// An address can't be listened on.
    Listen(&'static str, SocketAddr, std::io::Error),
    /// A TLS file can't be used.
    Tls(TlsError),
}

impl fmt::Display for SipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(what, address, error) => {
                write!(
                    f,
                    "SIP over {what} can't listen on {address}: {}",
                    in_words(error)
                )
            }
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SipError {}

/// A SIP server that runs.
#[derive(Debug)]
pub struct RunningSip {
    /// The address for UDP and TCP.
    pub listen: SocketAddr,
    /// The address for TLS.
    pub tls: Option<SocketAddr>,
    /// Takes WebSockets in.
    pub(crate) websockets: WebSockets,
    /// Ends with it.
    pub(crate) task: JoinHandle<()>,
}

/// Starts the SIP server of a domain that no overlay knows of.
///
/// # Errors
/// What keeps it from starting.
pub async fn start(config: Sip) -> Result<RunningSip, SipError> {
    start_with(config, None, Overlays::new()).await
}

/// Starts the SIP server, which places records of its users in the overlay, and looks for those of others there, or in other
/// overlays of this process.
pub(crate) async fn start_with(
    config: Sip,
    api: Option<Api>,
    overlays: Overlays,
) -> Result<RunningSip, SipError> {
    let clock = Clock::start();
    let listen = |what| move |error| SipError::Listen(what, config.listen, error);
    let tcp = TcpListener::bind(config.listen)
        .await
        .map_err(listen("TCP"))?;
    // Port 0 lets the system choose: the same one for both.
    let address = tcp.local_addr().map_err(listen("TCP"))?;
    let udp = UdpSocket::bind(address).await.map_err(listen("UDP"))?;
    let secured = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            let followed = tls::follow(certificate, key).map_err(SipError::Tls)?;
            let mut wanted = config.tls();
            if config.tls.is_none() && config.listen.port() == 0 {
                wanted.set_port(0);
            }
            let failed = |error| SipError::Listen("TLS", wanted, error);
            let listener = TcpListener::bind(wanted).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Some((listener, followed, address))
        }
        (_, _) => None,
    };
    let tls = secured.as_ref().map(|(_, _, address)| *address);
    let (arrivals, arriving) = mpsc::channel(ARRIVALS);
    let connections = Connections::start(
        tcp,
        secured.map(|(listener, followed, _)| (listener, followed)),
        domain::client(config.trust.as_deref()).map_err(SipError::Tls)?,
        arrivals,
    );
    let websockets = connections.websockets();
    let key = api.as_ref().map(|api| api.identity.borrow().key.clone());
    let lasting = lasting(&config, key.as_ref());
    let machine = Server::new(machine_config(&config, address, tls, lasting));
    let host = config.host();
    let reached = reached(&host, address.ip()).await;
    let certified = api.as_ref().filter(|api| api.login.is_some());
    let phones = certified
        .and_then(|api| Phones::new(api, clock, (address.ip(), reached), (&host, address.port())));
    let ports = (address.port(), tls.map(|tls| tls.port()));
    let own = api.as_ref().map(|api| api.overlay);
    let gateway = Gateway::new(&config, own, overlays, ports, clock, LIFETIME);
    let overlay = Overlay::new(api, clock, &host, address.port());
    let driver = Driver {
        overlay,
        gateway,
        phones,
        machine,
        clock,
        udp,
        connections,
        names: Names::new(&config.dns),
        config,
    };
    tracing::info!(%address, ?tls, "SIP");
    Ok(RunningSip {
        listen: address,
        tls,
        websockets,
        task: tokio::spawn(driver.run(arriving)),
    })
}

/// The number of the host that others are told, for media: names are no use there.
async fn reached(host: &str, listen: IpAddr) -> IpAddr {
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), 0)).await;
    let mut found = found.into_iter().flatten().map(|address| address.ip());
    let found = found.find(|ip| ip.is_ipv4() == listen.is_ipv4());
    found.unwrap_or_else(|| {
        tracing::warn!(
            host,
            "the host of SIP has no address: sound won't find this node"
        );
        listen
    })
}

/// What seals the calls' way: the same after a restart.
fn lasting(config: &Sip, key: Option<&Key>) -> [u8; 16] {
    let secret = match (&config.secret, key) {
        (Some(secret), _) => secret.reveal().as_bytes(),
        (None, Some(key)) => key.pkcs8(),
        (None, None) => return entropy(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, b"partyline: the way of SIP dialogs");
    tag.as_ref().first_chunk().copied().unwrap_or_else(entropy)
}

fn machine_config(
    config: &Sip,
    address: SocketAddr,
    tls: Option<SocketAddr>,
    lasting: [u8; 16],
) -> Config {
    let listener = |transport, port| Listener {
        transport,
        host: config.host(),
        port,
    };
    let mut listeners = vec![
        listener(Transport::Udp, address.port()),
        listener(Transport::Tcp, address.port()),
    ];
    listeners.extend(tls.map(|tls| listener(Transport::Tls, tls.port())));
    Config {
        proxy: sip::proxy::Config {
            listeners,
            domains: [config.domain.to_ascii_lowercase()]
                .into_iter()
                .chain(config.domains().into_keys())
                .collect(),
            secret: entropy(),
            lasting,
            record_route: config.record_route,
            requests: REQUESTS,
        },
        limits: sip::registrar::Limits::default(),
        open: config.open_registrar,
        transit: config.transit.is_some(),
        md5: config.md5,
    }
}

struct Driver {
    machine: Server,
    clock: Clock,
    udp: UdpSocket,
    connections: Connections,
    names: Names,
    overlay: Overlay,
    gateway: Gateway,
    /// The lines of the phones, where there is an overlay that may know of them.
    phones: Option<Phones>,
    config: Sip,
}

impl Driver {
    async fn run(mut self, mut arriving: mpsc::Receiver<Arrival>) {
        let mut buffer = vec![0; LARGEST];
        loop {
            let due = self.machine.poll_timeout();
            let due = due.map(|due| self.clock.deadline(due));
            tokio::select! {
                ready = self.udp.readable() => match ready {
                    Ok(()) => self.take_datagrams(&mut buffer),
                    Err(error) => tracing::warn!("SIP socket: {error}"),
                },
                Some(arrival) = arriving.recv() => self.take_arrival(arrival),
                Some(named) = self.names.next() => self.take_named(named),
                Some((lookup, targets)) = self.gateway.next() => {
                    let located = Located::Targets(targets);
                    self.input(ProxyInput::Located { lookup, located });
                }
                Some(told) = self.overlay.next() => self.take_told(told),
                Some(arrived) = heard(&mut self.phones) => self.take_heard(arrived),
                () = async { sleep_until(due.unwrap_or_else(tokio::time::Instant::now)).await }, if due.is_some() => {
                    self.machine.handle_timeout(self.clock.now());
                    self.drain();
                }
            }
        }
    }

    fn take_datagrams(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.udp.try_recv_from(buffer) {
                // Keep-alives of phones are shorter than any message.
                Ok((length, _)) if length < 16 => {}
                Ok((length, from)) => {
                    let source = Peer::at(Transport::Udp, from);
                    let message = buffer[..length].to_vec();
                    self.input(ProxyInput::Received { source, message });
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // An ICMP error for something that was sent: nothing is wrong with the socket.
                Err(error) => tracing::debug!("SIP socket: {error}"),
            }
        }
    }

    fn take_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Opened { peer, outlet } => self.connections.add(peer, outlet),
            Arrival::Message { source, message } => {
                self.input(ProxyInput::Received { source, message });
            }
            Arrival::Broken { source, broken } => {
                self.input(ProxyInput::Broken { source, broken });
            }
            Arrival::Closed { peer, unsent } => {
                self.connections.remove(peer);
                for message in unsent {
                    self.input(ProxyInput::Undelivered { message });
                }
            }
        }
    }

    fn take_named(&mut self, named: Named) {
        let peers = named.peers.into_iter();
        let peers = peers.map(|peer| self.connections.name(peer, &named.domain));
        let (lookup, peers) = (named.lookup, peers.collect());
        self.input(ProxyInput::Resolved { lookup, peers });
    }

    fn take_told(&mut self, told: Told) {
        match told {
            Told::Found { lookup, uri, place } => {
                let located = match place {
                    Whereabouts::Pages => self.by_line(lookup, &uri),
                    Whereabouts::Phones(targets) => Located::Targets(targets),
                    Whereabouts::Nowhere => Located::Targets(self.gateway.location_server(&uri)),
                };
                self.input(ProxyInput::Located { lookup, located });
            }
            Told::NotPlaced { aor } => self.overlay.note(&aor, self.machine.registrar(), true),
        }
    }

    /// To a page goes a call by the line of the phone that makes it.
    fn by_line(&self, lookup: Lookup, uri: &str) -> Located {
        let caller = self.machine.proxy().request(lookup);
        let caller = caller.and_then(|request| Aor::read(request.from()?.uri));
        let known = caller.zip(self.phones.as_ref());
        if known.is_some_and(|(caller, phones)| phones.has(&caller)) {
            let mut target = Target::new(uri);
            target.flow = Some(Peer::INSIDE);
            return Located::Targets(vec![target]);
        }
        Located::Refused {
            status: 403,
            headers: String::new(),
            problem: "who calls a page must be registered here, with an address that the overlay lets this server speak for"
                .to_owned(),
        }
    }

    fn take_heard(&mut self, arrived: Arrived) {
        if let Some(phones) = &mut self.phones {
            phones.take(arrived, self.machine.registrar());
        }
        self.drain();
    }

    fn input(&mut self, input: ProxyInput) {
        self.machine
            .handle_input(Input::Proxy(input), self.clock.now());
        self.drain();
    }

    /// Does what the machine and the lines want, until they want nothing more.
    fn drain(&mut self) {
        loop {
            self.perform_all();
            let said = self
                .phones
                .as_mut()
                .map(|phones| std::mem::take(&mut phones.sip));
            let said = said.unwrap_or_default();
            if said.is_empty() {
                return;
            }
            for message in said {
                let source = Peer::INSIDE;
                let received = ProxyInput::Received { source, message };
                self.machine
                    .handle_input(Input::Proxy(received), self.clock.now());
            }
        }
    }

    fn perform_all(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { peer, message } => self.send(peer, message),
                Output::Close { peer, breach } => {
                    tracing::info!(%peer, "SIP connection closed: {breach}");
                    self.connections.close(peer);
                }
                Output::Resolve { lookup, uri } => self.names.resolve(lookup, &uri),
                Output::Elsewhere { lookup, uri } => {
                    let chief = self.config.domain.to_ascii_lowercase();
                    if !self.gateway.find(lookup, &uri, &chief) {
                        self.overlay.find(lookup, uri);
                    }
                }
                Output::Secret {
                    id,
                    user,
                    algorithm,
                } => {
                    let password = self.config.users.get(&user);
                    let domain = self.config.domain.to_ascii_lowercase();
                    let secret =
                        password.map(|word| algorithm.secret(&user, &domain, word.reveal()));
                    self.machine
                        .handle_input(Input::Secret { id, secret }, self.clock.now());
                }
                Output::Registration(Registration::Refreshed { aor }) => self.note(&aor, false),
                Output::Registration(
                    Registration::Bound { aor } | Registration::Unbound { aor },
                ) => self.note(&aor, true),
                Output::Event(event) => tell(&event),
            }
        }
    }

    /// The bindings of a user have changed, or were refreshed.
    fn note(&mut self, aor: &Arc<str>, changed: bool) {
        if let Some(phones) = &mut self.phones {
            phones.note(aor, self.machine.registrar());
        } else if self.overlay.signs() {
            self.overlay.note(aor, self.machine.registrar(), changed);
        }
    }

    fn send(&mut self, peer: Peer, message: Vec<u8>) {
        if peer.transport == Transport::Inside {
            if let Some(phones) = &mut self.phones {
                phones.receive(message, self.machine.registrar());
            }
        } else if peer.transport == Transport::Udp {
            // What does not fit into the socket's buffer is lost as in any network, and sent again.
            if let Err(error) = self.udp.try_send_to(&message, peer.address) {
                tracing::debug!(%peer, "SIP datagram not sent: {error}");
            }
        } else if let Err(message) = self.connections.send(peer, message) {
            let answer = Input::Proxy(ProxyInput::Undelivered { message });
            self.machine.handle_input(answer, self.clock.now());
        }
    }
}

/// What the lines hear of their links, sockets and timers; never, if there are none.
async fn heard(phones: &mut Option<Phones>) -> Option<Arrived> {
    match phones {
        Some(phones) => Some(phones.next().await),
        None => std::future::pending().await,
    }
}

fn tell(event: &Event) {
    match event {
        // Scanners send all kinds of things to SIP ports.
        Event::Malformed {
            source,
            flaw: Flaw::StartLine | Flaw::Character | Flaw::LineEnd,
        } => {
            tracing::debug!(%source, "what came is not SIP");
        }
        Event::Malformed { source, flaw } => {
            tracing::info!(%source, "malformed SIP message: {flaw}")
        }
        Event::Stray { source } => tracing::debug!(%source, "SIP response to nothing"),
        Event::Refused { source, status } => {
            tracing::debug!(%source, status, "SIP request refused")
        }
        Event::FlowFailed { flow, uri } => tracing::debug!(%flow, uri, "SIP flow failed"),
    }
}

#[cfg(test)]
mod tests;
