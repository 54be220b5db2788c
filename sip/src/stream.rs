//! Messages in a stream of bytes (RFC 3261, section 18.3; keep-alives of RFC 5626, section 3.5.1).
//!
//! ```text
//! CRLF CRLF                     a ping; the answer is CRLF
//! start line CRLF
//! Content-Length: 5 CRLF        the only thing that says where a message ends
//! CRLF
//! hello
//! ```
//! Where a message ends must be beyond doubt, or what one element takes for a body another one takes for a message. So
//! a Content-Length that is missing, repeated or no plain number ends the stream: see [`Breach`].

use alloc::vec::Vec;
use core::fmt;

use crate::message::{Flaw, MAXIMUM, MAXIMUM_HEAD, decimal};

/// Cuts a stream into messages. Holds no more than one message and what was pushed last.
///
/// ```
/// use sip::stream::{Piece, Stream};
///
/// let mut stream = Stream::accepted();
/// stream.push(b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nhi\r\n");
/// assert_eq!(stream.next(), Ok(Some(Piece::Ping)));
/// let Ok(Some(Piece::Message(message))) = stream.next() else { panic!() };
/// assert!(message.ends_with(b"\r\n\r\nhi"));
/// assert_eq!(stream.next(), Ok(None));
/// ```
#[derive(Debug)]
pub struct Stream {
    buffer: Vec<u8>,
    /// Where what was not given out yet begins.
    start: usize,
    /// Up to where the head was looked through.
    seen: usize,
    /// Where the message ends, once its head is there.
    end: Option<usize>,
    accepted: bool,
    broken: bool,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A message, for [`Message::read`](crate::Message::read).
    Message(Vec<u8>),
    /// The other side asks for a sign of life: send [`PONG`].
    Ping,
    /// The other side answered our [`PING`].
    Pong,
}

/// Asks for a sign of life.
pub const PING: &[u8] = b"\r\n\r\n";
/// Answers a ping.
pub const PONG: &[u8] = b"\r\n";

/// Why a stream can't be read any further. It has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// The first byte of a message can't begin one.
    NotSip,
    /// A line does not end in CRLF.
    LineEnd,
    /// The head has no end within what is read.
    HeadTooLarge,
    /// The body is longer than what is read.
    BodyTooLarge,
    /// No Content-Length.
    NoLength,
    /// More than one Content-Length.
    TwoLengths,
    /// A Content-Length that is no number.
    BadLength,
}

impl Breach {
    /// The status of the response that a request with this flaw gets before the stream is closed.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadTooLarge | Self::BodyTooLarge => Flaw::TooLarge.status(),
            Self::NotSip | Self::LineEnd | Self::NoLength | Self::TwoLengths | Self::BadLength => {
                400
            }
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSip => "what came is not SIP",
            Self::LineEnd => "a line does not end in CRLF",
            Self::HeadTooLarge => "the headers are larger than 24576 bytes",
            Self::BodyTooLarge => "the message is larger than 65535 bytes",
            Self::NoLength => "no Content-Length, which a stream needs",
            Self::TwoLengths => "more than one Content-Length",
            Self::BadLength => "the Content-Length is not a number",
        })
    }
}

/// A stream that broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub breach: Breach,
    /// The head of the message at which it broke, as far as there is one: its sender may be told.
    pub head: Vec<u8>,
}

