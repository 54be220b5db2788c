use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::header::host_and_port;
use crate::message::decimal;
use crate::{Peer, Transport};

/// A SIP URI as far as a proxy looks into it, without copying anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) secure: bool,
    /// The user part as written, with the password.
    pub(super) user: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    parameters: &'a str,
    pub(super) headers: &'a str,
}

impl<'a> Place<'a> {
    /// Reads a URI. `None` if it is no SIP URI or has no sound host.
    pub(crate) fn read(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let secure = scheme.eq_ignore_ascii_case("sips");
        if !secure && !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) if !user.is_empty() => (user, rest),
            Some(_) => return None,
            None => ("", rest),
        };
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = host_and_port(place, "-._")?;
        let sound = !host.starts_with('[') || numeric(host).is_some();
        (sound && is_escaped(uri)).then_some(Self {
            secure,
            user,
            host,
            port,
            parameters,
            headers,
        })
    }

    /// The value of a URI parameter, empty if it has none.
    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut all = self.parameters.split(';');
        all.find_map(|one| {
            let (found, value) = one.split_once('=').unwrap_or((one, ""));
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Where a request goes that goes to this URI, if no DNS is needed for that (RFC 3263, section 4): its address is a
    /// number.
    pub(super) fn peer(&self) -> Option<Result<Peer, ()>> {
        let host = self.parameter("maddr").unwrap_or(self.host);
        let ip = numeric(host)?;
        let transport = match self.parameter("transport") {
            Some(name) => Transport::read(name, self.secure),
            None if self.secure => Some(Transport::Tls),
            None => Some(Transport::Udp),
        };
        Some(transport.ok_or(()).map(|transport| {
            let port = self.port.unwrap_or(transport.port());
            Peer::at(transport, SocketAddr::new(ip, port))
        }))
    }
}

/// Reads a host that is a number. Three colons in a row, which the grammar of RFC 3261 makes of two, are taken as two (RFC 5118,
/// section 4.10).
pub(crate) fn numeric(host: &str) -> Option<IpAddr> {
    let Some(six) = host.strip_prefix('[') else {
        return host.parse().ok();
    };
    let six = six.strip_suffix(']')?;
    let ip: Option<Ipv6Addr> = match six.split_once(":::") {
        Some((left, right)) => crate::joined(&[left, "::", right]).parse().ok(),
        None => six.parse().ok(),
    };
    // An IPv4 address in IPv6's clothes is the same host.
    ip.map(|ip| IpAddr::V6(ip).to_canonical())
}

/// Says whether each `%` begins an escape.
fn is_escaped(text: &str) -> bool {
    let mut parts = text.split('%').skip(1);
    parts.all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// The seconds or hops of a header that has a number, if it has one.
pub(super) fn number(text: &str) -> Option<u8> {
    decimal(text).and_then(|number| u8::try_from(number).ok())
}
