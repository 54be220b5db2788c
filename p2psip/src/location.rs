//! Location records (draft §8): what is stored in the overlay under a user's or a domain's key.
//!
//! ```text
//! <resource><version>1.0</version><type>user location</type><key>KEY</key>
//!   <lifetime>3600</lifetime><timestamp>1795401240000</timestamp><user_URI>alice@example.org</user_URI>
//!   <instance>urn:uuid:..</instance><fingerprint>sha-256 AB:CD:..</fingerprint><trickle>yes</trickle>
//!   <location><node_IP>sn1.example.org</node_IP><transport>WSS443</transport>
//!     <contact>sip:alice@example.org;gr=urn:uuid:..</contact><super_node>NODE</super_node>
//!     <preference>1</preference></location>
//!   ..
//! </resource>
//! ```
//! A writer puts the elements in this order, without the line breaks and indents shown here, in UTF-8. `key` is 40
//! hexadecimal digits, `lifetime` counts seconds, `timestamp` milliseconds since 1970. A location's `transport` is a list
//! of transport and port, separated by spaces; the location with the lowest `preference` is tried first.
//! `instance`, `fingerprint` (up to 4), `trickle`, `contact`, `super_node` and `preference` go beyond the draft. A proxy
//! location has the type `proxy location` and `domain` in the place of `user_URI`, `instance`, `fingerprint` and `trickle`.
//!
//! A reader takes the elements in any order, ignores elements it doesn't know, white space around values, attributes and
//! comments, and refuses everything else: no document types, no instructions, no sections, at most [`MAXIMUM`] bytes.

mod xml;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use credential::{Instance, NodeId};
use sip::Fingerprint;

use crate::Aor;

/// The longest record that is read, in bytes.
pub const MAXIMUM: usize = 8 * 1024;
/// The most locations that a record may have.
pub const MAX_LOCATIONS: usize = 16;
/// The most fingerprints that a record may have.
pub const MAX_FINGERPRINTS: usize = 4;

/// Why a record can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationError {
    /// It is too long or has too many parts.
    TooLarge,
    /// It is not well-formed XML, or not of the kind that is read.
    Malformed,
    /// An element that stands once stands twice.
    Twice,
    /// An element is missing.
    Missing,
    /// It is of another version than 1.0.
    Version,
    /// It is of another type.
    Type,
    /// Its key is not the hash of its name.
    Key,
    /// A number, an id or a name in it can't be read.
    Value,
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "location record too large",
            Self::Malformed => "location record malformed",
            Self::Twice => "location record has an element twice",
            Self::Missing => "location record lacks an element",
            Self::Version => "location record of another version",
            Self::Type => "location record of another type",
            Self::Key => "location record under another key",
            Self::Value => "location record has a value that can't be read",
        })
    }
}

impl core::error::Error for LocationError {}

/// Where a user is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLocation {
    /// The user.
    pub user: Aor,
    /// Seconds that it lives; the same as in its placement.
    pub lifetime: u32,
    /// When it was written, in milliseconds since 1970; rises with every version.
    pub timestamp: u64,
    /// The device, if it says which.
    pub instance: Option<Instance>,
    /// What `a=fingerprint` of the device's descriptions may be.
    pub fingerprints: Vec<Fingerprint>,
    /// The device takes candidates one by one (RFC 8840).
    pub trickle: bool,
    /// Where, the best first.
    pub locations: Vec<Location>,
}

/// Where a proxy of a domain is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLocation {
    /// The domain, in lower case.
    pub domain: String,
    /// Seconds that it lives; the same as in its placement.
    pub lifetime: u32,
    /// When it was written, in milliseconds since 1970; rises with every version.
    pub timestamp: u64,
    /// Where, the best first.
    pub locations: Vec<Location>,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The address, or the name of the host.
    pub address: String,
    /// On which transports and ports.
    pub transports: Vec<Transport>,
    /// The SIP URI to ask for there.
    pub contact: Option<String>,
    /// The super node that passes messages on.
    pub super_node: Option<NodeId>,
    /// The lowest is tried first.
    pub preference: u16,
}

/// A transport protocol and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A WebSocket in the clear.
    Ws,
    /// A WebSocket over TLS.
    Wss,
}

