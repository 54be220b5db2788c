use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Field, Flaw, MAXIMUM, MAXIMUM_FIELD, MAXIMUM_FIELDS, MAXIMUM_HEAD, Malformed, Message, Method,
    Name, Span, Start,
};
use crate::header::{is_token, trim};

impl Message {
    /// Reads a message that fills the buffer exactly, as in a WebSocket frame.
    ///
    /// # Errors
    /// Names the flaw and says whether the sender can be answered.
    pub fn parse(mut buffer: Vec<u8>) -> Result<Self, Malformed> {
        let refuse = |flaw| Malformed {
            flaw,
            request: None,
        };
        if buffer.len() > MAXIMUM {
            return Err(refuse(Flaw::TooLarge));
        }
        let blank = buffer
            .chunks_exact(2)
            .take_while(|pair| *pair == b"\r\n")
            .count();
        buffer.drain(..blank * 2);
        let mut flaw = None;
        let head = match end_of_head(&mut buffer) {
            Ok(head) => head,
            Err(error) => return Err(refuse(error)),
        };
        let (start, mut place) = start_line(&buffer[..head], &mut flaw).map_err(refuse)?;
        let mut message = Self {
            start,
            fields: Vec::with_capacity(16),
            body: head + 2,
            buffer,
        };
        while place < head {
            match field(&mut message.buffer, place, head) {
                Ok((found, next)) => {
                    message.fields.push(found);
                    place = next;
                }
                Err((error, next)) => {
                    flaw.get_or_insert(error);
                    place = next;
                }
            }
            if message.fields.len() > MAXIMUM_FIELDS {
                return Err(refuse(Flaw::HeadTooLarge));
            }
        }
        let flaw = flaw.or_else(|| message.check().err());
        match flaw {
            None => Ok(message),
            Some(flaw) => Err(Malformed {
                flaw,
                request: message.is_answerable().then(|| Box::new(message)),
            }),
        }
    }

    fn check(&self) -> Result<(), Flaw> {
        let mut seen = 0_u64;
        for field in &self.fields {
            let bit = 1_u64 << (field.name as u64);
            if field.name.is_single() && seen & bit != 0 {
                return Err(Flaw::Duplicate(field.name));
            }
            seen |= bit;
        }
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            if seen & (1 << (name as u64)) == 0 {
                return Err(Flaw::Missing(name));
            }
        }
        self.check_values()?;
        let declared = match self.field(Name::ContentLength) {
            Some(text) => decimal(text).ok_or(Flaw::ContentLength)?,
            None => self.body().len() as u64,
        };
        if declared != self.body().len() as u64 {
            return Err(Flaw::ContentLength);
        }
        Ok(())
    }

    fn check_values(&self) -> Result<(), Flaw> {
        let via = self.via().ok_or(Flaw::Value(Name::Via))?;
        if self
            .list(Name::Via)
            .any(|via| crate::header::Via::read(via).is_none())
        {
            return Err(Flaw::Value(Name::Via));
        }
        let branch = via.branch().ok_or(Flaw::Branch)?;
        if branch.len() < 8
            || branch.len() > 255
            || !branch.as_bytes()[..7].eq_ignore_ascii_case(b"z9hG4bK")
        {
            return Err(Flaw::Branch);
        }
        for name in [Name::From, Name::To] {
            let address = self.field(name).and_then(crate::header::Address::read);
            let address = address.ok_or(Flaw::Value(name))?;
            if address.parameter("tag").is_some_and(|tag| !is_token(tag)) {
                return Err(Flaw::Value(name));
            }
        }
        let call = self.field(Name::CallId).unwrap_or("");
        if call.is_empty() || call.len() > 255 || call.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(Flaw::Value(Name::CallId));
        }
        let cseq = self.cseq().ok_or(Flaw::CSeq)?;
        if self.is_request() && cseq.text != self.method_text() {
            return Err(Flaw::CSeq);
        }
        if let Some(hops) = self.field(Name::MaxForwards)
            && decimal(hops).is_none_or(|hops| hops > 255)
        {
            return Err(Flaw::Value(Name::MaxForwards));
        }
        for name in [Name::Route, Name::RecordRoute] {
            if self.list(name).any(|route| {
                crate::header::Address::read(route).is_none_or(|route| !route.in_brackets)
            }) {
                return Err(Flaw::Value(name));
            }
        }
        Ok(())
    }

    /// Says whether a response could be written: the headers that it repeats are there once.
    fn is_answerable(&self) -> bool {
        let once = |name| self.fields(name).count() == 1;
        self.is_request()
            && self.method() != Method::Ack
            && self.via().is_some()
            && [Name::From, Name::To, Name::CallId, Name::CSeq]
                .into_iter()
                .all(once)
    }
}

