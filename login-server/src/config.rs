use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::http::Origin;

/// What the operator of a login server decides. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// Directory of the root key, the root certificate and the accounts; made if it isn't there.
    pub data: PathBuf,
    /// Domain of the users: `example.org` in `sip:alice@example.org`.
    pub domain: String,
    /// Origin that users' browsers see this server at, such as `https://login.example.org`.
    /// Clear text is accepted for loopback addresses only.
    pub origin: String,
    /// Page origins that may ask for credentials besides the names of enrolled super nodes.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Whether anybody may create an account.
    #[serde(default = "yes")]
    pub open_registration: bool,
    /// Whether guests get a credential.
    #[serde(default = "yes")]
    pub guests: bool,
    /// Whether super nodes get certificates for SIP phones at addresses that nobody has an account for.
    #[serde(default)]
    pub phones: bool,
    /// How long what is issued here lasts.
    #[serde(default)]
    pub lifetimes: Lifetimes,
    /// How often one address or one account may ask.
    #[serde(default)]
    pub limits: Limits,
}

impl LoginConfig {
    /// The configuration with every default.
    pub fn new(
        data: impl Into<PathBuf>,
        domain: impl Into<String>,
        origin: impl Into<String>,
    ) -> Self {
        Self {
            data: data.into(),
            domain: domain.into(),
            origin: origin.into(),
            origins: Vec::new(),
            open_registration: true,
            guests: true,
            phones: false,
            lifetimes: Lifetimes::default(),
            limits: Limits::default(),
        }
    }

    /// Checks what the types can't say.
    ///
    /// # Errors
    /// The first value that can't work.
    pub fn check(&self) -> Result<(), ConfigFault> {
        if !is_domain(&self.domain) {
            return Err(ConfigFault::Domain(self.domain.clone()));
        }
        for origin in core::iter::once(&self.origin).chain(&self.origins) {
            Origin::read(origin).ok_or_else(|| ConfigFault::Origin(origin.clone()))?;
        }
        if self.lifetimes.all().contains(&0) {
            return Err(ConfigFault::Lifetime);
        }
        if self.limits.all().contains(&0) {
            return Err(ConfigFault::Limit);
        }
        Ok(())
    }
}

/// Lifetimes in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// A user's certificate.
    pub user: u64,
    /// A guest's certificate.
    pub guest: u64,
    /// How long after its first certificate a guest may still renew.
    pub guest_limit: u64,
    /// A super node's certificate.
    pub super_node: u64,
    /// An authorization code.
    pub code: u64,
    /// A browser's session with this server, since it was last used.
    pub session: u64,
}

impl Lifetimes {
    fn all(&self) -> [u64; 6] {
        [
            self.user,
            self.guest,
            self.guest_limit,
            self.super_node,
            self.code,
            self.session,
        ]
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        const HOUR: u64 = 60 * 60;
        Self {
            user: 7 * 24 * HOUR,
            guest: 12 * HOUR,
            guest_limit: 7 * 24 * HOUR,
            super_node: 30 * 24 * HOUR,
            code: 60,
            session: 12 * HOUR,
        }
    }
}

/// Requests per minute and key, and the same number as a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Pages and documents, by address.
    pub page: u32,
    /// Passwords tried, by address.
    pub sign_in: u32,
    /// Passwords tried, by account.
    pub account: u32,
    /// Accounts created, by address.
    pub create: u32,
    /// Guests, by address.
    pub guest: u32,
    /// Codes redeemed, renewals and enrolments, by address.
    pub credential: u32,
    /// Certificates for phones, by address of the super node.
    pub phone: u32,
}

impl Limits {
    /// Limits that nobody meets by hand: for development and tests on one machine, where everybody has one address.
    #[must_use]
    pub fn development() -> Self {
        Self {
            page: 60_000,
            sign_in: 600,
            account: 600,
            create: 600,
            guest: 600,
            credential: 6_000,
            phone: 60_000,
        }
    }

    fn all(&self) -> [u32; 7] {
        [
            self.page,
            self.sign_in,
            self.account,
            self.create,
            self.guest,
            self.credential,
            self.phone,
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page: 300,
            sign_in: 20,
            account: 10,
            create: 5,
            guest: 10,
            credential: 60,
            phone: 6_000,
        }
    }
}

/// A value of the configuration that can't work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFault {
    /// `domain` is no domain name.
    Domain(String),
    /// An origin isn't `https://host[:port]`, or `http://` on a loopback address.
    Origin(String),
    /// A lifetime is zero.
    Lifetime,
    /// A limit is zero.
    Limit,
}

impl core::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "`{domain}` is no domain name"),
            Self::Origin(origin) => {
                write!(
                    f,
                    "`{origin}` is no origin: write https://host or https://host:port (http on loopback only)"
                )
            }
            Self::Lifetime => f.write_str("a lifetime must be at least one second"),
            Self::Limit => f.write_str("a limit must be at least one request a minute"),
        }
    }
}

impl std::error::Error for ConfigFault {}

fn yes() -> bool {
    true
}

pub(crate) fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}
