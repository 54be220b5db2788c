//! A small HTTP client for the login and bootstrap servers: one request a connection, bounded in time and size.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{Origin, Proxy};
use crate::tunnel;

const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: usize = 1 << 20;

/// Asks HTTP servers.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    proxy: Option<Proxy>,
}

/// Why there is no answer of use.
#[derive(Debug)]
pub enum ClientError {
    /// No connection, or it broke.
    Unreachable(String),
    /// Ten seconds passed.
    Timeout,
    /// The server refused, with its own sentence if it gave one.
    Refused(StatusCode, String),
    /// The answer isn't what was asked for.
    Answer(String),
}

impl ClientError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout => true,
            Self::Refused(status, _) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Answer(_) => false,
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "can't be reached: {why}"),
            Self::Timeout => f.write_str("gave no answer within ten seconds"),
            Self::Refused(status, why) => write!(f, "refused ({}): {why}", status.as_u16()),
            Self::Answer(why) => write!(f, "gave an answer that makes no sense: {why}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// Makes a client that trusts what `tls` trusts.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: TlsConnector::from(tls),
            proxy: None,
        }
    }

    /// Goes through a proxy to whatever is not on this machine.
    #[must_use]
    pub fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Fetches a JSON document.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn read<A: DeserializeOwned>(
        &self,
        origin: &Origin,
        path: &str,
    ) -> Result<A, ClientError> {
        json(&self.fetch(origin, path).await?)
    }

    /// Fetches bytes.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn fetch(&self, origin: &Origin, path: &str) -> Result<Bytes, ClientError> {
        self.ask(Method::GET, origin, path, Bytes::new()).await
    }

    /// Posts a JSON document and reads the JSON answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        origin: &Origin,
        path: &str,
        question: &Q,
    ) -> Result<A, ClientError> {
        json(&self.send(origin, path, question).await?)
    }

    /// Posts a JSON document and takes any answer that is a success.
    ///
    /// # Errors
    /// Why it was not accepted.
    pub async fn send<Q: Serialize>(
        &self,
        origin: &Origin,
        path: &str,
        question: &Q,
    ) -> Result<Bytes, ClientError> {
        let body =
            serde_json::to_vec(question).map_err(|error| ClientError::Answer(error.to_string()))?;
        self.ask(Method::POST, origin, path, body.into()).await
    }

    async fn ask(
        &self,
        method: Method,
        origin: &Origin,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let asking = async {
            let host = origin.host().trim_matches(['[', ']']);
            let proxy = self.proxy.as_ref().filter(|_| origin.secure());
            let tcp = tunnel::connect(origin.host(), origin.port(), proxy)
                .await
                .map_err(unreachable)?;
            if origin.secure() {
                let name = ServerName::try_from(host.to_owned()).map_err(unreachable)?;
                let tls = self.tls.connect(name, tcp).await.map_err(unreachable)?;
                exchange(tls, method, origin, path, body).await
            } else {
                exchange(tcp, method, origin, path, body).await
            }
        };
        timeout(PATIENCE, asking)
            .await
            .unwrap_or(Err(ClientError::Timeout))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    origin: &Origin,
    path: &str,
    body: Bytes,
) -> Result<Bytes, ClientError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(unreachable)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, origin.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(unreachable)?;
    let response = sender.send_request(request).await.map_err(unreachable)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST)
        .collect()
        .await
        .map_err(|error| ClientError::Answer(error.to_string()))?
        .to_bytes();
    connection.abort();
    if status.is_success() {
        return Ok(body);
    }
    let sentence = match serde_json::from_slice::<login_server::wire::Fault>(&body) {
        Ok(fault) => fault.sentence,
        Err(_) => String::from_utf8_lossy(&body).chars().take(200).collect(),
    };
    Err(ClientError::Refused(status, sentence))
}

fn json<A: DeserializeOwned>(body: &[u8]) -> Result<A, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Answer(error.to_string()))
}

fn unreachable(error: impl fmt::Display) -> ClientError {
    ClientError::Unreachable(error.to_string())
}
