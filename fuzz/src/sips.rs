//! SIP, its streams and SDP.

use machine::Instant;
use sip::digest::{Door, Guard, Login};
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

/// Whatever stands in a header for passwords lets nobody in, and what is answered to a challenge can be sent.
pub(crate) fn digest(bytes: &[u8]) {
    let Ok(value) = core::str::from_utf8(bytes) else {
        return;
    };
    let message = |line: &str, name: &str| {
        let text = format!(
            "{line}\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\n\
             CSeq: 1 REGISTER\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes()).ok()
    };
    let mut guard = Guard::new("b", [0; 16], true);
    if let Some(request) = message("REGISTER sip:b SIP/2.0", "Authorization")
        && let Ok(claim) = guard.claim(&request, Door::Server, Instant::EPOCH)
    {
        let verdict = guard.check(&claim, Some("word"), Instant::EPOCH);
        assert_eq!(verdict, sip::digest::Verdict::Wrong);
    }
    let login = Login {
        realm: "b".into(),
        user: "a".into(),
        password: "word".into(),
        md5: true,
    };
    if let Some(response) = message("SIP/2.0 401 x", "WWW-Authenticate")
        && let Some(line) = login.answer(&response, ["REGISTER", "sip:b"], "c", 1)
    {
        assert_eq!(line.matches("\r\n").count(), 1, "one header line");
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
