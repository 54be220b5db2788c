use alloc::string::String;

use super::{Parameters, is_made_of, is_token, is_uri, quoted_end, split_unquoted, trim, unquoted};

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
        let quoted = text.starts_with('"');
        let end = if quoted {
            quoted_end(text)?
        } else {
            text.find('<').unwrap_or(0)
        };
        let (display, rest) = text.split_at(end);
        let (display, rest) = (trim(display), trim(rest));
        let (uri, parameters, in_brackets) = match rest.strip_prefix('<') {
            Some(rest) => {
                let (uri, parameters) = rest.split_once('>')?;
                (uri, parameters, true)
            }
            None if display.is_empty() => {
                let (uri, parameters) = split_unquoted(rest, b';');
                (trim(uri), parameters, false)
            }
            None => return None,
        };
        let named = quoted || is_made_of(display, "-.!%*_+`'~ \t");
        let (scheme, _) = uri.split_once(':')?;
        // Without brackets, a comma, question mark or semicolon would belong to the header.
        let bare = in_brackets || !uri.contains(',') && !uri.contains('?');
        if !named || !bare || !is_token(scheme) || !is_uri(uri) {
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
        unquoted(self.display).map_or_else(|| self.display.into(), unquote)
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
