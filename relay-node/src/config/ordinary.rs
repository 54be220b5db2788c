use std::fmt;
use std::path::PathBuf;

use credential::OverlayId;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{ConfigError, Origin, Proxy};

/// `[ordinary_node]`: a user's node without a browser.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrdinaryNode {
    /// Directory for the user's key and certificate, and for what the node knows of super nodes. Made if missing.
    pub data: PathBuf,
    /// Origin of the login server, where a node without a certificate becomes a guest.
    pub login: Option<Origin>,
    /// Identifier of the only overlay that it joins, 32 hexadecimal digits; the one of the certificate in `data`, or else
    /// of the login server, if not given (draft §5.1).
    #[serde(default, deserialize_with = "overlay")]
    pub overlay: Option<OverlayId>,
    /// A wish for the guest's name.
    pub guest: Option<String>,
    /// Whether super nodes on the local network are looked for; yes, if not given.
    #[serde(default = "super::yes")]
    pub multicast: bool,
    /// Origins of super nodes to try, before any bootstrap server is asked.
    #[serde(default)]
    pub seeds: Vec<Origin>,
    /// Origins of bootstrap servers; the login server's, if none is named.
    #[serde(default)]
    pub bootstrap: Vec<Origin>,
    /// How super nodes are reached, the best first; all of them in this order, if not given.
    #[serde(default = "Transport::all")]
    pub transports: Vec<Transport>,
    /// HTTP proxy to go through, as `http://proxy.example.net:3128`; UDP can't.
    pub proxy: Option<Proxy>,
    /// File with further certificate authorities (PEM) to trust.
    pub trust: Option<PathBuf>,
}

/// A way to reach a super node (draft §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// QUIC over UDP.
    Quic,
    /// TLS over TCP.
    Tls,
    /// The fallback: a WebSocket.
    WebSocket,
}

impl Transport {
    /// All of them in the draft's order.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::Quic, Self::Tls, Self::WebSocket]
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "QUIC",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
        })
    }
}

impl OrdinaryNode {
    /// The bootstrap servers to ask.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<Origin> {
        if self.bootstrap.is_empty() {
            self.login.clone().into_iter().collect()
        } else {
            self.bootstrap.clone()
        }
    }

    /// The ways to reach super nodes, the best first; without UDP behind a proxy.
    #[must_use]
    pub fn transports(&self) -> Vec<Transport> {
        let mut usable = self.transports.clone();
        usable.retain(|transport| self.proxy.is_none() || *transport != Transport::Quic);
        usable
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.transports().is_empty() {
            return Err(ConfigError::NoTransport);
        }
        let nowhere = self.seeds.is_empty() && self.bootstrap().is_empty() && !self.multicast;
        if nowhere {
            return Err(ConfigError::NoSource);
        }
        Ok(())
    }
}

pub(super) fn overlay<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OverlayId>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = format!("`{text}` is no overlay's identifier: write its 32 hexadecimal digits");
    let read = text.parse().map_err(|_| D::Error::custom(wrong))?;
    Ok(Some(read))
}
