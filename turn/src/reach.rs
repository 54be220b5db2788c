//! Which peers a relay may speak with.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// A range of addresses: those that begin with the same bits. It is written `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    ip: IpAddr,
    bits: u8,
}

/// A text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRange;

impl Range {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self {
            ip: IpAddr::V4(core::net::Ipv4Addr::new(a, b, c, d)),
            bits,
        }
    }

    const fn v6(first: [u16; 6], bits: u8) -> Self {
        let [a, b, c, d, e, f] = first;
        Self {
            ip: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, 0, 0)),
            bits,
        }
    }

    /// Whether an address lies in it. Bits are compared, of the same family only.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differing = own.to_bits() ^ ip.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let differing = own.to_bits() ^ ip.to_bits();
                differing.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Range {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let (ip, bits) = text.split_once('/').ok_or(NoRange)?;
        let ip: IpAddr = ip.parse().map_err(|_| NoRange)?;
        let bits = bits.parse().map_err(|_| NoRange)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { ip, bits }).ok_or(NoRange)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.bits)
    }
}

/// What nobody on the Internet can be reached by, or what stands for another address that way.
pub const REFUSED: &[Range] = &[
    Range::v4(0, 0, 0, 0, 8),
    Range::v4(10, 0, 0, 0, 8),
    Range::v4(100, 64, 0, 0, 10),
    Range::v4(127, 0, 0, 0, 8),
    Range::v4(169, 254, 0, 0, 16),
    Range::v4(172, 16, 0, 0, 12),
    Range::v4(192, 0, 0, 0, 24),
    Range::v4(192, 88, 99, 0, 24),
    Range::v4(192, 168, 0, 0, 16),
    Range::v4(198, 18, 0, 0, 15),
    Range::v4(224, 0, 0, 0, 4),
    Range::v4(240, 0, 0, 0, 4),
    // ::, ::1 and IPv4 addresses of old: ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d
    Range::v6([0, 0, 0, 0, 0, 0], 64),
    // translated IPv4: by a common prefix, by a local one, 6to4, Teredo
    Range::v6([0x64, 0xff9b, 0, 0, 0, 0], 96),
    Range::v6([0x64, 0xff9b, 1, 0, 0, 0], 48),
    Range::v6([0x2002, 0, 0, 0, 0, 0], 16),
    Range::v6([0x2001, 0, 0, 0, 0, 0], 32),
    // discarded, segment routing, unique local, link-local, site-local, multicast
    Range::v6([0x100, 0, 0, 0, 0, 0], 64),
    Range::v6([0x5f00, 0, 0, 0, 0, 0], 16),
    Range::v6([0xfc00, 0, 0, 0, 0, 0], 7),
    Range::v6([0xfe80, 0, 0, 0, 0, 0], 10),
    Range::v6([0xfec0, 0, 0, 0, 0, 0], 10),
    Range::v6([0xff00, 0, 0, 0, 0, 0], 8),
];

/// The operator's word on which peers may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Ranges of [`REFUSED`] that are allowed: those of the private realm that the overlay lives in.
    pub realm: Vec<Range>,
    /// Loopback addresses are allowed: for tests alone.
    pub loopback: bool,
    /// This machine's addresses. Nothing of it is reached but live relayed addresses.
    pub own: Vec<IpAddr>,
    /// Where the server itself listens.
    pub listening: Vec<SocketAddr>,
}

/// What is to be said of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// On this machine: only where a relayed address is alive.
    Own,
    Refused,
}

impl Reach {
    pub(crate) fn judge(&self, ip: IpAddr) -> Verdict {
        if self.loopback && ip.is_loopback() {
            return Verdict::Allowed;
        }
        if self.own.contains(&ip) {
            return Verdict::Own;
        }
        let refused = REFUSED.iter().any(|range| range.contains(ip));
        if refused && !self.realm.iter().any(|range| range.contains(ip)) {
            Verdict::Refused
        } else {
            Verdict::Allowed
        }
    }

    /// Whether the server itself listens there.
    pub(crate) fn is_server(&self, peer: SocketAddr) -> bool {
        self.listening.contains(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a28_ranges_are_compared_by_bits() {
        let range: Range = "100.64.0.0/10".parse().unwrap();
        for (ip, inside) in [
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("::ffff:100.64.0.1", false),
        ] {
            assert_eq!(range.contains(ip.parse().unwrap()), inside, "{ip}");
        }
        let range: Range = "fe80::/10".parse().unwrap();
        assert!(range.contains("febf::1".parse().unwrap()));
        assert!(!range.contains("fec0::1".parse().unwrap()));
        let all: Range = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Range>(), Err(NoRange), "{text}");
        }
    }

    #[test]
    fn a28_special_addresses_are_refused_and_the_internet_is_not() {
        let reach = Reach::default();
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.255.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::8.8.8.8",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:a00:1::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "100::1",
        ] {
            assert_eq!(reach.judge(ip.parse().unwrap()), Verdict::Refused, "{ip}");
        }
        for ip in [
            "8.8.8.8",
            "1.0.0.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.0.2.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.100.1",
            "203.0.113.7",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2001:1::1",
            "2003::1",
            "2a00::1",
            "fbff::1",
        ] {
            assert_eq!(reach.judge(ip.parse().unwrap()), Verdict::Allowed, "{ip}");
        }
    }

    #[test]
    fn r122_a_realm_opens_what_the_operator_names_and_no_more() {
        let reach = Reach {
            realm: ["10.1.0.0/16".parse().unwrap()].to_vec(),
            own: ["10.1.0.5".parse().unwrap()].to_vec(),
            ..Reach::default()
        };
        let judge = |ip: &str| reach.judge(ip.parse().unwrap());
        assert_eq!(judge("10.1.255.255"), Verdict::Allowed);
        assert_eq!(judge("10.2.0.0"), Verdict::Refused);
        assert_eq!(judge("10.1.0.5"), Verdict::Own);
        assert_eq!(judge("127.0.0.1"), Verdict::Refused);
    }
}
