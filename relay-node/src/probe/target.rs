//! The side of the node that wants to be reached: it listens where it would as a super node.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, VarInt};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::SuperNode;
use crate::crypto::Key;
use crate::http::{self, Body, Service};
use crate::links::LinkError;
use crate::node::NodeError;
use crate::tls::{self, provider};

/// What a node calls the protocol by which it is only to be reached.
pub(super) const ALPN: &[u8] = b"partyline-probe/1";
/// How much it sends to be measured, in bytes.
pub(super) const UPLOAD: usize = 256 << 10;
/// Connections that it serves at one time.
const CONNECTIONS: usize = 4;

/// A node that waits to be reached. It ends with this value.
#[derive(Debug)]
pub(crate) struct Target {
    /// The super node's configuration, with the addresses that were bound.
    pub(crate) config: SuperNode,
    /// The super node's key.
    pub(crate) key: Key,
    endpoint: Endpoint,
    _tasks: JoinSet<()>,
}

impl Target {
    /// Listens at the super node's addresses.
    pub(crate) async fn open(config: &SuperNode, key: Key) -> Result<Self, NodeError> {
        let mut config = config.clone();
        let tls = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => {
                Some(tls::follow(certificate, key).map_err(NodeError::Tls)?)
            }
            (_, _) => None,
        };
        let page = config.listen;
        let listener = TcpListener::bind(page)
            .await
            .map_err(|error| NodeError::Listen("the page", page, error))?;
        let quic = config.quic();
        let socket =
            UdpSocket::bind(quic).map_err(|error| NodeError::Listen("QUIC", quic, error))?;
        let stun = config.stun();
        config.settle(
            bound(listener.local_addr(), page),
            bound(socket.local_addr(), quic),
            stun,
        );
        let endpoint = Endpoint::new(
            quinn::EndpointConfig::default(),
            Some(server(&key).map_err(NodeError::Links)?),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(|error| NodeError::Listen("QUIC", quic, error))?;
        let mut tasks = JoinSet::new();
        let about = Known(STANDARD.encode(key.public().to_spki()));
        tasks.spawn(http::serve(listener, tls, Arc::new(about)));
        tasks.spawn(send(endpoint.clone()));
        Ok(Self {
            config,
            key,
            endpoint,
            _tasks: tasks,
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

/// Says over HTTP whose key it is.
struct Known(String);

impl Service for Known {
    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Body> {
        if request.uri().path() == "/.well-known/partyline" {
            let about = serde_json::json!({ "public_key": self.0 });
            return Response::new(Body::from(about.to_string()));
        }
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }
}

/// Sends to whoever reaches it, so that it is measured.
async fn send(endpoint: Endpoint) {
    let mut served = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while served.try_join_next().is_some() {}
        if served.len() >= CONNECTIONS {
            incoming.refuse();
            continue;
        }
        served.spawn(async move {
            let Ok(connection) = incoming.await else {
                return;
            };
            let Ok((mut send, _)) = connection.accept_bi().await else {
                return;
            };
            let _ = send.write_all(&vec![0; UPLOAD]).await;
            let _ = send.finish();
            connection.closed().await;
        });
    }
}

fn server(key: &Key) -> Result<quinn::ServerConfig, LinkError> {
    let tls = |error: &dyn std::fmt::Display| LinkError::Tls(error.to_string());
    let pair = rcgen::KeyPair::try_from(key.pkcs8()).map_err(|error| tls(&error))?;
    let names = vec!["probe.sn".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)
        .and_then(|params| params.self_signed(&pair))
        .map_err(|error| tls(&error))?;
    let secret = PrivatePkcs8KeyDer::from(key.pkcs8().to_vec());
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| tls(&error))?
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            secret.into(),
        )
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    let config = QuicServerConfig::try_from(config).map_err(|error| tls(&error))?;
    Ok(quinn::ServerConfig::with_crypto(Arc::new(config)))
}

fn bound(local: std::io::Result<SocketAddr>, wanted: SocketAddr) -> SocketAddr {
    local.unwrap_or(wanted)
}
