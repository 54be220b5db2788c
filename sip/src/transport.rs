//! Where a message of a plain SIP program comes from and goes to.

use core::fmt;
use core::net::SocketAddr;

/// A transport of SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A secured stream.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A secured WebSocket.
    Wss,
    /// Handed over inside the node, to and from those that speak for its phones to pages.
    Inside,
}

impl Transport {
    /// The name in a Via. Nobody outside reads that of [`Inside`](Self::Inside).
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss | Self::Inside => "WSS",
        }
    }

    /// The value of a URI's transport parameter (RFC 3261, section 19.1.1; RFC 7118, section 5.2.3).
    #[must_use]
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss | Self::Inside => "ws",
        }
    }

    /// Reads a URI's transport parameter. With `sips`, each is the secured one.
    #[must_use]
    pub fn read(parameter: &str, sips: bool) -> Option<Self> {
        let is = |name: &str| parameter.eq_ignore_ascii_case(name);
        match () {
            () if is("udp") && !sips => Some(Self::Udp),
            () if is("tcp") && !sips => Some(Self::Tcp),
            () if is("tcp") || is("tls") => Some(Self::Tls),
            () if is("ws") && !sips => Some(Self::Ws),
            () if is("ws") || is("wss") => Some(Self::Wss),
            () => None,
        }
    }

    /// Says whether what is sent arrives, or the sender hears that it did not.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Says whether nobody on the way can read along.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss | Self::Inside)
    }

    /// The port where no port is named.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss | Self::Inside => 443,
        }
    }

    /// A byte for tokens of our own.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The transport of a [`code`](Self::code).
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::Udp,
            Self::Tcp,
            Self::Tls,
            Self::Ws,
            Self::Wss,
            Self::Inside,
        ];
        all.get(usize::from(code)).copied()
    }
}

/// The other side of a transport: where a message came from, or where it is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The transport.
    pub transport: Transport,
    /// Its address. The unspecified one for [`Transport::Inside`].
    pub address: SocketAddr,
    /// The connection, by the driver's number. Zero is none: a datagram; or a connection that the driver is to look
    /// for by the address, and to open where there is none.
    pub connection: u64,
}

impl Peer {
    /// A peer that is reached by its address.
    #[must_use]
    pub const fn at(transport: Transport, address: SocketAddr) -> Self {
        Self {
            transport,
            address,
            connection: 0,
        }
    }
}

impl Peer {
    /// The node itself.
    pub const INSIDE: Self = Self::at(
        Transport::Inside,
        SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0),
    );
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport.parameter(), self.address)
    }
}
