//! How a super node is reached (draft §5.3): QUIC over UDP, TLS over TCP, and a WebSocket as the fallback, in this order.
//!
//! Each one gets a head start before the next is tried beside it; the first that stands is taken. All three are
//! tried for one address, `wss://host:port/p2psip`: TLS at the same port by its own protocol name, QUIC at the address
//! that whoever named the super node gave, or else at the same port (4433 in the place of one below 1024).

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credential::{NodeId, TrustAnchor};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use crate::config::{Origin, Proxy, Transport};
use crate::links::{self, LinkError};
use crate::{framed, tls, tunnel};

/// How long a transport is waited for before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(500);
/// Super nodes whose QUIC address is remembered.
const REMEMBERED: usize = 256;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// A stream of bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A way to a super node that stands.
pub(super) enum Way {
    /// One stream of [`framed`] messages.
    Quic(quinn::Connection, quinn::SendStream, quinn::RecvStream),
    Tls(Box<dyn Duplex>),
    WebSocket(Box<WebSocketStream<Box<dyn Duplex>>>),
}

impl Way {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Self::Quic(..) => Transport::Quic,
            Self::Tls(_) => Transport::Tls,
            Self::WebSocket(_) => Transport::WebSocket,
        }
    }
}

/// Why there is no way.
#[derive(Debug)]
pub(super) enum DialError {
    Url,
    Io(std::io::Error),
    Link(LinkError),
    WebSocket(String),
    NoTransport,
}

impl DialError {
    /// Whether the super node seems to have too much to do.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Io(error) if tls::is_busy(error))
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("that is no address of a super node"),
            Self::Io(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::WebSocket(why) => f.write_str(why),
            Self::NoTransport => f.write_str("no transport is of use for it"),
        }
    }
}

impl From<std::io::Error> for DialError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LinkError> for DialError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Reaches super nodes. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(super) transports: Vec<Transport>,
    proxy: Option<Proxy>,
    tls: Arc<ClientConfig>,
    anchor: TrustAnchor,
    /// One for each address family that this machine has.
    endpoints: Vec<quinn::Endpoint>,
    /// QUIC addresses by WebSocket address.
    known: Arc<Mutex<HashMap<String, String>>>,
    pub(super) head_start: Duration,
}

impl Dialer {
    pub(crate) fn new(
        transports: Vec<Transport>,
        proxy: Option<Proxy>,
        tls: Arc<ClientConfig>,
        anchor: TrustAnchor,
    ) -> Self {
        let any: [SocketAddr; 2] = [
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::UNSPECIFIED, 0).into(),
        ];
        let endpoints = if transports.contains(&Transport::Quic) {
            let open = any.into_iter().map(quinn::Endpoint::client);
            open.filter_map(Result::ok).collect()
        } else {
            Vec::new()
        };
        Self {
            transports,
            proxy,
            tls,
            anchor,
            endpoints,
            known: Arc::default(),
            head_start: HEAD_START,
        }
    }

    /// Remembers where the super node at a WebSocket address answers to QUIC.
    pub(crate) fn learn(&self, url: &str, quic: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < REMEMBERED || known.contains_key(url) {
            known.insert(url.to_owned(), quic.to_owned());
        }
    }

    /// Where the super node at a WebSocket address answers to QUIC, or may.
    pub(super) fn quic_of(&self, url: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(url) {
            return Some(known.clone());
        }
        let origin = Origin::of_websocket(url)?;
        let port = match origin.port() {
            1..1024 => 4433,
            port => port,
        };
        Some(format!("{}:{port}", origin.host()))
    }

    /// Tries one transport after the other, and beside each other when they take long. Dropping the future ends it all.
    pub(super) async fn dial(&self, url: &str) -> Result<Way, DialError> {
        let mut tries = JoinSet::new();
        let mut last = DialError::NoTransport;
        for transport in self.transports.iter().copied() {
            let (dialer, target) = (self.clone(), url.to_owned());
            tries.spawn(async move { dialer.by(transport, &target).await });
            let head_start = tokio::time::sleep(self.head_start);
            tokio::pin!(head_start);
            while !tries.is_empty() {
                tokio::select! {
                    tried = tries.join_next() => match tried {
                        Some(Ok(Ok(way))) => return Ok(way),
                        Some(Ok(Err(error))) => {
                            tracing::debug!(url, "not reached: {error}");
                            last = error;
                        }
                        Some(Err(_)) | None => {}
                    },
                    () = &mut head_start => break,
                }
            }
        }
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(Ok(way)) => return Ok(way),
                Ok(Err(error)) => last = error,
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn by(&self, transport: Transport, url: &str) -> Result<Way, DialError> {
        match transport {
            Transport::Quic => self.quic(url).await,
            Transport::Tls => self.tls(url).await,
            Transport::WebSocket => self.websocket(url).await,
        }
    }

    async fn quic(&self, url: &str) -> Result<Way, DialError> {
        let address = self.quic_of(url).ok_or(DialError::Url)?;
        let mut last = DialError::NoTransport;
        // All at once: an address where nobody is answers nothing at all.
        let mut tries = JoinSet::new();
        for remote in tokio::net::lookup_host(&*address).await?.take(ADDRESSES) {
            let family = |endpoint: &&quinn::Endpoint| {
                let local = endpoint.local_addr();
                local.is_ok_and(|local| local.is_ipv4() == remote.is_ipv4())
            };
            let Some(endpoint) = self.endpoints.iter().find(family).cloned() else {
                continue;
            };
            let anchor = self.anchor.clone();
            tries.spawn(async move { links::associate(&endpoint, remote, &anchor).await });
        }
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(Ok((connection, send, receive))) => {
                    return Ok(Way::Quic(connection, send, receive));
                }
                Ok(Err(error)) => last = error.into(),
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn tls(&self, url: &str) -> Result<Way, DialError> {
        let origin = Origin::of_websocket(url).ok_or(DialError::Url)?;
        if !origin.secure() {
            return Err(DialError::NoTransport);
        }
        let stream = self.secure(&origin, framed::ALPN).await?;
        if stream.get_ref().1.alpn_protocol() != Some(framed::ALPN) {
            return Err(DialError::NoTransport);
        }
        Ok(Way::Tls(Box::new(stream)))
    }

    async fn websocket(&self, url: &str) -> Result<Way, DialError> {
        let origin = Origin::of_websocket(url).ok_or(DialError::Url)?;
        let stream: Box<dyn Duplex> = if origin.secure() {
            Box::new(self.secure(&origin, b"http/1.1").await?)
        } else {
            Box::new(tunnel::connect(origin.host(), origin.port(), self.proxy.as_ref()).await?)
        };
        let mut request = url.into_client_request().map_err(|_| DialError::Url)?;
        request.headers_mut().insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("p2psip.1"),
        );
        let config = framed::websocket();
        let (socket, _) =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config))
                .await
                .map_err(|error| DialError::WebSocket(error.to_string()))?;
        Ok(Way::WebSocket(Box::new(socket)))
    }

    async fn secure(
        &self,
        origin: &Origin,
        protocol: &[u8],
    ) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>, DialError> {
        let mut config = ClientConfig::clone(&self.tls);
        config.alpn_protocols = vec![protocol.to_vec()];
        let host = origin.host().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| DialError::Url)?;
        let tcp = tunnel::connect(origin.host(), origin.port(), self.proxy.as_ref()).await?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(name, tcp).await?)
    }
}

/// A super node as some source named it, before anybody has proved anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) node: Option<NodeId>,
    pub(crate) url: String,
    pub(crate) quic: Option<String>,
}
