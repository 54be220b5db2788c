//! The load: one thread that sends for all clients and the peer, and takes what arrives.

use std::fmt;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use tokio::time::Instant;

use super::client::{CHANNEL, Flow};

/// Bytes of a packet: 20 ms of G.711 with its RTP header.
const SPEECH: usize = 172;
/// Bytes of a packet in bulk.
const LARGE: usize = 1_200;
/// Packets in bulk that one flow sends at once.
const TRAIN: usize = 16;
/// What waits at the peer.
const KEPT: usize = 32 << 20;
/// A flow in bulk that lost something goes on after that.
const GIVE_UP: Duration = Duration::from_millis(50);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// Fifty packets a second in each flow, evenly spread.
    Paced { flows: usize },
    /// Each flow sends its next packet when the last one has arrived.
    Saturated { flows: usize },
    /// The same with many large packets at a time.
    Bulk { flows: usize },
}

impl Load {
    pub(super) fn flows(self) -> usize {
        match self {
            Self::Paced { flows } | Self::Saturated { flows } | Self::Bulk { flows } => flows,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    sent: u64,
    arrived: u64,
    time: Duration,
    pub(super) processor: Duration,
    /// Microseconds on the way.
    delays: Vec<u32>,
}

impl Seen {
    /// Microseconds of processor for each packet that arrived.
    pub(super) fn each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.arrived as f64
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let part = |of: usize| delays.get(delays.len() * of / 100).copied().unwrap_or(0);
        let seconds = self.time.as_secs_f64();
        write!(
            f,
            "{:>11.0}{:>10.2}{:>6.0}%{:>8}{:>9}{:>9}",
            self.arrived as f64 / seconds,
            self.each(),
            self.processor.as_secs_f64() / seconds * 100.0,
            self.sent.saturating_sub(self.arrived),
            part(50),
            part(99)
        )
    }
}

/// The socket of all peers.
pub(super) fn peer() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, KEPT);
    socket
}

/// Flows with what was sent in them.
pub(super) struct Run {
    peer: UdpSocket,
    state: UdpSocketState,
    flows: Vec<(Flow, UdpSocketState)>,
    epoll: OwnedFd,
    begun: Instant,
    seen: Seen,
    /// Of each flow: packets on their way, and when the last was sent or arrived.
    under_way: Vec<(u32, Instant)>,
    received: Vec<u8>,
}

