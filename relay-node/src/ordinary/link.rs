//! One link of an ordinary node: dialled, then moving messages until either side ends it.

use futures_util::{SinkExt, StreamExt};
use p2psip::{Input, LinkId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::dial::{Dialer, Duplex, Way};
use super::driver::Order;
use crate::framed::{self, Arrived};
use crate::outlet::Drain;

/// Serves a link from the dialling to its end. What comes of it is told as orders.
pub(super) async fn serve(
    dialer: Dialer,
    link: LinkId,
    url: String,
    mut drain: Drain<Message>,
    orders: mpsc::Sender<Order>,
) {
    let cut = drain.cutting();
    let serving = async {
        match dialer.dial(&url).await {
            Ok(way) => {
                let transport = way.transport();
                tracing::debug!(url, %transport, "reached");
                let stands = Order::Stands { link, transport };
                if orders.send(stands).await.is_ok() {
                    run(way, link, &mut drain, &orders).await;
                }
                Input::Closed { link }
            }
            Err(error) => {
                tracing::info!(url, "super node not reached: {error}");
                if error.is_busy() {
                    Input::Busy { link }
                } else {
                    Input::Closed { link }
                }
            }
        }
    };
    let end = tokio::select! {
        end = serving => end,
        () = cut => return,
    };
    let _ = orders.send(Order::Fact(end)).await;
}

async fn run(way: Way, link: LinkId, drain: &mut Drain<Message>, orders: &mpsc::Sender<Order>) {
    match way {
        Way::Quic(connection, mut send, receive) => {
            both(receive, &mut send, link, drain, orders).await;
            let _ = tokio::time::timeout(GOODBYE, send.stopped()).await;
            connection.close(quinn::VarInt::from_u32(0), b"");
        }
        Way::Tls(stream) => {
            let (receive, mut send) = tokio::io::split(stream);
            both(receive, &mut send, link, drain, orders).await;
        }
        Way::WebSocket(socket) => websocket(*socket, link, drain, orders).await,
    }
}

/// How long the other end may take to have read what was sent last.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(1);

async fn both(
    mut receive: impl AsyncRead + Unpin,
    send: &mut (impl AsyncWrite + Unpin),
    link: LinkId,
    drain: &mut Drain<Message>,
    orders: &mpsc::Sender<Order>,
) {
    let reading = async {
        while let Ok(Some(arrived)) = framed::read(&mut receive).await {
            let fact = match arrived {
                Arrived::Frame(bytes) => Input::Frame { link, bytes },
                Arrived::Text(text) => Input::Text { link, text },
            };
            if orders.send(Order::Fact(fact)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = framed::pour(send, drain) => {}
    }
}

async fn websocket(
    socket: WebSocketStream<Box<dyn Duplex>>,
    link: LinkId,
    drain: &mut Drain<Message>,
    orders: &mpsc::Sender<Order>,
) {
    let (mut sink, mut stream) = socket.split();
    let reading = async {
        while let Some(Ok(message)) = stream.next().await {
            let fact = match message {
                Message::Binary(bytes) => Input::Frame {
                    link,
                    bytes: bytes.into(),
                },
                Message::Text(text) => Input::Text {
                    link,
                    text: text.as_str().to_owned(),
                },
                Message::Close(_) => return,
                // The library answers pings by itself.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            if orders.send(Order::Fact(fact)).await.is_err() {
                return;
            }
        }
    };
    let writing = async {
        while let Some(message) = drain.next().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}
