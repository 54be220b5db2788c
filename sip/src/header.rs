//! Typed headers, read on demand from the slices of a [`Message`].

use crate::message::{Message, Method, Name, decimal};

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
        trim(split_unquoted(value, b';').0)
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
        let parameters = Self(trim(text));
        let mut rest = parameters.0;
        while !rest.is_empty() {
            let (name, value, next) = parameter(rest)?;
            let sound = match value {
                None => true,
                Some(value) if value.starts_with('"') => quoted_end(value) == Some(value.len()),
                Some(value) => !value.is_empty() && is_made_of(value, VALUE),
            };
            if !sound || !is_token(name) {
                return None;
            }
            rest = next;
        }
        Some(parameters)
    }

    /// The value of a parameter, without quotes around it; empty if it has none.
    #[must_use]
    pub fn find(self, name: &str) -> Option<&'a str> {
        let mut rest = self.0;
        loop {
            let (found, value, next) = parameter(rest)?;
            if found.eq_ignore_ascii_case(name) {
                let value = value.unwrap_or("");
                return Some(unquoted(value).unwrap_or(value));
            }
            rest = next;
        }
    }
}

/// Splits one parameter off a text that begins with `;`: its name, its value as written, what follows.
fn parameter(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (one, rest) = split_unquoted(text.strip_prefix(';')?, b';');
    Some(match cut(one, '=') {
        Some((name, value)) => (name, Some(value), rest),
        None => (trim(one), None, rest),
    })
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
        let (one, rest) = split_unquoted(self.rest?, b',');
        self.rest = rest.strip_prefix(',');
        Some(trim(one))
    }
}

/// Splits a text before the first `wanted` that is neither in quotes nor in angle brackets.
pub(crate) fn split_unquoted(text: &str, wanted: u8) -> (&str, &str) {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    let end = text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            _ => return byte == wanted && !bracketed,
        }
        false
    });
    text.split_at(end.unwrap_or(text.len()))
}

/// The place behind the quoted string with which the text begins.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    let inside = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    inside.map(|place| place + 2)
}

/// What stands between the quotes around a text.
fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// Takes blanks off both ends.
#[must_use]
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

const BLANKS: [char; 2] = [' ', '\t'];

/// Splits a text at the first `separator`, which may have blanks around it.
pub(crate) fn cut(text: &str, separator: char) -> Option<(&str, &str)> {
    let (one, rest) = text.split_once(separator)?;
    Some((trim(one), trim(rest)))
}

/// Splits a text at its first blanks.
pub(crate) fn cut_blank(text: &str) -> Option<(&str, &str)> {
    let (one, rest) = text.split_once(BLANKS)?;
    Some((one, trim(rest)))
}

/// Says whether a text is a token (RFC 3261, section 25.1).
#[must_use]
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && is_made_of(text, "-.!%*_+`'~")
}

/// What a parameter's value may hold: a token, a host, or what URIs in parameters need.
const VALUE: &str = "-.!%*_+`'~[]:/@<>&$";

/// Says whether a text has the characters of a URI, of whatever scheme.
pub(crate) fn is_uri(text: &str) -> bool {
    !text.is_empty() && is_made_of(text, "!#$%&'()*+,-./:;=?@[\\]^_`{|}~")
}

/// Says whether a text holds nothing but letters, digits and the characters of `more`.
pub(crate) fn is_made_of(text: &str, more: &str) -> bool {
    let more = more.as_bytes();
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
}

/// Reads `host [":" port]`, the host a name with the characters of `more`, or an IPv6 address in brackets.
pub(crate) fn host_and_port<'a>(text: &'a str, more: &str) -> Option<(&'a str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, _) = rest.split_once(']')?;
            let colons = inside.split(':').count();
            let digits = inside
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
            if !(3..9).contains(&colons) || inside.len() > 45 || !digits {
                return None;
            }
            text.split_at(inside.len() + 2)
        }
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let host = trim(host);
            if !(1..256).contains(&host.len()) || !is_made_of(host, more) {
                return None;
            }
            (host, port)
        }
    };
    match cut(port, ':') {
        Some(("", digits)) => Some((host, Some(decimal(digits)?.try_into().ok()?))),
        None if port.is_empty() => Some((host, None)),
        Some(_) | None => None,
    }
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
