//! Typed headers, read on demand from the slices of a [`Message`].

use crate::message::{Message, Method, Name};

mod address;
mod sequence;
mod via;

pub use address::{Address, quote, unquote};
pub use sequence::{CSeq, RAck, Reason};
pub use via::Via;

impl Message {
    /// The topmost Via.
    #[must_use]
    pub fn via(&self) -> Option<Via<'_>> {
        Via::read(self.list(Name::Via).next()?)
    }

    /// The CSeq.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        CSeq::read(self.field(Name::CSeq)?)
    }

    /// The CSeq's number.
    pub(crate) fn number(&self) -> u32 {
        self.cseq().map_or(0, |cseq| cseq.number)
    }

    /// The From.
    #[must_use]
    pub fn from(&self) -> Option<Address<'_>> {
        Address::read(self.field(Name::From)?)
    }

    /// The To.
    #[must_use]
    pub fn to(&self) -> Option<Address<'_>> {
        Address::read(self.field(Name::To)?)
    }

    /// The first Contact.
    #[must_use]
    pub fn contact(&self) -> Option<Address<'_>> {
        Address::read(self.list(Name::Contact).next()?)
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.field(Name::CallId).unwrap_or("")
    }

    /// The From tag, empty if there is none.
    #[must_use]
    pub fn from_tag(&self) -> &str {
        self.from()
            .and_then(|from| from.parameter("tag"))
            .unwrap_or("")
    }

    /// The To tag, empty if there is none.
    #[must_use]
    pub fn to_tag(&self) -> &str {
        self.to().and_then(|to| to.parameter("tag")).unwrap_or("")
    }

    /// Says whether it is a request of that method.
    #[must_use]
    pub fn is(&self, method: Method) -> bool {
        self.is_request() && self.method() == method
    }

    /// What stands before the parameters of a field.
    pub(crate) fn main(&self, name: Name) -> &str {
        let value = self.field(name).unwrap_or("");
        trim(value.split(';').next().unwrap_or(""))
    }

    /// Says whether the body is of that media type.
    #[must_use]
    pub fn has_body_of(&self, media_type: &str) -> bool {
        !self.body().is_empty()
            && self
                .main(Name::ContentType)
                .eq_ignore_ascii_case(media_type)
    }
}

/// The `;name=value` parameters behind a header's main part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// Reads parameters; the text is empty or begins with `;`. `None` if it breaks the grammar.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let text = trim(text);
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value, next) = parameter(rest)?;
            let sound = match value {
                None => true,
                Some(value) if value.starts_with('"') => true,
                Some(value) => !value.is_empty() && value.bytes().all(is_value_byte),
            };
            if !is_token(name) || !sound {
                return None;
            }
            rest = next;
        }
        Some(Self(text))
    }

    /// All parameters in order. A value is as written, with its quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (name, value, next) = parameter(rest)?;
            rest = next;
            Some((name, value))
        })
    }

    /// The value of a parameter, without quotes around it; empty if it has none.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'a str> {
        let (_, value) = self
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        let value = value.unwrap_or("");
        let inner = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        Some(inner.unwrap_or(value))
    }
}

/// Splits one parameter off a text that begins with `;`: its name, its value, what follows.
fn parameter(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let text = text.strip_prefix(';')?;
    let end = unquoted(text, b';').unwrap_or(text.len());
    let (one, rest) = text.split_at(end);
    match one.split_once('=') {
        Some((name, value)) => {
            let value = trim(value);
            if value.starts_with('"') && quoted_end(value) != Some(value.len()) {
                return None;
            }
            Some((trim(name), Some(value), rest))
        }
        None => Some((trim(one), None, rest)),
    }
}

/// The elements of a comma-separated list. Commas in quotes and in angle brackets do not separate.
#[must_use]
pub const fn elements(value: &str) -> Elements<'_> {
    Elements { rest: Some(value) }
}

/// The elements of a comma-separated list, by [`elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let end = separator(text);
        self.rest = end.map(|end| &text[end + 1..]);
        Some(trim(&text[..end.unwrap_or(text.len())]))
    }
}

/// The place of the first comma that separates.
pub(crate) fn separator(text: &str) -> Option<usize> {
    unquoted(text, b',')
}

/// The place of the first `wanted` that is neither in quotes nor in angle brackets.
fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            _ if byte == wanted && !bracketed => return Some(place),
            _ => {}
        }
    }
    None
}

/// The place behind the quoted string with which the text begins.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(place + 1),
            _ => {}
        }
    }
    None
}

/// Takes blanks off both ends.
#[must_use]
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Says whether a text is a token (RFC 3261, section 25.1).
#[must_use]
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// A byte of a parameter's value: a token, a host, or what URIs in parameters need.
const fn is_value_byte(byte: u8) -> bool {
    is_token_byte(byte)
        || matches!(
            byte,
            b'[' | b']' | b':' | b'/' | b'@' | b'<' | b'>' | b'&' | b'$'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn list_splits_at_bare_commas_only() {
        let list: Vec<_> = elements(r#""A, \"B" <sip:a,b@x> ;p=1 , <sip:c>"#).collect();
        assert_eq!(list, [r#""A, \"B" <sip:a,b@x> ;p=1"#, "<sip:c>"]);
    }

    #[test]
    fn parameters_by_name() {
        let all = Parameters::read(r#"; Branch = z9 ;lr;sn="a.b;c""#).unwrap();
        assert_eq!(all.find("branch"), Some("z9"));
        assert_eq!(all.find("lr"), Some(""));
        assert_eq!(all.find("SN"), Some("a.b;c"));
        assert_eq!(all.find("none"), None);
        for bad in [";", ";a=\"x", ";=1", ";a b", "x", ";a=", ";;a"] {
            assert_eq!(Parameters::read(bad), None, "{bad}");
        }
    }
}
