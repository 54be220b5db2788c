//! The way of data: from a client to a peer and back, without a copy (RFC 8656 §11, §12).
//!
//! ```text
//! client ── ChannelData or Send indication ──► route ──► which relay, which peer, which part of the buffer
//! client ◄── which part of the buffer ◄── wrap, which writes a header in front of the data ◄── peer
//! ```

use alloc::vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use machine::Instant;

use crate::attribute;
use crate::frame::channel_data;
use crate::message::{Builder, Class, Message, Method, TransactionId};
use crate::server::{Client, RelayAddress, RelayId, Server};

/// Bytes that [`Server::wrap`] needs in front of the data: the header of a Data indication of an IPv6 peer.
pub const HEADROOM: usize = 48;
/// Bytes that it needs behind them: the padding.
pub const TAILROOM: usize = 3;

/// Data on the way to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The relayed address to send from.
    pub relay: RelayId,
    /// Where to.
    pub peer: SocketAddr,
    /// Where the data lie in what the client sent.
    pub data: Range<usize>,
    /// Routers shall not cut the packet.
    pub dont_fragment: bool,
}

/// What a client's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Data for a peer.
    Peer(Hop),
    /// Data that nobody may have: counted and forgotten.
    Nowhere,
    /// A message for the server: an [`Input`](crate::Input).
    Message,
}

impl Server {
    /// Says where a client's data go. Nothing is copied and nothing allocated.
    pub fn route(&mut self, client: Client, bytes: &[u8], now: Instant) -> Route {
        let hop = match bytes {
            [0x40..=0x7f, ..] => self.channel_hop(client, bytes, now),
            [0, 0x16, ..] => self.send_hop(client, bytes, now),
            _ => return Route::Message,
        };
        match hop {
            Some(hop) => Route::Peer(hop),
            None => Route::Nowhere,
        }
    }

    fn channel_hop(&mut self, client: Client, bytes: &[u8], now: Instant) -> Option<Hop> {
        let Some((channel, length)) = channel_data(bytes) else {
            self.counters.malformed += 1;
            return None;
        };
        let Some(number) = self.clients.get(&client).copied() else {
            self.counters.ignored += 1;
            return None;
        };
        let allocation = self.allocations.get(number)?;
        let Some(peer) = allocation.peer(channel, now) else {
            self.counters.dropped += 1;
            return None;
        };
        let relay = RelayId {
            allocation: number,
            v6: peer.is_ipv6(),
        };
        self.hop(relay, peer, 4..4 + length, false, now)
    }

    fn send_hop(&mut self, client: Client, bytes: &[u8], now: Instant) -> Option<Hop> {
        let Ok(message) = Message::read(bytes) else {
            self.counters.malformed += 1;
            return None;
        };
        let Some(number) = self.clients.get(&client).copied() else {
            self.counters.ignored += 1;
            return None;
        };
        let (mut peer, mut data, mut dont_fragment) = (None, None, false);
        for found in message.attributes() {
            match found.kind {
                attribute::XOR_PEER_ADDRESS => peer = message.unmask(found.value),
                attribute::DATA => {
                    let start = found.value.as_ptr() as usize - bytes.as_ptr() as usize;
                    data = Some(start..start + found.value.len());
                }
                attribute::DONT_FRAGMENT => dont_fragment = true,
                // RFC 8656 §11.2: with an attribute that is not understood the indication is discarded.
                kind if kind < 0x8000 && !SEALS.contains(&kind) => return None,
                _ => {}
            }
        }
        let (peer, data) = (peer?, data?);
        let relay = RelayId {
            allocation: number,
            v6: peer.is_ipv6(),
        };
        self.hop(relay, peer, data, dont_fragment, now)
    }

    fn hop(
        &mut self,
        relay: RelayId,
        peer: SocketAddr,
        data: Range<usize>,
        dont_fragment: bool,
        now: Instant,
    ) -> Option<Hop> {
        let (allocation, relaying) = (
            self.allocations.get(relay.allocation)?,
            self.relay.as_ref()?,
        );
        let own = relaying.reach.own.contains(&peer.ip())
            && !(relaying.reach.loopback && peer.ip().is_loopback());
        let permitted = allocation.permits(peer.ip(), now)
            && allocation.legs[usize::from(relay.v6)].is_some_and(|leg| leg.open)
            && !allocation.tcp
            // The relayed address that stood there may be gone by now, and another program may have its port.
            && (!own || relaying.ports.is_open(relay.v6, peer.port()))
            && !relaying.reach.is_server(peer);
        let identity = self.identities.get_mut(allocation.identity)?;
        if !permitted || !identity.admit(data.len(), &relaying.quota, now) {
            self.counters.dropped += 1;
            return None;
        }
        self.counters.relayed += 1;
        self.counters.relayed_bytes += data.len() as u64;
        let place = relaying.addresses[usize::from(relay.v6)];
        Some(Hop {
            relay,
            peer: SocketAddr::new(inwards(place, peer.ip()), peer.port()),
            data,
            dont_fragment,
        })
    }