impl Stream {
    /// The bytes of a connection that the other side opened, and sends pings on.
    #[must_use]
    pub const fn accepted() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            seen: 0,
            end: None,
            accepted: true,
            broken: false,
        }
    }

    /// The bytes of a connection that we opened, and hear pongs on.
    #[must_use]
    pub const fn opened() -> Self {
        let mut stream = Self::accepted();
        stream.accepted = false;
        stream
    }

    /// Takes in what came. Call [`next`](Self::next) until it has nothing more before pushing again. What comes behind
    /// a breach is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.seen -= self.start;
            self.end = self.end.map(|end| end - self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Says whether a message has begun and not ended: a slow sender keeps memory so.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// The next piece, if all of it is there.
    ///
    /// # Errors
    /// The stream can't be read any further. After that there is nothing more.
    #[expect(
        clippy::should_implement_trait,
        reason = "an end of what is there is no end of the stream"
    )]
    pub fn next(&mut self) -> Result<Option<Piece>, Broken> {
        if self.broken {
            return Ok(None);
        }
        if self.end.is_none() {
            if let Some(piece) = self.keep_alive() {
                return Ok(Some(piece));
            }
            match self.find_end() {
                Ok(end) => self.end = end,
                Err((breach, head)) => return Err(self.fail(breach, head)),
            }
        }
        let Some(end) = self.end.filter(|end| *end <= self.buffer.len()) else {
            return Ok(None);
        };
        let message = self.buffer[self.start..end].to_vec();
        self.advance(end);
        Ok(Some(Piece::Message(message)))
    }

    fn advance(&mut self, to: usize) {
        (self.start, self.seen, self.end) = (to, to, None);
        if to == self.buffer.len() {
            self.buffer.clear();
            (self.start, self.seen) = (0, 0);
            // An idle connection keeps no buffer of a large message.
            self.buffer.shrink_to(IDLE);
        }
    }

    /// Takes line ends off the front. Two from the side that opened the connection are a ping.
    fn keep_alive(&mut self) -> Option<Piece> {
        if self.seen > self.start {
            return None;
        }
        loop {
            let rest = &self.buffer[self.start..];
            if self.accepted && rest.starts_with(PING) {
                self.advance(self.start + PING.len());
                return Some(Piece::Ping);
            }
            if !rest.starts_with(PONG) || self.accepted && PING.starts_with(rest) {
                return None;
            }
            self.advance(self.start + PONG.len());
            if !self.accepted {
                return Some(Piece::Pong);
            }
        }
    }

    /// Finds where the message ends, if its head is there. A breach comes with the end of the head.
    fn find_end(&mut self) -> Result<Option<usize>, (Breach, usize)> {
        let text = &self.buffer[self.start..];
        let Some(first) = text.first() else {
            return Ok(None);
        };
        if PING.starts_with(text) {
            return Ok(None);
        }
        if !first.is_ascii_graphic() {
            return Err((Breach::NotSip, 0));
        }
        let mut place = self.seen - self.start;
        let head = loop {
            let Some(found) = text[place..]
                .iter()
                .position(|b| matches!(b, b'\r' | b'\n'))
            else {
                place = text.len();
                break None;
            };
            place += found;
            match &text[place..] {
                [b'\r', b'\n', b'\r', b'\n', ..] => break Some(place + 4),
                // The next bytes are to be seen together with these.
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => break None,
                [b'\r', b'\n', ..] => place += 2,
                _ => return Err((Breach::LineEnd, 0)),
            }
        };
        self.seen = self.start + place;
        match head {
            None if place > MAXIMUM_HEAD => Err((Breach::HeadTooLarge, 0)),
            None => Ok(None),
            Some(head) if head > MAXIMUM_HEAD => Err((Breach::HeadTooLarge, 0)),
            Some(head) => match length(&text[..head]) {
                Ok(length) => Ok(Some(self.start + head + length)),
                Err(breach) => Err((breach, head)),
            },
        }
    }

    fn fail(&mut self, breach: Breach, head: usize) -> Broken {
        self.broken = true;
        let mut all = core::mem::take(&mut self.buffer);
        all.truncate(self.start + head);
        Broken {
            breach,
            head: all.split_off(self.start.min(all.len())),
        }
    }
}

/// What a connection between two messages keeps.
const IDLE: usize = 2048;

/// The length of the body behind a head. It reads fields as [`Message::read`](crate::Message::read) does.
fn length(head: &[u8]) -> Result<usize, Breach> {
    let mut length = None;
    let mut rest = head;
    while let Some((line, next)) = field(rest) {
        rest = next;
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = core::str::from_utf8(line[colon + 1..].trim_ascii());
        let value = value.ok().and_then(decimal).ok_or(Breach::BadLength)?;
        if length.replace(value).is_some() {
            return Err(Breach::TwoLengths);
        }
    }
    let length = length.ok_or(Breach::NoLength)?;
    let room = (MAXIMUM - head.len()) as u64;
    if length > room {
        return Err(Breach::BodyTooLarge);
    }
    Ok(length as usize)
}

/// Splits the next line off, with the folded ones that belong to it.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut place = 0;
    loop {
        place += text[place..].windows(2).position(|pair| pair == PONG)? + 2;
        if !matches!(text.get(place), Some(b' ' | b'\t')) {
            return Some(text.split_at(place));
        }
    }
}
