use alloc::string::String;
use core::fmt;

use super::{Message, Name};

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The message has more bytes than are read.
    TooLarge,
    /// The head or one field has more bytes, or the head more fields, than are read.
    HeadTooLarge,
    /// The head does not end, or a line does not end in CRLF.
    LineEnd,
    /// The head holds a control character or is not UTF-8.
    Character,
    /// The first line is neither a request's nor a response's.
    StartLine,
    /// The version is not SIP/2.0.
    Version,
    /// The Request-URI is not one.
    RequestUri,
    /// A line of the head is no header field.
    FieldSyntax,
    /// A header that must be there is not.
    Missing(Name),
    /// A header that may be there once is there twice.
    Duplicate(Name),
    /// A header's value does not follow its grammar.
    Value(Name),
    /// The CSeq's number or method is out of bounds.
    CSeq,
    /// The topmost Via has no branch in the form of RFC 3261.
    Branch,
    /// The Content-Length is not the number of bytes that follow.
    ContentLength,
}

impl Flaw {
    /// The status of the response that a request with this flaw gets.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::HeadTooLarge => 513,
            Self::Version => 505,
            Self::LineEnd
            | Self::Character
            | Self::StartLine
            | Self::RequestUri
            | Self::FieldSyntax
            | Self::Missing(_)
            | Self::Duplicate(_)
            | Self::Value(_)
            | Self::CSeq
            | Self::Branch
            | Self::ContentLength => 400,
        }
    }
}

impl Flaw {
    /// The flaw in words.
    #[must_use]
    pub fn text(self) -> String {
        let (text, name) = match self {
            Self::TooLarge => ("message too large", Name::Other),
            Self::HeadTooLarge => ("too many or too long headers", Name::Other),
            Self::LineEnd => ("line without CRLF, or head without end", Name::Other),
            Self::Character => ("character that a head must not hold", Name::Other),
            Self::StartLine => ("malformed start line", Name::Other),
            Self::Version => ("version is not SIP/2.0", Name::Other),
            Self::RequestUri => ("malformed Request-URI", Name::Other),
            Self::FieldSyntax => ("line that is no header field", Name::Other),
            Self::Missing(name) => ("missing ", name),
            Self::Duplicate(name) => ("more than one ", name),
            Self::Value(name) => ("malformed ", name),
            Self::CSeq => ("CSeq out of bounds or of another method", Name::Other),
            Self::Branch => ("topmost Via without a branch of RFC 3261", Name::Other),
            Self::ContentLength => ("Content-Length does not fit the body", Name::Other),
        };
        let mut sentence = String::from(text);
        sentence.push_str(name.as_str());
        sentence
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A message that was refused, and what of it can serve to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong. Where several things are, the first that was found.
    pub flaw: Flaw,
    /// The message as far as it could be read, if it is a request with the headers that a response repeats.
    pub request: Option<alloc::boxed::Box<Message>>,
}