    /// Says which client a peer's data go to, and makes a message of them: it writes a header before the data and padding
    /// behind them, and gives the part of the buffer that the message fills. Nothing is allocated.
    ///
    /// `data` must lie at least [`HEADROOM`] from the beginning of the buffer and [`TAILROOM`] from its end.
    pub fn wrap(
        &mut self,
        relay: RelayId,
        from: SocketAddr,
        buffer: &mut [u8],
        data: Range<usize>,
        now: Instant,
    ) -> Option<(Client, Range<usize>)> {
        let (allocation, relaying) = (
            self.allocations.get(relay.allocation)?,
            self.relay.as_ref()?,
        );
        let place = relaying.addresses[usize::from(relay.v6)];
        let from = SocketAddr::new(outwards(place, from.ip()), from.port());
        let identity = self.identities.get_mut(allocation.identity)?;
        if !allocation.permits(from.ip(), now) || !identity.admit(data.len(), &relaying.quota, now)
        {
            self.counters.dropped += 1;
            return None;
        }
        let client = allocation.client;
        let length = u16::try_from(data.len()).ok()?.to_be_bytes();
        let padded = data.start..data.start + data.len().next_multiple_of(4);
        if data.start < HEADROOM || padded.end > buffer.len() {
            return None;
        }
        let whole = match allocation.channel(from, now) {
            Some(channel) => {
                let start = data.start - 4;
                buffer[start..start + 2].copy_from_slice(&channel.to_be_bytes());
                buffer[start + 2..data.start].copy_from_slice(&length);
                match client {
                    Client::Datagram(_) => start..data.end,
                    Client::Stream(_) => start..padded.end,
                }
            }
            None => {
                let start = data.start - if from.is_ipv6() { 48 } else { 36 };
                let mut header = [0; HEADROOM];
                let header = &mut header[..data.start - start];
                data_header(header, from, length, padded.len(), self.rng.bytes());
                buffer[start..data.start].copy_from_slice(header);
                start..padded.end
            }
        };
        buffer[data.end..padded.end].fill(0);
        self.counters.relayed += 1;
        self.counters.relayed_bytes += data.len() as u64;
        Some((client, whole))
    }

    pub(crate) fn relayed(&mut self, relay: RelayId, from: SocketAddr, bytes: &[u8], now: Instant) {
        let mut buffer = vec![0; HEADROOM + bytes.len() + TAILROOM];
        let data = HEADROOM..HEADROOM + bytes.len();
        buffer[data.clone()].copy_from_slice(bytes);
        if let Some((client, whole)) = self.wrap(relay, from, &mut buffer, data, now) {
            buffer.truncate(whole.end);
            buffer.drain(..whole.start);
            self.tell(client, buffer);
        }
    }

    /// RFC 8656 §11.5: what the network says of a packet is handed on, if the peer has a permission.
    pub(crate) fn unreachable(
        &mut self,
        relay: RelayId,
        peer: SocketAddr,
        icmp: (u8, u8),
        data: u32,
        now: Instant,
    ) {
        let (Some(allocation), Some(relaying)) =
            (self.allocations.get(relay.allocation), &self.relay)
        else {
            return;
        };
        let place = relaying.addresses[usize::from(relay.v6)];
        let peer = SocketAddr::new(outwards(place, peer.ip()), peer.port());
        if !allocation.permits(peer.ip(), now) {
            return;
        }
        let client = allocation.client;
        let [d0, d1, d2, d3] = data.to_be_bytes();
        let indication = Builder::new(
            Class::Indication,
            Method::DATA,
            TransactionId(self.rng.bytes()),
        )
        .xor_address(attribute::XOR_PEER_ADDRESS, peer)
        .attribute(attribute::ICMP, &[0, 0, icmp.0, icmp.1, d0, d1, d2, d3])
        .finish();
        self.tell(client, indication);
    }
}

/// Attributes of every message, which an indication may carry.
const SEALS: [u16; 2] = [
    attribute::MESSAGE_INTEGRITY,
    attribute::MESSAGE_INTEGRITY_SHA256,
];

/// Writes all of a Data indication that stands before the data.
fn data_header(
    header: &mut [u8],
    from: SocketAddr,
    length: [u8; 2],
    padded: usize,
    transaction: [u8; 12],
) {
    let family = if from.is_ipv6() { 2 } else { 1 };
    let address = if from.is_ipv6() { 20 } else { 8 };
    let rest = (4 + address + 4 + padded) as u16;
    let cookie = crate::MAGIC_COOKIE.to_be_bytes();
    header[..2].copy_from_slice(&[0, 0x17]);
    header[2..4].copy_from_slice(&rest.to_be_bytes());
    header[4..8].copy_from_slice(&cookie);
    header[8..20].copy_from_slice(&transaction);
    header[20..22].copy_from_slice(&attribute::XOR_PEER_ADDRESS.to_be_bytes());
    header[22..26].copy_from_slice(&[0, address as u8, 0, family]);
    let port = from.port() ^ u16::from_be_bytes([cookie[0], cookie[1]]);
    header[26..28].copy_from_slice(&port.to_be_bytes());
    let (before, after) = header.split_at_mut(28);
    let mask = &before[4..20];
    let masked = |place: &mut [u8], octets: &[u8]| {
        for ((place, octet), mask) in place.iter_mut().zip(octets).zip(mask) {
            *place = octet ^ mask;
        }
    };
    match from.ip() {
        IpAddr::V4(ip) => masked(after, &ip.octets()),
        IpAddr::V6(ip) => masked(after, &ip.octets()),
    }
    let end = header.len();
    header[end - 4..end - 2].copy_from_slice(&attribute::DATA.to_be_bytes());
    header[end - 2..].copy_from_slice(&length);
}

/// A relayed address as this machine's sockets know it: behind a translator it has another outside.
fn inwards(place: Option<RelayAddress>, ip: IpAddr) -> IpAddr {
    place
        .filter(|place| place.public == ip)
        .map_or(ip, |place| place.local)
}

fn outwards(place: Option<RelayAddress>, ip: IpAddr) -> IpAddr {
    place
        .filter(|place| place.local == ip)
        .map_or(ip, |place| place.public)
}
