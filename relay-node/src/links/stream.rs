use quinn::{Connection, ReadExactError, RecvStream, SendStream};

use super::LinkError;

/// The longest message on either stream.
pub(super) const LARGEST: usize = 64 << 10;

/// What a stream is for; its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Overlay = 1,
    Sip = 2,
}

/// The two ways of one stream.
pub(super) struct Stream {
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
}

/// Opens both streams, as the side that dialled does.
pub(super) async fn open(connection: &Connection) -> Result<(Stream, Stream), LinkError> {
    let overlay = open_one(connection, Kind::Overlay).await?;
    let sip = open_one(connection, Kind::Sip).await?;
    Ok((overlay, sip))
}

/// Takes both streams, as the side that was dialled does.
pub(super) async fn accept(connection: &Connection) -> Result<(Stream, Stream), LinkError> {
    let (mut overlay, mut sip) = (None, None);
    for _ in 0..2 {
        let (send, mut receive) = connection.accept_bi().await?;
        let mut kind = [0];
        receive
            .read_exact(&mut kind)
            .await
            .map_err(|_| LinkError::Streams)?;
        let stream = Stream { send, receive };
        match kind[0] {
            1 => overlay = Some(stream),
            2 => {
                let _ = stream.send.set_priority(1);
                sip = Some(stream);
            }
            _ => return Err(LinkError::Streams),
        }
    }
    overlay.zip(sip).ok_or(LinkError::Streams)
}

async fn open_one(connection: &Connection, kind: Kind) -> Result<Stream, LinkError> {
    let (mut send, receive) = connection.open_bi().await?;
    if kind == Kind::Sip {
        // A call must not wait behind a hand-over of records.
        let _ = send.set_priority(1);
    }
    send.write_all(&[kind as u8])
        .await
        .map_err(|_| LinkError::Streams)?;
    Ok(Stream { send, receive })
}

/// Writes one message: its length in four bytes, big-endian, then itself.
pub(super) async fn write(send: &mut SendStream, message: &[u8]) -> Result<(), quinn::WriteError> {
    let length = (message.len() as u32).to_be_bytes();
    if message.len() <= 2048 {
        return send.write_all(&[&length, message].concat()).await;
    }
    send.write_all(&length).await?;
    send.write_all(message).await
}

/// The other side broke the format, or the connection is gone.
pub(super) struct Broken;

/// Reads one message; `None` at the end of the stream.
pub(super) async fn read(receive: &mut RecvStream) -> Result<Option<Vec<u8>>, Broken> {
    let mut length = [0; 4];
    match receive.read_exact(&mut length).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(_) => return Err(Broken),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(Broken);
    }
    let mut message = vec![0; length];
    match receive.read_exact(&mut message).await {
        Ok(()) => Ok(Some(message)),
        Err(_) => Err(Broken),
    }
}
