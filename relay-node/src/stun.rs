//! The STUN and TURN server's sockets, on a thread of their own.
//!
//! ```text
//! epoll ──► datagrams: recvmmsg ─ Server::route ─ sendmsg (GSO) from a relayed address
//!       ──► relayed addresses: recvmsg ─ Server::wrap ─ sendmmsg to clients, once per round
//!       ──► streams: TCP and TLS ─ Input::Bytes, Output::Write
//! ```
//!
//! A packet that is relayed passes through no queue and no other thread; what it costs is what the kernel takes.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use machine::{Instant, Machine};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustls::ServerConfig;
use tokio::sync::watch;
use turn::{Counters, Input, Output, Server};

use crate::clock::Clock;
use crate::crypto::entropy;

mod complaints;
mod datagrams;
mod peers;
mod streams;

use datagrams::Datagrams;
use peers::Peers;
use streams::Streams;

/// Events taken at once.
const EVENTS: usize = 256;
/// With so little time from one waking to the next, more packets come soon: they are awaited together, for to wake costs more
/// than to relay.
const SOON: Duration = Duration::from_micros(600);
/// How long they are awaited. A packet of speech is worth 20 ms.
const GATHER: Duration = Duration::from_micros(500);
/// Events beyond which nothing is awaited: there is enough to do.
const PLENTY: usize = 32;

/// How often its operator hears what it did.
const REPORT: Duration = Duration::from_secs(60);

/// Where the server listens.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: Option<TcpListener>,
    pub(crate) tls: Option<(TcpListener, watch::Receiver<Arc<ServerConfig>>)>,
}

/// A server that runs. It ends, and closes its sockets, with this value.
#[derive(Debug)]
pub(crate) struct Running {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Whom an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Stop,
    Datagrams,
    Tcp,
    Tls,
    /// A relayed address, by its index.
    Relay(usize),
    Stream(u64),
    Peer(u64),
}

