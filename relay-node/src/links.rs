//! Links between super nodes: QUIC with certificates on both sides.
//!
//! A super node is dialled by the name in its certificate, `<node id>.sn`, so that the ordinary verifier of TLS binds
//! the id and addresses may change. The side that dialled opens two bidirectional streams; the first byte says what
//! each is for (1 overlay frames, 2 SIP). On both, every message is preceded by its length in four bytes.
//!
//! Native ordinary nodes come to the same socket, by a protocol of their own and without a certificate: [`crate::direct`].

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credential::{Certificate, NodeId, RevocationList, TrustAnchor};
use p2psip::LinkId;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::direct::Door;
use crate::framed;
use crate::identity::Identity;
use crate::outlet::{Drain, Outlet, Stuck, outlet};

mod silence;
mod stream;
mod trust;

use silence::Watch;
pub(crate) use stream::Kind;
use stream::{Broken, Stream};
pub use trust::LinkError;

/// A link on which nobody speaks costs nothing, and ends after this time.
const IDLE: Duration = Duration::from_secs(3_600);
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Who is dialled and has not finished the handshake in this time is not there.
const ANSWER: Duration = Duration::from_secs(3);
/// Connections from which on sources must prove their address first.
const UNPROVED: usize = 32;
const MOST: usize = 16_384;
const QUEUE: usize = 1_024;
/// The name dialled when any super node will do.
const ANY: &str = "any.sn";

/// What happens on links.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A link stands, dialled or accepted.
    Opened {
        link: LinkId,
        certificate: Vec<u8>,
        outlet: PeerOutlet,
    },
    /// A super node could not be reached.
    DialFailed { node: NodeId },
    /// A message arrived.
    Message {
        link: LinkId,
        kind: Kind,
        message: Vec<u8>,
    },
    /// The link is gone.
    Closed { link: LinkId },
}

/// The driver's way to one other super node. Dropping it ends the link after what was sent.
#[derive(Debug)]
pub(crate) struct PeerOutlet {
    overlay: Outlet<Vec<u8>>,
    sip: Outlet<Vec<u8>>,
}

#[derive(Debug)]
struct PeerDrain {
    overlay: Drain<Vec<u8>>,
    sip: Drain<Vec<u8>>,
}

impl PeerOutlet {
    fn new() -> (Self, PeerDrain) {
        let (overlay, overlay_drain) = outlet(QUEUE);
        let (sip, sip_drain) = outlet(QUEUE);
        let drain = PeerDrain {
            overlay: overlay_drain,
            sip: sip_drain,
        };
        (Self { overlay, sip }, drain)
    }

    pub(crate) fn send(&self, kind: Kind, message: Vec<u8>) -> Result<(), Stuck> {
        match kind {
            Kind::Overlay => self.overlay.send(message),
            Kind::Sip => self.sip.send(message),
        }
    }

    pub(crate) fn cut(self) {
        self.overlay.cut();
        self.sip.cut();
    }
}

/// This node's end of all links.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    endpoint: Endpoint,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    identity: watch::Receiver<Identity>,
    revocations: watch::Receiver<RevocationList>,
    events: mpsc::Sender<LinkEvent>,
    numbers: Arc<AtomicU64>,
    door: Door,
}

