use core::fmt;
use core::net::IpAddr;

use hyper::Uri;
use hyper::http::uri::Authority;

/// A web origin: `https` anywhere, `http` on loopback only. Kept as browsers write it: lower case, no default port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    secure: bool,
    authority: String,
}

impl Origin {
    /// Reads `https://host[:port]`, with or without the slash at the end, and nothing more.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.len() > 255 || text.bytes().filter(|b| *b == b'/').count() != 2 {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        if uri.query().is_some() || text.contains(['#', '@', '?', '\\']) {
            return None;
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())?
            .to_ascii_lowercase();
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" if is_loopback(&host) => false,
            _ => return None,
        };
        // a port that is empty or no number is no port, says hyper
        if uri.port().is_none() && uri.authority()?.as_str().len() != host.len() {
            return None;
        }
        let authority = match uri.port_u16() {
            Some(port) if port != if secure { 443 } else { 80 } => format!("{host}:{port}"),
            Some(_) | None => host,
        };
        Some(Self { secure, authority })
    }

    /// Whether pages of it are served over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether a `Host` header names this origin.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        let default = if self.secure { ":443" } else { ":80" };
        let host = host.strip_suffix(default).unwrap_or(host);
        self.authority.eq_ignore_ascii_case(host)
    }

    /// Host and, unless it is the default one, port: what a `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.authority
        )
    }
}

/// Whether a text is `host:port`, the host a name or an address.
pub(crate) fn is_address(text: &str) -> bool {
    let authority: Option<Authority> = text.parse().ok();
    text.len() <= 262
        && !text.contains('@')
        && authority
            .is_some_and(|it| !it.host().is_empty() && it.port_u16().is_some_and(|port| port != 0))
}

/// Whether a text is a WebSocket's address: `wss` anywhere, `ws` on loopback only.
pub(crate) fn is_web_socket(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return false;
    };
    text.len() <= 300
        && !text.contains(['@', '#'])
        && match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => is_loopback(&host.to_ascii_lowercase()),
            _ => false,
        }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (text, shown) in [
            ("https://sn1.example.org", "https://sn1.example.org"),
            ("https://SN1.Example.org:443/", "https://sn1.example.org"),
            (
                "https://sn1.example.org:8443",
                "https://sn1.example.org:8443",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:80/", "http://localhost"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(
                Origin::read(text)
                    .map(|origin| origin.to_string())
                    .as_deref(),
                Some(shown),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_and_web_sockets_are_told_from_the_rest() {
        for good in [
            "192.0.2.1:4433",
            "[2001:db8::1]:4433",
            "sn1.example.org:4433",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "sn1.example.org",
            ":4433",
            "a b:1",
            "sn1.example.org:0",
            "u@sn1.example.org:1",
            "a\nb:1",
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
        for good in ["wss://sn1.example.org/p2psip", "ws://127.0.0.1:8080/p2psip"] {
            assert!(is_web_socket(good), "{good}");
        }
        for bad in [
            "",
            "ws://sn1.example.org/p2psip",
            "https://sn1.example.org",
            "wss:///p2psip",
            "wss://a@b/\n",
        ] {
            assert!(!is_web_socket(bad), "{bad:?}");
        }
    }

    #[test]
    fn whatever_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "",
            "https://",
            "https:///",
            "sn1.example.org",
            "http://sn1.example.org",
            "http://127.0.0.1.evil.example",
            "https://sn1.example.org/path",
            "https://sn1.example.org//",
            "https://sn1.example.org?x",
            "https://sn1.example.org#x",
            "https://user@sn1.example.org",
            "https://sn1.example.org:",
            "https://sn1.example.org:99999",
            "https://sn1.example.org\\@evil.example",
            "javascript://sn1.example.org",
            "https://sn1.example.org /",
            "https://sn1.example.org\n",
        ] {
            assert_eq!(Origin::read(text), None, "{text:?}");
        }
    }
}
