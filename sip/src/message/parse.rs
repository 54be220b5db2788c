use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Field, Flaw, Framing, MAXIMUM, MAXIMUM_FIELD, MAXIMUM_FIELDS, MAXIMUM_HEAD, Malformed, Message,
    Method, Name, Span, Start,
};
use crate::header::{Address, Via, elements, is_token, is_uri, trim};

impl Message {
    /// Reads a message that fills the buffer exactly, as in a WebSocket frame.
    ///
    /// # Errors
    /// Names the flaw and says whether the sender can be answered.
    pub fn parse(buffer: Vec<u8>) -> Result<Self, Malformed> {
        Self::parse_as(buffer, None)
    }

    /// Reads a message of a plain SIP program, where `framing` says what told its end. In contrast to
    /// [`parse`](Self::parse), the topmost Via may be one of RFC 2543, without branch, and a request without From, To
    /// or Call-ID can be answered.
    ///
    /// # Errors
    /// Names the flaw and says whether the sender can be answered.
    pub fn read(buffer: Vec<u8>, framing: Framing) -> Result<Self, Malformed> {
        Self::parse_as(buffer, Some(framing))
    }

    fn parse_as(mut buffer: Vec<u8>, framing: Option<Framing>) -> Result<Self, Malformed> {
        let refuse = |flaw| Malformed {
            flaw,
            request: None,
        };
        if buffer.len() > MAXIMUM {
            return Err(refuse(Flaw::TooLarge));
        }
        let mut text = &buffer[..];
        while let Some(rest) = text.strip_prefix(b"\r\n") {
            text = rest;
        }
        if text.len() < buffer.len() {
            buffer = text.to_vec();
        }
        let head = end_of_head(&mut buffer).map_err(refuse)?;
        let mut place = line_end(&buffer[..head], 0);
        let (start, mut flaw) = start_line(&buffer[..place]).map_err(refuse)?;
        let mut message = Self {
            start,
            fields: Vec::with_capacity(16),
            body: head + 2,
            buffer,
        };
        place += 2;
        while place < head {
            let end = line_end(&message.buffer[..head], place);
            match field(&mut message.buffer[place..end], place) {
                Some(field) => message.fields.push(field),
                None => flaw = flaw.or(Some(Flaw::FieldSyntax)),
            }
            place = end + 2;
            if message.fields.len() > MAXIMUM_FIELDS {
                return Err(refuse(Flaw::HeadTooLarge));
            }
        }
        if framing == Some(Framing::Datagram) {
            message.cut_excess();
        }
        match flaw.or_else(|| message.check(framing).err()) {
            None => Ok(message),
            Some(flaw) => Err(Malformed {
                flaw,
                request: message.is_answerable(framing).then(|| Box::new(message)),
            }),
        }
    }

    /// Takes off what a datagram holds behind the message (RFC 3261, section 18.3).
    fn cut_excess(&mut self) {
        let declared = self.field(Name::ContentLength).and_then(decimal);
        if let Some(declared) = declared.filter(|declared| *declared < self.body().len() as u64) {
            self.buffer.truncate(self.body + declared as usize);
        }
    }

    fn check(&self, framing: Option<Framing>) -> Result<(), Flaw> {
        if let Some(field) = self.fields.iter().find(|field| self.is_twice(field.name)) {
            return Err(Flaw::Duplicate(field.name));
        }
        if let Some(name) = REPEATED.iter().find(|name| self.first(**name).is_none()) {
            return Err(Flaw::Missing(*name));
        }
        let sound = |field: &&Field| is_sound(field.name, self.slice(field.value));
        if let Some(field) = self.fields.iter().find(|field| !sound(field)) {
            return Err(Flaw::Value(field.name));
        }
        let branch = self.via().and_then(|via| via.branch()).unwrap_or("");
        let cookie = branch.as_bytes().get(..7).unwrap_or(b"");
        let is_sound = if cookie.eq_ignore_ascii_case(b"z9hG4bK") {
            (8..256).contains(&branch.len())
        } else {
            framing.is_some()
        };
        if !is_sound {
            return Err(Flaw::Branch);
        }
        let cseq = self.cseq().ok_or(Flaw::CSeq)?;
        if self.is_request() && cseq.text != self.method_text() {
            return Err(Flaw::CSeq);
        }
        let length = self.body().len() as u64;
        match self.field(Name::ContentLength).map(decimal) {
            Some(declared) if declared != Some(length) => Err(Flaw::ContentLength),
            None if framing == Some(Framing::Stream) => Err(Flaw::Missing(Name::ContentLength)),
            _ => Ok(()),
        }
    }

    /// Says whether a header that may be there once is there twice.
    fn is_twice(&self, name: Name) -> bool {
        let mut same = self.fields.iter().filter(|field| field.name == name);
        name.is_single() && same.nth(1).is_some()
    }

    /// Says whether a response could be written: the headers that it repeats are there, and once.
    fn is_answerable(&self, framing: Option<Framing>) -> bool {
        let sound = |name: &Name| self.first(*name).is_some() && !self.is_twice(*name);
        let whole = match framing {
            Some(_) => self.first(Name::Via).is_some(),
            None => self.via().is_some() && REPEATED.iter().all(sound),
        };
        self.is_request() && self.method() != Method::Ack && whole
    }
}

