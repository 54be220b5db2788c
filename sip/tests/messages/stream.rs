//! Messages out of a stream of bytes, and what ends a stream.

use proptest::prelude::*;
use sip::Message;
use sip::message::{Flaw, Framing, Name};
use sip::stream::{Breach, Piece, Stream};

const HEAD: &str = concat!(
    "OPTIONS sip:bob@example.org SIP/2.0\r\n",
    "Via: SIP/2.0/TCP a.example.org;branch=z9hG4bKabc\r\n",
    "Max-Forwards: 70\r\n",
    "From: <sip:alice@example.org>;tag=1\r\n",
    "To: <sip:bob@example.org>\r\n",
    "Call-ID: c\r\n",
    "CSeq: 1 OPTIONS\r\n",
);

fn message(length: &str, body: &str) -> String {
    format!("{HEAD}{length}\r\n{body}")
}

/// What comes out of a stream that gets `bytes` in parts of `size`: the pieces and why it broke.
fn pieces(mut stream: Stream, bytes: &[u8], size: usize) -> (Vec<Piece>, Option<Breach>) {
    let mut all = Vec::new();
    for part in bytes.chunks(size) {
        stream.push(part);
        loop {
            match stream.next() {
                Ok(Some(piece)) => all.push(piece),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken.breach)),
            }
        }
    }
    (all, None)
}

fn read(text: &str, framing: Framing) -> Result<Message, Flaw> {
    Message::read(text.as_bytes().to_vec(), framing).map_err(|malformed| malformed.flaw)
}

#[test]
fn messages_and_keep_alives_come_out_however_the_bytes_are_cut() {
    let one = message("Content-Length: 5\r\n", "hello");
    let two = message("l:\r\n 0\r\n", "");
    let bytes = format!("\r\n\r\n{one}\r\n\r\n\r\n{two}{one}\r\n\r\n");
    let expected = [
        Piece::Ping,
        Piece::Message(one.clone().into()),
        Piece::Ping,
        Piece::Message(two.clone().into()),
        Piece::Message(one.clone().into()),
        Piece::Ping,
    ];
    for size in [1, 2, 3, 7, 64, 5000] {
        let (all, breach) = pieces(Stream::accepted(), bytes.as_bytes(), size);
        assert_eq!((&all[..], breach), (&expected[..], None), "{size}");
    }
    let (all, breach) = pieces(Stream::opened(), format!("\r\n{one}\r\n\r\n").as_bytes(), 1);
    let expected = [
        Piece::Pong,
        Piece::Message(one.into()),
        Piece::Pong,
        Piece::Pong,
    ];
    assert_eq!((&all[..], breach), (&expected[..], None));
}

#[test]
fn a36_content_length_that_leaves_a_doubt_ends_the_stream() {
    let smuggled = message("Content-Length: 0\r\n", "");
    for (length, breach) in [
        ("Content-Length: -1\r\n", Breach::BadLength),
        ("Content-Length: +1\r\n", Breach::BadLength),
        ("Content-Length: 0x10\r\n", Breach::BadLength),
        ("Content-Length:\r\n", Breach::BadLength),
        ("Content-Length: 1 2\r\n", Breach::BadLength),
        ("Content-Length: 1,2\r\n", Breach::BadLength),
        (
            "Content-Length: 18446744073709551616\r\n",
            Breach::BadLength,
        ),
        ("Content-Length: 2147483648\r\n", Breach::BodyTooLarge),
        ("Content-Length: 4294967328\r\n", Breach::BodyTooLarge),
        ("Content-Length: 65536\r\n", Breach::BodyTooLarge),
        (
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            Breach::TwoLengths,
        ),
        ("Content-Length: 0\r\nl: 300\r\n", Breach::TwoLengths),
        ("L : 0\r\ncontent-length\t:\r\n 300\r\n", Breach::TwoLengths),
        ("X: y\r\n Content-Length: 0\r\n", Breach::NoLength),
        ("", Breach::NoLength),
    ] {
        let bytes = message(length, &smuggled);
        for size in [1, 11, 5000] {
            let (all, found) = pieces(Stream::accepted(), bytes.as_bytes(), size);
            assert_eq!((all, found), (vec![], Some(breach)), "{length:?}");
        }
        let mut stream = Stream::accepted();
        stream.push(bytes.as_bytes());
        let broken = stream.next().unwrap_err();
        assert_eq!(broken.head, message(length, "").as_bytes());
        assert!(broken.breach.to_string().len() > 20);
        assert_eq!(stream.next(), Ok(None), "nothing comes after a breach");
        stream.push(smuggled.as_bytes());
        assert_eq!(stream.next(), Ok(None));
        // Its sender can be told.
        let malformed = Message::read(broken.head, Framing::Stream).unwrap_err();
        assert!(malformed.request.is_some(), "{length:?}");
    }
}

