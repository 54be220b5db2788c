use std::io::{IoSlice, IoSliceMut, Result};
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;

use machine::Instant;
use machine::Machine;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, addr::SocketAddrArg, sendmmsg,
};
use turn::{Client, HEADROOM, Hop, Input, Route, Server, TAILROOM};

use super::peers::Peers;
use super::streams::Streams;

/// The longest datagram, or several that the kernel put together.
const LARGEST: usize = 65_536;
/// Datagrams that a relayed address gives at once.
const AT_ONCE: usize = 8;
/// Datagrams to clients that are sent together.
const TOGETHER: usize = 64;
/// What the kernel may keep for the server's socket; one with less room loses packets while others are served.
const KEPT: usize = 4 << 20;

/// The server's UDP socket with the buffers of all.
pub(super) struct Datagrams {
    socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
    /// What peers sent and clients shall get, each in its own buffer.
    waiting: Vec<(usize, Range<usize>, SocketAddr)>,
    /// The first free buffer of those.
    free: usize,
    pool: Vec<Vec<u8>>,
    scratch: Vec<u8>,
}

/// Datagrams of one client for one peer, one behind the other, all but the last of one size.
struct Run {
    hop: Hop,
    at: Range<usize>,
    size: usize,
    last: usize,
    count: usize,
}

impl Datagrams {
    pub(super) fn new(socket: UdpSocket) -> Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        fragment(&socket);
        let _ = state.set_recv_buffer_size((&socket).into(), KEPT);
        let _ = state.set_send_buffer_size((&socket).into(), KEPT);
        Ok(Self {
            socket,
            state,
            buffers: vec![vec![0; LARGEST]; BATCH_SIZE],
            waiting: Vec::with_capacity(TOGETHER),
            free: 0,
            pool: vec![vec![0; HEADROOM + LARGEST + TAILROOM]; TOGETHER],
            scratch: vec![0; HEADROOM + 2 * LARGEST],
        })
    }

    /// Takes what clients sent.
    pub(super) fn receive(&mut self, server: &mut Server, peers: &Peers, now: Instant) {
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<IoSliceMut<'_>> = self
            .buffers
            .iter_mut()
            .map(|buffer| IoSliceMut::new(buffer))
            .collect();
        let Ok(count) = self
            .state
            .recv((&self.socket).into(), &mut slices, &mut meta)
        else {
            return;
        };
        drop(slices);
        for (buffer, meta) in self.buffers.iter_mut().zip(&meta[..count]) {
            take(server, peers, buffer, meta, now);
        }
    }

    /// Takes what peers sent to a relayed address.
    pub(super) fn receive_relayed(
        &mut self,
        server: &mut Server,
        peers: &Peers,
        index: usize,
        streams: &mut Streams,
        now: Instant,
    ) {
        let Some((relay, socket, state)) = peers.socket(index) else {
            return;
        };
        if self.free + AT_ONCE > self.pool.len() {
            self.flush();
        }
        let mut meta = [RecvMeta::default(); AT_ONCE];
        let pool = &mut self.pool[self.free..self.free + AT_ONCE];
        let mut slices: Vec<IoSliceMut<'_>> = pool
            .iter_mut()
            .map(|buffer| IoSliceMut::new(&mut buffer[HEADROOM..HEADROOM + LARGEST]))
            .collect();
        let Ok(count) = state.recv(socket.into(), &mut slices, &mut meta) else {
            return;
        };
        drop(slices);
        let first = self.free;
        for (number, meta) in (first..).zip(&meta[..count]) {
            if meta.len > meta.stride {
                self.several(server, relay, number, meta, streams, now);
                continue;
            }
            let data = HEADROOM..HEADROOM + meta.len;
            match server.wrap(relay, meta.addr, &mut self.pool[number], data, now) {
                Some((Client::Datagram(to), whole)) => {
                    self.waiting.push((number, whole, to));
                    self.free = number + 1;
                }
                Some((Client::Stream(stream), whole)) => {
                    streams.write(stream, &self.pool[number][whole])
                }
                None => {}
            }
        }
    }

    /// Takes several datagrams of one peer that the kernel put together, and lets it take them apart again.
    fn several(
        &mut self,
        server: &mut Server,
        relay: turn::RelayId,
        number: usize,
        meta: &RecvMeta,
        streams: &mut Streams,
        now: Instant,
    ) {
        let received = &self.pool[number][HEADROOM..HEADROOM + meta.len];
        let mut end = HEADROOM;
        let mut size = 0;
        let mut to_client = None;
        for datagram in received.chunks(meta.stride) {
            let place = end + 4..end + 4 + datagram.len();
            self.scratch[place.clone()].copy_from_slice(datagram);
            // A Data indication's header would lie over the datagram before.
            let own = HEADROOM..HEADROOM + datagram.len();
            let Some((client, whole)) =
                server.wrap(relay, meta.addr, &mut self.scratch, place.clone(), now)
            else {
                continue;
            };
            let by_channel = whole.start + 4 == place.start;
            match client {
                Client::Datagram(to) if by_channel => {
                    (size, to_client) = (whole.len().max(size), Some(to));
                    end = whole.end;
                }
                Client::Datagram(to) => {
                    self.scratch[own.clone()].copy_from_slice(datagram);
                    if let Some((_, whole)) =
                        server.wrap(relay, meta.addr, &mut self.scratch, own, now)
                    {
                        let _ = self.socket.send_to(&self.scratch[whole], to);
                    }
                }
                Client::Stream(stream) if by_channel => streams.write(stream, &self.scratch[whole]),
                Client::Stream(stream) => {
                    self.scratch[own.clone()].copy_from_slice(datagram);
                    if let Some((_, whole)) =
                        server.wrap(relay, meta.addr, &mut self.scratch, own, now)
                    {
                        streams.write(stream, &self.scratch[whole]);
                    }
                }
            }
        }
        if let Some(to) = to_client {
            let transmit = transmit(to, &self.scratch[HEADROOM..end], Some(size));
            let _ = self.state.try_send((&self.socket).into(), &transmit);
        }
    }

    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.send_to(bytes, to) {
            tracing::debug!(%to, "STUN answer not sent: {error}");
        }
    }

    /// Sends to clients what waits.
    pub(super) fn flush(&mut self) {
        self.free = 0;
        if let [(number, range, to)] = &self.waiting[..] {
            let _ = self.socket.send_to(&self.pool[*number][range.clone()], to);
            self.waiting.clear();
            return;
        }
        let addresses: Vec<SocketAddrAny> =
            self.waiting.iter().map(|(.., to)| to.as_any()).collect();
        let slices: Vec<[IoSlice<'_>; 1]> = self
            .waiting
            .iter()
            .map(|(number, range, _)| [IoSlice::new(&self.pool[*number][range.clone()])])
            .collect();
        let mut controls: Vec<_> = slices
            .iter()
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut messages: Vec<_> = addresses
            .iter()
            .zip(&slices)
            .zip(&mut controls)
            .map(|((address, slice), control)| MMsgHdr::new_with_addr(address, slice, control))
            .collect();
        let mut rest = &mut messages[..];
        while !rest.is_empty() {
            let sent = sendmmsg(&self.socket, rest, SendFlags::DONTWAIT);
            // One that can't be sent keeps no other from going.
            let done = sent.unwrap_or(1).clamp(1, rest.len());
            rest = &mut rest[done..];
        }
        drop(messages);
        self.waiting.clear();
    }
}

