use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Secret;

/// An HTTP proxy that understands CONNECT.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Proxy {
    /// `host:port`.
    pub address: String,
    /// What `Proxy-Authorization` says, if the address has a name and a password.
    pub authorization: Option<Secret>,
}

/// The text is no [`Proxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoProxy;

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let rest = text.strip_prefix("http://").ok_or(NoProxy)?;
        let rest = rest.trim_end_matches('/');
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let (host, port) = address.rsplit_once(':').ok_or(NoProxy)?;
        let port: u16 = port.parse().map_err(|_| NoProxy)?;
        if host.is_empty() || port == 0 || address.contains(['/', ' ']) {
            return Err(NoProxy);
        }
        let authorization =
            user.map(|user| Secret::new(format!("Basic {}", STANDARD.encode(user))));
        Ok(Self {
            address: address.to_owned(),
            authorization,
        })
    }
}

impl TryFrom<String> for Proxy {
    type Error = NoProxy;

    fn try_from(text: String) -> Result<Self, NoProxy> {
        text.parse()
    }
}

impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold a password, so it is not repeated.
        f.write_str("a proxy is written as http://host:port or http://name:password@host:port")
    }
}

impl std::error::Error for NoProxy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r098_a_proxy_is_read_and_its_password_not_shown() {
        let proxy: Proxy = "http://proxy.example.net:3128/".parse().unwrap();
        assert_eq!(proxy.address, "proxy.example.net:3128");
        assert!(proxy.authorization.is_none());
        let proxy: Proxy = "http://me:hunter2@[::1]:8080".parse().unwrap();
        assert_eq!(proxy.address, "[::1]:8080");
        let secret = proxy.authorization.as_ref().unwrap();
        assert_eq!(secret.reveal(), "Basic bWU6aHVudGVyMg==");
        assert!(!format!("{proxy:?}").contains("aHVudGVyMg"));
        for text in [
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://:1",
            "http://a:0",
        ] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }
}
