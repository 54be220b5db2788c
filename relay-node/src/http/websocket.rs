//! The WebSocket of the associations: subprotocol `p2psip.1`, binary messages are overlay frames, text is SIP.
//!
//! With the subprotocol `sip`, all messages are SIP, and the program at the other end is a phone (RFC 7118): what comes goes to the SIP
//! server.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use p2psip::{LinkId, SuperNodeInput};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::page::plain;
use super::{Body, Site};
use crate::driver::Arrival;
use crate::framed;
use crate::outlet::{Drain, outlet};
use crate::sip::Foreign;

const SUBPROTOCOL: &str = "p2psip.1";
/// That of programs outside.
const FOREIGN: &str = "sip";
/// Messages that may wait for an ordinary node that reads slowly.
const QUEUE: usize = 256;
/// How long one message may take to be sent.
const SENDING: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the opening handshake of RFC 6455 §4.2.
pub(super) fn upgrade(
    site: &Site,
    mut request: Request<Incoming>,
    from: SocketAddr,
) -> Response<Body> {
    let (key, subprotocol) = match admit(site, &request) {
        Ok(admitted) => admitted,
        Err((status, sentence)) => {
            tracing::info!(%from, "WebSocket refused: {}", sentence.trim_end());
            let mut response = plain(status, sentence);
            if status == StatusCode::UPGRADE_REQUIRED {
                let headers = response.headers_mut();
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(
                    header::SEC_WEBSOCKET_VERSION,
                    HeaderValue::from_static("13"),
                );
            }
            return response;
        }
    };
    let link = LinkId(site.door.numbers.fetch_add(1, Ordering::Relaxed));
    let (arrivals, secure, idle) = (site.door.arrivals.clone(), site.door.secure, site.idle);
    let phones = site.phones.get().filter(|_| subprotocol == FOREIGN);
    let phones = phones.cloned();
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match (upgrading.await, phones) {
            (Ok(upgraded), None) => associate(upgraded, link, secure, idle, &arrivals).await,
            (Ok(upgraded), Some(phones)) => {
                if let Some((foreign, drain)) = phones.open(from, secure).await {
                    serve_foreign(upgraded, foreign, drain, idle).await;
                }
            }
            (Err(error), _) => tracing::debug!(%from, "WebSocket: {error}"),
        }
    });
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(subprotocol),
    );
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Says by which key the handshake is answered, or with which sentence it is refused.
fn admit(
    site: &Site,
    request: &Request<Incoming>,
) -> Result<(HeaderValue, &'static str), (StatusCode, &'static str)> {
    let headers = request.headers();
    let upgrades = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(headers, &header::CONNECTION, "upgrade")
        && names(headers, &header::UPGRADE, "websocket")
        && headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13");
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| upgrades) else {
        return Err((
            StatusCode::UPGRADE_REQUIRED,
            "This address speaks WebSocket, version 13.\n",
        ));
    };
    // A browser always says whose page it is. A native node has no page and need not.
    if let Some(origin) = headers.get(header::ORIGIN) {
        let known = origin
            .to_str()
            .is_ok_and(|origin| site.origins.borrow().admit(origin, site.clock.now()));
        if !known {
            return Err((
                StatusCode::FORBIDDEN,
                "Pages of this origin may not connect: it is no super node of the overlay and not among the operator's `origins`.\n",
            ));
        }
    }
    let offers = |protocol| names(headers, &header::SEC_WEBSOCKET_PROTOCOL, protocol);
    match () {
        () if offers(SUBPROTOCOL) => Ok((key.clone(), SUBPROTOCOL)),
        () if offers(FOREIGN) && site.phones.get().is_some() => Ok((key.clone(), FOREIGN)),
        () => Err((
            StatusCode::BAD_REQUEST,
            "The WebSocket must offer the subprotocol p2psip.1, or sip where phones are served.\n",
        )),
    }
}

