use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use credential::OverlayId;
use serde::Deserialize;

use super::{ConfigError, Secret};

/// `[sip]`: proxy and registrar for SIP phones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sip {
    /// Domain of the users, which is the realm of their passwords.
    pub domain: String,
    /// Address for UDP and TCP.
    pub listen: SocketAddr,
    /// Host by which others reach this server, a name or a number; the address of `listen`, if not given.
    pub host: Option<String>,
    /// Address for TLS; the port behind that of `listen`, if not given.
    pub tls: Option<SocketAddr>,
    /// File with the TLS certificate chain (PEM). Without it, there is no TLS.
    pub certificate: Option<PathBuf>,
    /// File with the key of the TLS certificate (PEM).
    pub key: Option<PathBuf>,
    /// File with further certificate authorities (PEM) to trust when calling other domains by TLS.
    pub trust: Option<PathBuf>,
    /// DNS servers to ask for other domains; those of the system, if none is named.
    #[serde(default)]
    pub dns: Vec<SocketAddr>,
    /// Further domains of this proxy, each with the overlay in which its users are found: one that another file of this process
    /// joins, by its identifier.
    #[serde(default)]
    pub domains: BTreeMap<String, String>,
    /// Identifier of an overlay, joined by another file of this process, in which proxies of other domains are looked for before DNS.
    #[serde(default, deserialize_with = "super::ordinary::overlay")]
    pub transit: Option<OverlayId>,
    /// SIP URI of a server that is asked for users of own domains whom the overlay does not know.
    pub location_server: Option<String>,
    /// The users that may register, with their passwords.
    #[serde(default)]
    pub users: BTreeMap<String, Secret>,
    /// Whether passwords may be shown by MD5, to phones that don't know SHA-256.
    #[serde(default)]
    pub md5: bool,
    /// Whether calls stay in the path of this server to their end; they do by themselves where they must.
    #[serde(default)]
    pub record_route: bool,
    /// A long random text. With the same one, a server that was restarted, or another one at its address, knows the calls from before.
    /// A super node makes one of its key, if none is given; any other server draws one at each start.
    pub secret: Option<Secret>,
    /// Whether everybody is believed without a password. On loopback only.
    #[serde(default)]
    pub open_registrar: bool,
}

impl Sip {
    /// Address for TLS.
    #[must_use]
    pub fn tls(&self) -> SocketAddr {
        let next = self.listen.port().saturating_add(1);
        self.tls
            .unwrap_or_else(|| SocketAddr::new(self.listen.ip(), next))
    }

    /// The host that others are told.
    #[must_use]
    pub fn host(&self) -> String {
        match (&self.host, self.listen) {
            (Some(host), _) => host.clone(),
            (None, SocketAddr::V4(listen)) => listen.ip().to_string(),
            (None, SocketAddr::V6(listen)) => format!("[{}]", listen.ip()),
        }
    }

    /// Further domains, in lower case.
    #[must_use]
    pub fn domains(&self) -> BTreeMap<String, OverlayId> {
        let all = self.domains.iter();
        let read = |(domain, overlay): (&String, &String)| {
            Some((domain.to_ascii_lowercase(), overlay.parse().ok()?))
        };
        all.filter_map(read).collect()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.open_registrar && !self.listen.ip().is_loopback() {
            return Err(ConfigError::OpenRegistrar(self.listen));
        }
        if self.host.is_none() && self.listen.ip().is_unspecified() {
            return Err(ConfigError::SipHost(self.listen));
        }
        let known = self.domains();
        let unknown = |domain: &&String| !known.contains_key(&domain.to_ascii_lowercase());
        if let Some(domain) = self.domains.keys().find(unknown) {
            return Err(ConfigError::SipOverlay(domain.clone()));
        }
        if let Some(server) = &self.location_server
            && (sip::Uri::read(server).is_err() || server.contains(['<', '>', ',', ' ']))
        {
            return Err(ConfigError::LocationServer(server.clone()));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(ConfigError::HalfTls("sip"));
        }
        Ok(())
    }
}
