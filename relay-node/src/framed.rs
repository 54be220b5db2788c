//! Messages on a stream of bytes: an association over QUIC or over TLS on TCP (draft §5.3).
//!
//! ```text
//! kind     1 byte   1 overlay frame, 2 SIP
//! length   4 bytes  big-endian, at most 65,536
//! message
//! ```
//!
//! It carries what a WebSocket carries: a binary message is kind 1, a text message kind 2, and SIP that is not UTF-8, which
//! a WebSocket has as a binary message with a zero in front, is kind 2 as it is.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::outlet::Drain;

/// What both ends of TLS and of QUIC call this protocol.
pub(crate) const ALPN: &[u8] = b"partyline-on/1";

const OVERLAY: u8 = 1;
const SIP: u8 = 2;
/// The longest message, also on a WebSocket and when it comes in fragments.
const LARGEST: usize = 64 << 10;
/// What a WebSocket keeps for reading, and for writing, while nothing happens.
const BUFFER: usize = 4 << 10;
/// How long one message may take to be sent.
const SENDING: Duration = Duration::from_secs(10);
/// The first byte of a binary message that carries SIP.
const SIP_FRAME: u8 = 0;

/// How a WebSocket that carries the same is set up, at either end.
pub(crate) fn websocket() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(BUFFER + 2 * LARGEST)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    Frame(Vec<u8>),
    Text(String),
}

/// Reads one message; `None` at the end of the stream.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Arrived>, Error> {
    let mut head = [0; 5];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(Error::new(ErrorKind::InvalidData, "message too long"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(match kind {
        OVERLAY => Arrived::Frame(message),
        SIP => match String::from_utf8(message) {
            Ok(text) => Arrived::Text(text),
            Err(other) => {
                let mut message = other.into_bytes();
                message.insert(0, SIP_FRAME);
                Arrived::Frame(message)
            }
        },
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "unknown kind of message",
            ));
        }
    }))
}

/// Writes one message; WebSocket's own, pings and the like, have no place here.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &Message,
) -> Result<(), Error> {
    let (kind, bytes): (u8, &[u8]) = match message {
        Message::Binary(bytes) => match bytes.split_first() {
            Some((&SIP_FRAME, sip)) => (SIP, sip),
            _ => (OVERLAY, bytes),
        },
        Message::Text(text) => (SIP, text.as_bytes()),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
            return Ok(());
        }
    };
    let mut packed = Vec::with_capacity(5 + bytes.len());
    packed.push(kind);
    packed.extend((bytes.len() as u32).to_be_bytes());
    packed.extend(bytes);
    stream.write_all(&packed).await?;
    stream.flush().await
}

/// Writes what comes out of a queue, until it ends or the other side does not read.
pub(crate) async fn pour(stream: &mut (impl AsyncWrite + Unpin), drain: &mut Drain<Message>) {
    while let Some(message) = drain.next().await {
        match timeout(SENDING, write(stream, &message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let _ = timeout(SENDING, stream.shutdown()).await;
}

/// The message as a WebSocket has it.
pub(crate) fn text(text: String) -> Message {
    Message::Text(Utf8Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn r097_what_is_written_is_read() {
        let (mut a, mut b) = tokio::io::duplex(1 << 20);
        let sent = [
            Message::binary(vec![1; 60_000]),
            text("INVITE".to_owned()),
            Message::binary(vec![0, 0xff, 0xfe]),
            Message::binary(Vec::new()),
        ];
        for message in &sent {
            write(&mut a, message).await.unwrap();
        }
        drop(a);
        let mut arrived = Vec::new();
        while let Some(message) = read(&mut b).await.unwrap() {
            arrived.push(message);
        }
        let expected = [
            Arrived::Frame(vec![1; 60_000]),
            Arrived::Text("INVITE".to_owned()),
            Arrived::Frame(vec![0, 0xff, 0xfe]),
            Arrived::Frame(Vec::new()),
        ];
        assert_eq!(arrived, expected);
    }

    #[tokio::test]
    async fn a09_what_is_no_message_ends_the_stream() {
        for bytes in [
            &[1, 0, 1, 0, 1][..],
            &[1, 0xff, 0xff, 0xff, 0xff],
            &[3, 0, 0, 0, 0],
            &[2, 0, 0, 0, 9, b'I'],
            &[1, 0, 0],
        ] {
            assert!(read(&mut &*bytes).await.is_err(), "{bytes:?}");
        }
        assert_eq!(read(&mut &[][..]).await.unwrap(), None);
    }
}
