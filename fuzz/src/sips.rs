//! SIP, its streams, SDP and STUN.

use sip::header::Address;
use sip::message::Framing;
use sip::sdp::Description;
use sip::stream::{Piece, Stream};
use sip::{Message, Uri};

pub(crate) fn message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes.to_vec()) else {
        return;
    };
    let plain = message.as_bytes().to_vec();
    let again = Message::parse(plain.clone()).expect("what was understood can be read again");
    assert_eq!(again.as_bytes(), plain, "every element reads it alike");
    assert_eq!(
        (again.method_text(), again.status()),
        (message.method_text(), message.status())
    );
}

/// However a stream is cut, the same comes out, and the parser agrees about where each message ends.
pub(crate) fn stream(bytes: &[u8]) {
    let pieces = |size: usize| {
        let mut stream = Stream::accepted();
        let mut all = Vec::new();
        for part in bytes.chunks(size) {
            stream.push(part);
            loop {
                match stream.next() {
                    Ok(Some(piece)) => all.push(Ok(piece)),
                    Ok(None) => break,
                    Err(_) => all.push(Err(())),
                }
            }
        }
        all
    };
    let whole = pieces(bytes.len().max(1));
    assert_eq!(whole, pieces(3), "cuts change nothing");
    for piece in whole {
        if let Ok(Piece::Message(message)) = piece {
            let length = message.len();
            if let Ok(read) = Message::read(message, Framing::Stream) {
                assert_eq!(read.as_bytes().len(), length);
            }
        }
    }
}

pub(crate) fn uri(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    let _ = Uri::read(text);
    let _ = Address::read(text);
    let _ = sip::header::Via::read(text);
}

pub(crate) fn description(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Description::read(text);
        let _ = Description::read_fragment(text);
    }
}

pub(crate) fn stun(bytes: &[u8]) {
    let _ = turn::Message::read(bytes);
}