impl Links {
    /// Begins to accept at a socket. Follows `identity` as it is renewed.
    ///
    /// # Errors
    /// The socket can't be used, or TLS does not take the identity.
    pub(crate) fn open(
        socket: UdpSocket,
        clock: Clock,
        identity: watch::Receiver<Identity>,
        revocations: watch::Receiver<RevocationList>,
        events: mpsc::Sender<LinkEvent>,
        door: Door,
    ) -> Result<Self, LinkError> {
        let config = server_config(&identity.borrow())?;
        let endpoint = Endpoint::new(
            quinn::EndpointConfig::default(),
            Some(config),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(|error| LinkError::Address(error.to_string()))?;
        let shared = Arc::new(Shared {
            clock,
            identity,
            revocations,
            events,
            numbers: door.numbers.clone(),
            door,
        });
        let links = Self { endpoint, shared };
        tokio::spawn(links.clone().accept());
        tokio::spawn(links.clone().follow());
        Ok(links)
    }

    /// Dials a super node; what comes of it is told as events.
    pub(crate) fn dial(&self, node: NodeId, address: String) {
        let links = self.clone();
        tokio::spawn(async move {
            match links.connect(node, &address).await {
                Ok((connection, certificate, streams)) => {
                    links.run(&connection, certificate, streams).await;
                }
                Err(error) => {
                    tracing::info!(%node, address, "super node not reached: {error}");
                    let failed = LinkEvent::DialFailed { node };
                    let _ = links.shared.events.send(failed).await;
                }
            }
        });
    }

    /// Ends every link with a word.
    pub(crate) async fn close(&self) {
        self.endpoint.close(VarInt::from_u32(0), b"leaving");
        let _ = timeout(Duration::from_millis(500), self.endpoint.wait_idle()).await;
    }

    async fn connect(
        &self,
        node: NodeId,
        address: &str,
    ) -> Result<(Connection, Certificate, (Stream, Stream)), LinkError> {
        let unresolved = |error: String| LinkError::Address(error);
        let ipv4 = self
            .endpoint
            .local_addr()
            .is_ok_and(|local| local.is_ipv4());
        let remote = tokio::net::lookup_host(address)
            .await
            .map_err(|error| unresolved(error.to_string()))?
            .find(|remote| remote.is_ipv4() || !ipv4)
            .ok_or_else(|| unresolved(format!("{address} has no address of use")))?;
        let identity = self.shared.identity.borrow().clone();
        let mut config = quinn::ClientConfig::new(Arc::new(trust::client(&identity)?));
        config.transport_config(transport());
        let connecting = self
            .endpoint
            .connect_with(config, remote, &node.host())
            .map_err(|error| unresolved(error.to_string()))?;
        let connection = timeout(ANSWER, connecting)
            .await
            .map_err(|_| quinn::ConnectionError::TimedOut)??;
        let certificate = self.other_end(&connection)?;
        match certificate.node() {
            Some(answered) if answered != node => return Err(LinkError::OtherNode(answered)),
            Some(_) | None => {}
        }
        let streams = stream::open(&connection).await?;
        Ok((connection, certificate, streams))
    }

    async fn accept(self) {
        let open = Arc::new(tokio::sync::Semaphore::new(MOST));
        while let Some(incoming) = self.endpoint.accept().await {
            let Ok(permit) = open.clone().try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let handshakes = self.endpoint.open_connections();
            if !incoming.remote_address_validated() && handshakes > UNPROVED {
                let _ = incoming.retry();
                continue;
            }
            let links = self.clone();
            tokio::spawn(async move {
                let from = incoming.remote_address();
                if let Err(error) = links.accepted(incoming).await {
                    tracing::info!(%from, "connection of a stranger refused: {error}");
                }
                drop(permit);
            });
        }
    }

    async fn accepted(&self, incoming: quinn::Incoming) -> Result<(), LinkError> {
        let connection = timeout(HANDSHAKE, incoming.accept()?)
            .await
            .map_err(|_| quinn::ConnectionError::TimedOut)??;
        if trust::protocol(&connection).as_deref() == Some(framed::ALPN) {
            return self.associated(&connection).await;
        }
        let certificate = match self.other_end(&connection) {
            Ok(certificate) => certificate,
            Err(error) => {
                connection.close(VarInt::from_u32(1), error.to_string().as_bytes());
                return Err(error);
            }
        };
        let streams = timeout(HANDSHAKE, stream::accept(&connection))
            .await
            .map_err(|_| LinkError::Streams)??;
        self.run(&connection, certificate, streams).await;
        Ok(())
    }

    /// Serves an ordinary node: one stream, opened by it.
    async fn associated(&self, connection: &Connection) -> Result<(), LinkError> {
        let (mut send, receive) = timeout(HANDSHAKE, connection.accept_bi())
            .await
            .map_err(|_| LinkError::Streams)??;
        self.shared.door.serve(receive, &mut send).await;
        // It ends after what was sent: wait until the other end has it.
        let _ = timeout(Duration::from_secs(1), send.stopped()).await;
        connection.close(VarInt::from_u32(0), b"");
        Ok(())
    }

    /// Serves a link from its beginning to its end.
    async fn run(
        &self,
        connection: &Connection,
        certificate: Certificate,
        streams: (Stream, Stream),
    ) {
        let link = LinkId(self.shared.numbers.fetch_add(1, Ordering::Relaxed));
        let (outlet, drain) = PeerOutlet::new();
        let events = &self.shared.events;
        let opened = LinkEvent::Opened {
            link,
            certificate: certificate.der().to_vec(),
            outlet,
        };
        if events.send(opened).await.is_ok() {
            run(link, connection, streams, drain, events).await;
        }
        let _ = events.send(LinkEvent::Closed { link }).await;
    }

    fn other_end(&self, connection: &Connection) -> Result<Certificate, LinkError> {
        trust::other_end(
            connection,
            &self.shared.identity.borrow(),
            self.shared.clock.wall(),
            &self.shared.revocations.borrow(),
        )
    }

    /// Shows the renewed certificate on links to come.
    async fn follow(self) {
        let mut identity = self.shared.identity.clone();
        while identity.changed().await.is_ok() {
            match server_config(&identity.borrow_and_update()) {
                Ok(config) => self.endpoint.set_server_config(Some(config)),
                Err(error) => tracing::error!("renewed certificate can't be shown: {error}"),
            }
        }
    }
}

/// Reaches a super node as an ordinary node does. It must show that it is a super node of the overlay, whichever.
pub(crate) async fn associate(
    endpoint: &Endpoint,
    remote: SocketAddr,
    anchor: &TrustAnchor,
) -> Result<(Connection, SendStream, RecvStream), LinkError> {
    let mut config = quinn::ClientConfig::new(Arc::new(trust::ordinary(anchor)?));
    config.transport_config(transport());
    let connecting = endpoint
        .connect_with(config, remote, ANY)
        .map_err(|error| LinkError::Address(error.to_string()))?;
    let connection = timeout(ANSWER, connecting)
        .await
        .map_err(|_| quinn::ConnectionError::TimedOut)??;
    let (send, receive) = connection.open_bi().await?;
    Ok((connection, send, receive))
}

fn server_config(identity: &Identity) -> Result<quinn::ServerConfig, LinkError> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(trust::server(identity)?));
    config.transport_config(transport());
    Ok(config)
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    let idle = VarInt::from_u32(IDLE.as_millis() as u32);
    transport
        .max_idle_timeout(Some(idle.into()))
        .initial_rtt(Duration::from_millis(100))
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    Arc::new(transport)
}