/// Takes what one client sent at once.
fn take(server: &mut Server, peers: &Peers, buffer: &mut [u8], meta: &RecvMeta, now: Instant) {
    let client = Client::Datagram(meta.addr);
    let mut run: Option<Run> = None;
    let mut start = 0;
    while start < meta.len {
        let range = start..(start + meta.stride.max(1)).min(meta.len);
        start = range.end;
        match server.route(client, &buffer[range.clone()], now) {
            Route::Peer(hop) => {
                let data = range.start + hop.data.start..range.start + hop.data.end;
                match &mut run {
                    Some(run) if run.takes(&hop, data.len()) => run.append(buffer, data),
                    _ => {
                        let begun = Run::new(hop, data);
                        if let Some(run) = run.replace(begun) {
                            run.send(peers, buffer);
                        }
                    }
                }
            }
            Route::Nowhere => {}
            Route::Message => {
                let bytes = buffer[range].to_vec();
                server.handle_input(
                    Input::Datagram {
                        from: meta.addr,
                        bytes,
                    },
                    now,
                );
            }
        }
    }
    if let Some(run) = run {
        run.send(peers, buffer);
    }
}

impl Run {
    fn new(hop: Hop, at: Range<usize>) -> Self {
        let size = at.len();
        Self {
            hop,
            at,
            size,
            last: size,
            count: 1,
        }
    }

    fn takes(&self, hop: &Hop, length: usize) -> bool {
        (self.hop.relay, self.hop.peer, self.hop.dont_fragment)
            == (hop.relay, hop.peer, hop.dont_fragment)
            && self.last == self.size
            && (1..=self.size).contains(&length)
            && self.count < 64
    }

    fn append(&mut self, buffer: &mut [u8], data: Range<usize>) {
        self.last = data.len();
        self.count += 1;
        buffer.copy_within(data, self.at.end);
        self.at.end += self.last;
    }

    fn send(self, peers: &Peers, buffer: &[u8]) {
        let size = (self.count > 1).then_some(self.size);
        peers.send(
            self.hop.relay,
            self.hop.peer,
            &buffer[self.at],
            size,
            self.hop.dont_fragment,
        );
    }
}

/// Lets routers cut packets that are too large: only those of whom a client wants it shall stay whole.
pub(super) fn fragment(socket: &UdpSocket) {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    let _ = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT);
    let _ = set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT);
}

/// Keeps routers from cutting packets.
pub(super) fn keep_whole(socket: &UdpSocket) {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    let _ = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE);
    let _ = set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE);
}

pub(super) fn transmit(
    destination: SocketAddr,
    contents: &[u8],
    segment_size: Option<usize>,
) -> Transmit<'_> {
    Transmit {
        destination,
        ecn: None,
        contents,
        segment_size,
        src_ip: None,
    }
}
