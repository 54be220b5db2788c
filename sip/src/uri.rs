//! SIP URIs (RFC 3261, section 19.1).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::header::{host_and_port, is_uri};
use crate::text::{hex, octet};

/// The most bytes a URI may have.
const MAXIMUM: usize = 1024;

/// A `sip:` or `sips:` URI, taken apart. Equality is that of RFC 3261, section 19.1.4.
#[derive(Debug, Clone)]
pub struct Uri {
    secure: bool,
    user: String,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    parameters: Pairs,
    headers: Pairs,
}

/// Why a text is no SIP URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriError {
    /// The scheme is neither `sip` nor `sips`.
    Scheme,
    /// A character that the grammar does not allow, or a bad escape.
    Syntax,
    /// Longer than anything that is read.
    TooLong,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "not a sip: or sips: URI",
            Self::Syntax => "malformed SIP URI",
            Self::TooLong => "SIP URI too long",
        })
    }
}

impl core::error::Error for UriError {}

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// The text is no SIP URI.
    pub fn read(text: &str) -> Result<Self, UriError> {
        if text.len() > MAXIMUM {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let secure = scheme.eq_ignore_ascii_case("sips");
        if !secure && !scheme.eq_ignore_ascii_case("sip") {
            return Err(UriError::Scheme);
        }
        Self::read_rest(rest, secure).ok_or(UriError::Syntax)
    }

    fn read_rest(rest: &str, secure: bool) -> Option<Self> {
        // The user part may hold `;`, `?` and `/`, so the `@` is looked for first.
        let (user, password, rest) = match rest.rsplit_once('@') {
            Some((info, rest)) => {
                let (user, password) = match info.split_once(':') {
                    Some((user, password)) => (user, Some(unescape(password, "&=+$,")?)),
                    None => (info, None),
                };
                let user = unescape(user, "&=+$,;?/").filter(|user| !user.is_empty())?;
                (user, password, rest)
            }
            None => (String::new(), None, rest),
        };
        let (rest, headers) = pairs(rest, ['?', '&'], "[]/?:+$")?;
        let (place, parameters) = pairs(rest, [';', ';'], "[]/:&+$")?;
        for (at, (name, _)) in parameters.iter().enumerate() {
            if parameters[..at].iter().any(|(other, _)| other == name) {
                return None;
            }
        }
        let (host, port) = host_and_port(place, "-.").filter(|_| is_uri(place))?;
        Some(Self {
            secure,
            user,
            password,
            host: host.to_ascii_lowercase(),
            port,
            parameters,
            headers,
        })
    }

    /// Says whether the scheme is `sips`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The user part, unescaped; empty if there is none.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The host in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the URI names one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a parameter, unescaped; empty if it has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        all.find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The device that a GRUU (RFC 5627) names.
    #[must_use]
    pub fn instance(&self) -> Option<credential::Instance> {
        self.parameter("gr")?.parse().ok()
    }

    /// The user's address of record: scheme `sip`, user and host, nothing else, in one canonical form.
    #[must_use]
    pub fn address_of_record(&self) -> String {
        let mut text = String::with_capacity(6 + self.user.len() + self.host.len());
        text.push_str("sip:");
        if !self.user.is_empty() {
            escape(&self.user, &mut text);
            text.push('@');
        }
        text.push_str(&self.host);
        text
    }

    /// Says whether both name the same user, whatever their parameters.
    #[must_use]
    pub fn same_user(&self, other: &Self) -> bool {
        self.user == other.user && self.host == other.host && self.port == other.port
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.password == other.password
            && self.same_user(other)
            && covers(self, other)
            && covers(other, self)
            && self.headers.len() == other.headers.len()
            && self.headers.iter().all(|one| other.headers.contains(one))
    }
}

/// Says whether the parameters of `one` agree with those of `other`: what is in both must match, and some must be in
/// both (RFC 3261, section 19.1.4; `gr` by RFC 5627, section 4.2).
fn covers(one: &Uri, other: &Uri) -> bool {
    one.parameters
        .iter()
        .all(|(name, value)| match other.parameter(name) {
            Some(found) => found.eq_ignore_ascii_case(value),
            None => !matches!(
                name.as_str(),
                "user" | "ttl" | "method" | "maddr" | "transport" | "gr"
            ),
        })
}

/// Escapes what a user part can't hold as it is.
pub fn escape(user: &str, text: &mut String) {
    for byte in user.bytes() {
        if is_plain(byte, "&=+$,;?/") {
            text.push(char::from(byte));
        } else {
            text.push('%');
            hex(text, &[byte], "");
        }
    }
}

/// Says whether a byte needs no escape where those of `more` need none.
fn is_plain(byte: u8, more: &str) -> bool {
    let plain = |marks: &str| marks.as_bytes().contains(&byte);
    byte.is_ascii_alphanumeric() || plain("-_.!~*'()") || plain(more)
}

/// Takes the escapes off a text whose other bytes are plain.
fn unescape(text: &str, more: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%' {
            let (pair, after) = rest.split_at_checked(2)?;
            bytes.push(octet(pair)?);
            rest = after;
        } else if is_plain(*byte, more) {
            bytes.push(*byte);
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

type Pairs = Vec<(String, String)>;

/// Splits the `name=value` pairs off that stand behind the `first` separator and between the `next`.
fn pairs<'a>(text: &'a str, [first, next]: [char; 2], more: &str) -> Option<(&'a str, Pairs)> {
    let mut all = Vec::new();
    let Some((before, pairs)) = text.split_once(first) else {
        return Some((text, all));
    };
    for one in pairs.split(next) {
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        let mut name = unescape(name, more)?;
        name.make_ascii_lowercase();
        if name.is_empty() {
            return None;
        }
        all.push((name, unescape(value, more)?));
    }
    Some((before, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::read(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parts() {
        let one = uri(
            "sip:bob%40home;x@Example.ORG:5070;gr=urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f;lr?subject=hi",
        );
        assert_eq!(
            (one.user(), one.host(), one.port()),
            ("bob@home;x", "example.org", Some(5070))
        );
        assert_eq!(one.parameter("LR"), Some(""));
        assert_eq!(one.instance().map(|i| i.0[15]), Some(15));
        assert_eq!(one.address_of_record(), "sip:bob%40home;x@example.org");
        assert_eq!(uri("sips:[2001:db8::1]").host(), "[2001:db8::1]");
    }

    /// The examples of RFC 3261, section 19.1.4.
    #[test]
    fn r054_equal_as_the_rfc_says() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(uri(a) == uri(b) && uri(b) == uri(a), "{a} {b}");
        }
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:a@b", "sips:a@b"),
        ] {
            assert!(uri(a) != uri(b) && uri(b) != uri(a), "{a} {b}");
        }
    }

    #[test]
    fn bad_uris() {
        for bad in [
            "",
            "sip:",
            "sip:@x",
            "sip:a@",
            "http://x",
            "sip:a b@c",
            "sip:a%4@c",
            "sip:a%zz@c",
            "sip:a@b:99999",
            "sip:a@b:",
            "sip:a@b;",
            "sip:a@b;x=1;x=2",
            "sip:a@[::g]",
            "sip:a@[1]",
            "sip:a@[]",
            "sip:a@[::1",
            "sip:a@b c",
            "sip:a@b;=1",
            "sip:ü@b",
            "sip:a%ff@b",
            "sip:a@b:+5",
        ] {
            assert!(Uri::read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Uri::read(&alloc::format!("sip:{}@b", "a".repeat(2000))).err(),
            Some(UriError::TooLong)
        );
    }
}
