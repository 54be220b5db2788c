//! The configuration file. Ten lines make a super node:
//!
//! ```toml
//! [super_node]
//! data = "/var/lib/partyline"
//! listen = "0.0.0.0:443"
//! url = "https://sn4.example.net"
//! certificate = "/etc/partyline/sn4.pem"
//! key = "/etc/partyline/sn4.key"
//! login = "https://login.example.org"
//! token_file = "/etc/partyline/token"
//! quic = "0.0.0.0:4433"
//! stun = "0.0.0.0:3478"
//! ```
//!
//! What the file says is overridden by the environment (`PARTYLINE_SUPER_NODE_LISTEN`), and that by
//! `--set super_node.listen=...`. A key that does not exist is refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

mod fault;
mod load;
mod ordinary;
mod promotion;
mod proxy;
mod relay;
mod secret;
mod seed;
mod sip;
mod url;

pub use fault::ConfigError;
pub use load::{EXAMPLE, load, load_all, parse};
pub use ordinary::{OrdinaryNode, Transport};
pub use promotion::Promotion;
pub use proxy::{NoProxy, Proxy};
pub use relay::Relay;
pub use secret::Secret;
pub use seed::{NoSeed, SeedAddress};
pub use sip::Sip;
pub use url::{Origin, OriginError};

/// A whole configuration file. Each section is a role; at least one must be there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A user's node, which every node is at first.
    pub ordinary_node: Option<OrdinaryNode>,
    /// A super node of an overlay.
    pub super_node: Option<SuperNode>,
    /// When the ordinary node becomes the super node by itself; without it, both are there from the start.
    pub promotion: Option<Promotion>,
    /// Proxy and registrar for SIP phones.
    pub sip: Option<Sip>,
    /// The login server of an overlay: certificate authority and accounts.
    pub login: Option<Login>,
    /// The bootstrap server of an overlay: which super nodes are reachable now.
    pub bootstrap: Option<Bootstrap>,
}

/// `[super_node]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperNode {
    /// Directory for the node's key, certificate and what it knows of other nodes. Made if missing.
    pub data: PathBuf,
    /// TCP address for the page and the WebSocket. Clear text on loopback only.
    pub listen: SocketAddr,
    /// The origin at which browsers reach this node, as `https://sn4.example.net`.
    pub url: Origin,
    /// Further origins by which this node is reached.
    #[serde(default)]
    pub other_urls: Vec<Origin>,
    /// File with the TLS certificate chain (PEM).
    pub certificate: Option<PathBuf>,
    /// File with the key of the TLS certificate (PEM).
    pub key: Option<PathBuf>,
    /// Origin of the overlay's login server. Without one, the certificate is issued by hand: `relay-node ca`.
    pub login: Option<Origin>,
    /// Origins of bootstrap servers; the login server's, if none is named.
    #[serde(default)]
    pub bootstrap: Vec<Origin>,
    /// Super nodes to join by, besides those remembered and those that bootstrap servers name.
    #[serde(default)]
    pub seeds: Vec<SeedAddress>,
    /// Whether the node answers those who look for super nodes on the local network; yes, if not given, unless its own
    /// address is of this machine alone.
    #[serde(default = "yes")]
    pub multicast: bool,
    /// File with certificates taken back, as `relay-node ca revoke` writes it; read again every minute.
    pub revocations: Option<PathBuf>,
    /// Enrolment token, needed until the node has its certificate.
    pub token: Option<Secret>,
    /// File that holds the enrolment token.
    pub token_file: Option<PathBuf>,
    /// File with further certificate authorities (PEM) to trust when asking the login server.
    pub trust: Option<PathBuf>,
    /// UDP address for links with other super nodes; if not given the address of `listen`, with port 4433 in the place
    /// of a port below 1024, which belongs to another service.
    pub quic: Option<SocketAddr>,
    /// `host:port` by which other super nodes reach `quic`; host of `url` and port of `quic`, if not given.
    pub quic_public: Option<String>,
    /// UDP address of the STUN server; port 3478 at the address of `listen`, if not given.
    pub stun: Option<SocketAddr>,
    /// `host:port` by which users reach `stun`; host of `url` and port of `stun`, if not given.
    pub stun_public: Option<String>,
    /// Whether and how the node relays for users who can't reach each other.
    pub relay: Option<Relay>,
    /// Origins, besides those of the overlay's super nodes, whose pages may connect.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// MiB that the node reserves for its share of the users' records; 256, if not given.
    #[serde(default = "storage")]
    pub storage: usize,
    /// Bytes a second that keeping up with the other super nodes may cost; 2,000, if not given. Where it would cost
    /// more, the node knows a part of them.
    #[serde(default = "maintenance")]
    pub maintenance: u32,
    /// How many other super nodes the node knows at most, about; a million, if not given.
    #[serde(default = "table")]
    pub table: usize,
    /// Directory of page files to serve in place of the built-in page.
    pub page: Option<PathBuf>,
}

