//! SIP messages: one buffer and a table of spans.
//!
//! [`Message::parse`] checks a message once, strictly, and remembers where its parts are; typed headers are read on
//! demand from the slices (module [`header`](crate::header)), and [`Rewrite`] forwards by copying slices. Folded lines and
//! blanks before a colon, which RFC 3261 allows, are made plain in place, so that every element after this one reads
//! the message alike.
//!
//! ```
//! use sip::message::{Message, Name, Rewrite};
//!
//! let text = "OPTIONS sip:bob@example.org SIP/2.0\r\nVia : SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\nf: <sip:a@b>;\r\n tag=1\r\n\
//!     To: <sip:bob@example.org>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n";
//! let message = Message::parse(text.as_bytes().to_vec()).expect("it is valid");
//! assert_eq!(message.from_tag(), "1");
//!
//! let sent_on = Rewrite::new(&message).push_via("SIP/2.0/WSS me.sn;branch=z9hG4bK2").finish();
//! let sent_on = Message::parse(sent_on).expect("it stays valid");
//! assert_eq!(sent_on.list(Name::Via).count(), 2);
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use crate::header::{Elements, elements};

mod compose;
mod flaw;
mod name;
mod parse;
mod rewrite;

pub use compose::Composer;
pub use flaw::{Flaw, Malformed};
pub use name::{Method, Name};
pub(crate) use parse::decimal;
pub use rewrite::Rewrite;

/// The most bytes a message may have.
pub const MAXIMUM: usize = 65_535;
/// The most bytes a message's head (start line and headers) may have.
pub const MAXIMUM_HEAD: usize = 24_576;
/// The most bytes one header field may have; an Identity with a certificate inside needs about 2,200.
pub const MAXIMUM_FIELD: usize = 8_192;
/// The most header fields a message may have.
pub const MAXIMUM_FIELDS: usize = 96;

/// A SIP message that passed [`Message::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    buffer: Vec<u8>,
    start: Start,
    fields: Vec<Field>,
    body: usize,
}

/// What told where a message of a plain SIP program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A WebSocket's frame, which it fills exactly.
    Frame,
    /// A datagram. What is behind the message is dropped, a missing Content-Length means all of it (RFC 3261, section 18.3).
    Datagram,
    /// Its Content-Length, in a [`Stream`](crate::stream::Stream).
    Stream,
}

/// What a message's first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Start {
    Request { method: Span, uri: Span },
    Response { status: u16, reason: Span },
}

/// A slice of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        Self {
            start: range.start as u16,
            end: range.end as u16,
        }
    }

    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }
}

/// One header field: its whole line (with CRLF), its name and its value without blanks around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    name: Name,
    line: Span,
    text: Span,
    value: Span,
}

impl Message {
    /// The whole message as it would be sent on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Gives the buffer away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// The request's method; a response's is the one in its CSeq.
    #[must_use]
    pub fn method(&self) -> Method {
        match &self.start {
            Start::Request { method, .. } => Method::read(self.slice(*method)),
            Start::Response { .. } => self.cseq().map_or(Method::Other, |cseq| cseq.method()),
        }
    }

    /// The method's text in a request.
    #[must_use]
    pub fn method_text(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => self.slice(*method),
            Start::Response { .. } => "",
        }
    }

    /// Says whether it is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// A request's Request-URI; nothing in a response.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => self.slice(*uri),
            Start::Response { .. } => "",
        }
    }

    /// A response's status; `None` in a request.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(*status),
        }
    }

    /// A response's reason phrase.
    #[must_use]
    pub fn reason_phrase(&self) -> &str {
        match &self.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => self.slice(*reason),
        }
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn field(&self, name: Name) -> Option<&str> {
        self.fields(name).next()
    }

    /// The values of all fields of that name, one for each line.
    #[must_use]
    pub fn fields(&self, name: Name) -> Fields<'_> {
        Fields {
            message: self,
            name,
            next: 0,
        }
    }

    /// All fields in order: name as written, value.
    pub fn all_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (self.slice(field.text), self.slice(field.value)))
    }

    /// The values of all fields with a name that [`Name`] doesn't have.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let others = self.fields.iter().filter(|field| field.name == Name::Other);
        others
            .filter(move |field| self.slice(field.text).eq_ignore_ascii_case(name))
            .map(|field| self.slice(field.value))
    }

    /// All fields in order: name, whole line with its end.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (Name, &str)> {
        let fields = self.fields.iter();
        fields.map(|field| (field.name, self.slice(field.line)))
    }

    /// All fields in order: name, name as written, value, whole line with its end.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Name, &str, &str, &str)> {
        self.fields.iter().map(|field| {
            let slice = |span| self.slice(span);
            (
                field.name,
                slice(field.text),
                slice(field.value),
                slice(field.line),
            )
        })
    }

    /// The elements of a header that is a comma-separated list, over all its lines.
    #[must_use]
    pub fn list(&self, name: Name) -> List<'_> {
        List {
            fields: self.fields(name),
            elements: None,
        }
    }

    /// Says whether a list header (Supported, Require, Allow) names `option`.
    #[must_use]
    pub fn lists(&self, name: Name, option: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(option))
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body..]
    }

    /// The body as text; nothing if it is none.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(self.body()).unwrap_or("")
    }

    fn slice(&self, span: Span) -> &str {
        // The head was checked to be UTF-8 and spans end at ASCII characters.
        core::str::from_utf8(&self.buffer[span.range()]).unwrap_or("")
    }

    fn first(&self, name: Name) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The values of the fields of one name, by [`Message::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    message: &'a Message,
    name: Name,
    next: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let field = self.message.fields.get(self.next)?;
            self.next += 1;
            if field.name == self.name {
                return Some(self.message.slice(field.value));
            }
        }
    }
}

/// The elements of a list header, by [`Message::list`].
#[derive(Debug, Clone)]
pub struct List<'a> {
    fields: Fields<'a>,
    elements: Option<Elements<'a>>,
}

impl<'a> Iterator for List<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let next = self.elements.as_mut().and_then(Elements::next);
            if next.is_some() {
                return next;
            }
            self.elements = Some(elements(self.fields.next()?));
        }
    }
}
