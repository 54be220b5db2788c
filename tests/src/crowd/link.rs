//! The WebSockets of one ordinary node.

use futures_util::{SinkExt, StreamExt};
use overlay::{LinkId, OrdinaryInput as Input};
use relay_node::tls;
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Messages that may wait, each way.
pub(super) const QUEUE: usize = 32;
/// There are thousands of connections: none needs much room.
const BUFFER: usize = 2 << 10;

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

type Socket = WebSocketStream<Box<dyn Duplex>>;

/// Where the writer of each link is.
pub(super) struct Links {
    tls: Option<Arc<ClientConfig>>,
    arrive: mpsc::Sender<Input>,
    open: HashMap<LinkId, mpsc::Sender<Vec<u8>>>,
}

impl Links {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, arrive: mpsc::Sender<Input>) -> Self {
        Self {
            tls,
            arrive,
            open: HashMap::new(),
        }
    }

    pub(super) fn dial(&mut self, link: LinkId, url: String) {
        let (send, sent) = mpsc::channel(QUEUE);
        self.open.insert(link, send);
        let (tls, arrive) = (self.tls.clone(), self.arrive.clone());
        tokio::spawn(async move {
            let end = match dial(&url, tls).await {
                Ok(socket) => {
                    if arrive.send(Input::Up(link)).await.is_ok() {
                        serve(link, socket, sent, &arrive).await;
                    }
                    Input::Down(link)
                }
                Err(Error::Io(error)) if tls::is_busy(&error) => Input::Busy(link),
                Err(_) => Input::Down(link),
            };
            let _ = arrive.send(end).await;
        });
    }

    /// Sends a message; false if the super node reads too slowly, and the link is cut.
    pub(super) fn send(&mut self, link: LinkId, frame: Vec<u8>) -> bool {
        let sent = self
            .open
            .get(&link)
            .is_none_or(|send| send.try_send(frame).is_ok());
        if !sent {
            self.open.remove(&link);
        }
        sent
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.open.remove(&link);
    }
}

async fn dial(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Socket, Error> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(
        "sec-websocket-protocol",
        HeaderValue::from_static("p2psip.1"),
    );
    let host = request.uri().host().unwrap_or_default().to_owned();
    let port = request.uri().port_u16().unwrap_or(443);
    // All super nodes of a test are on this machine.
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let stream: Box<dyn Duplex> = match tls.filter(|_| url.starts_with("wss:")) {
        Some(tls) => {
            let name = host.try_into().map_err(std::io::Error::other)?;
            Box::new(TlsConnector::from(tls).connect(name, tcp).await?)
        }
        None => Box::new(tcp),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    Ok(opened.await?.0)
}

async fn serve(
    link: LinkId,
    mut socket: Socket,
    mut sent: mpsc::Receiver<Vec<u8>>,
    arrive: &mpsc::Sender<Input>,
) {
    loop {
        tokio::select! {
            frame = sent.recv() => {
                let Some(frame) = frame else { return };
                if socket.send(Message::binary(frame)).await.is_err() {
                    return;
                }
            }
            arrived = socket.next() => match arrived {
                Some(Ok(Message::Binary(bytes))) => {
                    let frame = bytes.into();
                    if arrive.send(Input::Frame { link, frame }).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}