/// `[login]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Directory for the root key, the root certificate and the accounts. Made if missing. Back it up.
    pub data: PathBuf,
    /// TCP address for HTTP(S). Clear text on loopback only.
    pub listen: SocketAddr,
    /// The origin at which browsers reach the login server, as `https://login.example.org`.
    pub url: Origin,
    /// File with the TLS certificate chain (PEM).
    pub certificate: Option<PathBuf>,
    /// File with the key of the TLS certificate (PEM).
    pub key: Option<PathBuf>,
    /// Domain of the users: `example.org` in `sip:alice@example.org`.
    pub domain: String,
    /// Origins, besides those of enrolled super nodes, whose pages may ask for credentials.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// Whether anybody may create an account; yes, if not given.
    #[serde(default = "yes")]
    pub open_registration: bool,
    /// Whether guests get a credential; yes, if not given.
    #[serde(default = "yes")]
    pub guests: bool,
    /// Whether super nodes may speak for SIP phones at addresses that nobody has an account for.
    #[serde(default)]
    pub phones: bool,
    /// Lifetimes in seconds of what is issued.
    #[serde(default)]
    pub lifetimes: login_server::Lifetimes,
    /// How often one address or one account may ask.
    #[serde(default)]
    pub limits: login_server::Limits,
}

/// `[bootstrap]`, which answers at the login server's address unless it has its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// TCP address of its own; needed without `[login]`.
    pub listen: Option<SocketAddr>,
    /// File with the TLS certificate chain (PEM).
    pub certificate: Option<PathBuf>,
    /// File with the key of the TLS certificate (PEM).
    pub key: Option<PathBuf>,
    /// File with the overlay's root certificate (DER); needed without `[login]`.
    pub root: Option<PathBuf>,
    /// Seconds for which a super node's report counts.
    #[serde(default = "listed")]
    pub listed: u64,
    /// Most super nodes listed at once.
    #[serde(default = "most")]
    pub most: usize,
    /// Requests per minute and address.
    #[serde(default = "limit")]
    pub limit: u32,
}

impl SuperNode {
    /// UDP address for links with other super nodes.
    #[must_use]
    pub fn quic(&self) -> SocketAddr {
        let port = match self.listen.port() {
            1..1024 => 4433,
            port => port,
        };
        self.quic
            .unwrap_or_else(|| SocketAddr::new(self.listen.ip(), port))
    }

    /// UDP address of the STUN server.
    #[must_use]
    pub fn stun(&self) -> SocketAddr {
        self.stun
            .unwrap_or_else(|| SocketAddr::new(self.listen.ip(), 3478))
    }

    /// `host:port` by which other super nodes reach this one.
    #[must_use]
    pub fn quic_public(&self) -> String {
        self.quic_public
            .clone()
            .unwrap_or_else(|| format!("{}:{}", self.url.host(), self.quic().port()))
    }

    /// `host:port` by which users reach the STUN server.
    #[must_use]
    pub fn stun_public(&self) -> String {
        self.stun_public
            .clone()
            .unwrap_or_else(|| format!("{}:{}", self.url.host(), self.stun().port()))
    }

    /// By which addresses users reach the relay, the quickest way first; none without one.
    #[must_use]
    pub fn relay_urls(&self) -> Vec<String> {
        let Some(relay) = &self.relay else {
            return Vec::new();
        };
        let public = self.stun_public();
        let mut urls = vec![
            format!("turn:{public}"),
            format!("turn:{public}?transport=tcp"),
        ];
        if let Some(tls) = relay.tls {
            urls.push(format!(
                "turns:{}:{}?transport=tcp",
                self.url.host(),
                tls.port()
            ));
        }
        urls
    }

    /// All origins by which this node is reached, the chief one first.
    pub fn urls(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.url).chain(&self.other_urls)
    }

    /// The bootstrap servers to ask.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<Origin> {
        if self.bootstrap.is_empty() {
            self.login.clone().into_iter().collect()
        } else {
            self.bootstrap.clone()
        }
    }

    /// Puts the addresses that were bound in the place of those asked for: port 0 lets the system choose.
    pub fn settle(&mut self, listen: SocketAddr, quic: SocketAddr, stun: SocketAddr) {
        self.listen = listen;
        self.quic = Some(quic);
        self.stun = Some(stun);
        for url in std::iter::once(&mut self.url).chain(&mut self.other_urls) {
            url.settle(listen.port());
        }
    }
}