fn names(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// Serves one association until either side ends it.
async fn associate(
    upgraded: Upgraded,
    link: LinkId,
    secure: bool,
    idle: Duration,
    arrivals: &mpsc::Sender<Arrival>,
) {
    let socket = socket(upgraded).await;
    let (mut sink, stream) = socket.split();
    let (outlet, mut drain) = outlet(QUEUE);
    let cut = drain.cutting();
    let opened = Arrival::Associated {
        link,
        secure,
        outlet,
    };
    if arrivals.send(opened).await.is_err() {
        return;
    }
    // Pings are the reader's wish and the writer's work.
    let (wishes, wish) = mpsc::channel(1);
    let ending = tokio::select! {
        ending = receive(stream, idle, wishes, arrivals, |message| {
            Some(Arrival::Fact(match message {
                Received::Binary(bytes) => SuperNodeInput::Frame { link, bytes },
                Received::Text(text) => SuperNodeInput::Text { link, text },
            }))
        }) => ending,
        ending = write(&mut sink, &mut drain, wish, |message| message) => ending,
        () = cut => Some((CloseCode::Policy, "you read too slowly")),
    };
    let _ = arrivals
        .send(Arrival::Fact(SuperNodeInput::Closed { link }))
        .await;
    finish(sink, ending).await;
}

/// Serves a phone until either side ends it.
async fn serve_foreign(
    upgraded: Upgraded,
    foreign: Foreign,
    mut drain: Drain<Vec<u8>>,
    idle: Duration,
) {
    let (mut sink, stream) = socket(upgraded).await.split();
    let cut = drain.cutting();
    let (wishes, wish) = mpsc::channel(1);
    let ending = tokio::select! {
        ending = receive(stream, idle, wishes, &foreign.arrivals, |message| {
            foreign.message(match message {
                Received::Binary(bytes) => bytes,
                Received::Text(text) => text.into_bytes(),
            })
        }) => ending,
        ending = write(&mut sink, &mut drain, wish, sip_frame) => ending,
        () = cut => Some((CloseCode::Policy, "you read too slowly")),
    };
    foreign.close(drain).await;
    finish(sink, ending).await;
}

/// A SIP message as text, or as it is where it is none (RFC 7118, section 5).
fn sip_frame(message: Vec<u8>) -> Message {
    match String::from_utf8(message) {
        Ok(text) => Message::text(text),
        Err(error) => Message::binary(error.into_bytes()),
    }
}

async fn socket(upgraded: Upgraded) -> Socket {
    let config = framed::websocket();
    Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

async fn finish(mut sink: SplitSink<Socket, Message>, ending: Ending) {
    if let Some((code, reason)) = ending {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        let _ = timeout(SENDING, sink.send(Message::Close(Some(frame)))).await;
    }
    let _ = timeout(SENDING, sink.close()).await;
}

type Ending = Option<(CloseCode, &'static str)>;

/// A message as it came.
enum Received {
    Binary(Vec<u8>),
    Text(String),
}

/// Hands on what comes and means anything, until that can't be done any more or the other side has ended.
async fn receive<T>(
    mut stream: SplitStream<Socket>,
    idle: Duration,
    wishes: mpsc::Sender<()>,
    arrivals: &mpsc::Sender<T>,
    read: impl Fn(Received) -> Option<T>,
) -> Ending {
    let mut silent = false;
    loop {
        let message = match timeout(idle, stream.next()).await {
            Err(_) if silent => return Some((CloseCode::Away, "you were silent for too long")),
            Err(_) => {
                silent = true;
                let _ = wishes.try_send(());
                continue;
            }
            Ok(None) => return None,
            Ok(Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. })))) => {
                return Some((CloseCode::Size, "messages have at most 64 KiB"));
            }
            Ok(Some(Err(Error::Utf8(_)))) => {
                return Some((CloseCode::Invalid, "text messages are UTF-8"));
            }
            Ok(Some(Err(Error::Protocol(_)))) => {
                return Some((CloseCode::Protocol, "that is no WebSocket"));
            }
            Ok(Some(Err(_))) => return None,
            Ok(Some(Ok(Message::Binary(bytes)))) => Received::Binary(bytes.into()),
            Ok(Some(Ok(Message::Text(text)))) => Received::Text(text.as_str().to_owned()),
            Ok(Some(Ok(Message::Close(_)))) => return None,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
                silent = false;
                continue;
            }
        };
        silent = false;
        if let Some(arrival) = read(message)
            && arrivals.send(arrival).await.is_err()
        {
            return Some((CloseCode::Restart, "the super node ends"));
        }
    }
}

async fn write<T>(
    sink: &mut SplitSink<Socket, Message>,
    drain: &mut Drain<T>,
    mut wish: mpsc::Receiver<()>,
    frame: impl Fn(T) -> Message,
) -> Ending {
    loop {
        let message = tokio::select! {
            message = drain.next() => message.map(&frame),
            Some(()) = wish.recv() => Some(Message::Ping(Default::default())),
        };
        let Some(message) = message else {
            return Some((CloseCode::Normal, ""));
        };
        match timeout(SENDING, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some((CloseCode::Policy, "you read too slowly")),
        }
    }
}
