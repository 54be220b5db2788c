use alloc::string::String;

use super::{Parameters, is_token, quoted_end, trim, unquoted};

/// A name-addr or addr-spec with the header's parameters: From, To, Contact, Route (RFC 3261, section 20.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The display name as written, with its quotes.
    pub display: &'a str,
    /// The URI.
    pub uri: &'a str,
    /// Whether the URI stands in angle brackets.
    pub in_brackets: bool,
    parameters: Parameters<'a>,
}

impl<'a> Address<'a> {
    /// Reads one address.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let text = trim(text);
        let (display, rest) = if text.starts_with('"') {
            let (display, rest) = text.split_at(quoted_end(text)?);
            (display, trim(rest))
        } else {
            match text.find('<') {
                Some(open) => (trim(&text[..open]), &text[open..]),
                None => ("", text),
            }
        };
        let named = display.starts_with('"')
            || display
                .split([' ', '\t'])
                .all(|word| word.is_empty() || is_token(word));
        let (uri, parameters, in_brackets) = match rest.strip_prefix('<') {
            Some(rest) => {
                let (uri, parameters) = rest.split_once('>')?;
                (uri, parameters, true)
            }
            None if display.is_empty() => {
                let (uri, parameters) = rest.split_at(unquoted(rest, b';').unwrap_or(rest.len()));
                // Without brackets, a comma, question mark or semicolon would belong to the header.
                (trim(uri), parameters, false)
            }
            None => return None,
        };
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        let sound = scheme.is_some_and(is_token)
            && uri
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"'))
            && (in_brackets || !uri.contains([',', '?']));
        if !named || !sound {
            return None;
        }
        Some(Self {
            display,
            uri,
            in_brackets,
            parameters: Parameters::read(parameters)?,
        })
    }

    /// The value of a header parameter (not of the URI's), without its quotes.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.find(name)
    }

    /// The display name for people: quotes and escapes taken off.
    #[must_use]
    pub fn name(&self) -> String {
        let inner = self
            .display
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'));
        inner.map_or_else(|| self.display.into(), unquote)
    }
}

/// Takes the backslashes off a quoted string's inside.
#[must_use]
pub fn unquote(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

/// Writes a quoted string. Control characters become blanks.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            _ if character.is_control() => quoted.push(' '),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_form() {
        let a = Address::read(r#""A. G. \"Bell\"" <sip:agb@bell-telephone.com;x=1> ;tag=a48s"#)
            .unwrap();
        assert_eq!(a.name(), "A. G. \"Bell\"");
        assert_eq!(
            (a.uri, a.parameter("tag")),
            ("sip:agb@bell-telephone.com;x=1", Some("a48s"))
        );
        let a = Address::read("sip:+12125551212@server.phone2net.com;tag=887s").unwrap();
        assert_eq!(
            (a.uri, a.parameter("TAG"), a.in_brackets),
            ("sip:+12125551212@server.phone2net.com", Some("887s"), false)
        );
        assert_eq!(
            Address::read("Anonymous One <sip:c8@x>").unwrap().name(),
            "Anonymous One"
        );
        assert_eq!(Address::read("<sip:a@b>").unwrap().name(), "");
    }

    #[test]
    fn bad_addresses() {
        for bad in [
            "",
            "<sip:a@b",
            "sip:a b@c",
            "\"x <sip:a@b>",
            "\"x\" sip:a@b",
            "a,b <sip:a@b>",
            "<>",
            "<sip:a@b>x",
            "sip:a@b?h=1",
            "Bell, A <sip:a@b>",
        ] {
            assert!(Address::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a53_quoting_hides_nothing() {
        assert_eq!(quote("a\"b\\c\r\nd"), "\"a\\\"b\\\\c  d\"");
        let wild = "x\"\\ >;<";
        let text = alloc::format!("{} <sip:a@b>", quote(wild));
        assert_eq!(Address::read(&text).unwrap().name(), wild);
    }
}