/// Moves messages both ways until one side ends the link.
async fn run(
    link: LinkId,
    connection: &Connection,
    (overlay, sip): (Stream, Stream),
    mut drain: PeerDrain,
    events: &mpsc::Sender<LinkEvent>,
) {
    let cut = drain.overlay.cutting();
    let watch = Watch::new(connection);
    let writing = async {
        tokio::join!(
            pour(overlay.send, drain.overlay, &watch),
            pour(sip.send, drain.sip, &watch)
        )
    };
    let reading = async {
        // The one stream may end while the other still brings what was sent before.
        tokio::try_join!(
            fetch(link, Kind::Overlay, overlay.receive, events),
            fetch(link, Kind::Sip, sip.receive, events)
        )
    };
    tokio::select! {
        _ = reading => {}
        _ = writing => {}
        () = cut => {}
        () = watch.unanswered() => tracing::info!(link = link.0, "a super node does not answer"),
    }
    connection.close(VarInt::from_u32(0), b"");
}

async fn pour(mut send: SendStream, mut drain: Drain<Vec<u8>>, watch: &Watch<'_>) {
    while let Some(message) = drain.next().await {
        watch.speaks();
        if stream::write(&mut send, &message).await.is_err() {
            return;
        }
    }
    // The link ends after what was sent: wait until the other end has it.
    if send.finish().is_ok() {
        let _ = timeout(Duration::from_secs(1), send.stopped()).await;
    }
}

async fn fetch(
    link: LinkId,
    kind: Kind,
    mut receive: RecvStream,
    events: &mpsc::Sender<LinkEvent>,
) -> Result<(), Broken> {
    while let Some(message) = stream::read(&mut receive).await? {
        let message = LinkEvent::Message {
            link,
            kind,
            message,
        };
        events.send(message).await.map_err(|_| Broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