/// Reads a number of digits only. Anything that does not fit is none.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Finds the end of the head (the place of the empty line), unfolds its lines and checks its characters.
fn end_of_head(buffer: &mut [u8]) -> Result<usize, Flaw> {
    let mut place = 0;
    let mut line = 0;
    let mut escaped = false;
    loop {
        let Some(&byte) = buffer.get(place) else {
            return Err(Flaw::LineEnd);
        };
        if place > MAXIMUM_HEAD || place - line > MAXIMUM_FIELD {
            return Err(Flaw::HeadTooLarge);
        }
        match byte {
            b'\r' => {
                if buffer.get(place + 1) != Some(&b'\n') {
                    return Err(Flaw::LineEnd);
                }
                if place == line {
                    break;
                }
                if line > 0 && matches!(buffer.get(place + 2), Some(b' ' | b'\t')) {
                    buffer[place] = b' ';
                    buffer[place + 1] = b' ';
                    continue;
                }
                line = place + 2;
                place += 2;
                escaped = false;
                continue;
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
    if core::str::from_utf8(&buffer[..place]).is_err() {
        return Err(Flaw::Character);
    }
    Ok(place)
}

fn start_line(head: &[u8], flaw: &mut Option<Flaw>) -> Result<(Start, usize), Flaw> {
    let end = line_end(head, 0);
    let line = core::str::from_utf8(&head[..end]).map_err(|_| Flaw::Character)?;
    let next = end + 2;
    let is_status = line.as_bytes().get(..4);
    if is_status.is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return Ok((status_line(line)?, next));
    }
    let mut parts = line.split(' ');
    let method = parts.next().unwrap_or("");
    let rest = line.get(method.len() + 1..).ok_or(Flaw::StartLine)?;
    if !is_token(method) || method.len() > 32 {
        return Err(Flaw::StartLine);
    }
    let (uri, version) = rest.rsplit_once(' ').ok_or(Flaw::StartLine)?;
    if version.len() < 4 || !version.as_bytes()[..4].eq_ignore_ascii_case(b"SIP/") {
        flaw.get_or_insert(Flaw::StartLine);
    } else if !version.eq_ignore_ascii_case("SIP/2.0") {
        flaw.get_or_insert(Flaw::Version);
    }
    if uri.is_empty() || uri.len() > 1024 || uri.bytes().any(|b| !is_uri_byte(b)) {
        flaw.get_or_insert(Flaw::RequestUri);
    }
    let from = method.len() + 1;
    let start = Start::Request {
        method: Span::new(0..method.len()),
        uri: Span::new(from..from + uri.len()),
    };
    Ok((start, next.min(head.len())))
}

fn status_line(line: &str) -> Result<Start, Flaw> {
    if !line
        .get(..7)
        .is_some_and(|version| version.eq_ignore_ascii_case("SIP/2.0"))
    {
        return Err(Flaw::Version);
    }
    let code = line.get(8..11).ok_or(Flaw::StartLine)?;
    let status = decimal(code).ok_or(Flaw::StartLine)? as u16;
    let blanks = line.as_bytes()[7] == b' ' && line.as_bytes().get(11) == Some(&b' ');
    if !blanks || !(100..700).contains(&status) {
        return Err(Flaw::StartLine);
    }
    Ok(Start::Response {
        status,
        reason: Span::new(12..line.len()),
    })
}

fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"')
}

fn line_end(head: &[u8], from: usize) -> usize {
    head[from..]
        .iter()
        .position(|b| *b == b'\r')
        .map_or(head.len(), |end| from + end)
}

/// Reads the field that starts at `place`; an error comes with the start of the next line.
fn field(buffer: &mut [u8], place: usize, head: usize) -> Result<(Field, usize), (Flaw, usize)> {
    let end = line_end(&buffer[..head], place);
    let next = end + 2;
    let line = &mut buffer[place..end];
    let bad = (Flaw::FieldSyntax, next);
    let colon = line.iter().position(|b| *b == b':').ok_or(bad)?;
    let name = line[..colon]
        .iter()
        .position(|b| matches!(b, b' ' | b'\t'))
        .unwrap_or(colon);
    if line[name..colon].iter().any(|b| !matches!(b, b' ' | b'\t')) {
        return Err(bad);
    }
    line.swap(name, colon);
    let text = core::str::from_utf8(line).map_err(|_| bad)?;
    if !is_token(&text[..name]) {
        return Err(bad);
    }
    let value = trim(&text[name + 1..]);
    let from = place + (value.as_ptr() as usize - text.as_ptr() as usize);
    let found = Field {
        name: Name::read(&text[..name]),
        line: Span::new(place..next),
        text: Span::new(place..place + name),
        value: Span::new(from..from + value.len()),
    };
    Ok((found, next))
}