#[test]
fn a36_a_datagram_ends_its_message_and_its_content_length_may_only_shorten_it() {
    let text = message("Content-Length: 2\r\n", "hello");
    assert_eq!(read(&text, Framing::Datagram).unwrap().body(), b"he");
    for framing in [Framing::Frame, Framing::Stream] {
        assert_eq!(read(&text, framing).err(), Some(Flaw::ContentLength));
    }
    for length in [
        "6",
        "-1",
        "2147483648",
        "4294967328",
        "18446744073709551616",
    ] {
        let text = message(&format!("Content-Length: {length}\r\n"), "hello");
        for framing in [Framing::Datagram, Framing::Frame, Framing::Stream] {
            let flaw = read(&text, framing).err();
            assert_eq!(flaw, Some(Flaw::ContentLength), "{length} {framing:?}");
        }
    }
    let twice = message("Content-Length: 2\r\nl: 5\r\n", "hello");
    for framing in [Framing::Datagram, Framing::Frame, Framing::Stream] {
        let flaw = read(&twice, framing).err();
        assert_eq!(flaw, Some(Flaw::Duplicate(Name::ContentLength)));
    }
    let none = message("", "hello");
    assert_eq!(read(&none, Framing::Datagram).unwrap().body(), b"hello");
    assert_eq!(read(&none, Framing::Frame).unwrap().body(), b"hello");
    let missing = Some(Flaw::Missing(Name::ContentLength));
    assert_eq!(read(&none, Framing::Stream).err(), missing);
}

#[test]
fn a44_what_is_not_sip_or_never_ends_closes_the_stream_early() {
    for (bytes, breach) in [
        (&b"\x16\x03\x01\x02\x00"[..], Breach::NotSip),
        (b" OPTIONS", Breach::NotSip),
        (b"\r\r", Breach::NotSip),
        (b"\n", Breach::NotSip),
        (b"OPTIONS sip:a SIP/2.0\n\n", Breach::LineEnd),
        (b"OPTIONS sip:a SIP/2.0\r\nTo: a\rb", Breach::LineEnd),
    ] {
        for size in [1, 100] {
            let (all, found) = pieces(Stream::accepted(), bytes, size);
            assert_eq!((all, found), (vec![], Some(breach)), "{bytes:?}");
        }
    }
    let endless = "OPTIONS sip:a SIP/2.0\r\n".to_owned() + &"X: y\r\n".repeat(10_000);
    let mut stream = Stream::accepted();
    let mut taken = 0;
    let broken = endless.as_bytes().chunks(1000).find_map(|part| {
        taken += part.len();
        stream.push(part);
        stream.next().err()
    });
    assert_eq!(broken.unwrap().breach, Breach::HeadTooLarge);
    assert!(taken < 26_000, "{taken}");
    let long = "OPTIONS sip:".to_owned() + &"a".repeat(30_000);
    let (_, found) = pieces(Stream::accepted(), long.as_bytes(), 999);
    assert_eq!(found, Some(Breach::HeadTooLarge));
}

#[test]
fn a_message_of_rfc_2543_is_read_from_outside_only() {
    let old = message("l: 0\r\n", "").replace(";branch=z9hG4bKabc", "");
    assert!(read(&old, Framing::Stream).is_ok());
    assert!(Message::parse(old.into_bytes()).is_err());
    let empty = message("l: 0\r\n", "").replace("z9hG4bKabc", "z9hG4bK");
    assert_eq!(read(&empty, Framing::Stream).err(), Some(Flaw::Branch));
    let unnamed = message("l: 0\r\n", "").replace("Call-ID: c\r\n", "");
    let malformed = Message::read(unnamed.into_bytes(), Framing::Stream).unwrap_err();
    assert!(malformed.request.is_some());
}

proptest! {
    /// Framing and parser agree about where a message ends, or one of them refuses it.
    #[test]
    fn a40_stream_and_parser_read_a_length_alike(
        name in "(Content-Length|l|content-LENGTH|X)",
        blank in "[ \t]{0,2}",
        fold in prop_oneof![Just(" "), Just("\r\n "), Just("\r\n\t"), Just("")],
        value in "[0-9]{0,2}[ \t]{0,1}",
        more in "(l: 3\r\n|Y: l: 7\r\n|Y: z\r\n l: 1\r\n|)",
        body in "[a-z]{0,120}",
    ) {
        let text = message(&format!("{name}{blank}:{fold}{value}\r\n{more}"), &body);
        let mut stream = Stream::accepted();
        stream.push(text.as_bytes());
        if let Ok(Some(Piece::Message(bytes))) = stream.next() {
            let read = Message::read(bytes.clone(), Framing::Stream);
            let read = read.map_err(|malformed| malformed.flaw);
            prop_assert!(read.is_ok(), "{:?}", read);
            let read = read.unwrap();
            let cut = Message::read(text.into_bytes(), Framing::Datagram);
            let cut = cut.map_err(|malformed| malformed.flaw).unwrap();
            prop_assert_eq!(read.body(), cut.body());
        }
    }
}
