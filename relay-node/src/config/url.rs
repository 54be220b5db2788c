use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

/// Scheme, host and port of a web address, without a path: `https://sn4.example.net` or `http://127.0.0.1:8080`.
///
/// Clear text is accepted for loopback hosts only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    text: String,
    host: String,
    port: u16,
    secure: bool,
}

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginError {
    /// It isn't `https://host` or `https://host:port`.
    Form(String),
    /// It is clear text to somewhere else than this machine.
    ClearText(String),
}

impl Origin {
    /// The origin as browsers write it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host; an IPv6 address stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also when the text leaves it out.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Puts a port in the place of 0, which stands for one that the system chooses.
    pub(super) fn settle(&mut self, port: u16) {
        if self.port == 0 {
            self.port = port;
            if let Some(text) = self.text.strip_suffix(":0") {
                self.text = format!("{text}:{port}");
            }
        }
    }

    /// Whether it is an address of this machine alone.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        loopback(&self.host)
    }

    /// Whether it is HTTPS.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Host, and port unless it is the scheme's own: what the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text
            .split_once("://")
            .map_or(self.text.as_str(), |(_, authority)| authority)
    }

    /// The address of the WebSocket at this origin.
    #[must_use]
    pub fn websocket(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}/p2psip", self.authority())
    }

    /// The origin of a WebSocket address that [`websocket`](Self::websocket) wrote.
    #[must_use]
    pub fn of_websocket(address: &str) -> Option<Self> {
        let origin = address.strip_suffix("/p2psip").unwrap_or(address);
        let origin = match origin.split_once("://")? {
            ("wss", authority) => format!("https://{authority}"),
            ("ws", authority) => format!("http://{authority}"),
            _ => return None,
        };
        origin.parse().ok()
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let form = || OriginError::Form(text.to_owned());
        let lower = text.trim_end_matches('/').to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://").ok_or_else(form)?;
        let (secure, usual) = match scheme {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return Err(form()),
        };
        let (host, port) = split(authority).ok_or_else(form)?;
        if !secure && !loopback(host) {
            return Err(OriginError::ClearText(text.to_owned()));
        }
        let port = port.unwrap_or(usual);
        // Chosen by the system when it is bound: of use to networks on one machine alone.
        if port == 0 && !loopback(host) {
            return Err(form());
        }
        let text = if port == usual {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Ok(Self {
            text,
            host: host.to_owned(),
            port,
            secure,
        })
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(text) => write!(
                f,
                "`{text}` is no origin: write https://host or https://host:port, without a path"
            ),
            Self::ClearText(text) => write!(
                f,
                "`{text}` is clear text to another machine: write https:// (http:// is for loopback only)"
            ),
        }
    }
}

impl std::error::Error for OriginError {}

/// Host and port, both checked for shape only.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok()?),
        None if port.is_empty() => None,
        None => return None,
    };
    let good = match host.strip_prefix('[') {
        Some(inner) => inner
            .strip_suffix(']')
            .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
    };
    good.then_some((host, port))
}

fn loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_browsers_write_it() {
        for (text, origin, host, port) in [
            (
                "https://A.Example.net/",
                "https://a.example.net",
                "a.example.net",
                443,
            ),
            (
                "https://a.example.net:443",
                "https://a.example.net",
                "a.example.net",
                443,
            ),
            (
                "https://a.example.net:8443",
                "https://a.example.net:8443",
                "a.example.net",
                8443,
            ),
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
                "127.0.0.1",
                8080,
            ),
            ("http://[::1]:8080", "http://[::1]:8080", "[::1]", 8080),
            ("http://localhost", "http://localhost", "localhost", 80),
        ] {
            let read: Origin = text.parse().unwrap();
            assert_eq!(
                (read.as_str(), read.host(), read.port()),
                (origin, host, port)
            );
            assert_eq!(Origin::of_websocket(&read.websocket()), Some(read));
        }
    }

    #[test]
    fn clear_text_to_another_machine_is_refused() {
        let refused = "http://sn4.example.net".parse::<Origin>().unwrap_err();
        assert!(matches!(refused, OriginError::ClearText(_)));
        assert!(refused.to_string().contains("loopback"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "example.org",
            "https://",
            "https://a/b",
            "https://a:0",
            "https://a:x",
            "ftp://a",
            "https://[::g]",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
