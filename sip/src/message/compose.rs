use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::{Message, Name};
use crate::status;

/// Writes a message, header by header.
#[derive(Debug, Clone)]
pub struct Composer {
    text: String,
}

impl Composer {
    /// Begins a request.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        let mut text = String::with_capacity(1024);
        for part in [method, " ", uri, " SIP/2.0\r\n"] {
            text.push_str(part);
        }
        Self { text }
    }

    /// Begins the response to a request: its Via, From, To, Call-ID and CSeq come along (RFC 3261, section 8.2.6). A
    /// To without tag gets `tag`, if that isn't empty.
    #[must_use]
    pub fn response(request: &Message, status: u16, tag: &str) -> Self {
        let mut text = String::with_capacity(1024);
        let _ = write!(text, "SIP/2.0 {status} {}\r\n", status::phrase(status));
        let mut composer = Self { text };
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            for value in request.fields(name) {
                if name == Name::To && !tag.is_empty() && request.to_tag().is_empty() {
                    for part in ["To: ", value, ";tag=", tag, "\r\n"] {
                        composer.text.push_str(part);
                    }
                } else {
                    composer = composer.header(name.as_str(), value);
                }
            }
        }
        composer
    }

    /// Appends a header. Line ends and other control characters in the value become blanks.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.text.push_str(name);
        self.text.push_str(": ");
        let clean = |c: char| if c.is_ascii_control() { ' ' } else { c };
        self.text.extend(value.chars().map(clean));
        self.text.push_str("\r\n");
        self
    }

    /// Appends a header with a number.
    #[must_use]
    pub fn number(mut self, name: &str, value: u32) -> Self {
        let _ = write!(self.text, "{name}: {value}\r\n");
        self
    }

    /// Appends headers that are written already.
    #[must_use]
    pub fn raw(mut self, headers: &str) -> Self {
        self.text.push_str(headers);
        self
    }

    /// Ends the message with a body; `content_type` is left out if that is empty.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Vec<u8> {
        if !body.is_empty() {
            self = self.header("Content-Type", content_type);
        }
        let _ = write!(self.text, "Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = self.text.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Ends a message that has no body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.body("", &[])
    }
}
