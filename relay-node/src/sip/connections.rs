use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use sip::stream::{Broken, PONG, Piece, Stream};
use sip::{Peer, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::websockets::WebSockets;
use crate::outlet::{Drain, Outlet, outlet};

/// Messages that may wait for one connection.
pub(super) const QUEUE: usize = 128;
/// The most connections at once.
pub(super) const MOST: usize = 20_000;
/// How long a TLS handshake, or opening a connection, may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a message may take from its first byte to its last.
const SLOW: Duration = Duration::from_secs(30);
/// How long a connection may say nothing at all. Phones send keep-alives every two minutes or so (RFC 5626, section 4.4.1), and
/// register again within the hour.
const SILENT: Duration = Duration::from_secs(2 * 60 * 60);

/// What the connections tell.
pub(crate) enum Arrival {
    /// Somebody has connected.
    Opened { peer: Peer, outlet: Outlet<Vec<u8>> },
    /// A message has come.
    Message { source: Peer, message: Vec<u8> },
    /// What comes can't be understood any more.
    Broken { source: Peer, broken: Broken },
    /// It has ended; what was not sent comes back.
    Closed { peer: Peer, unsent: Vec<Vec<u8>> },
}

/// The connections of a SIP server.
pub(super) struct Connections {
    open: HashMap<u64, (Peer, Outlet<Vec<u8>>)>,
    places: HashMap<(Transport, SocketAddr), u64>,
    /// Connections by TLS, by the domain that the other side has to prove and its address.
    domains: HashMap<(String, SocketAddr), u64>,
    /// Those of them that nothing was sent on yet.
    reserved: HashMap<u64, (Peer, String)>,
    count: Arc<AtomicUsize>,
    client: Arc<ClientConfig>,
    arrivals: mpsc::Sender<Arrival>,
    next: Arc<AtomicU64>,
    /// End with it.
    tasks: JoinSet<()>,
}

impl Connections {
    /// Takes connections in at the listeners; those to others are secured as `client` says.
    pub(super) fn start(
        tcp: TcpListener,
        tls: Option<(TcpListener, watch::Receiver<Arc<ServerConfig>>)>,
        client: Arc<ClientConfig>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Self {
        let next = Arc::new(AtomicU64::new(1));
        let count = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let door = |secured| Door {
            arrivals: arrivals.clone(),
            next: next.clone(),
            count: count.clone(),
            secured,
        };
        tasks.spawn(door(None).accept(tcp));
        if let Some((listener, followed)) = tls {
            tasks.spawn(door(Some(followed)).accept(listener));
        }
        Self {
            open: HashMap::new(),
            places: HashMap::new(),
            domains: HashMap::new(),
            reserved: HashMap::new(),
            count,
            client,
            arrivals,
            next,
            tasks,
        }
    }

    /// The way in for WebSockets, which somebody else accepts.
    pub(super) fn websockets(&self) -> WebSockets {
        WebSockets {
            arrivals: self.arrivals.clone(),
            next: self.next.clone(),
            count: self.count.clone(),
        }
    }

    pub(super) fn add(&mut self, peer: Peer, outlet: Outlet<Vec<u8>>) {
        self.open.insert(peer.connection, (peer, outlet));
        self.places
            .insert((peer.transport, peer.address), peer.connection);
    }

    pub(super) fn remove(&mut self, peer: Peer) {
        self.open.remove(&peer.connection);
        let place = (peer.transport, peer.address);
        if self.places.get(&place) == Some(&peer.connection) {
            self.places.remove(&place);
        }
        if peer.transport == Transport::Tls {
            self.domains.retain(|_, number| *number != peer.connection);
        }
    }

    /// The same peer, if it is to be called by TLS, as the connection on which it has to prove to be `domain`: an
    /// address alone does not tell who is meant.
    pub(super) fn name(&mut self, peer: Peer, domain: &str) -> Peer {
        if peer.transport != Transport::Tls || peer.connection != 0 {
            return peer;
        }
        let domain = domain.trim_matches(['[', ']']);
        let known = self.places.get(&(peer.transport, peer.address));
        // An address is proved by whatever was proved there.
        if let Some(&connection) = known.filter(|_| domain.parse::<IpAddr>().is_ok()) {
            return Peer { connection, ..peer };
        }
        if self.reserved.len() >= MOST {
            let reserved = std::mem::take(&mut self.reserved);
            self.domains
                .retain(|_, number| !reserved.contains_key(number));
        }
        let key = (domain.to_ascii_lowercase(), peer.address);
        if let Some(connection) = self.domains.get(&key).copied() {
            return Peer { connection, ..peer };
        }
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = Peer { connection, ..peer };
        self.reserved.insert(connection, (peer, key.0.clone()));
        self.domains.insert(key, connection);
        peer
    }

    /// Ends a connection after what was sent.
    pub(super) fn close(&mut self, peer: Peer) {
        self.remove(peer);
    }

    /// Sends on a connection: the one that is meant, or one to that address, opened if need be. The message comes back if
    /// that can't be.
    pub(super) fn send(&mut self, peer: Peer, message: Vec<u8>) -> Result<(), Vec<u8>> {
        while self.tasks.try_join_next().is_some() {}
        // Whose address alone is known has to prove that.
        let peer = self.name(peer, &peer.address.ip().to_string());
        let peer = match self.places.get(&(peer.transport, peer.address)) {
            Some(&connection) if peer.connection == 0 => Peer { connection, ..peer },
            Some(_) | None => peer,
        };
        let begun = peer.connection != 0 && !self.reserved.contains_key(&peer.connection);
        let known = begun.then_some(peer.connection);
        let number = match known {
            Some(number) => number,
            None if self.open.len() >= MOST => return Err(message),
            None => match (peer.transport, self.reserved.remove(&peer.connection)) {
                (Transport::Tcp, _) => self.open(peer),
                (_, Some((peer, domain))) => self.open_secured(peer, &domain),
                (_, None) => return Err(message),
            },
        };
        // The number may be one that a process gave before this one: then it is another connection's by now.
        let there = self.open.get(&number).filter(|(there, _)| {
            (there.transport, there.address) == (peer.transport, peer.address)
        });
        let Some((peer, outlet)) = there else {
            return Err(message);
        };
        if outlet.send(message.clone()).is_ok() {
            return Ok(());
        }
        let peer = *peer;
        if let Some((_, outlet)) = self.open.remove(&number) {
            outlet.cut();
        }
        self.remove(peer);
        Err(message)
    }

    /// Opens a connection; what is sent on it meanwhile waits.
    fn open(&mut self, peer: Peer) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let peer = Peer {
            connection: number,
            ..peer
        };
        let (outlet, drain) = outlet(QUEUE);
        self.add(peer, outlet);
        let arrivals = self.arrivals.clone();
        self.tasks.spawn(async move {
            match timeout(HANDSHAKE, TcpStream::connect(peer.address)).await {
                Ok(Ok(stream)) => serve(stream, Stream::opened(), peer, drain, arrivals).await,
                Ok(Err(_)) | Err(_) => end(peer, drain, arrivals).await,
            }
        });
        number
    }

    /// Opens a connection on which the other side has to prove to be `domain`.
    fn open_secured(&mut self, peer: Peer, domain: &str) -> u64 {
        let (outlet, drain) = outlet(QUEUE);
        self.add(peer, outlet);
        let (arrivals, domain) = (self.arrivals.clone(), domain.to_owned());
        let connector = TlsConnector::from(self.client.clone());
        self.tasks.spawn(async move {
            let connecting = async {
                let name = ServerName::try_from(domain.clone()).map_err(std::io::Error::other)?;
                let stream = TcpStream::connect(peer.address).await?;
                connector.connect(name, stream).await
            };
            match timeout(HANDSHAKE, connecting).await {
                Ok(Ok(stream)) => serve(stream, Stream::opened(), peer, drain, arrivals).await,
                Ok(Err(error)) => {
                    tracing::info!(%peer, domain, "no SIP connection by TLS: {error}");
                    end(peer, drain, arrivals).await;
                }
                Err(_) => end(peer, drain, arrivals).await,
            }
        });
        peer.connection
    }
}

/// Takes connections in.
struct Door {
    arrivals: mpsc::Sender<Arrival>,
    next: Arc<AtomicU64>,
    count: Arc<AtomicUsize>,
    secured: Option<watch::Receiver<Arc<ServerConfig>>>,
}

/// Counts a connection as long as it lives.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// One more; none, if there are too many.
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Option<Self> {
        let counted = Self(count.clone());
        (count.fetch_add(1, Ordering::Relaxed) < MOST).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, address) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!("SIP connections can't be taken: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let Some(counted) = Counted::new(&self.count) else {
                continue;
            };
            let acceptor = self.secured.as_ref();
            let acceptor = acceptor.map(|config| TlsAcceptor::from(config.borrow().clone()));
            let peer = Peer {
                transport: if acceptor.is_some() {
                    Transport::Tls
                } else {
                    Transport::Tcp
                },
                address,
                connection: self.next.fetch_add(1, Ordering::Relaxed),
            };
            let arrivals = self.arrivals.clone();
            connections.spawn(async move {
                let _counted = counted;
                let _ = stream.set_nodelay(true);
                let (outlet, drain) = outlet(QUEUE);
                let opened = Arrival::Opened { peer, outlet };
                match acceptor {
                    None => {
                        if arrivals.send(opened).await.is_ok() {
                            serve(stream, Stream::accepted(), peer, drain, arrivals).await;
                        }
                    }
                    Some(acceptor) => {
                        let accepted = timeout(HANDSHAKE, acceptor.accept(stream)).await;
                        let Ok(Ok(stream)) = accepted else { return };
                        if arrivals.send(opened).await.is_ok() {
                            serve(stream, Stream::accepted(), peer, drain, arrivals).await;
                        }
                    }
                }
            });
        }
    }
}

