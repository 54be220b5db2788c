//! Relayed addresses with their sockets, and TCP connections with peers.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use quinn_udp::UdpSocketState;
use rustix::event::epoll::EventFlags;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt,
};
use turn::{ConnectionId, Input, RelayId, StreamId};

use super::complaints::{self, Complaint};
use super::datagrams::{fragment, keep_whole, transmit};
use super::streams::{MOST_UNSENT, Streams};
use super::{Token, change, watch_for};

/// Connections that wait to be taken at one relayed address.
const BACKLOG: i32 = 16;

/// All that faces peers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    relays: Vec<Option<(RelayId, Relay)>>,
    connections: HashMap<u64, Connection>,
    numbers: HashMap<ConnectionId, u64>,
    next: u64,
}

#[derive(Debug)]
enum Relay {
    Udp(UdpSocket, UdpSocketState),
    Tcp(TcpListener),
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    id: Option<ConnectionId>,
    dialling: bool,
    joined: Option<StreamId>,
    unsent: Vec<u8>,
    /// What the kernel was told to wait for, reading and writing; nothing, if it was told nothing.
    armed: Option<(bool, bool)>,
}

impl Peers {
    pub(super) fn bind(
        &mut self,
        epoll: &OwnedFd,
        relay: RelayId,
        address: SocketAddr,
        tcp: bool,
    ) -> io::Result<()> {
        let index = relay.index();
        let socket = open(
            address,
            if tcp {
                SocketType::STREAM
            } else {
                SocketType::DGRAM
            },
        )?;
        bind(&socket, &address)?;
        let bound = if tcp {
            listen(&socket, BACKLOG)?;
            watch_for(epoll, &socket, Token::Relay(index), false)?;
            Relay::Tcp(socket.into())
        } else {
            let socket = UdpSocket::from(socket);
            let state = UdpSocketState::new((&socket).into())?;
            fragment(&socket);
            complaints::keep(&socket, address.is_ipv6());
            watch_for(epoll, &socket, Token::Relay(index), false)?;
            Relay::Udp(socket, state)
        };
        if self.relays.len() <= index {
            self.relays.resize_with(index + 1, || None);
        }
        self.relays[index] = Some((relay, bound));
        Ok(())
    }

    pub(super) fn unbind(&mut self, relay: RelayId) {
        if let Some(place) = self.relays.get_mut(relay.index())
            && place.as_ref().is_some_and(|(known, _)| *known == relay)
        {
            *place = None;
        }
    }

    /// The socket of a relayed address for UDP.
    pub(super) fn socket(&self, index: usize) -> Option<(RelayId, &UdpSocket, &UdpSocketState)> {
        match self.relays.get(index)?.as_ref()? {
            (relay, Relay::Udp(socket, state)) => Some((*relay, socket, state)),
            (_, Relay::Tcp(_)) => None,
        }
    }

    /// Sends to a peer; with a size, several datagrams of that size.
    pub(super) fn send(
        &self,
        relay: RelayId,
        to: SocketAddr,
        bytes: &[u8],
        size: Option<usize>,
        whole: bool,
    ) {
        let Some((known, socket, state)) = self.socket(relay.index()) else {
            return;
        };
        if known != relay {
            return;
        }
        if whole {
            keep_whole(socket);
        }
        let send = || match size {
            Some(_) => state.try_send(socket.into(), &transmit(to, bytes, size)),
            None => socket.send_to(bytes, to).map(drop),
        };
        // What the network said of an earlier packet, perhaps to another peer, is told once in place of sending.
        let sent = send().or_else(|_| send());
        if whole {
            fragment(socket);
        }
        if let Err(error) = sent {
            tracing::trace!(%to, "not relayed: {error}");
        }
    }

    /// What the network says of packets that left from a relayed address.
    pub(super) fn complaints(&self, index: usize) -> Vec<Input> {
        let Some((relay, socket, _)) = self.socket(index) else {
            return Vec::new();
        };
        let taken = complaints::take(socket).into_iter();
        taken
            .map(|Complaint { peer, icmp, data }| Input::Unreachable {
                relay,
                peer,
                icmp,
                data,
            })
            .collect()
    }

    /// Takes a peer's connection at a relayed address for TCP.
    pub(super) fn knock(&mut self, index: usize) -> Option<(RelayId, u64, SocketAddr)> {
        let Some((relay, Relay::Tcp(listener))) = self.relays.get(index)?.as_ref() else {
            return None;
        };
        let (relay, (socket, from)) = (*relay, listener.accept().ok()?);
        socket.set_nonblocking(true).ok()?;
        let number = self.add(socket, false);
        Some((relay, number, from))
    }

    fn add(&mut self, socket: TcpStream, dialling: bool) -> u64 {
        self.next += 1;
        let _ = socket.set_nodelay(true);
        let added = Connection {
            socket,
            id: None,
            dialling,
            joined: None,
            unsent: Vec::new(),
            armed: None,
        };
        self.connections.insert(self.next, added);
        self.next
    }