impl Config {
    /// Checks what the types can't say.
    ///
    /// # Errors
    /// The first thing that can't work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let servers = self.login.is_some() || self.bootstrap.is_some() || self.sip.is_some();
        if self.ordinary_node.is_none() && self.super_node.is_none() && !servers {
            return Err(ConfigError::NoRole);
        }
        if let Some(node) = &self.ordinary_node {
            node.check()?;
        }
        let both = self.ordinary_node.is_some() && self.super_node.is_some();
        if self.promotion.is_some() && !both {
            return Err(ConfigError::PromotionOfNobody);
        }
        if let Some(node) = &self.super_node {
            tls("super_node", node.listen, &node.certificate, &node.key)?;
            if !(1..=1 << 16).contains(&node.storage) {
                return Err(ConfigError::Storage(node.storage));
            }
            if node.maintenance < 50 {
                return Err(ConfigError::Maintenance(node.maintenance));
            }
            if node.table < 100 {
                return Err(ConfigError::Table(node.table));
            }
            if let Some(relay) = &node.relay {
                relay.check(node)?;
            }
            if node.token.is_some() && node.token_file.is_some() {
                return Err(ConfigError::TwoTokens);
            }
            if node.login.is_none() && (node.token.is_some() || node.token_file.is_some()) {
                return Err(ConfigError::TokenForNobody);
            }
        }
        if let Some(sip) = &self.sip {
            sip.check()?;
        }
        if let Some(login) = &self.login {
            tls("login", login.listen, &login.certificate, &login.key)?;
            login.served().check().map_err(ConfigError::Login)?;
        }
        if let Some(bootstrap) = &self.bootstrap {
            match bootstrap.listen {
                Some(listen) => tls("bootstrap", listen, &bootstrap.certificate, &bootstrap.key)?,
                None if self.login.is_none() => return Err(ConfigError::BootstrapAlone),
                None => {}
            }
            if self.login.is_none() && bootstrap.root.is_none() {
                return Err(ConfigError::BootstrapAlone);
            }
        }
        Ok(())
    }
}

impl Config {
    /// The directories that it keeps things in.
    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        let ordinary = self.ordinary_node.as_ref().map(|node| &node.data);
        let super_node = self.super_node.as_ref().map(|node| &node.data);
        let login = self.login.as_ref().map(|login| &login.data);
        [ordinary, super_node, login].into_iter().flatten()
    }
}

impl Login {
    /// The configuration in the login server's own terms.
    #[must_use]
    pub fn served(&self) -> login_server::LoginConfig {
        let mut served =
            login_server::LoginConfig::new(&self.data, &self.domain, self.url.as_str());
        served.origins = self.origins.iter().map(ToString::to_string).collect();
        served.open_registration = self.open_registration;
        served.guests = self.guests;
        served.phones = self.phones;
        served.lifetimes = self.lifetimes;
        served.limits = self.limits;
        served
    }
}

impl Bootstrap {
    /// The configuration in the bootstrap server's own terms.
    #[must_use]
    pub fn served(&self) -> login_server::BootstrapConfig {
        login_server::BootstrapConfig {
            listed: self.listed,
            most: self.most,
            limit: self.limit,
        }
    }
}

/// Clear text is for loopback alone; and a certificate without its key is of no use.
fn tls(
    role: &'static str,
    listen: SocketAddr,
    certificate: &Option<PathBuf>,
    key: &Option<PathBuf>,
) -> Result<(), ConfigError> {
    match (certificate, key) {
        (Some(_), Some(_)) => Ok(()),
        (None, None) if listen.ip().is_loopback() => Ok(()),
        (None, None) => Err(ConfigError::ClearText(role, listen)),
        (Some(_), None) | (None, Some(_)) => Err(ConfigError::HalfTls(role)),
    }
}

fn storage() -> usize {
    p2psip::Limits::default().bytes >> 20
}

fn maintenance() -> u32 {
    p2psip::Limits::default().maintenance
}

fn table() -> usize {
    p2psip::Limits::default().table
}

fn yes() -> bool {
    true
}

fn listed() -> u64 {
    login_server::BootstrapConfig::default().listed
}

fn most() -> usize {
    login_server::BootstrapConfig::default().most
}

fn limit() -> u32 {
    login_server::BootstrapConfig::default().limit
}