/// Reads and writes one connection until it ends.
async fn serve<S>(
    stream: S,
    cutter: Stream,
    peer: Peer,
    mut drain: Drain<Vec<u8>>,
    arrivals: mpsc::Sender<Arrival>,
) where
    S: AsyncRead + AsyncWrite,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let (pongs, mut ponged) = mpsc::channel::<()>(1);
    let cutting = drain.cutting();
    let reading = read(reader, cutter, peer, &arrivals, pongs);
    tokio::pin!(cutting, reading);
    loop {
        let message = tokio::select! {
            message = drain.next() => match message {
                Some(message) => message,
                None => break,
            },
            Some(()) = ponged.recv() => PONG.to_vec(),
            () = &mut cutting => break,
            () = &mut reading => break,
        };
        // Who doesn't read for so long is as good as gone.
        let written = tokio::select! {
            written = timeout(SLOW, writer.write_all(&message)) => matches!(written, Ok(Ok(()))),
            () = &mut cutting => false,
        };
        if !written {
            break;
        }
    }
    let _ = timeout(SLOW, writer.shutdown()).await;
    end(peer, drain, arrivals.clone()).await;
}

/// Reads until the end, a breach or silence.
async fn read(
    mut reader: impl AsyncRead + Unpin,
    mut cutter: Stream,
    peer: Peer,
    arrivals: &mpsc::Sender<Arrival>,
    pongs: mpsc::Sender<()>,
) {
    let mut buffer = [0; 4_096];
    loop {
        let patience = if cutter.is_waiting() { SLOW } else { SILENT };
        let length = match timeout(patience, reader.read(&mut buffer)).await {
            Ok(Ok(length)) if length > 0 => length,
            Ok(Ok(_) | Err(_)) | Err(_) => return,
        };
        cutter.push(&buffer[..length]);
        loop {
            let arrival = match cutter.next() {
                Ok(Some(Piece::Message(message))) => Arrival::Message {
                    source: peer,
                    message,
                },
                Ok(Some(Piece::Ping)) => {
                    // One answer that waits is enough for several pings.
                    let _ = pongs.try_send(());
                    continue;
                }
                Ok(Some(Piece::Pong)) => continue,
                Ok(None) => break,
                Err(broken) => {
                    let _ = arrivals
                        .send(Arrival::Broken {
                            source: peer,
                            broken,
                        })
                        .await;
                    // The answer is written, and the driver closes.
                    return std::future::pending().await;
                }
            };
            if arrivals.send(arrival).await.is_err() {
                return;
            }
        }
    }
}

pub(super) async fn end(peer: Peer, mut drain: Drain<Vec<u8>>, arrivals: mpsc::Sender<Arrival>) {
    let unsent = drain.left();
    let _ = arrivals.send(Arrival::Closed { peer, unsent }).await;
}