impl Run {
    pub(super) fn new(peer: UdpSocket, flows: Vec<Flow>) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let state = UdpSocketState::new((&peer).into()).expect("a socket");
        let flows: Vec<_> = flows
            .into_iter()
            .enumerate()
            .map(|(number, flow)| {
                flow.client.set_nonblocking(true).expect("a socket");
                let data = epoll::EventData::new_u64(number as u64);
                epoll::add(&epoll, &flow.client, data, epoll::EventFlags::IN).expect("epoll");
                let state = UdpSocketState::new((&flow.client).into()).expect("a socket");
                (flow, state)
            })
            .collect();
        let begun = Instant::now();
        Self {
            under_way: vec![(0, begun); flows.len()],
            received: vec![0; 1 << 16],
            seen: Seen::default(),
            peer,
            state,
            flows,
            epoll,
            begun,
        }
    }

    /// Sends for a moment, so that everything is as it is later.
    pub(super) fn warm(&mut self, load: Load) {
        self.run(load, Duration::from_millis(500));
    }

    /// Sends and receives for so long, and then waits for what is still on its way.
    pub(super) fn run(&mut self, load: Load, time: Duration) -> Seen {
        self.begun = Instant::now();
        self.seen = Seen::default();
        let end = self.begun + time;
        match load {
            Load::Paced { flows } => {
                let gap = Duration::from_secs(1) / (50 * flows as u32);
                let (mut due, mut next) = (self.begun, 0);
                while due < end {
                    if due <= Instant::now() {
                        self.send(next % flows, 1, SPEECH);
                        (due, next) = (due + gap, next + 1);
                        if next % 8 != 0 {
                            continue;
                        }
                    }
                    self.receive(0, 0);
                }
            }
            Load::Saturated { .. } => self.rally(end, 1, SPEECH),
            Load::Bulk { .. } => self.rally(end, TRAIN as u32, LARGE),
        }
        self.seen.time = self.begun.elapsed();
        let late = Instant::now() + Duration::from_millis(300);
        while Instant::now() < late {
            self.receive(0, 0);
        }
        self.under_way.fill((0, self.begun));
        std::mem::take(&mut self.seen)
    }

    /// Each flow sends so many packets when all that it sent before have arrived.
    fn rally(&mut self, end: Instant, train: u32, size: usize) {
        for flow in 0..self.flows.len() {
            self.send(flow, train, size);
        }
        let mut look = Instant::now();
        loop {
            self.receive(train, size);
            let now = Instant::now();
            if now >= end {
                return;
            }
            if now > look {
                look = now + GIVE_UP;
                for flow in 0..self.flows.len() {
                    if self.under_way[flow].1 + GIVE_UP < now {
                        self.send(flow, train, size);
                    }
                }
            }
        }
    }

    /// Sends packets in a flow: those with even numbers go up, the others down.
    fn send(&mut self, number: usize, count: u32, size: usize) {
        let now = Instant::now();
        let up = number.is_multiple_of(2);
        let head = if up { 4 } else { 0 };
        let mut packet = vec![0; head + size];
        packet[..2].copy_from_slice(&CHANNEL.to_be_bytes());
        if up {
            packet[2..4].copy_from_slice(&(size as u16).to_be_bytes());
        }
        packet[head..head + 4].copy_from_slice(&(number as u32).to_be_bytes());
        let at = now.duration_since(self.begun).as_nanos() as u64;
        packet[head + 4..head + 12].copy_from_slice(&at.to_be_bytes());
        let (flow, state) = &self.flows[number];
        let sent = if count == 1 && up {
            flow.client.send(&packet).map(drop)
        } else if count == 1 {
            self.peer.send_to(&packet, flow.relayed).map(drop)
        } else {
            let whole = packet.repeat(count as usize);
            let (socket, state) = if up {
                (&flow.client, state)
            } else {
                (&self.peer, &self.state)
            };
            let destination = if up {
                flow.client.peer_addr().expect("an address")
            } else {
                flow.relayed
            };
            let transmit = Transmit {
                destination,
                ecn: None,
                contents: &whole,
                segment_size: Some(packet.len()),
                src_ip: None,
            };
            state.try_send(socket.into(), &transmit)
        };
        if sent.is_ok() {
            self.seen.sent += u64::from(count);
        }
        self.under_way[number] = (count, now);
    }

    /// Takes what has arrived, and sends again in flows whose packets have, if a train has a length.
    fn receive(&mut self, train: u32, size: usize) {
        let mut again = Vec::new();
        for _ in 0..64 {
            let Some(meta) = take(&self.peer, &self.state, &mut self.received) else {
                break;
            };
            self.count(&meta, 0, &mut again);
        }
        let mut events = Vec::with_capacity(64);
        let at_once = Timespec::default();
        let _ = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once));
        for event in events {
            let number = event.data.u64() as usize;
            let (flow, state) = &self.flows[number];
            if let Some(meta) = take(&flow.client, state, &mut self.received) {
                self.count(&meta, 4, &mut again);
            }
        }
        if train > 0 {
            for number in again {
                self.send(number, train, size);
            }
        }
    }

    fn count(&mut self, meta: &RecvMeta, head: usize, again: &mut Vec<usize>) {
        let now = Instant::now();
        let since = now.duration_since(self.begun).as_nanos() as u64;
        for packet in self.received[..meta.len].chunks(meta.stride.max(1)) {
            let data = &packet[head..];
            let (number, at) = (word(&data[..4]) as usize, word(&data[4..12]));
            if since < at {
                // It was sent before this run began.
                continue;
            }
            self.seen.arrived += 1;
            self.seen.delays.push(((since - at) / 1_000) as u32);
            let (left, last) = &mut self.under_way[number];
            (*left, *last) = (left.saturating_sub(1), now);
            if *left == 0 {
                again.push(number);
            }
        }
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// Takes one datagram, or several that the kernel put together.
fn take(socket: &UdpSocket, state: &UdpSocketState, buffer: &mut [u8]) -> Option<RecvMeta> {
    let mut meta = [RecvMeta::default()];
    let mut slices = [IoSliceMut::new(buffer)];
    let count = state.recv(socket.into(), &mut slices, &mut meta).ok()?;
    (count == 1).then_some(meta[0])
}