const PROTOCOLS: [(Protocol, &str); 5] = [
    (Protocol::Udp, "UDP"),
    (Protocol::Tcp, "TCP"),
    (Protocol::Tls, "TLS"),
    (Protocol::Ws, "WS"),
    (Protocol::Wss, "WSS"),
];

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }
}

impl Transport {
    /// Reads `TCP5060`.
    fn read(text: &str) -> Option<Self> {
        let (name, port) = text.split_at_checked(text.find(|c: char| c.is_ascii_digit())?)?;
        let (protocol, _) = PROTOCOLS.into_iter().find(|(_, known)| *known == name)?;
        let port = xml::number(port).and_then(|port| u16::try_from(port).ok())?;
        (port > 0).then_some(Self { protocol, port })
    }

    /// Takes host, port and transport out of a WebSocket URL.
    #[must_use]
    pub fn of_url(url: &str) -> Option<(String, Self)> {
        let (protocol, rest, usual) = match (url.strip_prefix("wss://"), url.strip_prefix("ws://"))
        {
            (Some(rest), _) => (Protocol::Wss, rest, 443),
            (None, Some(rest)) => (Protocol::Ws, rest, 80),
            (None, None) => return None,
        };
        let place = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (place, usual),
        };
        is_address(host).then(|| (host.to_ascii_lowercase(), Self { protocol, port }))
    }
}

impl UserLocation {
    /// Reads a record.
    ///
    /// # Errors
    /// The bytes are no user location record of version 1.0.
    pub fn read(body: &[u8]) -> Result<Self, LocationError> {
        let fields = xml::read(body)?;
        fields.expect_type("user location")?;
        let user = fields.user.as_deref().ok_or(LocationError::Missing)?;
        let user = Aor::read(&uri(user)).ok_or(LocationError::Value)?;
        if fields.key()? != user.key() {
            return Err(LocationError::Key);
        }
        let instance = match &fields.instance {
            Some(text) => Some(text.parse().map_err(|_| LocationError::Value)?),
            None => None,
        };
        let mut fingerprints = Vec::new();
        for text in &fields.fingerprints {
            fingerprints.push(Fingerprint::read(text).ok_or(LocationError::Value)?);
        }
        Ok(Self {
            user,
            lifetime: fields.lifetime()?,
            timestamp: fields.timestamp()?,
            instance,
            fingerprints,
            trickle: fields.trickle()?,
            locations: fields.locations()?,
        })
    }

    /// Writes the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let key = self.user.key();
        let mut writer = xml::Writer::new("user location", &key, self.lifetime, self.timestamp);
        writer.leaf("user_URI", self.user.name());
        if let Some(instance) = self.instance {
            writer.leaf("instance", &instance.urn());
        }
        for fingerprint in &self.fingerprints {
            writer.leaf("fingerprint", &fingerprint.text());
        }
        if self.trickle {
            writer.leaf("trickle", "yes");
        }
        writer.finish(&self.locations)
    }
}

impl ProxyLocation {
    /// Reads a record.
    ///
    /// # Errors
    /// The bytes are no proxy location record of version 1.0.
    pub fn read(body: &[u8]) -> Result<Self, LocationError> {
        let fields = xml::read(body)?;
        fields.expect_type("proxy location")?;
        let domain = fields.domain.as_deref().ok_or(LocationError::Missing)?;
        let domain = domain.to_ascii_lowercase();
        if !is_address(&domain) {
            return Err(LocationError::Value);
        }
        if fields.key()? != crate::proxy_key(&domain) {
            return Err(LocationError::Key);
        }
        Ok(Self {
            lifetime: fields.lifetime()?,
            timestamp: fields.timestamp()?,
            locations: fields.locations()?,
            domain,
        })
    }

    /// Writes the record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let key = crate::proxy_key(&self.domain);
        let mut writer = xml::Writer::new("proxy location", &key, self.lifetime, self.timestamp);
        writer.leaf("domain", &self.domain);
        writer.finish(&self.locations)
    }
}

/// Says whether a text can be an IP address or the name of a host.
fn is_address(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

/// The URI of an unescaped name.
fn uri(name: &str) -> String {
    let (user, host) = name.rsplit_once('@').unwrap_or(("", name));
    let mut uri = String::from("sip:");
    sip::escape(user, &mut uri);
    uri.push('@');
    uri.push_str(host);
    uri
}