/// Starts the server.
///
/// # Errors
/// The system gives no thread, or the sockets can't be used.
pub(crate) fn start(
    listeners: Listeners,
    config: turn::Config,
    clock: Clock,
) -> io::Result<Running> {
    let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let worker = Worker::new(listeners, config, clock, stop.clone())?;
    let thread = std::thread::Builder::new()
        .name("turn".to_owned())
        .spawn(move || worker.run())?;
    Ok(Running {
        stop,
        thread: Some(thread),
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    server: Server,
    clock: Clock,
    epoll: OwnedFd,
    datagrams: Datagrams,
    streams: Streams,
    peers: Peers,
    /// What its operator has heard, and when he hears more.
    told: (Counters, Instant),
    _stop: Arc<OwnedFd>,
}

impl Worker {
    fn new(
        listeners: Listeners,
        config: turn::Config,
        clock: Clock,
        stop: Arc<OwnedFd>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch_for(&epoll, &stop, Token::Stop, false)?;
        watch_for(&epoll, &listeners.udp, Token::Datagrams, false)?;
        if let Some(tcp) = &listeners.tcp {
            tcp.set_nonblocking(true)?;
            watch_for(&epoll, tcp, Token::Tcp, false)?;
        }
        if let Some((tls, _)) = &listeners.tls {
            tls.set_nonblocking(true)?;
            watch_for(&epoll, tls, Token::Tls, false)?;
        }
        Ok(Self {
            server: Server::new(config, entropy()),
            clock,
            datagrams: Datagrams::new(listeners.udp)?,
            streams: Streams::new(listeners.tcp, listeners.tls),
            peers: Peers::default(),
            epoll,
            told: (Counters::default(), clock.now() + REPORT),
            _stop: stop,
        })
    }

    fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        let mut woken = self.clock.now();
        loop {
            let due = [self.server.poll_timeout(), self.report_due()];
            let wait = due.into_iter().flatten().min().map(|due| {
                let ahead = due - self.clock.now();
                Timespec {
                    tv_sec: ahead.as_secs() as i64,
                    tv_nsec: i64::from(ahead.subsec_nanos()),
                }
            });
            if let Err(error) = epoll::wait(&self.epoll, spare_capacity(&mut events), wait.as_ref())
                && error != rustix::io::Errno::INTR
            {
                tracing::error!("the STUN and TURN server ends: {error}");
                return;
            }
            let count = events.len();
            for event in events.drain(..) {
                let (data, flags) = (event.data.u64(), event.flags);
                if !self.event(Token::read(data), flags) {
                    return;
                }
            }
            let now = self.clock.now();
            if self.server.poll_timeout().is_some_and(|due| due <= now) {
                self.server.handle_timeout(now);
            }
            if self.report_due().is_some_and(|due| due <= now) {
                self.report(now);
            }
            self.perform();
            self.datagrams.flush();
            if count < PLENTY && now - woken < SOON {
                std::thread::sleep(GATHER);
            }
            woken = now;
        }
    }

    /// When its operator hears more; never, while nothing happens.
    fn report_due(&self) -> Option<Instant> {
        (self.server.counters() != self.told.0).then_some(self.told.1)
    }

    fn report(&mut self, now: Instant) {
        let counters = self.server.counters();
        tracing::info!(
            allocations = self.server.allocations(),
            allocated = counters.allocated,
            relayed = counters.relayed,
            bytes = counters.relayed_bytes,
            dropped = counters.dropped,
            forbidden = counters.forbidden,
            refused = counters.refused,
            limited = counters.limited,
            malformed = counters.malformed,
            answered = counters.answered,
            "STUN and TURN so far"
        );
        self.told = (counters, now + REPORT);
    }

    /// Does what an event asks for; false if that is to end.
    fn event(&mut self, token: Token, flags: epoll::EventFlags) -> bool {
        let now = self.clock.now();
        match token {
            Token::Stop => {
                if self.report_due().is_some() {
                    self.report(now);
                }
                return false;
            }
            Token::Datagrams => self.datagrams.receive(&mut self.server, &self.peers, now),
            Token::Relay(index) => {
                if let Some(knock) = self.peers.knock(index) {
                    self.take_knock(knock);
                } else {
                    if flags.contains(epoll::EventFlags::ERR) {
                        for input in self.peers.complaints(index) {
                            self.server.handle_input(input, now);
                        }
                    }
                    let (peers, streams) = (&self.peers, &mut self.streams);
                    self.datagrams
                        .receive_relayed(&mut self.server, peers, index, streams, now);
                }
            }
            Token::Tcp | Token::Tls => {
                for (stream, from) in self.streams.accept(&self.epoll, token == Token::Tls) {
                    self.server
                        .handle_input(Input::Opened { stream, from }, now);
                }
            }
            Token::Stream(number) => {
                for input in self.streams.ready(number, flags, &mut self.peers) {
                    self.server.handle_input(input, now);
                }
            }
            Token::Peer(number) => {
                if let Some(input) = self.peers.ready(number, flags, &mut self.streams) {
                    self.server.handle_input(input, now);
                }
            }
        }
        self.perform();
        self.streams.arm(&self.epoll, &mut self.peers);
        true
    }

    fn take_knock(&mut self, (relay, knock, from): (turn::RelayId, u64, SocketAddr)) {
        self.server
            .handle_input(Input::Knocked { relay, knock, from }, self.clock.now());
    }

    fn perform(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { to, bytes } => self.datagrams.send(to, &bytes),
                Output::Write { stream, bytes } => self.streams.write(stream, &bytes),
                Output::Close { stream } => self.streams.close(stream),
                Output::Bind {
                    relay,
                    address,
                    tcp,
                } => {
                    let input = match self.peers.bind(&self.epoll, relay, address, tcp) {
                        Ok(()) => Input::Bound { relay },
                        Err(_) => Input::BindFailed { relay },
                    };
                    self.server.handle_input(input, self.clock.now());
                }
                Output::Unbind { relay } => self.peers.unbind(relay),
                Output::Relay {
                    relay,
                    to,
                    bytes,
                    dont_fragment,
                } => {
                    self.peers.send(relay, to, &bytes, None, dont_fragment);
                }
                Output::Dial {
                    connection,
                    relay,
                    peer,
                } => {
                    if self
                        .peers
                        .dial(&self.epoll, connection, relay, peer)
                        .is_err()
                    {
                        self.server
                            .handle_input(Input::DialFailed { connection }, self.clock.now());
                    }
                }
                Output::Accept { knock, connection } => self.peers.accept(knock, connection),
                Output::Refuse { knock } => self.peers.refuse(knock),
                Output::Join {
                    stream,
                    connection,
                    bytes,
                } => {
                    self.streams.join(stream, connection);
                    self.peers.join(&self.epoll, connection, stream, &bytes);
                }
                Output::HangUp { connection } => {
                    if let Some(stream) = self.peers.hang_up(connection) {
                        self.streams.close(stream);
                    }
                }
            }
        }
    }
}

impl Token {
    fn number(self) -> u64 {
        let (kind, number) = match self {
            Self::Stop => (0, 0),
            Self::Datagrams => (1, 0),
            Self::Tcp => (2, 0),
            Self::Tls => (3, 0),
            Self::Relay(index) => (4, index as u64),
            Self::Stream(number) => (5, number),
            Self::Peer(number) => (6, number),
        };
        kind << 56 | number
    }

    fn read(data: u64) -> Self {
        let number = data & ((1 << 56) - 1);
        match data >> 56 {
            0 => Self::Stop,
            1 => Self::Datagrams,
            2 => Self::Tcp,
            3 => Self::Tls,
            4 => Self::Relay(number as usize),
            5 => Self::Stream(number),
            _ => Self::Peer(number),
        }
    }
}

fn watch_for(epoll: &OwnedFd, socket: impl AsFd, token: Token, writing: bool) -> io::Result<()> {
    let flags = if writing {
        epoll::EventFlags::OUT
    } else {
        epoll::EventFlags::IN
    };
    Ok(epoll::add(
        epoll,
        socket,
        epoll::EventData::new_u64(token.number()),
        flags,
    )?)
}

fn change(epoll: &OwnedFd, socket: impl AsFd, token: Token, reading: bool, writing: bool) {
    let mut flags = epoll::EventFlags::empty();
    flags.set(epoll::EventFlags::IN, reading);
    flags.set(epoll::EventFlags::OUT, writing);
    let _ = epoll::modify(
        epoll,
        socket,
        epoll::EventData::new_u64(token.number()),
        flags,
    );
}

#[cfg(test)]
mod tests;
