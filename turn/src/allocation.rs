use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use machine::Instant;

use crate::integrity::Key;
use crate::message::TransactionId;
use crate::server::{Client, ConnectionId};
use crate::slab::Number;

/// RFC 8656 §9: "The Permission Lifetime MUST be 300 seconds".
const PERMISSION: Duration = Duration::from_secs(300);
/// RFC 8656 §12: "Channel bindings last for 10 minutes unless refreshed".
const CHANNEL: Duration = Duration::from_secs(600);
/// Peers that one allocation may have permissions for; and channels.
const PEERS: usize = 64;

/// A client's relayed addresses with all that belongs to them.
#[derive(Debug, Clone)]
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) tcp: bool,
    /// Its relayed addresses, by family: IPv4, IPv6.
    pub(crate) legs: [Option<Leg>; 2],
    pub(crate) expires: Instant,
    pub(crate) identity: Number,
    pub(crate) owner: Owner,
    /// That of the Allocate request: one that comes twice gets the same answer.
    pub(crate) transaction: TransactionId,
    /// The answer, once there is one.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) opening: Option<Box<Opening>>,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
    /// TCP connections with peers (RFC 6062).
    pub(crate) connections: Vec<ConnectionId>,
}

/// One relayed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) port: u16,
    pub(crate) open: bool,
}

/// Whose credential made the allocation, with what proves it.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) username: Vec<u8>,
    pub(crate) key: Key,
    /// Seconds since 1970 when the credential ends; `u64::MAX` if it does not.
    pub(crate) expires: u64,
}

/// An allocation whose sockets are not open yet, and what its answer needs.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) request: Vec<u8>,
    pub(crate) from: SocketAddr,
    pub(crate) lifetime: Duration,
    pub(crate) reservation: Option<[u8; 8]>,
    pub(crate) wish: crate::ports::Wish,
    /// Ports that could not be had so far.
    pub(crate) failed: u8,
    /// Which families must come: not an additional one.
    pub(crate) needed: [bool; 2],
    /// Why an additional family has not come.
    pub(crate) missing: Option<(u8, u16)>,
}

#[derive(Debug, Clone, Copy)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Instant,
}

/// Why a permission or a channel is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are too many.
    Peers,
    /// The number or the peer is bound otherwise.
    Bound,
}

impl Allocation {
    pub(crate) fn new(
        client: Client,
        owner: Owner,
        identity: Number,
        transaction: TransactionId,
    ) -> Self {
        Self {
            client,
            tcp: false,
            legs: [None; 2],
            expires: Instant::EPOCH,
            identity,
            owner,
            transaction,
            answer: None,
            opening: None,
            permissions: Vec::new(),
            channels: Vec::new(),
            connections: Vec::new(),
        }
    }

    /// Whether it has a relayed address of the peer's family.
    pub(crate) fn reaches(&self, peer: IpAddr) -> bool {
        self.legs[usize::from(peer.is_ipv6())].is_some()
    }

    pub(crate) fn permits(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions
            .iter()
            .any(|permission| permission.ip == ip && permission.expires > now)
    }

    /// Whether these peers' permissions have room beside those that are there.
    pub(crate) fn has_room(&self, ips: &[IpAddr], now: Instant) -> bool {
        let new = ips.iter().filter(|ip| !self.permits(**ip, now)).count();
        let live = self
            .permissions
            .iter()
            .filter(|permission| permission.expires > now)
            .count();
        live + new <= PEERS
    }

    /// Lets a peer's data in, for a while. There must be [room](Self::has_room).
    pub(crate) fn permit(&mut self, ip: IpAddr, now: Instant) {
        let expires = now + PERMISSION;
        if let Some(known) = self.permissions.iter_mut().find(|known| known.ip == ip) {
            known.expires = expires;
            return;
        }
        self.permissions
            .retain(|permission| permission.expires > now);
        self.permissions.push(Permission { ip, expires });
    }

    /// Binds a channel, or binds it for longer.
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), Full> {
        self.channels.retain(|channel| channel.expires > now);
        let expires = now + CHANNEL;
        for channel in &mut self.channels {
            match (channel.number == number, channel.peer == peer) {
                (true, true) => {
                    channel.expires = expires;
                    return Ok(());
                }
                (true, false) | (false, true) => return Err(Full::Bound),
                (false, false) => {}
            }
        }
        if self.channels.len() >= PEERS {
            return Err(Full::Peers);
        }
        self.channels.push(Channel {
            number,
            peer,
            expires,
        });
        Ok(())
    }

    /// The peer that a channel number stands for.
    pub(crate) fn peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let mut bound = self.channels.iter();
        let channel = bound.find(|channel| channel.number == number && channel.expires > now)?;
        Some(channel.peer)
    }

    /// The channel number that stands for a peer.
    pub(crate) fn channel(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let mut bound = self.channels.iter();
        let channel = bound.find(|channel| channel.peer == peer && channel.expires > now)?;
        Some(channel.number)
    }
}