    pub(super) fn accept(&mut self, knock: u64, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&knock) {
            connection.id = Some(id);
            self.numbers.insert(id, knock);
        }
    }

    pub(super) fn refuse(&mut self, knock: u64) {
        self.connections.remove(&knock);
    }

    pub(super) fn dial(
        &mut self,
        epoll: &OwnedFd,
        id: ConnectionId,
        relay: RelayId,
        peer: SocketAddr,
    ) -> io::Result<()> {
        let Some(Some((known, Relay::Tcp(listener)))) = self.relays.get(relay.index()) else {
            return Err(ErrorKind::NotFound.into());
        };
        if *known != relay {
            return Err(ErrorKind::NotFound.into());
        }
        let local = listener.local_addr()?;
        let socket = open(local, SocketType::STREAM)?;
        bind(&socket, &local)?;
        match connect(&socket, &peer) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let number = self.add(socket.into(), true);
        if let Some(connection) = self.connections.get_mut(&number) {
            watch_for(epoll, &connection.socket, Token::Peer(number), true)?;
            (connection.id, connection.armed) = (Some(id), Some((false, true)));
        }
        self.numbers.insert(id, number);
        Ok(())
    }

    /// From now on what the peer sends goes to the client's connection.
    pub(super) fn join(
        &mut self,
        epoll: &OwnedFd,
        id: ConnectionId,
        stream: StreamId,
        bytes: &[u8],
    ) {
        let Some((number, connection)) = self.find(id) else {
            return;
        };
        connection.joined = Some(stream);
        if connection.armed.is_none() {
            let _ = watch_for(epoll, &connection.socket, Token::Peer(number), false);
            connection.armed = Some((true, false));
        }
        connection.write(bytes);
    }

    fn find(&mut self, id: ConnectionId) -> Option<(u64, &mut Connection)> {
        let number = *self.numbers.get(&id)?;
        Some((number, self.connections.get_mut(&number)?))
    }

    /// Closes a connection; gives the client's that it was joined with.
    pub(super) fn hang_up(&mut self, id: ConnectionId) -> Option<StreamId> {
        let number = self.numbers.remove(&id)?;
        self.connections.remove(&number)?.joined
    }

    /// Hands a client's bytes on.
    pub(super) fn write(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some((_, connection)) = self.find(id) {
            connection.write(bytes);
        }
    }

    /// Whether a connection takes more.
    pub(super) fn takes_more(&mut self, id: ConnectionId) -> bool {
        self.find(id)
            .is_none_or(|(_, connection)| connection.unsent.len() < MOST_UNSENT)
    }

    /// Does what can be done with a connection.
    pub(super) fn ready(
        &mut self,
        number: u64,
        flags: EventFlags,
        streams: &mut Streams,
    ) -> Option<Input> {
        let connection = self.connections.get_mut(&number)?;
        let id = connection.id?;
        if connection.dialling {
            connection.dialling = false;
            let failed = !matches!(sockopt::socket_error(&connection.socket), Ok(Ok(())));
            if failed {
                self.hang_up(id);
                return Some(Input::DialFailed { connection: id });
            }
            return Some(Input::Dialled { connection: id });
        }
        connection.write(&[]);
        let mut ended = flags.contains(EventFlags::ERR);
        if let (Some(stream), true) = (
            connection.joined,
            flags.intersects(EventFlags::IN | EventFlags::HUP),
        ) {
            let mut buffer = [0; 16_384];
            match connection.socket.read(&mut buffer) {
                Ok(0) => ended = true,
                Ok(length) => streams.write(stream, &buffer[..length]),
                Err(error) => ended |= error.kind() != ErrorKind::WouldBlock,
            }
            if ended {
                streams.close(stream);
            }
        }
        if !ended {
            return None;
        }
        self.hang_up(id);
        Some(Input::HungUp { connection: id })
    }

    /// Tells the kernel which connections wait for what.
    pub(super) fn arm(&mut self, epoll: &OwnedFd, mut takes_more: impl FnMut(StreamId) -> bool) {
        for (number, connection) in &mut self.connections {
            let Some(armed) = connection.armed.filter(|_| !connection.dialling) else {
                continue;
            };
            let reading = connection.joined.is_some_and(&mut takes_more);
            let wanted = (reading, !connection.unsent.is_empty());
            if armed != wanted {
                change(
                    epoll,
                    &connection.socket,
                    Token::Peer(*number),
                    wanted.0,
                    wanted.1,
                );
                connection.armed = Some(wanted);
            }
        }
    }
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) if sent > 0 => drop(self.unsent.drain(..sent)),
                Ok(_) | Err(_) => return,
            }
        }
    }
}

fn open(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        // Connections from a relayed address leave by the port that it listens on.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    Ok(socket)
}
