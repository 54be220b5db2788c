//! Clients' connections: TCP, and TLS over it.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustls::{ServerConfig, ServerConnection};
use tokio::sync::watch;
use turn::{ConnectionId, Input, StreamId};

use super::peers::Peers;
use super::{Token, change, watch_for};

/// Bytes that may wait for a client that takes them slowly: what comes beyond is lost, as on any slow line.
pub(super) const MOST_UNSENT: usize = 256 << 10;
/// Connections of clients.
const MOST: usize = 8_192;
/// Connections taken at once.
const AT_ONCE: usize = 32;

type Certificate = watch::Receiver<Arc<ServerConfig>>;

/// All connections of clients.
pub(super) struct Streams {
    tcp: Option<TcpListener>,
    tls: Option<(TcpListener, Certificate)>,
    /// What is shown of the certificate, and what it was made from.
    shown: Option<(Arc<ServerConfig>, Arc<ServerConfig>)>,
    open: HashMap<u64, Stream>,
    next: u64,
    /// Those whose state may have changed.
    touched: HashSet<u64>,
}

struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    unsent: Vec<u8>,
    joined: Option<ConnectionId>,
    closing: bool,
    armed: (bool, bool),
}

impl Streams {
    pub(super) fn new(tcp: Option<TcpListener>, tls: Option<(TcpListener, Certificate)>) -> Self {
        Self {
            tcp,
            tls,
            shown: None,
            open: HashMap::new(),
            next: 0,
            touched: HashSet::new(),
        }
    }

    /// Takes new connections.
    pub(super) fn accept(&mut self, epoll: &OwnedFd, secure: bool) -> Vec<(StreamId, SocketAddr)> {
        let mut accepted = Vec::new();
        for _ in 0..AT_ONCE {
            let listener = if secure {
                self.tls.as_ref().map(|(listener, _)| listener)
            } else {
                self.tcp.as_ref()
            };
            let Some(Ok((socket, from))) = listener.map(TcpListener::accept) else {
                break;
            };
            if self.open.len() >= MOST {
                continue;
            }
            match self.add(epoll, socket, secure) {
                Ok(stream) => accepted.push((stream, from)),
                Err(error) => tracing::debug!(%from, "TURN connection: {error}"),
            }
        }
        accepted
    }

    fn add(&mut self, epoll: &OwnedFd, socket: TcpStream, secure: bool) -> io::Result<StreamId> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let tls = match self.config().filter(|_| secure) {
            Some(config) => {
                let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
            None if secure => return Err(ErrorKind::Unsupported.into()),
            None => None,
        };
        self.next += 1;
        watch_for(epoll, &socket, Token::Stream(self.next), false)?;
        let added = Stream {
            socket,
            tls,
            unsent: Vec::new(),
            joined: None,
            closing: false,
            armed: (true, false),
        };
        self.open.insert(self.next, added);
        Ok(StreamId(self.next))
    }

    /// The certificate as it is now, with the names of what is spoken here (RFC 7443).
    fn config(&mut self) -> Option<Arc<ServerConfig>> {
        let (_, certificate) = self.tls.as_ref()?;
        let now = certificate.borrow().clone();
        match &self.shown {
            Some((made_from, shown)) if Arc::ptr_eq(made_from, &now) => Some(shown.clone()),
            _ => {
                let mut config = ServerConfig::clone(&now);
                config.alpn_protocols = vec![b"stun.turn".to_vec(), b"stun.nat-discovery".to_vec()];
                let shown = Arc::new(config);
                self.shown = Some((now, shown.clone()));
                Some(shown)
            }
        }
    }