/// The headers that every message has, and a response repeats.
const REPEATED: [Name; 5] = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

/// Says whether a header's value follows its grammar. Those that are not known here are read by whoever needs them.
fn is_sound(name: Name, value: &str) -> bool {
    match name {
        Name::Via => elements(value).all(|via| Via::read(via).is_some()),
        Name::From | Name::To => Address::read(value)
            .is_some_and(|address| address.parameter("tag").is_none_or(is_token)),
        Name::CallId => {
            (1..256).contains(&value.len()) && !value.bytes().any(|b| b <= b' ' || b == 0x7f)
        }
        Name::MaxForwards => decimal(value).is_some_and(|hops| hops < 256),
        Name::Route | Name::RecordRoute => {
            elements(value).all(|route| Address::read(route).is_some_and(|route| route.in_brackets))
        }
        _ => true,
    }
}

/// Reads a number of digits only. Anything that does not fit is none.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if !(1..20).contains(&text.len()) {
        return None;
    }
    let mut number = 0;
    for byte in text.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Finds the end of the head (the place of the empty line), unfolds its lines and checks its characters.
fn end_of_head(buffer: &mut [u8]) -> Result<usize, Flaw> {
    let (mut place, mut line) = (0, 0);
    let mut escaped = false;
    while let Some(&byte) = buffer.get(place) {
        if place > MAXIMUM_HEAD || place - line > MAXIMUM_FIELD {
            return Err(Flaw::HeadTooLarge);
        }
        match byte {
            b'\r' => {
                if buffer.get(place + 1) != Some(&b'\n') {
                    return Err(Flaw::LineEnd);
                }
                if place == line {
                    let head = core::str::from_utf8(&buffer[..place]);
                    return head.map_or(Err(Flaw::Character), |_| Ok(place));
                }
                if line > 0 && matches!(buffer.get(place + 2), Some(b' ' | b'\t')) {
                    buffer[place..place + 2].fill(b' ');
                } else {
                    line = place + 2;
                }
                place += 1;
            }
            b'\n' => return Err(Flaw::LineEnd),
            b'\t' => {}
            // RFC 3261 allows control characters in a quoted-pair only.
            0..=0x1f | 0x7f if !escaped => return Err(Flaw::Character),
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        place += 1;
    }
    Err(Flaw::LineEnd)
}

/// Reads the first line. A flaw that leaves the request to be answered comes beside it.
fn start_line(line: &[u8]) -> Result<(Start, Option<Flaw>), Flaw> {
    let line = core::str::from_utf8(line).map_err(|_| Flaw::Character)?;
    let (first, rest) = line.split_once(' ').ok_or(Flaw::StartLine)?;
    if is_version(first) {
        return status_line(first, rest, line.len()).map(|start| (start, None));
    }
    let (uri, version) = rest.rsplit_once(' ').ok_or(Flaw::StartLine)?;
    if !is_token(first) || first.len() > 64 {
        return Err(Flaw::StartLine);
    }
    let flaw = if !is_version(version) {
        Some(Flaw::StartLine)
    } else if !version.eq_ignore_ascii_case(VERSION) {
        Some(Flaw::Version)
    } else if uri.len() > 1024 || !is_uri(uri) {
        Some(Flaw::RequestUri)
    } else {
        None
    };
    let from = first.len() + 1;
    let start = Start::Request {
        method: Span::new(0..first.len()),
        uri: Span::new(from..from + uri.len()),
    };
    Ok((start, flaw))
}

const VERSION: &str = "SIP/2.0";

fn is_version(word: &str) -> bool {
    let name = word.as_bytes().get(..4).unwrap_or(b"");
    name.eq_ignore_ascii_case(b"SIP/")
}

/// Reads what follows the version in the first line of a response that ends at `end`.
fn status_line(version: &str, rest: &str, end: usize) -> Result<Start, Flaw> {
    if !version.eq_ignore_ascii_case(VERSION) {
        return Err(Flaw::Version);
    }
    let (code, reason) = rest.split_once(' ').ok_or(Flaw::StartLine)?;
    let status = decimal(code).filter(|status| code.len() == 3 && (100..700).contains(status));
    Ok(Start::Response {
        status: status.ok_or(Flaw::StartLine)? as u16,
        reason: Span::new(end - reason.len()..end),
    })
}

fn line_end(head: &[u8], from: usize) -> usize {
    let mut rest = head.iter().skip(from);
    rest.position(|b| *b == b'\r')
        .map_or(head.len(), |end| from + end)
}

/// Reads a field, the line of which starts at `place` of the message. Blanks before the colon are put behind it.
fn field(line: &mut [u8], place: usize) -> Option<Field> {
    let colon = line.iter().position(|b| *b == b':')?;
    let name = line[..colon].trim_ascii_end().len();
    line.swap(name, colon);
    let (text, value) = core::str::from_utf8(line).ok()?.split_once(':')?;
    if !is_token(text) {
        return None;
    }
    let (value, end) = (trim(value), place + line.len());
    let from = place + (value.as_ptr() as usize - line.as_ptr() as usize);
    Some(Field {
        name: Name::read(text),
        line: Span::new(place..end + 2),
        text: Span::new(place..place + name),
        value: Span::new(from..from + value.len()),
    })
}