    /// Does what can be done with a connection.
    pub(super) fn ready(
        &mut self,
        number: u64,
        flags: EventFlags,
        peers: &mut Peers,
    ) -> Vec<Input> {
        let Some(stream) = self.open.get_mut(&number) else {
            return Vec::new();
        };
        self.touched.insert(number);
        let id = StreamId(number);
        stream.push();
        let mut inputs = Vec::new();
        let mut ended = flags.contains(EventFlags::ERR);
        if !ended && flags.intersects(EventFlags::IN | EventFlags::HUP) {
            let mut bytes = Vec::new();
            ended = stream.read(&mut bytes).is_err();
            match stream.joined {
                Some(connection) => peers.write(connection, &bytes),
                None if bytes.is_empty() => {}
                None => inputs.push(Input::Bytes { stream: id, bytes }),
            }
        }
        if ended {
            self.open.remove(&number);
            inputs.push(Input::Closed { stream: id });
        }
        inputs
    }

    /// Writes to a client, or loses it if too much waits.
    pub(super) fn write(&mut self, StreamId(number): StreamId, bytes: &[u8]) {
        let Some(stream) = self.open.get_mut(&number) else {
            return;
        };
        if stream.joined.is_none() && stream.unsent.len() > MOST_UNSENT {
            return;
        }
        stream.write(bytes);
        self.touched.insert(number);
    }

    pub(super) fn join(&mut self, StreamId(number): StreamId, connection: ConnectionId) {
        if let Some(stream) = self.open.get_mut(&number) {
            stream.joined = Some(connection);
        }
    }

    /// Closes a connection once all has gone out.
    pub(super) fn close(&mut self, StreamId(number): StreamId) {
        if let Some(stream) = self.open.get_mut(&number) {
            if let Some(tls) = &mut stream.tls {
                tls.send_close_notify();
            }
            stream.closing = true;
            stream.write(&[]);
            self.touched.insert(number);
        }
    }

    /// Tells the kernel which connections wait for what, and drops those that have ended.
    pub(super) fn arm(&mut self, epoll: &OwnedFd, peers: &mut Peers) {
        for number in std::mem::take(&mut self.touched) {
            let Some(stream) = self.open.get_mut(&number) else {
                continue;
            };
            if stream.closing && stream.unsent.is_empty() {
                self.open.remove(&number);
                continue;
            }
            let reading = !stream.closing
                && stream
                    .joined
                    .is_none_or(|connection| peers.takes_more(connection));
            let wanted = (reading, !stream.unsent.is_empty());
            if stream.armed != wanted {
                change(
                    epoll,
                    &stream.socket,
                    Token::Stream(number),
                    wanted.0,
                    wanted.1,
                );
                stream.armed = wanted;
            }
            if !reading && !stream.closing {
                // It waits for the peer to take more.
                self.touched.insert(number);
            }
        }
        let open = &self.open;
        peers.arm(epoll, |StreamId(number)| {
            open.get(&number)
                .is_some_and(|stream| stream.unsent.len() < MOST_UNSENT)
        });
    }
}

impl Stream {
    /// Reads what has come; an error if nothing more will.
    fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 16_384];
        let Some(tls) = &mut self.tls else {
            return match self.socket.read(&mut buffer) {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    bytes.extend_from_slice(&buffer[..length]);
                    Ok(())
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            };
        };
        let ended = match tls.read_tls(&mut self.socket) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => return Err(error),
        };
        let processed = tls.process_new_packets().map_err(io::Error::other);
        while let Ok(length) = tls.reader().read(&mut buffer) {
            if length == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..length]);
        }
        self.push();
        processed?;
        if ended {
            Err(ErrorKind::UnexpectedEof.into())
        } else {
            Ok(())
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Some(tls) => drop(tls.writer().write_all(bytes)),
            None => self.unsent.extend_from_slice(bytes),
        }
        self.push();
    }

    /// Sends what waits, as far as the kernel takes it.
    fn push(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                // Memory takes everything.
                let _ = tls.write_tls(&mut self.unsent);
            }
        }
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) if sent > 0 => drop(self.unsent.drain(..sent)),
                Ok(_) | Err(_) => return,
            }
        }
    }
}
